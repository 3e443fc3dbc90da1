"""Several processes at full speed: no process finds the store locked, and nothing is lost."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING

from shared.deadlines import joined
from store_kit import START, HandClock, actor, put, raw, remote

from jobdash.store.bootstrap import ensure_store
from jobdash.store.reader import Reader
from jobdash.store.records import ActionRequest, Intent
from jobdash.store.sort_orders import Scope, Sort
from jobdash.store.writer import Writer

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

FORKED = multiprocessing.get_context("fork")
ROUNDS = 60


def _write(path: Path, name: str, results: Queue[str]) -> None:
    try:
        with Writer(path, HandClock(), actor(name)) as writer:
            reader = Reader(path)
            for n in range(ROUNDS):
                put(writer, *(remote(f"{name}_{n}_{k}") for k in range(5)), at=START + n)
                (row,) = reader.by_remote(f"{name}_{n}_0")
                intent = writer.begin_cancel(ActionRequest(row.id, 0), deadline=START)
                assert isinstance(intent, Intent)
                writer.close_cancel(intent.id)
                put(writer, remote("shared", succeeded=n), at=START + n)
        results.put("")
    except Exception as error:
        results.put(repr(error))
        raise


def _read(path: Path, stop: Event, results: Queue[str]) -> None:
    try:
        reader = Reader(path)
        looks = 0
        while not stop.is_set():
            counts = reader.counts()
            assert counts.total == sum(
                mine[tab] for mine in counts.by_account.values() for tab in list(mine)[:1]
            )
            reader.page(Scope(), Sort(), None, 50)
            reader.changed_since(counts.revision)
            looks += 1
        results.put("" if looks else "never looked")
    except Exception as error:
        results.put(repr(error))
        raise


def test_two_writers_and_two_readers_get_along(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    ensure_store(path)
    stop, results, seen = FORKED.Event(), FORKED.Queue(), FORKED.Queue()
    writers = [FORKED.Process(target=_write, args=(path, name, results)) for name in ("ann", "bob")]
    readers = [FORKED.Process(target=_read, args=(path, stop, seen)) for _ in range(2)]
    for process in writers + readers:
        process.start()
    assert [results.get(timeout=60) for _ in writers] == ["", ""]
    stop.set()
    assert [seen.get(timeout=60) for _ in readers] == ["", ""]
    joined(*writers, *readers)
    assert raw(path, "SELECT count(*), sum(status = 'cancelling') FROM job") == [
        (2 * 5 * ROUNDS + 1, 2 * ROUNDS)
    ]
    assert raw(path, "SELECT sum(n) FROM tally") == [(2 * 5 * ROUNDS + 1,)]
    assert raw(path, "PRAGMA integrity_check") == [("ok",)]
