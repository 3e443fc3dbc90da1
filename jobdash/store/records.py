"""Arguments and results of the store's methods, besides jobs: frozen values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from jobdash.domain.items import Attempt
from jobdash.domain.job import JobRow
from jobdash.domain.time import MINUTE
from jobdash.store.owner import Owner


@dataclass(frozen=True, slots=True)
class Actor:
    """A person on a machine, in one interface and one process, to whom events and intents belong."""

    user: str
    host: str
    face: str
    """``tui``, ``cli``, ``sync``, …"""
    owner: Owner

    @property
    def name(self) -> str:
        """The person as the log names them: ``user@host``."""
        return f"{self.user}@{self.host}"


@dataclass(frozen=True, slots=True)
class UpsertResult:
    """What one page of answers changed, removed jobs apart."""

    inserted: tuple[int, ...]
    """Ids of jobs never seen before."""
    changed: tuple[int, ...]
    """Ids of known jobs of which a shown column changed."""
    finished: tuple[JobRow, ...]
    """Known jobs whose provider has just given them a terminal status."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A job that does not accept an action now: nothing was written."""

    reason: str
    row: JobRow | None
    """The job as it is now; None when there is none."""


@dataclass(frozen=True, slots=True)
class InUse:
    """A file that an unfinished job needs: it must not be deleted."""

    by: str
    """That job's public id."""


@dataclass(frozen=True, slots=True)
class EndedLocally:
    """A local job that was taken from its worker."""

    row: JobRow
    owner: Owner | None
    """The process that held it last; None when it was never held."""
    host: str = ""
    """Where it was run last; empty when it never was."""


@dataclass(frozen=True, slots=True)
class Retried:
    """A local job that waits for its script's next run, or will when it is retried ``more``."""

    row: JobRow
    last: Attempt | None
    """Its last run; None when it was never run."""
    number: int
    """The number of its next attempt."""
    more: bool
    """Not all of its failed items are unprocessed yet."""


Precondition = Callable[[JobRow], str | None]
"""Checks a job inside the transaction; returns why it does not accept the action, or None."""


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """An action on one job, which is refused unless the job still is what the plan saw."""

    job_id: int
    fence: int
    """That of the plan."""
    accept: Precondition | None = None
    """Checks the job once more; None where the fence is enough."""
    reason: str | None = None
    """A person's own words."""
    bulk: str | None = None
    """The id of the plan, for the log."""


class NewestIds(NamedTuple):
    """The newest ids of a store at one time: what came later has higher ones."""

    job: int
    intent: int


class IntentKind(StrEnum):
    """What is about to change at a provider."""

    SUBMIT = "submit"
    CANCEL = "cancel"
    DELETE = "delete"
    REMOVE = "remove"
    """A removal that waits for the provider to confirm a cancel."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A change at a provider, written before the request is sent. Times are milliseconds UTC."""

    id: int
    kind: IntentKind
    account: str
    job_id: int
    owner: Owner
    opened_at: int
    deadline: int
    earlier_cancel_requested_at: int | None
    """Cancel: what the job's ``cancel_requested_at`` was before; a withdrawal puts it back."""
    target: str | None
    """Delete: what is deleted, by the provider's id."""
    choices: dict[str, Any]
    """Submit: the digest of the file. Remove: the options."""
    bulk: str | None

    def abandoned(self, now: int) -> bool:
        """Whether its process is provably dead, or its deadline passed a minute ago."""
        return now > self.deadline + MINUTE or self.owner.provably_dead()


class UndoKind(StrEnum):
    """What an undo takes back."""

    REMOVAL = "remove"
    FORCE_FAIL = "force-fail"
    WAITING_REMOVAL = "cancel & delete"


@dataclass(frozen=True, slots=True)
class Undoable:
    """One action, over one or more jobs, that can still be taken back."""

    what: UndoKind
    bulk: str | None
    at: int
    """When it was done, milliseconds UTC."""
    event_id: int
    """The newest of its events."""
    jobs: tuple[JobRow, ...]


@dataclass(frozen=True, slots=True)
class LastingAction:
    """An action on one job that no undo takes back: a cancel, or a force-fail."""

    action: str
    bulk: str | None
    job: JobRow


@dataclass(frozen=True, slots=True)
class UndoOutcome:
    """One job of an undo; ``reason`` is why it was not taken back, None when it was."""

    row: JobRow
    reason: str | None


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job about to be submitted."""

    account: str
    provider: str
    origin: str
    name: str
    key: str
    """Our key of this submit, found again at the provider after a crash."""
    model: str | None = None
    endpoint: str | None = None
    total: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    parent_id: int | None = None
    """Retry: the job whose missing requests this one does."""
    kept_succeeded: int | None = None
    """Retry: how many requests of its family had an answer, and are not sent again."""
    kept_failed: int | None = None
    """Retry: how many requests of its family had an error, and are not sent again."""
    digest: str | None = None
    """The SHA-256 of its input file, by which the same file is recognized."""
    seen: NewestIds | None = None
    """Those when a person last looked: a newer job of the same file has this one refused. None: none has."""
    estimated_tokens: int | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class QueuedOptions:
    """How a batch is submitted from the queue, beside what its job says. Times are milliseconds UTC."""

    digest: str = ""
    embeddings: bool = False
    keep_input: bool = True
    """Keep the copy of its input once it was accepted."""
    bulk: str | None = None
    """Retry: the id of the action that it is a part of."""
    tries: int = 0
    """How often it was sent without success."""
    not_before: int = 0
    """Until when it waits, whatever room there is."""
    limit: int | None = None
    """How many tokens may be enqueued at its provider, as learned from a refusal."""


@dataclass(frozen=True, slots=True)
class TakenSubmit:
    """A batch that was taken from the queue to be sent, by this process alone."""

    row: JobRow
    intent: Intent
    key: str
    options: QueuedOptions
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class SettledQueue:
    """What became of batches that were sent from the queue."""

    done: tuple[str, ...]
    """The submit keys of those whose copy of the input is not kept."""
    refused: tuple[tuple[int, str], ...]
    """Id and submit key of those that the provider had no room for, and that wait for being queued again."""


@dataclass(frozen=True, slots=True)
class AccountKey:
    """The key of an account, as the store knows it."""

    name: str
    provider: str
    fingerprint: str | None
    """None where no key was registered."""
    person: str
    """Who registered it, or polled with it last: ``user@host``; empty where none did."""


@dataclass(frozen=True, slots=True)
class RegisteredKeys:
    """Accounts whose keys were written to the store."""

    new: tuple[str, ...] = ()
    """Those the store did not have."""
    replaced: tuple[str, ...] = ()
    """Those that had another key of the same person."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a person may want to know of a store's server, and of the connection to it."""

    version: str
    """Of PostgreSQL."""
    user: str
    tls: str | None
    """The version of TLS on the connection; None for one that is not encrypted."""
    clock_offset_ms: int
    """By how much the server's clock is ahead of this computer's."""
    size: int
    """Bytes of the store's tables and indexes."""
    has_foreign_revisions: bool
    """Rows have revisions of another server, as after a restore: their next changes may not be followed."""
    is_local: bool
    """The server is on this computer."""
    is_verified: bool
    """The server's name is checked against its certificate."""
