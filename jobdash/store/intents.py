"""Rows of the table ``intent`` as frozen values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from jobdash.store.owner import Owner
from jobdash.store.records import Intent, IntentKind

INTENT_COLUMNS = (
    "id",
    "kind",
    "account",
    "job_id",
    "owner",
    "opened_at",
    "deadline",
    "earlier_cancel_requested_at",
    "target",
    "choices",
    "bulk",
)
"""The columns of an `Intent`, in the order of its fields."""


def intent(values: Sequence[Any]) -> Intent:
    """Make an `Intent` of the values of `INTENT_COLUMNS`."""
    id_, kind, account, job_id, owner, opened_at, deadline, earlier, target, choices, bulk = values
    return Intent(
        id_,
        IntentKind(kind),
        account,
        job_id,
        Owner.decode(owner),
        opened_at,
        deadline,
        earlier,
        target,
        json.loads(choices) if choices else {},
        bulk,
    )
