"""The checks of an engine with several workers, which are killed or lose the database."""

from __future__ import annotations

import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

from jobdash.engines.conformance.deliveries import DEADLINE_S, NotConforming, keys_of, stays, wait_for
from jobdash.engines.conformance.worker_process import EngineUnderTest, WorkerProcess, worker_processes

ProcessCheck = Callable[[EngineUnderTest], None]
_SOON_S = 5.0
_CANARY = "canary-in-the-address"


def what_one_dispatches_another_does(tested: EngineUnderTest) -> None:
    """A worker that is busy holds up no key that another has room for."""
    busy_with, *keys = keys_of("k3f9x2ab", 5)
    with worker_processes(tested, 1, 1, held=True) as (busy,):
        busy.dispatch([busy_with])
        busy.wait_for(lambda: busy.running == 1, "the key has to be delivered")
        with worker_processes(tested, 1, 1, named="free") as (free,):
            busy.dispatch(keys)
            free.wait_for_keys(keys)
        if set(busy.keys) != {busy_with}:
            raise NotConforming(f"more keys than one were given to a busy worker: {dict(busy.keys)}")


def each_worker_keeps_to_its_concurrency(tested: EngineUnderTest) -> None:
    """Two workers run twice as many calls as one, and neither more than it wants."""
    keys = keys_of("k3f9x2ab", 10)
    with worker_processes(tested, 2, 2, held=True) as workers:
        workers[0].dispatch(keys)
        wait_for(lambda: [each.running for each in workers] == [2, 2], "two calls have to run at each worker")
        stays(lambda: [each.running for each in workers] == [2, 2], "more calls run than were wanted")
        for each in workers:
            each.open_gate()
        _wait_for_all(workers, keys)
        _none_came_twice(workers)


def _wait_for_all(workers: list[WorkerProcess], keys: list[str]) -> None:
    def arrived() -> bool:
        return set(keys) <= {key for each in workers for key in each.keys} and not any(
            each.running for each in workers
        )

    wait_for(arrived, f"each of {len(keys)} keys has to be delivered: {[each.keys for each in workers]}")


def _none_came_twice(workers: list[WorkerProcess]) -> None:
    number = sum(sum(each.keys.values()) for each in workers)
    if number != len({key for each in workers for key in each.keys}):
        raise NotConforming(f"a key was delivered twice: {[each.keys for each in workers]}")


def two_may_dispatch_the_same_at_once(tested: EngineUnderTest) -> None:
    """Several workers find the same keys due, again and again: each is delivered, and none is an error."""
    with worker_processes(tested, 3) as workers:
        for round_ in range(4):
            keys = keys_of(f"k3f9x2a{round_}", 12)
            dispatching = [threading.Thread(target=each.dispatch, args=(keys,)) for each in workers]
            for thread in dispatching:
                thread.start()
            for thread in dispatching:
                thread.join(DEADLINE_S)
            if any(each.away for each in workers):
                raise NotConforming("a dispatch fails while another worker dispatches the same")
            _wait_for_all(workers, keys)


def workers_may_start_at_once(tested: EngineUnderTest) -> None:
    """Workers that start together over an empty database make its tables once; all of them run."""
    keys = keys_of("k3f9x2ab", 9)
    with worker_processes(tested, 3, 1) as workers:
        workers[0].dispatch(keys)
        _wait_for_all(workers, keys)
        for each in workers:
            each.stop()


def a_killed_worker_holds_up_no_other(tested: EngineUnderTest) -> None:
    """What waits, and the new keys of what a killed worker had, are delivered to others at once."""
    waiting = keys_of("m9cdh3zk", 4)
    with worker_processes(tested, 2, 2, held=True) as (killed, left):
        left.dispatch(keys_of("k3f9x2ab", 4))
        for worker in (killed, left):
            worker.wait_for(lambda worker=worker: worker.running == 2, "two keys have to be delivered")
        left.dispatch(waiting)
        killed.signal(signal.SIGKILL)
        left.open_gate()
        again = [key.removesuffix("0") + "1" for key in killed.keys]
        left.dispatch(again)
        left.wait_for_keys([*waiting, *again], _SOON_S)


