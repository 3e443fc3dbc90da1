"""The lines beneath the table: the job under the cursor, and the keys that act on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from jobdash.domain.backends.registry import rules_of
from jobdash.domain.describe.result_text import relatives_words
from jobdash.domain.family import JobFamily
from jobdash.domain.job import AccountHealth, JobRow
from jobdash.operations.backends.registry import backend_of
from jobdash.operations.job_lookup import Browser
from jobdash.tui.commands import BY_ID, Footer
from jobdash.tui.context import DashboardContext
from jobdash.tui.render import header_footer, job_summary
from jobdash.tui.render.text import Span
from jobdash.tui.widgets.job_table import JobTable
from jobdash.tui.widgets.line import Line

if TYPE_CHECKING:
    from jobdash.operations.backends.base import Backend

_JOBS_KEPT = 512
_READ_AHEAD, _READ_AT_ONCE = 100, 8
"""How many rows around the cursor are read ahead; and how many at a time, which a key may wait for."""
_Errors = Sequence[tuple[str, int]]


class CurrentJob:
    """A rule, the title and summary of the job under the cursor, and the footer."""

    def __init__(self, context: DashboardContext, table: JobTable) -> None:
        self._context, self._table = context, table
        self.rule = Line(id="rule")
        self._title, self._summary, self._keys = Line(id="title"), Line(id="summary"), Line(id="keys")
        self.lines = (self._title, self._summary, self._keys)
        """Those that a move of the cursor changes."""
        self._footer = Footer(context)
        self._background = _JobBackground(context.browser)
        self._keys_drawn: tuple[tuple[header_footer.KeyHint, ...], int] = ((), 0)
        self._width = 0

    def fit(self, width: int) -> None:
        """Fit the lines to a width in cells; they are drawn by `draw`."""
        self._width = width
        self._keys.over = "bar"
        self.rule.put([Span(self._context.symbols.rule * max(0, width), "track")])

    def read_ahead(self) -> None:
        """Read what a few of the next rows need here, those that are not known."""
        rows, at = self._table.visible_rows, max(0, self._table.cursor - self._table.top)
        # Those below the cursor first, then those above it, the nearest first.
        self._background.read_ahead([*rows[at:], *reversed(rows[:at])])

    def draw(self, health: dict[str, AccountHealth]) -> None:
        """Draw the lines where they differ; ``health`` is that of the accounts."""
        row = self._table.current
        family = None if row is None else self._table.window.closed_family(row)
        if row is None:
            self._title.put([])
            self._summary.put([])
        elif family is not None:
            self._draw_family(family)
        else:
            self._draw_job(row, health.get(row.account) if row.unfinished else None)
        self._draw_keys()

    def _draw_family(self, family: JobFamily) -> None:
        symbols = self._context.symbols
        key = BY_ID["family.open"].key_name(self._table.app.own_keymap)
        self._title.put(job_summary.title_spans(family.row, self._width, self._context.clock(), symbols))
        self._summary.put(job_summary.family_summary_spans(family, key, self._width, symbols))

    def _draw_job(self, row: JobRow, health: AccountHealth | None) -> None:
        context, now = self._context, self._context.clock()
        errors, relatives = self._background.of(row)
        remark = context.config.remark_on(row.account)
        self._title.put(job_summary.title_spans(row, self._width, now, context.symbols, remark=remark))
        self._summary.put(
            job_summary.summary_spans(
                row,
                errors,
                self._width,
                now,
                context.symbols,
                trouble=(health.error or "") if health is not None else "",
                relatives=relatives,
                fetching=context.under_way.fetching.get(row.id),
            )
        )

    def hints(self) -> tuple[header_footer.KeyHint, ...]:
        """Return the keys of the footer, and which of them do nothing for this job."""
        table = self._table
        rows = () if table.current is None else table.window.stands_for(table.current)
        return self._footer.hints(rows, bool(table.marks))

    def _draw_keys(self) -> None:
        hints = self.hints()
        if (hints, self._width) != self._keys_drawn:
            self._keys_drawn = (hints, self._width)
            self._keys.put(header_footer.key_spans(hints, self._width))


def _changes_by_item(row: JobRow) -> bool:
    """Whether each item of a job that is done is a change of its row."""
    return row.unfinished and not rules_of(row).at_provider


class _JobBackground:
    """A cache of the errors, parents and retries of the last few jobs: moving the cursor reads nothing."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._known: dict[int, tuple[int, _Errors, str]] = {}
        """By job, the revision that they are of first."""

    def of(self, row: JobRow) -> tuple[_Errors, str]:
        """Return a job's errors, and a text about its parent or retry."""
        if not self._knows(row):
            self._read([row])
        _, errors, relatives = self._known[row.id]
        return errors, relatives

    def read_ahead(self, rows: Sequence[JobRow]) -> None:
        """Read a few of the rows, those that are not known; the nearest to the cursor come first.

        The errors of a script that runs are read once: each of its items is a change, and each script in
        sight would be asked for at each poll. They are read again when the cursor comes to it.
        """
        near = (row for row in rows[:_READ_AHEAD] if not self._knows(row))
        wanted = (row for row in near if row.id not in self._known or not _changes_by_item(row))
        if unknown := list(islice(wanted, _READ_AT_ONCE)):
            self._read(unknown)

    def _knows(self, row: JobRow) -> bool:
        return row.id in self._known and self._known[row.id][0] == row.revision

    def _read(self, rows: Sequence[JobRow]) -> None:
        related = [row.id for row in rows if row.parent_id is not None or row.superseded_by is not None]
        relatives = self._browser.relatives(related)
        errors = self._errors(rows)
        for row in rows:
            words = relatives_words(*relatives.get(row.id, (None, None)))
            self._known.pop(row.id, None)  # the newest come last
            self._known[row.id] = row.revision, errors.get(row.id, ()), words
        for key in list(islice(self._known, max(0, len(self._known) - _JOBS_KEPT))):
            del self._known[key]

    def _errors(self, rows: Sequence[JobRow]) -> Mapping[int, _Errors]:
        wrong: dict[Backend, list[JobRow]] = defaultdict(list)
        for row in rows:
            if row.failed or row.error or row.waits_for_script:
                wrong[backend_of(row)].append(row)
        found: dict[int, _Errors] = {}
        for backend, some in wrong.items():
            found |= backend.error_counts(self._browser, some)
        return found
