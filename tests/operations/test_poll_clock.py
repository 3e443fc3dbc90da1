"""Rule 25a: whatever makes a job unfinished or cancelling makes its account due, whatever its clock said."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from operations_kit import CANCEL, HOUR, World, made_accounts

from jobdash.config.settings import SyncSettings
from jobdash.demo.emulator import ErrorAnswer, Reset
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action
from jobdash.operations.actions.undo import find_undoable, undo
from jobdash.operations.person import current_actor
from jobdash.operations.polling.poll_interval import (
    CANCELLING_MS,
    next_poll_ms,
    overdue_at,
    poll_interval,
    rest_ms,
)
from jobdash.operations.polling.remote_lookup import find_remote
from jobdash.operations.polling.sync import CLAIM_MS
from jobdash.operations.polling.wait import WaitProgress, wait_until
from jobdash.operations.submission.request import order
from jobdash.operations.submission.submit import submit
from jobdash.store.writer import Writer

IDLE_MS = 15 * 60_000
ACTOR = current_actor("test").name

# ── the states of a clock ──────────────────────────────────────────────────────────────────────────────────


@contextmanager
def rival(world: World) -> Iterator[Writer]:
    """Another process's writer."""
    with Writer(world.config.database, world.ms, current_actor("rival")) as writer:
        yield writer


def planned(world: World, in_ms: int, **more: Any) -> None:
    with rival(world) as other:
        other.set_health("openai", "openai", asked_at=world.ms(), next_poll_at=world.ms() + in_ms, **more)


def asked_for(world: World) -> None:
    """Somebody presses F5."""
    with rival(world) as other:
        other.poll_now("openai")


def made_due(world: World) -> None:
    """Somebody acts on a job."""
    with rival(world) as other, other._transaction() as connection:
        other._make_due(connection, "openai")


def waits_for(world: World, batch: str, ms: int) -> WaitProgress:
    """A command that waits for the end of a batch, so long at most."""
    return WaitProgress(
        ids=(world.row(batch).id,),
        ended=lambda row: row.terminal,
        deadline=world.ms() + ms,
        sleep=world.sleep,
    )


def claimed(world: World, ago_ms: int = 0) -> None:
    """Another process has claimed the poll; with a long time ago it has died over it."""
    now = world.ms() - ago_ms
    with rival(world) as other:
        other.poll_now("openai")
        assert other.claim_poll("openai", "openai", now, now + CLAIM_MS, 2 * IDLE_MS)


CLOCKS: dict[str, Callable[[World], object]] = {
    "due": lambda world: planned(world, 0),
    "asked for": asked_for,
    "idle": lambda world: planned(world, IDLE_MS),
    "soon": lambda world: planned(world, 40_000),
    "failing": lambda world: planned(world, 300_000, error="server error (500)", error_kind="Unavailable"),
    "key rejected": lambda world: planned(world, 300_000, error="key rejected", error_kind="AuthRejected"),
    "clock set back": lambda world: planned(world, 365 * 24 * 3_600_000),
    "being polled": claimed,
    "left by the dead": lambda world: claimed(world, CLAIM_MS + 1),
}


# ── the actions ────────────────────────────────────────────────────────────────────────────────────────────


async def submitted(world: World, path: Path) -> JobRow | None:
    account = world.config.account("openai")
    assert account is not None
    done = await submit(order(path, account), world.accounts["openai"], world.work, sleep=world.sleep)
    return done.row


def batch_file(folder: Path) -> Path:
    path = folder / "one.jsonl"
    line = {"custom_id": "1", "method": "POST", "url": "/v1/responses", "body": {"model": "gpt-x"}}
    path.write_text(json.dumps(line) + "\n")
    return path


async def undone(world: World, remote_id: str) -> JobRow:
    action = find_undoable(world.browser, ACTOR)
    assert action is not None
    (outcome,) = await undo(action, world.store)
    assert outcome.reason is None
    return world.row(remote_id)


Act = Callable[[World, str, Path], Awaitable[JobRow | None]]


async def _submit(world: World, _batch: str, folder: Path) -> JobRow | None:
    return await submitted(world, batch_file(folder))


async def _submit_unanswered(world: World, _batch: str, folder: Path) -> JobRow | None:
    world.fault(Reset(applied=False), "/v1/batches", "POST")
    return await submitted(world, batch_file(folder))


async def _cancel(world: World, batch: str, _folder: Path) -> JobRow:
    await world.one(Action.CANCEL, batch)
    return world.row(batch)


async def _cancel_unanswered(world: World, batch: str, _folder: Path) -> JobRow:
    world.fault(Reset(applied=False), CANCEL)
    world.fault(ErrorAnswer(500), "/v1/batches/batch_*", "GET", times=3)
    await world.one(Action.CANCEL, batch)
    assert world.row(batch).cancel_doubt
    return world.row(batch)


async def _cancel_refused(world: World, batch: str, _folder: Path) -> JobRow:
    world.fault(ErrorAnswer(400), CANCEL)
    await world.one(Action.CANCEL, batch)
    return world.row(batch)


async def _cancel_and_delete(world: World, batch: str, _folder: Path) -> JobRow:
    await world.one(Action.REMOVE, batch, cancel_first=True)
    return world.row(batch)


async def _force_fail(world: World, batch: str, _folder: Path) -> JobRow:
    await world.one(Action.FORCE_FAIL, batch)
    return world.row(batch)


async def _undo_force_fail(world: World, batch: str, folder: Path) -> JobRow:
    await _force_fail(world, batch, folder)
    return await undone(world, batch)


async def _undo_waiting_removal(world: World, batch: str, folder: Path) -> JobRow:
    await _cancel_and_delete(world, batch, folder)
    return await undone(world, batch)


async def _undo_removal(world: World, batch: str, _folder: Path) -> JobRow:
    await world.one(Action.REMOVE, batch, force=True)
    return await undone(world, batch)


async def _find(world: World, _batch: str, _folder: Path) -> JobRow | None:
    unknown = world.add(running=math.inf)
    account = world.config.account("openai")
    assert account is not None
    return (await find_remote(unknown, [account], world.accounts, world.browser, world.work)).row


