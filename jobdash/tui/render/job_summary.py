"""The two detail lines of a job: its title, and what is worth knowing of it now."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from jobdash.domain.backends.registry import rules_of
from jobdash.domain.describe import job_text
from jobdash.domain.describe.result_text import fetching_words, to_fetch, to_retry
from jobdash.domain.family import JobFamily
from jobdash.domain.job import JobRow
from jobdash.domain.money import cost_text
from jobdash.domain.status import LABELS, Status
from jobdash.domain.text import clean, quantity
from jobdash.operations.providers import keeps_partial_results
from jobdash.tui.render.symbols import Symbols
from jobdash.tui.render.text import Span, fit, gap


def title_spans(row: JobRow, width: int, now: int, symbols: Symbols, *, remark: str = "") -> list[Span]:
    """Return the first detail line: the job's name, id, model, cost, endpoint, deadline.

    ``remark`` is why its account cannot be asked from here, so that nothing will change by itself.
    """
    parts = [
        (remark, "warning"),
        ("" if row.remote_id == row.name else _id(row), "muted"),
        (clean(row.model or "", 40), "muted"),
        (cost_text(row.cost, row.cost_is_upper_bound, symbols.at_most), "muted"),
        (clean(row.endpoint or "", 40), "muted"),
        (job_text.expires_in(row, now), "warning" if _expires_soon(row, now) else "muted"),
    ]
    name = fit(clean(row.name), min(width // 2, 60), symbols.more).rstrip()
    spans = [gap(1), Span(name, "strong")]
    room = width - 1 - cell_len(name)
    for text, tone in parts:
        part = f" {symbols.dot} {text}"
        if text and cell_len(part) < room:
            spans.append(Span(part, tone))
            room -= cell_len(part)
    return spans


def _id(row: JobRow) -> str:
    return clean(rules_of(row).reference(row), 60)


def _expires_soon(row: JobRow, now: int) -> bool:
    ends = row.expires_at
    return row.unfinished and ends is not None and ends - now < job_text.soon_ms(row, ends)


def summary_spans(
    row: JobRow,
    errors: Sequence[tuple[str, int]],
    width: int,
    now: int,
    symbols: Symbols,
    *,
    trouble: str = "",
    relatives: str = "",
    fetching: int | None = None,
) -> list[Span]:
    """Return the second detail line: what is worth knowing of this job now.

    ``trouble`` is why its account cannot be asked, ``relatives`` what it was sent again from or as,
    ``fetching`` how many bytes of its results are here while they are fetched.
    """
    fetched = [] if fetching is None else [Span(fetching_words(fetching), "accent")]
    hints = [to_fetch(row), "" if relatives else to_retry(row)] if keeps_partial_results(row) else []
    parts = [fetched, _left_behind(row, symbols), _summary(row, now)]
    parts += [[Span(hint, "muted")] for hint in hints if hint]
    if relatives:
        parts.append([Span(relatives, "muted")])
    if errors and row.failed:
        some = ", ".join(f"{number:,} × {clean(message, 40)}" for message, number in errors[:3])
        parts.append([Span(f"{row.failed:,} failed: ", "error"), Span(some, "text")])
    elif errors and row.status is not Status.CANCELLED:
        parts.append([Span(clean(row.error or errors[0][0], 100), "error")])
    elif row.failed and row.collected is None:  # what was fetched has its errors counted
        parts.append([Span(f"{row.failed:,} failed", "error")])
    if trouble:
        parts.append([Span(f"{clean(row.account, 32)}: {clean(trouble, 300)}", "warning")])
    return _line_of(parts, width, symbols)


def family_summary_spans(family: JobFamily, key: str, width: int, symbols: Symbols) -> list[Span]:
    """Return the second detail line of a row that stands for a family: its members; ``key`` opens it."""
    counted = [f"{number:,} {LABELS[status]}" for status, number in family.statuses().items()]
    parts = [[Span(f"{key} opens {family.size:,} jobs: ", "muted"), Span(", ".join(counted), "text")]]
    if family.row.failed:
        parts.append([Span(f"{quantity(family.row.failed, 'request')} failed", "error")])
    if family.unknown_costs and family.row.cost is not None:
        parts.append([Span(f"{quantity(family.unknown_costs, 'job')} of unknown cost", "muted")])
    return _line_of(parts, width, symbols)


def script_summary_spans(
    row: JobRow, start_failure: str, width: int, now: int, symbols: Symbols
) -> list[Span]:
    """Return what is worth knowing of a script's job, without its items."""
    parts = [_left_behind(row, symbols), _summary(row, now)]
    if wrong := start_failure or row.error:
        parts.append([Span(clean(wrong, 200), "error")])
    return _line_of(parts, width, symbols)


def _summary(row: JobRow, now: int) -> list[Span]:
    remark = rules_of(row).summary(row, now)
    return [] if remark is None else [Span(*remark)]


def _left_behind(row: JobRow, symbols: Symbols) -> list[Span]:
    if not row.left_behind:
        return []
    return [Span(f"{symbols.warning} {clean(row.left_behind, 80)}", "warning")]


def _line_of(sentences: Sequence[Sequence[Span]], width: int, symbols: Symbols) -> list[Span]:
    """Return sentences with a dot between them, in at most ``width`` cells."""
    spans = [gap(1)]
    for sentence in sentences:
        if sentence and len(spans) > 1:
            spans.append(Span(f" {symbols.dot} ", "muted"))
        spans += sentence
    return _cut(spans, width, symbols.more)


def _cut(spans: list[Span], width: int, more: str) -> list[Span]:
    """Return spans as they are, or with an ellipsis where the line ends."""
    if sum(span.cells for span in spans) <= width:
        return spans
    kept: list[Span] = []
    room = max(0, width - len(more))
    for span in spans:
        if span.cells > room:
            end = set_cell_size(span.text, room).rstrip()
            return [*kept, span._replace(text=f"{end}{more}")]
        kept.append(span)
        room -= span.cells
    return kept
