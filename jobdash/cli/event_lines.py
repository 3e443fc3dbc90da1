"""The log as lines and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jobdash.cli.job_words import NAME_WIDTH
from jobdash.cli.moments import local, rfc3339
from jobdash.cli.out import Tone, say
from jobdash.cli.tables import Cell, Column, table
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


def print_events(events: Sequence[Event], *, heading: bool = False) -> None:
    """Print events, the newest first, as ``--json`` has them."""
    if not events:
        return
    if heading:
        say("")
    table(_COLUMNS, [_line(event) for event in events])


def _line(event: Event) -> list[Cell]:
    return [
        Cell(local(event.at, seconds=True), Tone.QUIET),
        Cell(event.actor),
        Cell(event.face, Tone.QUIET),
        Cell(event.action),
        Cell(event.job_public_id or ""),
        Cell(clean(event.job_name or event.account or "", NAME_WIDTH)),
        Cell(label(event.result), Tone.BAD if event.result == "failed" else Tone.PLAIN),
        Cell(clean(event.detail, 200), Tone.QUIET),
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
