"""The one object that writes: one per process, used from one thread."""

from __future__ import annotations

from jobdash.store.commands.accounts import AccountWrites
from jobdash.store.commands.cancel import CancelWrites
from jobdash.store.commands.errors import ErrorWrites
from jobdash.store.commands.remove import RemoveWrites
from jobdash.store.commands.script_jobs import ScriptJobWrites
from jobdash.store.commands.submit import SubmitWrites
from jobdash.store.commands.sync import SyncWrites
from jobdash.store.commands.undo import UndoWrites


class Writer(
    SyncWrites,
    ErrorWrites,
    AccountWrites,
    CancelWrites,
    RemoveWrites,
    SubmitWrites,
    ScriptJobWrites,
    UndoWrites,
):
    """All writes of the faces and of the sync, one class for each concern."""
