"""Procrastinate as the engine: a queue in PostgreSQL, without a service.

A job carries a key in its lock, after the name of the queue, and as its argument, as JSON. Procrastinate is
asynchronous: the worker runs in a thread with an event loop of its own, and keys are deferred from the thread
of the caller.

https://procrastinate.readthedocs.io/en/stable/reference.html
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import psycopg
from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from psycopg.conninfo import make_conninfo

from jobdash.engines.base import SCHEMAS, EngineSettings, away_on, words_of
from jobdash.errors import ConfigError

_DATABASE_ERRORS = (psycopg.Error, ConnectorException)
_TASK, _SCHEMA = "jobdash.part", f"{SCHEMAS}_p"
_OVERDUE_S = 15
"""A key that was taken so long ago, and is due, was taken by a worker that is gone."""
_START_S = 30.0
_AGAIN_S = 1.0
"""Seconds to wait after a failure of the worker, as when the server is away."""
_SIGN_OFF_S = 3.0
"""How long a worker whose calls have returned may take to tell the server that it stops."""
_SCHEMA_LOCK = 5_318_008_531
"""Names the advisory lock under which the tables are made, among all locks of the database."""

_DROP_ENDED = (
    "DELETE FROM procrastinate_jobs WHERE lock = ANY(%(locks)s) AND (status NOT IN ('todo', 'doing')"
    " OR (status = 'doing' AND NOT EXISTS (SELECT 1 FROM procrastinate_events AS event"
    " WHERE event.job_id = procrastinate_jobs.id AND event.type = 'started'"
    f" AND event.at > now() - interval '{_OVERDUE_S} seconds')))"
)
_KNOWN = "SELECT lock FROM procrastinate_jobs WHERE lock = ANY(%(locks)s)"
# The name of a queue has dots, too: the numbers of a key are cut from its end.
_FORGET = (
    r"DELETE FROM procrastinate_jobs WHERE regexp_replace(lock, '(\.\d+){3}$', '') = ANY(%(jobs)s)"
    " AND status <> 'doing'"
)


class ProcrastinateEngine:
    """Delivers keys as jobs of one queue; one instance a process."""

    def __init__(self, settings: EngineSettings) -> None:
        if not settings.address.startswith(("postgresql:", "postgres:")):
            raise ConfigError(
                "the engine procrastinate needs a store in PostgreSQL: --engine dbos has SQLite, too"
            )
        self._settings = settings
        self._conninfo = make_conninfo(settings.address, options=f"-c search_path={_SCHEMA}")
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._delivering: asyncio.Task[Any] | None = None
        self._running = 0
        self._returned = threading.Condition()
        self._failure = ""

    def start(self, handle: Callable[[str], None], concurrency: int) -> None:
        """Begin to deliver; see `Engine.start`."""
        logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
        logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
        try:
            self._make_schema()
            self._sender = App(
                connector=SyncPsycopgConnector(conninfo=self._conninfo, min_size=1, max_size=2)
            )
            self._sender.open()
        except _DATABASE_ERRORS as error:
            raise ConfigError(f"the engine's database cannot be used: {words_of(error)}") from None
        self._part = self._sender.task(name=_TASK, queue=self._settings.queue)(_unused)
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._work(handle, concurrency, ready)),
            name="jobdash-engine",
            daemon=True,
        )
        self._thread.start()
        if not ready.wait(_START_S):
            self.stop(0)
            reason = self._failure or f"it has not answered for {_START_S:.0f} s"
            raise ConfigError(f"the engine's database cannot be used: {reason}")

    def _make_schema(self) -> None:
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", (_SCHEMA_LOCK,))
            # A role may have no right to make schemas, and the schema be there: IF NOT EXISTS asks for it.
            if connection.execute("SELECT to_regnamespace(%s)", (_SCHEMA,)).fetchone() == (None,):
                connection.execute(f"CREATE SCHEMA {_SCHEMA}")
            found = connection.execute(
                "SELECT to_regclass(%s)", (f"{_SCHEMA}.procrastinate_jobs",)
            ).fetchone()
            if found == (None,):
                app = App(connector=SyncPsycopgConnector(conninfo=self._conninfo, min_size=1, max_size=1))
                with app.open():
                    app.schema_manager.apply_schema()

    async def _work(self, handle: Callable[[str], None], concurrency: int, ready: threading.Event) -> None:
        self._loop, self._delivering = asyncio.get_running_loop(), asyncio.current_task()
        app = App(connector=PsycopgConnector(conninfo=self._conninfo, min_size=1, max_size=3))

        @app.task(name=_TASK, queue=self._settings.queue)
        def part(key: str) -> None:
            self._call(handle, key)

        with suppress(asyncio.CancelledError):  # by `stop`, upon which the worker ends after its calls
            while not self._stopping.is_set():
                try:
                    await self._deliver(app, concurrency, ready)
                except Exception as error:  # noqa: BLE001 - whatever it is: keys are delivered again afterwards
                    self._failure = words_of(error)
                await asyncio.sleep(_AGAIN_S)

    async def _deliver(self, app: App, concurrency: int, ready: threading.Event) -> None:
        """Deliver until the server is away."""
        try:
            await app.open_async()
            ready.set()
            await app.run_worker_async(
                queues=[self._settings.queue],
                name=self._settings.worker,
                concurrency=concurrency,
                fetch_job_polling_interval=self._settings.poll_s,
                listen_notify=False,
                delete_jobs="always",
                install_signal_handlers=False,
            )
        finally:
            await app.close_async()

    def _call(self, handle: Callable[[str], None], key: str) -> None:
        with self._returned:
            # Calls that were fetched before a stop are not begun after it.
            if self._stopping.is_set():
                return
            self._running += 1
        try:
            handle(key)
        finally:
            with self._returned:
                self._running -= 1
                self._returned.notify_all()

    @away_on(*_DATABASE_ERRORS)
    def dispatch(self, keys: Sequence[str]) -> None:
        """Have each key delivered; see `Engine.dispatch`."""
        if not keys:
            return
        locks = {self._settings.in_queue(key): key for key in keys}
        connector = self._sender.connector.get_sync_connector()
        connector.execute_query(_DROP_ENDED, locks=[*locks])
        known = {row["lock"] for row in connector.execute_query_all(_KNOWN, locks=[*locks])}
        for lock, key in locks.items():
            if lock not in known:
                with suppress(AlreadyEnqueued):
                    self._part.configure(lock=lock, queueing_lock=lock).defer(key=key)

    @away_on(*_DATABASE_ERRORS)
    def forget(self, jobs: Sequence[str]) -> None:
        """Drop what is kept of jobs that have ended; see `Engine.forget`."""
        connector = self._sender.connector.get_sync_connector()
        connector.execute_query(_FORGET, jobs=[self._settings.in_queue(job) for job in jobs])

    def stop(self, patience_s: float) -> None:
        """Deliver nothing more; see `Engine.stop`."""
        until = time.monotonic() + patience_s
        with self._returned:
            self._stopping.set()
        loop, delivering = self._loop, self._delivering
        if loop is not None and delivering is not None:
            with suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(delivering.cancel)
        with self._returned:
            self._returned.wait_for(lambda: self._running == 0, patience_s)
        if self._thread is not None:
            self._thread.join(min(_SIGN_OFF_S, max(0.0, until - time.monotonic())))
        self._sender.close()


def _unused(key: str) -> None:
    """Stand for the task where keys are deferred; the worker's own is called."""
