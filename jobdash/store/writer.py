"""All writes in one class; one instance per process, used from one thread."""

from __future__ import annotations

from jobdash.store.commands.accounts import AccountWrites
from jobdash.store.commands.cancel import CancelWrites
from jobdash.store.commands.errors import ErrorWrites
from jobdash.store.commands.notifications import NotificationWrites
from jobdash.store.commands.queue import QueueWrites
from jobdash.store.commands.remove import RemoveWrites
from jobdash.store.commands.results import ResultWrites
from jobdash.store.commands.script_jobs import ScriptJobWrites
from jobdash.store.commands.sync import SyncWrites


class Writer(
    SyncWrites,
    ErrorWrites,
    AccountWrites,
    CancelWrites,
    RemoveWrites,
    QueueWrites,
    ResultWrites,
    NotificationWrites,
    ScriptJobWrites,
):
    """All writes, one base class for each concern."""
