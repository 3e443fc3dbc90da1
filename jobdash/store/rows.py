"""Rows of the tables as frozen values, with the columns that they are made of.

What a list of jobs does without is imported by the function that makes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from jobdash.domain.job import JobRow
from jobdash.domain.status import TERMINAL, Status
from jobdash.domain.time import MINUTE

if TYPE_CHECKING:
    from jobdash.domain.items import Attempt, ItemRow, ItemStatus
    from jobdash.store.records import Intent

ROW_COLUMNS = ("id", *(field.name for field in fields(JobRow) if field.name != "id"))
"""The columns of a `JobRow`, under the names of its fields; the id comes first."""
COLUMNS = ", ".join(ROW_COLUMNS)
ATTEMPT_COLUMNS = "number, fence, owner, actor, keyed, unit, argv, cwd, log_file, started_at, ended_at, ended"
ITEM_COLUMNS = "seq, key, outcome, attempt, detail, error_type, error, at"
INTENT_COLUMNS = (
    "id", "kind", "account", "job_id", "owner", "opened_at", "deadline", "earlier_cancel_requested_at",
    "target", "choices", "bulk",
)  # fmt: skip

_STATUS = ROW_COLUMNS.index("status")
_REMOTE_STATUS = ROW_COLUMNS.index("remote_status")
_CANCEL_DOUBT = ROW_COLUMNS.index("cancel_doubt")
_FOLDED = ROW_COLUMNS.index("folded")
_UPPER_BOUND = ROW_COLUMNS.index("cost_is_upper_bound")
_STATUSES = {str(status): status for status in Status}
_SETTERS = tuple(getattr(JobRow, name).__set__ for name in ROW_COLUMNS)

UNFINISHED_REMOTELY = " AND ".join(f"remote_status <> '{word}'" for word in sorted(TERMINAL))
"""True for jobs whose provider may still change them: exactly the text of a partial index."""

CLOCKS_APART_MS = 2 * MINUTE
"""How far a server's clock may be from ours where a batch is found by its time alone: a little, as a wrong
batch is worse than none."""

SET_BACK_MS = MINUTE
"""A time of our own that lies further ahead than this was written by a clock that has been set back since,
and counts for nothing: waiting for it could take years."""


def job_row(values: Sequence[Any]) -> JobRow:
    """Make a `JobRow` of the values of `ROW_COLUMNS`."""
    cells = list(values)
    cells[_STATUS] = _STATUSES.get(cells[_STATUS], Status.UNKNOWN)
    cells[_REMOTE_STATUS] = _STATUSES.get(cells[_REMOTE_STATUS], Status.UNKNOWN)
    cells[_CANCEL_DOUBT] = bool(cells[_CANCEL_DOUBT])
    cells[_FOLDED] = bool(cells[_FOLDED])
    if cells[_UPPER_BOUND] is not None:
        cells[_UPPER_BOUND] = bool(cells[_UPPER_BOUND])
    # Without `__init__`, which takes twice as long for a frozen class, and rows are made by the thousand.
    row = object.__new__(JobRow)
    for setter, cell in zip(_SETTERS, cells, strict=True):
        setter(row, cell)
    return row


def attempt_row(values: Sequence[Any]) -> Attempt:
    """Make an `Attempt` of the values of `ATTEMPT_COLUMNS`."""
    from jobdash.domain.items import Attempt
    from jobdash.store.owner import pid_of

    number, fence, owner, actor, keyed, unit, argv, *rest = values
    return Attempt(number, fence, owner, pid_of(owner), actor, bool(keyed), unit, _argv(argv), *rest)


def _argv(text: str | None) -> tuple[str, ...] | None:
    """Return a command line; None for one that is not wholly made of words."""
    try:
        words = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        return None
    return tuple(words)


def item_rows(found: Sequence[Sequence[Any]]) -> list[ItemRow]:
    """Make `ItemRow` objects of the values of `ITEM_COLUMNS`."""
    from jobdash.domain.items import ItemRow, ItemStatus

    statuses = {str(status): status for status in ItemStatus}
    return [ItemRow(seq, key, statuses[outcome], *rest) for seq, key, outcome, *rest in found]


def counts_by_outcome(by_word: Mapping[str, int]) -> dict[ItemStatus, int]:
    """Return counts by outcome, of which none is missing."""
    from jobdash.domain.items import SCRIPT_OUTCOMES

    return {outcome: by_word.get(str(outcome), 0) for outcome in SCRIPT_OUTCOMES}


def intent_row(values: Sequence[Any]) -> Intent:
    """Make an `Intent` of the values of `INTENT_COLUMNS`."""
    from jobdash.store.owner import Owner
    from jobdash.store.records import Intent, IntentKind

    id_, kind, account, job_id, owner, opened_at, deadline, earlier, target, choices, bulk = values
    kept = json.loads(choices) if choices else {}
    process = Owner.decode(owner)
    return Intent(
        id_, IntentKind(kind), account, job_id, process, opened_at, deadline, earlier, target, kept, bulk
    )