def a_key_that_a_killed_worker_had_comes_again(tested: EngineUnderTest) -> None:
    """A key whose worker died before it claimed the part, so that it is due again, is delivered."""
    (key,) = keys_of("k3f9x2ab", 1)
    with worker_processes(tested, 1, 1, held=True) as (killed,):
        killed.dispatch([key])
        killed.wait_for(lambda: killed.running == 1, "the key has to be delivered")
    with worker_processes(tested, 1, 1, named="next") as (next_,):
        until = time.monotonic() + DEADLINE_S
        while not next_.keys and time.monotonic() < until:
            next_.dispatch([key])
            time.sleep(0.5)  # as a worker dispatches what is due
        next_.wait_for_keys([key])


def a_restarted_worker_goes_on(tested: EngineUnderTest) -> None:
    """A worker that starts under the name of one that was killed is delivered keys as any other."""
    keys = keys_of("k3f9x2ab", 6)
    with worker_processes(tested, 1, 1, held=True) as (killed,):
        killed.dispatch(keys)
        killed.wait_for(lambda: killed.running == 1, "a key has to be delivered")
        (taken,) = killed.keys
    left = [key for key in keys if key != taken]
    with worker_processes(tested, 1, 1) as (again,):
        again.dispatch(left)
        again.wait_for_keys(left)
        again.stop()


def a_stopped_process_holds_up_no_other(tested: EngineUnderTest) -> None:
    """A worker that is suspended for a while, with keys, holds up nothing that others could do."""
    first, second = keys_of("k3f9x2ab", 1), keys_of("m9cdh3zk", 6)
    with worker_processes(tested, 1, 1, held=True) as (still,):
        still.dispatch(first)
        still.wait_for(lambda: still.running == 1, "the key has to be delivered")
        still.signal(signal.SIGSTOP)
        with worker_processes(tested, 1, 2, named="other") as (other,):
            other.dispatch(second)
            other.wait_for_keys(second, _SOON_S)
            still.signal(signal.SIGCONT)
            still.open_gate()
            still.wait_for_keys(first)
            still.stop()


def queues_of_two_stores_are_kept_apart(tested: EngineUnderTest) -> None:
    """Two queues in one database have nothing in common, not even where a store was copied with its ids."""
    keys = keys_of("k3f9x2ab", 3)
    other = replace(tested, settings=replace(tested.settings, queue="another-store"))
    with (
        worker_processes(tested, 1) as (first,),
        worker_processes(other, 1, held=True, named="second") as (second,),
    ):
        second.dispatch(keys)
        second.wait_for(lambda: second.running == 2, "keys have to be delivered")
        first.dispatch(keys)
        first.wait_for_keys(keys)
        first.forget(["k3f9x2ab"])
        second.open_gate()
        second.wait_for_keys(keys)
        _none_came_twice([first])
        _none_came_twice([second])


def an_unusable_database_is_refused(tested: EngineUnderTest) -> None:
    """An engine whose database cannot be used does not start, and says why in words without a password."""
    scheme = tested.settings.address.partition(":")[0]
    place = "/missing/folder/q.db" if scheme == "sqlite" else f"ann:{_CANARY}@127.0.0.1:1/missing"
    nowhere = replace(tested, settings=replace(tested.settings, address=f"{scheme}://{place}"))
    worker = WorkerProcess(nowhere, "worker-1", 1, held=False)
    try:
        worker.wait_for(lambda: worker.refused is not None or worker.started, "it has to start, or not", 60)
        if worker.refused is None:
            raise NotConforming("an engine starts without its database")
        if _CANARY in worker.refused or not worker.refused.strip():
            raise NotConforming(f"this says nothing, or a password: {worker.refused!r}")
    finally:
        worker.end()


def it_comes_back_with_its_database(tested: EngineUnderTest) -> None:
    """While its database does not answer a dispatch is `EngineAway` at most; afterwards all goes on."""
    before, meanwhile, after = keys_of("k3f9x2ab", 3)
    with worker_processes(tested, 2) as workers:
        workers[0].dispatch([before])
        _wait_for_all(workers, [before])
        with _disturbed(tested.settings.address):
            workers[0].dispatch([meanwhile])

        def came() -> bool:
            workers[1].dispatch(
                [key for key in (meanwhile, after) if not any(key in w.keys for w in workers)]
            )
            time.sleep(0.2)  # as a worker dispatches what is due
            return all(any(key in worker.keys for worker in workers) for key in (meanwhile, after))

        wait_for(came, "keys have to be delivered again when the database is back")
        for worker in workers:
            worker.stop()


@contextmanager
def _disturbed(address: str) -> Iterator[None]:
    """End all connections to a database, or lock its file for a second."""
    if address.startswith("sqlite"):
        with closing(_file(address)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            release = threading.Timer(1.0, connection.rollback)
            release.start()
            yield
            release.join()
        return
    with closing(_server(address)) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    yield


def holds_no_transaction(tested: EngineUnderTest) -> None:
    """Neither a call under way nor the wait for keys keeps a transaction open in the engine's database."""
    with worker_processes(tested, 1, 1, held=True) as (worker,):
        worker.dispatch(keys_of("k3f9x2ab", 2))
        worker.wait_for(lambda: worker.running == 1, "a key has to be delivered")
        oldest = _longest_transaction_s(tested.settings.address)
        if oldest > 1.0:
            raise NotConforming(f"a transaction is open since {oldest:.1f} s while a call runs")


def _longest_transaction_s(address: str) -> float:
    """Return for how long some transaction is open, watched for a while."""
    longest, until = 0.0, time.monotonic() + 2.0
    if address.startswith("sqlite"):
        while time.monotonic() < until:
            with closing(_file(address)) as connection:
                begun = time.monotonic()
                connection.execute("BEGIN IMMEDIATE")  # waits for other writers
                connection.execute("ROLLBACK")
                longest = max(longest, time.monotonic() - begun)
            time.sleep(0.05)
        return longest
    with closing(_server(address)) as connection:
        while time.monotonic() < until:
            row = connection.execute(
                "SELECT max(extract(epoch FROM clock_timestamp() - xact_start)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchone()
            longest = max(longest, float((row and row[0]) or 0))
            time.sleep(0.05)
    return longest


def keeps_keys_and_no_pickles(tested: EngineUnderTest) -> None:
    """Its tables hold the keys as text, and nothing in them is a pickle."""
    keys = keys_of("k3f9x2ab", 4)
    with worker_processes(tested, 1, 1, held=True) as (worker,):
        worker.dispatch(keys)
        worker.wait_for(lambda: worker.running == 1, "a key has to be delivered")
        cells = list(_cells(tested.settings.address))
    text = "\n".join(cells)
    if missing := [key for key in keys if key not in text]:
        raise NotConforming(f"the keys {missing} are not kept as text")
    pickles = [cell[:60] for cell in cells if cell.startswith(("gAS", "\x80\x04", "\\x8004"))]
    if pickles:
        raise NotConforming(f"there are pickles in its tables: {pickles}")


_TABLES_OF_FILE = """SELECT '"' || name || '"' FROM sqlite_master WHERE type = 'table'"""
_TABLES_OF_SERVER = (
    "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
    " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
)


def _cells(address: str) -> Iterator[str]:
    """Yield all that is in the tables of a database."""
    in_file = address.startswith("sqlite")
    with closing(_file(address) if in_file else _server(address)) as database:
        for (table,) in database.execute(_TABLES_OF_FILE if in_file else _TABLES_OF_SERVER).fetchall():
            for row in database.execute(f"SELECT * FROM {table}").fetchall():
                yield from map(_as_text, row)


def _as_text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _file(address: str) -> sqlite3.Connection:
    path = address.removeprefix("sqlite:///")
    return sqlite3.connect(path, isolation_level=None, timeout=DEADLINE_S, check_same_thread=False)


def _server(address: str) -> Any:
    import psycopg

    return psycopg.connect(address, autocommit=True)


PROCESS_CHECKS: tuple[ProcessCheck, ...] = (
    what_one_dispatches_another_does,
    each_worker_keeps_to_its_concurrency,
    two_may_dispatch_the_same_at_once,
    workers_may_start_at_once,
    a_killed_worker_holds_up_no_other,
    a_key_that_a_killed_worker_had_comes_again,
    a_restarted_worker_goes_on,
    a_stopped_process_holds_up_no_other,
    queues_of_two_stores_are_kept_apart,
    an_unusable_database_is_refused,
    it_comes_back_with_its_database,
    holds_no_transaction,
    keeps_keys_and_no_pickles,
)
