"""Our engines pass the conformance suite; pickles in their tables are never loaded."""

from __future__ import annotations

import base64
import contextlib
import os
import pickle
import tempfile
import threading
import time
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import postgres_kit
import pytest
import sqlalchemy

from jobdash.engines.base import GROUP, Engine, EngineSettings, load_engine
from jobdash.engines.conformance import (
    CHECKS,
    PROCESS_CHECKS,
    Check,
    EngineUnderTest,
    NotConforming,
    ProcessCheck,
    deliveries,
    keys_of,
    one_process,
    several_processes,
)
from jobdash.errors import ConfigError

pytestmark = pytest.mark.slow


KINDS = ["dbos in sqlite", "dbos in postgresql", "procrastinate in postgresql"]


FACTORIES = {entry.name: entry.value for entry in entry_points(group=GROUP)}


@pytest.fixture(params=KINDS)
def tested(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineUnderTest]:
    engine, _, database = request.param.partition(" in ")
    address = f"sqlite:///{tmp_path / 'queue.db'}"
    with contextlib.ExitStack() as stack:
        if database == "postgresql":
            address = stack.enter_context(postgres_kit.database("engine"))
        # Named as the queue of a store on a server is.
        yield EngineUnderTest(FACTORIES[engine], EngineSettings(address, "worker", 0.05, "jobdash.my_jobs"))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_one_worker(check: Check, tested: EngineUnderTest) -> None:
    check(tested.make)


@pytest.mark.parametrize("check", PROCESS_CHECKS, ids=lambda check: check.__name__)
def test_several_workers(check: ProcessCheck, tested: EngineUnderTest) -> None:
    check(tested)


LIES: dict[str, Check] = {
    "LosesKeys": one_process.delivers_every_key,
    "DeliversTwice": one_process.delivers_every_key,
    "ForgetsNothing": one_process.forgets_what_waits_of_a_job,
    "NeverWaits": one_process.stop_waits_for_calls,
}


@pytest.mark.parametrize("liar", LIES)
def test_an_engine_that_breaks_a_promise_is_found(
    liar: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "DEADLINE_S", 3.0)
    monkeypatch.setattr(deliveries, "QUIET_S", 10.0)  # of which a broken promise is found as soon as it is
    settings = EngineSettings(f"sqlite:///{tmp_path / 'queue.db'}", "worker", 0.05)
    with pytest.raises(NotConforming):
        LIES[liar](EngineUnderTest(f"lying_engines:{liar}", settings).make)


def test_an_engine_that_starts_without_its_database_is_found(tmp_path: Path) -> None:
    settings = EngineSettings(f"sqlite:///{tmp_path / 'queue.db'}", "worker", 0.05)
    with pytest.raises(NotConforming, match="starts without its database"):
        several_processes.an_unusable_database_is_refused(
            EngineUnderTest("lying_engines:StartsAnyway", settings)
        )


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {os.environ['BOMB']}",)


