"""Rows of the tables ``attempt`` and ``item`` as frozen values, whichever door they come through."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jobdash.domain.items import Attempt, ItemErrorGroup, ItemErrors, ItemRow, ItemStatus
from jobdash.store.owner import Owner

ATTEMPT_COLUMNS = "number, fence, owner, actor, keyed, unit, argv, cwd, log_file, started_at, ended_at, ended"
"""What `attempt` is made of, in this order."""
ITEM_COLUMNS = "seq, key, outcome, attempt, detail, error_type, error, at"
"""What `item` is made of, in this order."""
_BY_WORD = {str(outcome): outcome for outcome in ItemStatus}


def attempt(values: Sequence[Any]) -> Attempt:
    """Make an `Attempt` of the values of `ATTEMPT_COLUMNS`."""
    number, fence, owner, actor, keyed, unit, argv, cwd, log_file, started_at, ended_at, ended = values
    known = Owner.read(owner)
    return Attempt(
        number=number,
        fence=fence,
        owner=owner,
        pid=None if known is None else known.pid,
        actor=actor,
        keyed=bool(keyed),
        unit=unit,
        argv=_words(argv),
        cwd=cwd,
        log_file=log_file,
        started_at=started_at,
        ended_at=ended_at,
        ended=ended,
    )


def _words(argv: str | None) -> tuple[str, ...] | None:
    """Return a command line; None for one that is not wholly made of words."""
    try:
        words = json.loads(argv) if argv else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        return None
    return tuple(words)


def item(values: Sequence[Any]) -> ItemRow:
    """Make an `ItemRow` of the values of `ITEM_COLUMNS`."""
    seq, key, outcome, number, detail, error_type, error, at = values
    return ItemRow(seq, key, _BY_WORD[outcome], number, detail, error_type, error, at)


def counts(by_word: Mapping[str, int]) -> dict[ItemStatus, int]:
    """Return counts by outcome, of which none is missing."""
    return {outcome: by_word.get(word, 0) for word, outcome in _BY_WORD.items()}


def errors(
    grouped: Sequence[tuple[Any, ...]], looked_at: int, most_groups: int, *, all_of_them: bool
) -> ItemErrors:
    """Make `ItemErrors` of rows of type, message, count and first place, the most frequent first."""
    groups = tuple(ItemErrorGroup(*values) for values in grouped[:most_groups])
    return ItemErrors(groups, looked_at, complete=all_of_them and len(groups) == len(grouped))
