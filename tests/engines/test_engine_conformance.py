"""Our engines pass the conformance suite; pickles in their tables are never loaded."""

from __future__ import annotations

import base64
import contextlib
import os
import pickle
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import postgres_kit
import pytest

from jobdash.engines.base import Engine, EngineSettings, load_engine
from jobdash.engines.conformance import CHECKS, Check, keys_of
from jobdash.errors import ConfigError

pytestmark = pytest.mark.slow


KINDS = ["dbos in sqlite", "dbos in postgresql", "procrastinate in postgresql"]


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Engine]]:
    engine, _, database = request.param.partition(" in ")
    address = f"sqlite:///{tmp_path / 'queue.db'}"
    with contextlib.ExitStack() as stack:
        if database == "postgresql":
            address = stack.enter_context(postgres_kit.database("engine"))
        yield lambda name: load_engine(engine, EngineSettings(address, name, 0.05))


@pytest.fixture
def sqlite_make(tmp_path: Path) -> Callable[[str], Engine]:
    address = f"sqlite:///{tmp_path / 'queue.db'}"
    return lambda name: load_engine("dbos", EngineSettings(address, name, 0.05))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(check: Check, make: Callable[[str], Engine]) -> None:
    check(make)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {os.environ['BOMB']}",)


def test_a_pickle_in_the_queue_is_never_loaded(
    sqlite_make: Callable[[str], Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOMB", str(tmp_path / "burst"))
    bomb = base64.b64encode(pickle.dumps(Bomb())).decode()
    engine = sqlite_make("worker-1")
    engine.start(lambda _key: None, 1)
    engine.stop(5)
    with closing(sqlite3.connect(tmp_path / "queue.db")) as connection:
        connection.row_factory = sqlite3.Row
        columns = [row["name"] for row in connection.execute("PRAGMA table_info(workflow_status)")]
        assert {"inputs", "serialization"} <= set(columns)
        key = keys_of("k3f9x2ab", 1)[0]
        now = "CAST(strftime('%s') AS INTEGER) * 1000"
        connection.execute(
            "INSERT INTO workflow_status (workflow_uuid, status, name, inputs, serialization, queue_name,"
            " application_version, created_at, updated_at)"
            f" VALUES (?, 'ENQUEUED', 'jobdash.part', ?, 'py_pickle', 'jobdash', 'jobdash-1', {now}, {now})",
            (key, bomb),
        )
        connection.commit()
    delivered: list[str] = []
    arrived = threading.Event()
    engine = sqlite_make("worker-1")
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


def test_an_engine_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"no engine is called 'celery': dbos, procrastinate"):
        load_engine("celery", EngineSettings("sqlite://", "worker-1"))


def test_procrastinate_needs_postgresql() -> None:
    with pytest.raises(ConfigError, match="needs a store in PostgreSQL"):
        load_engine("procrastinate", EngineSettings("sqlite:///x.db", "worker-1"))


@pytest.mark.parametrize("engine", ["dbos", "procrastinate"])
def test_two_stores_in_one_database_keep_their_keys_apart(engine: str) -> None:
    with postgres_kit.database("engine") as address:
        first, second, third = (
            load_engine(engine, EngineSettings(address, "worker-1", 0.05, queue))
            for queue in ("one", "two", "one")
        )
        delivered: dict[str, list[str]] = {"one": [], "two": []}
        first.start(delivered["one"].append, 1)
        first.stop(5)
        second.start(delivered["two"].append, 1)
        second.dispatch(keys_of("k3f9x2ab", 1))
        _until(lambda: bool(delivered["two"]))
        second.stop(5)
        third.start(delivered["one"].append, 1)
        third.dispatch(keys_of("m9cdh3zk", 1))
        _until(lambda: bool(delivered["one"]))
        third.stop(5)
    assert delivered == {"one": keys_of("m9cdh3zk", 1), "two": keys_of("k3f9x2ab", 1)}


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)


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