@pytest.mark.parametrize("kept_in", ["sqlite", "postgresql"])
def test_a_pickle_in_the_queue_is_never_loaded(
    kept_in: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOMB", str(tmp_path / "burst"))
    with contextlib.ExitStack() as stack:
        address, table = f"sqlite:///{tmp_path / 'queue.db'}", "workflow_status"
        if kept_in == "postgresql":
            address, table = stack.enter_context(postgres_kit.database("engine")), f"jobdash_engine.{table}"
        settings = EngineSettings(address, "worker-1", 0.05)
        engine = load_engine("dbos", settings)
        engine.start(lambda _key: None, 1)
        engine.stop(5)
        _put_bomb(address, table)
        delivered: list[str] = []
        arrived = threading.Event()
        engine = load_engine("dbos", settings)
        engine.start(lambda key: (delivered.append(key), arrived.set())[0], 1)
        try:
            other = keys_of("m9cdh3zk", 1)
            engine.dispatch(other)
            assert arrived.wait(30)
            engine.forget(["k3f9x2ab"])
        finally:
            engine.stop(5)
    assert delivered == other
    assert not (tmp_path / "burst").exists()


def _put_bomb(address: str, table: str) -> None:
    """Put a key into the tables whose argument is a pickle that runs a program."""
    bomb = base64.b64encode(pickle.dumps(Bomb())).decode()
    (key,) = keys_of("k3f9x2ab", 1)
    values = {"id": f"jobdash/{key}", "bomb": bomb, "now": int(time.time() * 1000)}
    engine = sqlalchemy.create_engine(address.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        done = connection.execute(
            sqlalchemy.text(
                f"INSERT INTO {table} (workflow_uuid, status, name, inputs, serialization, queue_name,"
                " application_version, created_at, updated_at)"
                " VALUES (:id, 'ENQUEUED', 'jobdash.part', :bomb,"
                " 'py_pickle', 'jobdash', 'jobdash-1', :now, :now)"
            ),
            values,
        )
        assert done.rowcount == 1
    engine.dispose()


def test_an_engine_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"no engine is called 'celery': dbos, procrastinate"):
        load_engine("celery", EngineSettings("sqlite://", "worker-1"))


def test_procrastinate_needs_postgresql() -> None:
    with pytest.raises(ConfigError, match="needs a store in PostgreSQL"):
        load_engine("procrastinate", EngineSettings("sqlite:///x.db", "worker-1"))


@pytest.fixture
def queue() -> Iterator[str]:
    """The address of a database in which the tables of the engine procrastinate are."""
    with postgres_kit.database("engine") as address:
        engine = load_engine("procrastinate", EngineSettings(address, "worker-0", 0.05))
        engine.start(lambda _key: None, 1)
        engine.stop(10)
        yield address


@pytest.fixture
def role(queue: str) -> Iterator[str]:
    """A role that may use the tables of an engine, and make no schemas in their database."""
    server, schema = postgres_kit.server(), "jobdash_engine_p"
    server.run("CREATE ROLE worker LOGIN")
    server.run(f"GRANT USAGE ON SCHEMA {schema} TO worker", "engine")
    server.run(f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO worker", "engine")
    server.run(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA {schema} TO worker", "engine")
    yield queue.replace("postgres@", "worker@")
    server.run("DROP OWNED BY worker", "engine")
    server.run("DROP ROLE worker")


def _delivers(engine: Engine) -> None:
    arrived = threading.Event()
    engine.start(lambda _key: arrived.set(), 1)
    try:
        engine.dispatch(keys_of("k3f9x2ab", 1))
        assert arrived.wait(30)
    finally:
        engine.stop(10)


def test_a_role_that_may_make_no_schema_uses_the_one_that_is_there(role: str) -> None:
    _delivers(load_engine("procrastinate", EngineSettings(role, "worker-1", 0.05)))


def test_a_worker_that_gets_no_connection_does_not_start(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # One connection is that of who sends keys.
    postgres_kit.server().run("ALTER ROLE worker CONNECTION LIMIT 1")
    monkeypatch.setattr("jobdash.engines.procrastinate._START_S", 1.0)
    engine = load_engine("procrastinate", EngineSettings(role, "worker-1", 0.05))
    with pytest.raises(ConfigError, match="the engine's database cannot be used: "):
        engine.start(lambda _key: None, 1)


def test_a_worker_goes_on_behind_an_error_that_nothing_foresees(
    queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from procrastinate import App

    run, failed = App.run_worker_async, threading.Event()

    async def fail_once(app: App, **options: Any) -> None:
        if not failed.is_set():
            failed.set()
            raise LookupError("nobody foresaw it")
        await run(app, **options)

    monkeypatch.setattr(App, "run_worker_async", fail_once)
    _delivers(load_engine("procrastinate", EngineSettings(queue, "worker-1", 0.05)))
    assert failed.is_set()


def test_a_worker_without_a_server_stops_at_once() -> None:
    with tempfile.TemporaryDirectory(prefix="jobdash-pg-gone-") as folder:
        server = postgres_kit.start(Path(folder))
        engine = load_engine("procrastinate", EngineSettings(server.url(), "worker-1", 0.05))
        engine.start(lambda _key: None, 1)
        server.stop()
        begun = time.monotonic()
        engine.stop(30)
        assert time.monotonic() - begun < 5
