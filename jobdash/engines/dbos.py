"""DBOS as the engine: a queue in SQLite or PostgreSQL, without a service.

A workflow carries a key in its id, after the name of the queue, and as its one argument, as JSON. DBOS reads
pickles where a row says so, which would run what stands there; that is refused for the whole process. It
never runs the same id twice by itself, neither after an error nor after the death of its worker: a key that
is due again is deleted first.

https://docs.dbos.dev/python/reference/dbos-class
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from dbos import DBOS, DBOSConfig, Serializer, SetEnqueueOptions, SetWorkflowID
from dbos import _serialization as serialization
from sqlalchemy.exc import DBAPIError

from jobdash.engines.base import SCHEMAS, EngineSettings, away_on, words_of
from jobdash.errors import ConfigError

_APPLICATION, _WORKFLOW, _VERSION = "jobdash", "jobdash.part", "jobdash-1"
_OVERDUE_S = 15.0
"""A key that was taken so long ago, and is due, was taken by a worker that is gone."""
_WAITING = frozenset({"ENQUEUED", "DELAYED"})
_CONNECTIONS = 4


class _JsonOnly(Serializer):
    """Writes and reads JSON."""

    def serialize(self, data: Any) -> str:
        return json.dumps(data)

    def deserialize(self, serialized_data: str) -> Any:
        return json.loads(serialized_data)

    def name(self) -> str:
        return "jobdash_json"


def _refuse_pickle(*_: object) -> NoReturn:
    raise ValueError("pickles are not read")


class DbosEngine:
    """Delivers keys as workflows of one queue; one instance a process."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings

    def start(self, handle: Callable[[str], None], concurrency: int) -> None:
        """Begin to deliver; see `Engine.start`."""
        serialization.DefaultSerializer.deserialize = _refuse_pickle  # type: ignore[method-assign, assignment]
        config: DBOSConfig = {
            "name": _APPLICATION,
            "system_database_url": self._settings.address,
            "dbos_system_schema": SCHEMAS,
            "application_version": _VERSION,
            "executor_id": self._settings.worker,
            "serializer": _JsonOnly(),
            # An empty query before each of its own would double what an idle worker asks a server for; a
            # connection that broke is made anew after one error, and its keys are due again.
            "db_engine_kwargs": {"pool_size": _CONNECTIONS, "max_overflow": 0, "pool_pre_ping": False},
            "max_executor_threads": concurrency + 2,
            # A restart of PostgreSQL would print pages: the worker pool reports what keeps it from its work.
            "console_log_level": "CRITICAL",
        }
        logging.getLogger("dbos").setLevel(logging.CRITICAL)
        DBOS(config=config)

        @DBOS.workflow(name=_WORKFLOW)
        def part(key: str) -> None:
            handle(key)

        self._part = part
        try:
            queue = self._settings.queue
            DBOS.listen_queues([queue])
            DBOS.launch()
            # It is kept in the database, for all workers: the most that one of them wants.
            known = DBOS.retrieve_queue(queue)
            most = 0 if known is None else known.worker_concurrency or 0
            DBOS.register_queue(
                queue,
                worker_concurrency=max(concurrency, most),
                polling_interval_sec=self._settings.poll_s,
                on_conflict="always_update",
            )
        except (DBAPIError, OSError) as error:
            raise ConfigError(f"the engine's database cannot be used: {words_of(error)}") from None

    @away_on(DBAPIError)
    def dispatch(self, keys: Sequence[str]) -> None:
        """Have each key delivered; see `Engine.dispatch`."""
        if not keys:
            return
        ids = {self._settings.in_queue(key): key for key in keys}
        known = DBOS.list_workflows(workflow_ids=[*ids], load_input=False, load_output=False)
        now = time.time()
        keep = {
            each.workflow_id
            for each in known
            if each.status in _WAITING
            or (each.status == "PENDING" and now - (each.updated_at or 0) / 1000 < _OVERDUE_S)
        }
        if again := [each.workflow_id for each in known if each.workflow_id not in keep]:
            DBOS.delete_workflows(again)
        for id_, key in ids.items():
            if id_ not in keep:
                with SetWorkflowID(id_), SetEnqueueOptions(app_version=_VERSION):
                    DBOS.enqueue_workflow(self._settings.queue, self._part, key)

    @away_on(DBAPIError)
    def forget(self, jobs: Sequence[str]) -> None:
        """Drop what is kept of jobs that have ended; see `Engine.forget`."""
        for job in jobs:
            prefix = self._settings.in_queue(f"{job}.")
            found = DBOS.list_workflows(
                workflow_id_prefix=prefix, load_input=False, load_output=False, limit=500
            )
            if found:
                DBOS.delete_workflows([each.workflow_id for each in found])

    def stop(self, patience_s: float) -> None:
        """Deliver nothing more; see `Engine.stop`."""
        DBOS.destroy(workflow_completion_timeout_sec=max(1, round(patience_s)), destroy_registry=True)
