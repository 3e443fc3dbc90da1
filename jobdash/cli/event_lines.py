"""The log as lines and as JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from jobdash.cli.job_line import NAME_WIDTH
from jobdash.cli.output import Style, print_text
from jobdash.cli.tables import (
    TableCell,
    TableColumn,
    plain_lines,
    table,
    table_width,
    terminal_width,
    wrapped,
)
from jobdash.cli.time_format import local
from jobdash.domain.job import Event
from jobdash.domain.status import label
from jobdash.domain.text import clean
from jobdash.domain.time import rfc3339

_COLUMNS = (
    TableColumn("TIME"),
    TableColumn("WHO"),
    TableColumn("BY"),
    TableColumn("ACTION"),
    TableColumn("JOB"),
    TableColumn("NAME", gives=True),
    TableColumn("RESULT"),
    TableColumn("DETAIL", gives=True),
)


_DETAIL = 1_000
"""Characters of a detail."""
_BELOW = "    "


def print_events(events: Sequence[Event], *, heading: bool = False) -> None:
    """Print events, the newest first, as ``--json`` has them."""
    if not events:
        return
    if heading:
        print_text("")
    rows = [_line(event) for event in events]
    width = terminal_width(sys.stdout)
    if width is None or table_width(_COLUMNS, rows) <= width:
        table(_COLUMNS, rows)
    else:
        _print_narrow(events, rows, width)


def _print_narrow(events: Sequence[Event], rows: Sequence[Sequence[TableCell]], width: int) -> None:
    """Print events where a line has no room for everything: the detail, whole, below its line."""
    columns, heads = _COLUMNS[:-1], [row[:-1] for row in rows]
    lines = plain_lines(columns, heads, width)
    print_text(next(lines), Style.STRONG)
    for event, line in zip(events, lines, strict=True):
        print_text(line, Style.BAD if event.result == "failed" else Style.PLAIN)
        if event.detail:
            for part in wrapped(clean(event.detail, _DETAIL), width, _BELOW, _BELOW):
                print_text(part, Style.QUIET)


def _line(event: Event) -> list[TableCell]:
    return [
        TableCell(local(event.at, seconds=True), Style.QUIET),
        TableCell(event.actor),
        TableCell(event.face, Style.QUIET),
        TableCell(event.action),
        TableCell(event.job_public_id or ""),
        TableCell(clean(event.job_name or event.account or "", NAME_WIDTH)),
        TableCell(label(event.result), Style.BAD if event.result == "failed" else Style.PLAIN),
        TableCell(clean(event.detail, _DETAIL), Style.QUIET),
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
