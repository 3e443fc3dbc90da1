"""What all writes share: the two connections, the transaction, the job in it, its event and its intent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, bindparam, func, insert, null, select, update
from sqlalchemy.exc import DBAPIError

from jobdash.domain.clock import Clock
from jobdash.domain.job import JobRow
from jobdash.errors import StoreError, StoreTooNew
from jobdash.store.bootstrap import SCHEMA_VERSION
from jobdash.store.compiled_statement import CompiledStatement
from jobdash.store.dialects import sqlite
from jobdash.store.dialects.sqlite import chunks, driver_of
from jobdash.store.files import identity, refuse_replaced
from jobdash.store.ids import public_id
from jobdash.store.intents import INTENT_COLUMNS, intent
from jobdash.store.records import Actor, Intent, IntentKind, Precondition, Refusal
from jobdash.store.rows import ROW_COLUMNS, job_row
from jobdash.store.sanitize import stored, stored_error
from jobdash.store.schema.tables import AccountRecord, EventRecord, IntentRecord, JobRecord, table

TAKEN_BACK = "its removal was taken back or carried out elsewhere"

job = table(JobRecord)
intents = table(IntentRecord)
events = table(EventRecord)
accounts = table(AccountRecord)

_SELECT_ROW = CompiledStatement(
    select(*(job.c[name] for name in ROW_COLUMNS)).where(job.c.id == bindparam("job_key"))
)
UPDATE_JOB = update(job).where(job.c.id == bindparam("job_key"))
_SET = CompiledStatement(UPDATE_JOB)
# What ends a worker's right to write: whoever still holds the old fence is refused from now on.
_SET_AND_FENCE = CompiledStatement(
    UPDATE_JOB.values(
        fence=job.c.fence + 1,
        last_owner=func.coalesce(job.c.owner, job.c.last_owner),
        owner=null(),
        lease_until=null(),
    )
)
_INSERT_EVENT = CompiledStatement(insert(events))
_INSERT_INTENT = CompiledStatement(insert(intents))
_OPEN = CompiledStatement(
    select(intents.c.id).where(intents.c.id == bindparam("intent_key"), intents.c.closed_at.is_(None))
)
_CLOSED = CompiledStatement(
    select(*(intents.c[name] for name in INTENT_COLUMNS)).where(
        intents.c.id == bindparam("intent_key"), intents.c.closed_at.is_not(None)
    )
)
_TAKEN = select(job.c.public_id).where(job.c.public_id.in_(bindparam("words", expanding=True)))
_CLOSE_INTENT = CompiledStatement(
    update(intents)
    .where(intents.c.id == bindparam("intent_key"), intents.c.closed_at.is_(None))
    .values(closed_at=bindparam("now"), result=bindparam("outcome"))
    .returning(*(intents.c[name] for name in INTENT_COLUMNS))
)

_MAKE_DUE = "UPDATE account SET next_poll_at = :now WHERE name = :name AND next_poll_at > :now"
_WAITING = select(intents.c.id).where(
    intents.c.job_id == bindparam("job_key"),
    intents.c.kind == str(IntentKind.REMOVE),
    intents.c.closed_at.is_(None),
)


@dataclass(frozen=True)
class WriteResult:
    """What a write returned, or what it raised."""

    value: Any = None
    error: Exception | None = None


class _RolledBack(Exception):
    """A part of a shared transaction failed, and what it wrote cannot be undone alone."""


@dataclass
class _Batch:
    """A transaction that several writes share."""

    connection: Connection
    each_alone: bool
    """Whether each part can be undone alone; it costs two statements."""
    torn: bool = False

    @contextmanager
    def part(self) -> Iterator[None]:
        """Undo what is written inside, and nothing else, when it fails, or know that it has to be."""
        driver = driver_of(self.connection)
        if self.each_alone:
            driver.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            self.torn = not self.each_alone
            if self.each_alone and driver.in_transaction:  # else SQLite has undone more than this already
                driver.execute("ROLLBACK TO part")
                driver.execute("RELEASE part")
            raise
        if self.each_alone:
            driver.execute("RELEASE part")


class UnitOfWork:
    """The connections of one process's writer; used from one thread.

    Every public method of the classes built on it is one transaction (or several of at most 5,000 rows) and
    raises `StoreError` when the store cannot be written.
    """

    def __init__(self, path: Path, clock: Clock, actor: Actor) -> None:
        self._path = path
        self._clock = clock
        self._actor = actor
        self.identity = identity(path)
        """The file that is written."""
        self._durable = sqlite.open_engine(path, "FULL").connect()
        self._quick = sqlite.open_engine(path, "NORMAL").connect()
        self._refuse_replaced()
        self._joined: _Batch | None = None
        """The transaction that several writes share, while they do."""

    def close(self) -> None:
        """Close both connections."""
        self._durable.close()
        self._quick.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def batch(self, acts: Sequence[Callable[[Self], Any]]) -> list[WriteResult]:
        """Run several writes in one durable transaction: one wait for the disk instead of one each.

        One that fails is undone alone; then, which is rare, all are run once more. Raises `StoreError` when
        the whole transaction could not be committed: then nothing of it is there.
        """
        if len(acts) < 2:
            return [self._done(act) for act in acts]
        try:
            return self._joined_done(acts, each_alone=False)
        except _RolledBack:
            return self._joined_done(acts, each_alone=True)

    def _joined_done(self, acts: Sequence[Callable[[Self], Any]], *, each_alone: bool) -> list[WriteResult]:
        """Run writes in one transaction; `_RolledBack` when one fails and cannot be undone alone."""
        done: list[WriteResult] = []
        with self._transaction(durable=True) as connection:
            joined, driver = _Batch(connection, each_alone), driver_of(connection)
            self._joined = joined
            try:
                for act in acts:
                    ended = self._done(act)
                    if not driver.in_transaction:  # SQLite undid all of it: a full disk does that
                        lost = f"The store {self._path} cannot be written: a transaction was lost."
                        raise ended.error or StoreError(lost)
                    if joined.torn:
                        raise _RolledBack
                    done.append(ended)
            finally:
                self._joined = None
        return done

    def _done(self, act: Callable[[Self], Any]) -> WriteResult:
        try:
            return WriteResult(act(self))
        except Exception as error:  # noqa: BLE001 - it is raised where the write was asked for
            return WriteResult(error=error)

    @property
    def _looking(self) -> Connection:
        """The connection to look with before one writes; it sees what a shared transaction holds."""
        return self._joined.connection if self._joined else self._quick

    @contextmanager
    def _transaction(self, *, durable: bool = False) -> Iterator[Connection]:
        """Hold the store for writing; ``durable`` when what is written must survive a power cut."""
        connection = self._durable if durable else self._quick
        with sqlite.translated(self._path), _driver_errors():
            if self._joined is not None:
                joined = self._joined
                with joined.part():
                    yield joined.connection
                return
            self._refuse_replaced()
            with connection.begin():
                if _version(connection) != SCHEMA_VERSION:
                    raise StoreTooNew(
                        f"The store {self._path} was upgraded by a newer jobdash. Restart to go on."
                    )
                yield connection
            self._refuse_replaced()  # what was committed into a deleted file is not written

    def _refuse_replaced(self) -> None:
        refuse_replaced(self._path, self.identity)

    def _row(self, connection: Connection, job_id: int) -> JobRow | None:
        values = _SELECT_ROW.run(connection, job_key=job_id).fetchone()
        return None if values is None else job_row(values)

    def _row_now(self, connection: Connection, job_id: int) -> JobRow:
        """Return a job that exists, as the triggers have left it."""
        return job_row(_SELECT_ROW.run(connection, job_key=job_id).fetchone())

    def _checked(
        self, connection: Connection, job_id: int, fence: int, accept: Precondition | None
    ) -> JobRow | Refusal:
        """Return the job if it still is what the plan saw: not removed, same fence, and accepting."""
        row = self._row(connection, job_id)
        if row is None:
            return Refusal("no such job any more", None)
        if row.removed_at is not None:
            return Refusal("was removed meanwhile", row)
        reason = accept(row) if accept else None
        if reason is None and row.fence != fence:
            reason = "was changed meanwhile; look again"
        return row if reason is None else Refusal(reason, row)

    def _set(self, connection: Connection, job_id: int, **columns: Any) -> None:
        _SET.run(connection, job_key=job_id, **columns)

    def _set_and_fence(self, connection: Connection, job_id: int, **columns: Any) -> None:
        _SET_AND_FENCE.run(connection, job_key=job_id, **columns)

    def _make_due(self, connection: Connection, account: str) -> None:
        """Let an account be polled now: one of its jobs has just become unfinished, or cancelling."""
        driver_of(connection).execute(_MAKE_DUE, {"now": self._clock(), "name": account})

    @staticmethod
    def _new_public_ids(connection: Connection, count: int) -> list[str]:
        """Return public ids that no job has; among a million, chance alone repeats one now and then."""
        fresh: set[str] = set()
        while len(fresh) < count:
            more = {public_id() for _ in range(count - len(fresh))}
            for words in chunks(sorted(more)):
                more.difference_update(connection.execute(_TAKEN, {"words": words}).scalars())
            fresh |= more
        return list(fresh)

    def _append(
        self,
        connection: Connection,
        now: int,
        action: str,
        row: JobRow | None,
        result: str,
        detail: str = "",
        *,
        bulk: str | None = None,
        account: str | None = None,
    ) -> None:
        _INSERT_EVENT.run(
            connection,
            at=now,
            actor=self._actor.name,
            face=self._actor.face,
            action=action,
            job_id=row and row.id,
            job_public_id=row and row.public_id,
            job_name=row and row.name,
            account=row.account if row else account,
            result=stored(result),
            detail=stored_error(detail),
            bulk=bulk,
        )

    def _open(
        self,
        connection: Connection,
        now: int,
        kind: IntentKind,
        row: JobRow,
        deadline: int,
        *,
        bulk: str | None = None,
        target: str | None = None,
        choices: dict[str, Any] | None = None,
        earlier: int | None = None,
    ) -> Intent:
        """Write down what is about to change outside."""
        made = _INSERT_INTENT.run(
            connection,
            kind=str(kind),
            account=row.account,
            job_id=row.id,
            owner=self._actor.owner.encode(),
            actor=self._actor.name,
            opened_at=now,
            deadline=deadline,
            earlier_cancel_requested_at=earlier,
            target=target,
            choices=json.dumps(choices) if choices else None,
            bulk=bulk,
        )
        assert made.lastrowid is not None
        return Intent(
            made.lastrowid,
            kind,
            row.account,
            row.id,
            self._actor.owner,
            now,
            deadline,
            earlier,
            target,
            choices or {},
            bulk,
        )

    def _close(self, connection: Connection, intent_id: int, now: int, outcome: str) -> Intent | None:
        """Close an open intent and return it; None when somebody else has closed it."""
        closed = _CLOSE_INTENT.run(connection, intent_key=intent_id, now=now, outcome=stored(outcome))
        values = closed.fetchone()
        return None if values is None else intent(values)

    @staticmethod
    def _closed(connection: Connection, intent_id: int) -> Intent | None:
        """Return an intent that was closed."""
        values = _CLOSED.run(connection, intent_key=intent_id).fetchone()
        return None if values is None else intent(values)

    @staticmethod
    def _is_open(connection: Connection, intent_id: int) -> bool:
        """Whether nobody has closed an intent."""
        return _OPEN.run(connection, intent_key=intent_id).fetchone() is not None

    def _close_waiting(self, connection: Connection, job_id: int, now: int, outcome: str) -> None:
        """Close a job's waiting removal, if it has one: it was taken back, or the job is removed already."""
        for (intent_id,) in connection.execute(_WAITING, {"job_key": job_id}).all():
            self._close(connection, intent_id, now, outcome)


@contextmanager
def _driver_errors() -> Iterator[None]:
    """Raise the driver's error instead of the one that SQLAlchemy makes of it."""
    try:
        yield
    except DBAPIError as error:
        if isinstance(error.orig, sqlite.DatabaseError):
            raise error.orig from error
        raise


# In every transaction, and so without SQLAlchemy's overhead.


def _version(connection: Connection) -> str | None:
    """Return the schema's version."""
    found = driver_of(connection).execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found[0]) if found else None
