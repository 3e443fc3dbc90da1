"""What the threads tell the screens."""

from __future__ import annotations

from dataclasses import dataclass, field

from textual.message import Message

from jobdash.domain.job import JobRow


@dataclass(frozen=True, slots=True)
class SyncNews:
    """What one sync of an account brought, as far as a person wants to hear of it."""

    account: str
    finished: tuple[JobRow, ...] = ()
    lost_race: tuple[JobRow, ...] = ()
    notices: tuple[str, ...] = field(default=())


class ThreadMessage(Message):
    """A message from a thread that may outlive the screens; dropped once these are closed."""


class Synced(ThreadMessage):
    """A sync has ended."""

    def __init__(self, news: SyncNews) -> None:
        super().__init__()
        self.news = news


class AccountWaiting(ThreadMessage):
    """An account waits because its provider asked for it, until a time (ms UTC); None: no more."""

    def __init__(self, account: str, until: int | None) -> None:
        super().__init__()
        self.account = account
        self.until = until


class SyncProgress(ThreadMessage):
    """A sync under way has seen so many batches of an account so far."""

    def __init__(self, account: str, seen: int) -> None:
        super().__init__()
        self.account = account
        self.seen = seen


class StoreReady(ThreadMessage):
    """From now on things can be written."""


class StoreFailed(ThreadMessage):
    """The store cannot be written."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason
