"""The dashboard's account threads: what a caller, the store or the settings do must not end them unheard."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from operations_kit import KEYS, World, made_accounts
from shared.other_program import other_program
from shared.other_program import refuse as no_room

from jobdash.domain.time import system_clock
from jobdash.errors import ConfigError, StoreError, Unavailable
from jobdash.operations.accounts.session import ListPage
from jobdash.operations.polling.account_worker import AccountWorker
from jobdash.operations.polling.sync import SyncReport
from jobdash.operations.store_admin import make_store
from jobdash.operations.writer_thread import WriterThread
from jobdash.store.reader import Reader

PATIENCE_S = 10.0


@dataclass
class Threads:
    """A store worker, and account workers, each in a thread of its own."""

    world: World
    store: WriterThread
    synced: threading.Event = field(default_factory=threading.Event)
    syncs: list[str] = field(default_factory=list)
    troubled: threading.Event = field(default_factory=threading.Event)
    troubles: list[str] = field(default_factory=list)
    started: list[threading.Thread] = field(default_factory=list)
    workers: list[AccountWorker] = field(default_factory=list)

    def run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> threading.Thread:
        thread = threading.Thread(target=lambda: asyncio.run(work()), daemon=True)
        self.started.append(thread)
        thread.start()
        return thread

    def account(self, name: str = "openai") -> AccountWorker:
        account = self.world.config.account(name)
        assert account is not None

        def on_sync(report: SyncReport) -> None:
            self.syncs.append(report.account)
            self.synced.set()

        def on_trouble(_name: str, words: str) -> None:
            self.troubles.append(words)
            self.troubled.set()

        worker = AccountWorker(
            account,
            self.world.config,
            system_clock,
            on_wait=lambda _name, _until: None,
            on_sync=on_sync,
            on_progress=lambda _name, _seen: None,
            on_trouble=on_trouble,
        )
        self.workers.append(worker)
        return worker

    def serve(self, worker: AccountWorker) -> threading.Thread:
        return self.run(lambda: worker.serve(self.store, {}))

    def end(self) -> None:
        for worker in self.workers:
            worker.stop()
        self.store.stop()
        for thread in self.started:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


@pytest.fixture
def threads(world: World) -> Iterator[Threads]:
    made = Threads(world, WriterThread(world.config.database, "test"))
    ready = threading.Event()
    made.run(lambda: made.store.serve(ready.set))
    assert ready.wait(PATIENCE_S)
    yield made
    made.end()


async def asked(worker: AccountWorker) -> None:
    await asyncio.wait_for(worker.call(ListPage(limit=1)), PATIENCE_S)


async def test_a_caller_who_gives_up_before_the_account_is_open_ends_nothing(threads: Threads) -> None:
    worker = threads.account()
    hurried = asyncio.create_task(asked(worker))
    await asyncio.sleep(0.01)
    hurried.cancel()
    await asyncio.wait([hurried])

    threads.serve(worker)

    await asked(worker)


async def test_a_store_that_cannot_be_read_once_does_not_end_the_polling(
    threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = threads.account()
    thread = threads.serve(worker)
    assert await asyncio.to_thread(threads.synced.wait, PATIENCE_S)
    read, failed = Reader.accounts, threading.Event()

    def accounts(reader: Reader) -> Any:
        if threading.current_thread() is thread and not failed.is_set():
            failed.set()
            raise StoreError("disk I/O error")
        return read(reader)

    monkeypatch.setattr(Reader, "accounts", accounts)
    worker.wake()
    assert await asyncio.to_thread(failed.wait, PATIENCE_S)

    await asked(worker)
    assert thread.is_alive()


async def test_nobody_waits_for_an_account_that_cannot_be_opened(
    threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    worker = threads.account()
    threads.serve(worker).join(PATIENCE_S)

    with pytest.raises(ConfigError, match="its client cannot be made"):
        await asked(worker)
    (health,) = threads.world.browser.accounts()
    assert "its client cannot be made" in str(health.error)


async def test_nobody_waits_for_an_account_that_has_ended_or_never_began(threads: Threads) -> None:
    ended, never = threads.account(), threads.account()
    thread = threads.serve(ended)
    await asked(ended)
    for worker in (ended, never):
        worker.stop()
    thread.join(PATIENCE_S)

    for worker in (ended, never):
        with pytest.raises(Unavailable, match="asked no more"):
            await asked(worker)


async def test_a_key_with_two_names_is_polled_once_and_told_of_both(threads: Threads) -> None:
    world = threads.world
    await world.with_accounts(made_accounts(world.server, {"openai": KEYS["openai"], "work": KEYS["openai"]}))
    second, first = threads.account("work"), threads.account("openai")
    for worker in (second, first):
        threads.serve(worker)
    await asked(second)
    assert await asyncio.to_thread(threads.synced.wait, PATIENCE_S)

    assert threads.syncs == ["openai"]
    health = {each.name: each.ok_at for each in world.browser.accounts()}
    assert health["work"] == health["openai"] is not None


def refuse(world: World, what: str) -> None:
    """Let the store refuse one kind of write."""
    with other_program(world.config.database) as program:
        no_room(program, world.config.database, what)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_what_the_store_refuses_of_an_account_is_told_on_it(threads: Threads) -> None:
    world = threads.world
    world.add()
    refuse(world, "INSERT ON job")

    threads.serve(threads.account())

    await asyncio.to_thread(until, lambda: "no room" in str(world.browser.accounts()))
    assert threads.troubles == []


async def test_a_store_that_takes_nothing_at_all_is_told_once(threads: Threads) -> None:
    refuse(threads.world, "INSERT ON account")
    worker = threads.account()
    threads.serve(worker)
    assert await asyncio.to_thread(threads.troubled.wait, PATIENCE_S)

    worker.wake()
    await asked(worker)

    assert ["no room" in words for words in threads.troubles] == [True]


async def test_a_store_that_cannot_be_opened_at_first_is_polled_for_later(threads: Threads) -> None:
    world = threads.world
    later = world.config.database
    later = later.with_name("later.db") if isinstance(later, Path) else replace(later, schema="later")
    world.config = replace(world.config, database=later)
    worker = threads.account()
    threads.serve(worker)
    await asyncio.to_thread(until, lambda: "later" in str(world.browser.accounts()))

    make_store(world.config.database)
    await threads.store.write(lambda writer: writer.poll_now())
    worker.wake()

    await asyncio.to_thread(until, lambda: bool(threads.syncs))


def planned(world: World, asked_ago_s: int, **columns: object) -> None:
    """Let the account have been asked so long ago, and be due in a quarter of an hour."""
    now = system_clock()
    values = {"asked_at": now - asked_ago_s * 1000, "next_poll_at": now + 900_000, "claimed_until": None}
    values |= columns  # type: ignore[arg-type]
    with other_program(world.config.database) as connection:
        wanted = ", ".join(f"{name} = ?" for name in values)
        connection.execute(f"UPDATE account SET {wanted} WHERE name = 'openai'", list(values.values()))


async def first_sync(threads: Threads) -> AccountWorker:
    worker = threads.account()
    threads.serve(worker)
    assert await asyncio.to_thread(threads.synced.wait, PATIENCE_S)
    await asked(worker)
    return worker


async def looked(worker: AccountWorker) -> None:
    """Let the worker look whose turn it is, and have looked."""
    worker.wake()
    await asyncio.sleep(0.1)
    await asked(worker)


@pytest.mark.parametrize(
    ("pressed", "asked_ago_s", "more", "asks"),
    [
        (True, 70, {}, True),
        (False, 70, {}, False),
        (True, 20, {}, False),
        (True, 70, {"error": "key rejected", "error_kind": "AuthRejected"}, False),
        (True, 70, {"claimed_until": 2**52}, True),  # a clock that was set back since
    ],
)
@pytest.mark.slow
async def test_while_somebody_presses_keys_batches_made_elsewhere_are_looked_for_every_minute(
    threads: Threads, pressed: bool, asked_ago_s: int, more: dict[str, object], asks: bool
) -> None:
    worker = await first_sync(threads)
    planned(threads.world, asked_ago_s, **more)
    threads.synced.clear()
    if pressed:
        worker.record_activity()

    await looked(worker)

    assert await asyncio.to_thread(threads.synced.wait, PATIENCE_S if asks else 0.3) is asks


async def test_an_attended_account_that_another_process_polls_is_left_to_it(threads: Threads) -> None:
    worker = await first_sync(threads)
    until_ms = system_clock() + 100_000
    planned(threads.world, 70, claimed_until=until_ms, next_poll_at=until_ms)
    threads.synced.clear()
    worker.record_activity()

    await looked(worker)

    assert not await asyncio.to_thread(threads.synced.wait, 0.3)


@pytest.mark.slow
async def test_an_action_elsewhere_wakes_an_idle_account(threads: Threads) -> None:
    worker = await first_sync(threads)
    planned(threads.world, 70)
    threads.synced.clear()

    def make_due(writer: Any) -> None:
        with writer._transaction() as connection:
            writer._make_due(connection, "openai")

    await threads.store.write(make_due)
    await looked(worker)

    assert await asyncio.to_thread(threads.synced.wait, PATIENCE_S)
