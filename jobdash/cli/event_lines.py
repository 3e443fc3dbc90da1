"""The log as lines and as JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from jobdash.cli.job_words import NAME_WIDTH
from jobdash.cli.moments import local, rfc3339
from jobdash.cli.out import Tone, say
from jobdash.cli.tables import Cell, Column, plain_lines, table, table_width, terminal_width, wrapped
from jobdash.domain.job import Event
from jobdash.domain.status import label
from jobdash.domain.text import clean

_COLUMNS = (
    Column("TIME"),
    Column("WHO"),
    Column("BY"),
    Column("ACTION"),
    Column("JOB"),
    Column("NAME", gives=True),
    Column("RESULT"),
    Column("DETAIL", gives=True),
)


_DETAIL = 1_000
"""Characters of a detail."""
_BELOW = "    "


def print_events(events: Sequence[Event], *, heading: bool = False) -> None:
    """Print events, the newest first, as ``--json`` has them."""
    if not events:
        return
    if heading:
        say("")
    rows = [_line(event) for event in events]
    width = terminal_width(sys.stdout)
    if width is None or table_width(_COLUMNS, rows) <= width:
        table(_COLUMNS, rows)
    else:
        _print_narrow(events, rows, width)


def _print_narrow(events: Sequence[Event], rows: Sequence[Sequence[Cell]], width: int) -> None:
    """Print events where a line has no room for everything: the detail, whole, below its line."""
    columns, heads = _COLUMNS[:-1], [row[:-1] for row in rows]
    lines = plain_lines(columns, heads, width)
    say(next(lines), Tone.STRONG)
    for event, line in zip(events, lines, strict=True):
        say(line, Tone.BAD if event.result == "failed" else Tone.PLAIN)
        if event.detail:
            for part in wrapped(clean(event.detail, _DETAIL), width, _BELOW, _BELOW):
                say(part, Tone.QUIET)


def _line(event: Event) -> list[Cell]:
    return [
        Cell(local(event.at, seconds=True), Tone.QUIET),
        Cell(event.actor),
        Cell(event.face, Tone.QUIET),
        Cell(event.action),
        Cell(event.job_public_id or ""),
        Cell(clean(event.job_name or event.account or "", NAME_WIDTH)),
        Cell(label(event.result), Tone.BAD if event.result == "failed" else Tone.PLAIN),
        Cell(clean(event.detail, _DETAIL), Tone.QUIET),
    ]


def event_json(event: Event) -> dict[str, Any]:
    """Return an event as ``--json`` prints it."""
    return {
        "at": rfc3339(event.at),
        "actor": event.actor,
        "face": event.face,
        "action": event.action,
        "job_id": event.job_public_id,
        "job_name": event.job_name,
        "account": event.account,
        "result": event.result,
        "detail": event.detail or None,
        "bulk": event.bulk,
    }
