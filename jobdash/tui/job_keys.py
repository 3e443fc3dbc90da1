"""The keys of a job's own screen: those that make sense in its state, the ones that end it in red."""

from __future__ import annotations

from collections.abc import Sequence

from textual.binding import Binding, BindingType

from jobdash.domain.job import JobDetails, JobRow
from jobdash.tui.context import Context
from jobdash.tui.footer_keys import key_name, unavailable
from jobdash.tui.header_footer import KeyHint

_ENDING = frozenset({"job.cancel", "job.force_fail", "job.cancel_delete"})


def hints(
    bindings: Sequence[BindingType], job: JobDetails, context: Context, *, items: bool, keyed: bool = True
) -> list[KeyHint]:
    """Return the keys to show.

    ``items`` says that its items are on the screen, ``keyed`` that they are kept at all.
    """
    off = unavailable(job.row, context) | (frozenset() if keyed else {"job.fetch"})
    found: list[KeyHint] = []
    for binding in bindings:
        if not isinstance(binding, Binding) or not binding.show:
            continue
        name = (binding.id or "").replace("one.", "job.")
        if not _offered(name, job.row, off, items=items):
            continue
        enabled = name not in off
        if name == "job.errors":
            wrong = job.row.failed or job.errors or job.row.error or "error" in job.files
            enabled = job.row.terminal and bool(wrong)
        tone = "error" if name == "job.cancel" and enabled else "text"
        keys = context.config.keys
        key, always = key_name(binding, keys), name == "job.close"
        found.append(KeyHint(key, binding.description, binding.action, enabled, tone, always))
    return found


def _offered(name: str, row: JobRow, off: frozenset[str], *, items: bool) -> bool:
    if name in _ENDING:
        return not row.terminal
    if name == "job.outcome":
        return items
    if name == "job.errors":
        return not row.local
    if name == "job.retry":
        return row.local and (row.terminal or name not in off)
    if name == "job.fetch":
        return row.local
    # Removing is for what has ended; until then a provider's job says why not.
    return not (name == "job.remove" and row.local and not row.terminal)
