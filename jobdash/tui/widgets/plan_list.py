"""The jobs of a plan, or their results, as a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual.strip import Strip

from jobdash.domain.describe.job_text import done_words
from jobdash.domain.items import ItemStatus
from jobdash.domain.job import JobRow
from jobdash.domain.plan import ActionOutcome, ActionResult, Plan
from jobdash.domain.status import LABELS, Status
from jobdash.domain.text import clean
from jobdash.tui.render import job_cells
from jobdash.tui.render.symbols import Symbols
from jobdash.tui.render.text import fit
from jobdash.tui.widgets.virtual_list import VirtualList

_WORDS_CELLS = 28
"""Cells that names leave for what is said of a job: ``validating  nothing done yet``."""
_NAMES_MEASURED = 500
_STATUS_CELLS = 10


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """One line: a job with a glyph and words of its own, or a heading (no job)."""

    job: JobRow | None
    glyph: str
    tone: str
    words: str


def plan_entries(plan: Plan, now: int, symbols: Symbols) -> list[PlanEntry]:
    """Return the jobs a plan acts on; marked ones that are not visible come first, under a heading."""
    entries: list[PlanEntry] = []
    hidden = [decision for decision in plan.acting if decision.job.id in plan.hidden]
    if hidden:
        entries.append(PlanEntry(None, "", "warning", "marked, not visible here"))
    for place, decision in enumerate(plan.acting):
        if hidden and place == len(hidden):
            entries.append(PlanEntry(None, "", "muted", "visible"))
        job = decision.job
        glyph, word = job_cells.status_words(job, now, symbols)
        words = f"{word.ljust(_STATUS_CELLS)}  {_done(job)}".rstrip()
        entries.append(PlanEntry(job, glyph, job_cells.status_style(job, now), words))
    return entries


def _done(job: JobRow) -> str:
    if not job.done:
        counted = job.done is not None or job.status in {Status.PENDING, Status.VALIDATING}
        return ("nothing done yet" if counted else "not counted yet") if job.unfinished else ""
    return done_words(job)


def outcome_entry(outcome: ActionOutcome, symbols: Symbols) -> PlanEntry:
    """Return the result of one job."""
    glyph, tone = {
        ActionResult.DONE: (symbols.items[ItemStatus.OK], "success"),
        ActionResult.SKIPPED: (symbols.none[0], "muted"),
        ActionResult.FAILED: (symbols.items[ItemStatus.ERROR], "error"),
    }[outcome.result]
    status = LABELS[outcome.status_after] if outcome.status_after else ""
    reason = outcome.reason
    says_it = reason.startswith(status)  # "failed here; …" needs no "failed: " in front
    words = reason if says_it and reason else f"{status}: {reason}" if reason else status
    return PlanEntry(outcome.job, glyph, tone, clean(words, 200))


class PlanList(VirtualList[PlanEntry], can_focus=False):
    """Jobs with their accounts and a few words, one a line."""

    DEFAULT_CSS = """
    PlanList { height: auto; max-height: 10; scrollbar-gutter: auto; }
    """

    def __init__(self, symbols: Symbols, entries: Sequence[PlanEntry] = (), *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._symbols = symbols
        self._longest_name = 0
        self.entries: list[PlanEntry] = []
        self.put(entries)

    @property
    def place(self) -> str:
        """Which jobs are in sight, of how many; empty when that is all of them."""
        total, height = len(self.entries), self.size.height
        if not 0 < height < total:
            return ""
        first = self.top
        return f"{first + 1:,}{self._symbols.to}{min(total, first + height):,} of {total:,}"

    @property
    def total(self) -> int:
        """The number of lines."""
        return len(self.entries)

    def entry(self, index: int) -> PlanEntry | None:
        """Return a line."""
        return self.entries[index] if index < len(self.entries) else None

    def add(self, entries: Sequence[PlanEntry]) -> None:
        """Append lines; the end stays in sight."""
        self.entries += entries
        self._fit(entries)
        self.scroll_end(animate=False, immediate=True)

    def put(self, entries: Sequence[PlanEntry]) -> None:
        """Show other lines."""
        self.entries = list(entries)
        self._fit(entries)

    def _fit(self, new: Sequence[PlanEntry]) -> None:
        """Make room for new lines, and no more for names than they take."""
        names = (cell_len(clean(entry.job.name)) for entry in new[:_NAMES_MEASURED] if entry.job is not None)
        self._longest_name = max(self._longest_name, max(names, default=0))
        self.fit_total()
        self.draw_all()

    def draw_entry(self, _index: int, entry: PlanEntry) -> Strip:
        """Return one line as a strip."""
        width, more = self.size.width, self._symbols.more
        if entry.job is None:
            return self.strip([(f" {entry.words}", entry.tone)]).adjust_cell_length(width, self.blank())
        account = min(12, max(6, width // 8))
        room = self.text_width - account - 7
        name = max(12, min(40, self._longest_name, room - _WORDS_CELLS))
        rest = max(0, room - name)
        pieces = [
            (f" {entry.glyph} ", entry.tone),
            (fit(clean(entry.job.name), name, more), "text"),
            ("  ", "text"),
            (fit(clean(entry.job.account), account, more), "muted"),
            ("  ", "text"),
            (fit(entry.words, rest, more), "error" if entry.tone == "error" else "muted"),
        ]
        return self.strip(pieces).adjust_cell_length(width, self.blank())
