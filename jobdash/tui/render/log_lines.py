"""The lines of the log: what was done to jobs, by whom, with which result."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from jobdash.domain.job import Event
from jobdash.domain.status import label
from jobdash.domain.text import clean
from jobdash.tui.render.job_details import local_time
from jobdash.tui.render.text import TextLine, fit, wrapped

_ACTION = 15
"""Cells of an action's name; the longest is ``cancel & delete``."""
_WIDE = 96
"""Cells from which on a line has room for the whole of its date and person."""
_NAME = 32
"""Cells of a job's name, at most."""


def log_lines(events: Sequence[Event], width: int, *, names: bool, more: str = "…") -> list[TextLine]:
    """Return events, newest first: when, who, what, which job, with which result.

    With ``names`` the results begin in one column, after people and names that are padded, or cut with
    ``more``.
    """
    lines: list[TextLine] = []
    shown = [clean(event.job_name or "") if names else "" for event in events]
    longest = min(_NAME, max(map(cell_len, shown), default=0))
    people = [clean(f"{event.actor} ({event.face})") for event in events]
    person = min(28 if width >= _WIDE else 18, max(map(cell_len, people), default=0))
    for event, who, name in zip(events, people, shown, strict=True):
        tone = {"failed": "error", "done": "text"}.get(event.result, "muted")
        when = local_time(event.at)
        head = f"{when if width >= _WIDE else when[5:16]}  {fit(who, person, more)}  "
        room = max(20, width - cell_len(head) - _ACTION - 2)
        known_as = f"{fit(name, min(longest, room * 2 // 5), more)}  " if longest else ""
        first: TextLine = ((head, "muted"), (f"{event.action:<{_ACTION}} ", "strong"), (known_as, tone))
        below: TextLine = ((" " * (cell_len(head) + _ACTION + 1), "muted"),)
        for place, part in enumerate(wrapped(_result(event), room, room - cell_len(known_as))):
            lines.append((*(below if place else first), (part, tone)))
    return lines or [(("No action yet", "muted"),)]


def _result(event: Event) -> str:
    """Return the result of an event, ``failed: no answer``; a detail that begins so itself stands alone."""
    result = label(event.result)
    if event.detail.startswith(result):
        return clean(event.detail, 400)
    return clean(f"{result}{': ' if event.detail else ''}{event.detail}", 400)
