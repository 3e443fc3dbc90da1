"""The one object that writes: one per process, used from one thread."""

from __future__ import annotations

from jobdash.store.account_writes import AccountWrites
from jobdash.store.cancel_writes import CancelWrites
from jobdash.store.error_writes import ErrorWrites
from jobdash.store.intent_writes import IntentWrites
from jobdash.store.local_writes import LocalWrites
from jobdash.store.removal_writes import RemovalWrites
from jobdash.store.submit_writes import SubmitWrites
from jobdash.store.sync_writes import SyncWrites
from jobdash.store.undo_writes import UndoWrites
from jobdash.store.verdict_writes import VerdictWrites


class Writer(
    SyncWrites,
    ErrorWrites,
    AccountWrites,
    CancelWrites,
    VerdictWrites,
    RemovalWrites,
    SubmitWrites,
    LocalWrites,
    UndoWrites,
    IntentWrites,
):
    """All writes of the faces and of the sync, one class for each concern."""