ACTS: dict[str, Act] = {
    "submit": _submit,
    "submit without an answer": _submit_unanswered,
    "cancel": _cancel,
    "cancel without an answer": _cancel_unanswered,
    "cancel that is refused": _cancel_refused,
    "cancel & delete": _cancel_and_delete,
    "force-fail": _force_fail,
    "undo of a force-fail": _undo_force_fail,
    "undo of cancel & delete": _undo_waiting_removal,
    "undo of a removal": _undo_removal,
    "a word that is found": _find,
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.slow
async def test_the_next_question_comes_within_the_pace_of_the_job(
    world: World, tmp_path: Path, clock: str, act: str
) -> None:
    batch = world.add(age=20.0, running=math.inf, cancelling=math.inf)
    await world.sync()
    world.pass_time(1)
    CLOCKS[clock](world)

    row = await ACTS[act](world, batch, tmp_path)

    assert row is not None
    assert row.remote_id is None or row.remote_status.value not in {"completed", "failed", "cancelled"}
    health = world.browser.health("openai")
    assert health is not None
    assert health.next_poll_at <= world.ms(), "due now"
    world.emulator.faults.clear()
    account = world.config.account("openai")
    assert account is not None
    assert await world.syncs.if_due(account) is not None
    health = world.browser.health("openai")
    assert health is not None
    assert (
        0
        < health.next_poll_at - world.ms()
        <= poll_interval(world.browser.rows([row.id])[row.id], world.ms())
    )


async def test_an_action_during_a_poll_is_not_forgotten_at_its_end(world: World) -> None:
    batch = world.add_finished()
    await world.sync()
    world.pass_time(3600)
    claimed(world)
    running = world.add(running=math.inf)
    account = world.config.account("openai")
    assert account is not None
    await find_remote(running, [account], world.accounts, world.browser, world.work)
    with rival(world) as other:
        other.extend_poll("openai", world.ms() + CLAIM_MS)
        other.set_health(
            "openai", "openai", asked_at=world.ms() - 1, next_poll_at=world.ms() + IDLE_MS, claimed=True
        )
    assert await world.syncs.if_due(account) is not None
    assert world.row(batch).terminal


async def test_the_pace_of_a_removed_job_that_waits_for_nothing_is_nobodys(world: World) -> None:
    batch = world.add(age=20.0, running=math.inf)
    await world.sync()
    await world.one(Action.REMOVE, batch, force=True)
    report = (await world.sync("openai"))["openai"]
    assert report.next_poll_at - world.ms() > 60_000


async def test_of_many_jobs_the_youngest_sets_the_pace(world: World) -> None:
    world.add_many(40, age=30 * HOUR, running=math.inf)
    world.add(age=60.0, running=math.inf)
    report = (await world.sync())["openai"]
    assert report.next_poll_at - world.ms() <= 15_000


def test_no_jitter_makes_it_later_than_the_pace() -> None:
    waits = [next_poll_ms((), 0, SyncSettings()) for _ in range(200)]
    assert 0.8 * IDLE_MS <= min(waits) <= max(waits) <= IDLE_MS


# ── twins ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_job_of_another_name_of_the_key_makes_the_key_due(world: World, tmp_path: Path) -> None:
    first = made_accounts(world.server)[0]
    await world.with_accounts((first, replace(first, name="second")))
    await world.syncs.run()
    world.pass_time(1)
    done = await submit(
        order(batch_file(tmp_path), world.config.accounts[1]), world.accounts["second"], world.work
    )
    assert done.row is not None
    assert done.row.account == "second"
    assert await world.syncs.if_due(first) is not None
    assert await world.syncs.if_due(first) is None
    assert await world.syncs.if_due(world.config.accounts[1]) is None, "asked under its first name"


# ── waiting ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("clock", [name for name in CLOCKS if name != "being polled"])
async def test_whoever_waits_asks_at_the_pace_of_its_job_whatever_the_clock_says(
    world: World, clock: str
) -> None:
    batch = world.add(age=20.0, running=40.0)
    await world.sync()
    CLOCKS[clock](world)
    world.pass_time(20)
    began = world.ms()
    waiting = waits_for(world, batch, 90_000)

    result = await wait_until(waiting, world.syncs)

    assert not result.timed_out
    assert world.ms() - began <= 30_000


async def test_whoever_waits_leaves_the_account_to_whoever_is_polling_it(world: World) -> None:
    batch = world.add(running=math.inf)
    await world.sync()
    world.pass_time(60)
    claimed(world)
    asked = world.calls("GET", "/v1/batches")
    waiting = waits_for(world, batch, 60_000)

    assert (await wait_until(waiting, world.syncs)).timed_out

    assert world.calls("GET", "/v1/batches") == asked


async def test_a_pause_that_the_provider_asked_for_is_kept_by_whoever_waits(world: World) -> None:
    batch = world.add(running=math.inf)
    await world.sync()
    planned(world, 120_000, error="too many requests", retry_after_until=world.ms() + 120_000)
    health = world.browser.health("openai")
    assert health is not None
    rows = [world.row(batch)]
    assert overdue_at(health, rows, world.ms(), world.config.sync) == world.ms() + 120_000


async def test_an_account_that_is_due_all_the_time_is_given_a_rest(world: World) -> None:
    batch = world.add(running=math.inf, cancelling=math.inf)
    await world.sync()
    await world.one(Action.CANCEL, batch)
    asked = world.calls("GET", "/v1/batches")

    world.while_waiting = lambda: made_due(world)
    waiting = waits_for(world, batch, 20_000)
    assert (await wait_until(waiting, world.syncs)).timed_out
    assert world.calls("GET", "/v1/batches") - asked <= 11


def test_a_rest_grows_with_the_poll_and_never_beyond_the_fastest_pace() -> None:
    settings = SyncSettings()
    assert [rest_ms(took, settings) for took in (0, 1_000, 60_000)] == [2_000, 5_000, CANCELLING_MS]
