"""Waiting: until jobs have ended, with and without a dashboard that asks."""

from __future__ import annotations

import math
import time

import pytest
from operations_kit import World, made_accounts

from jobdash.demo.emulator import Delay, ErrorAnswer
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action
from jobdash.domain.status import Status
from jobdash.errors import ConfigError
from jobdash.operations.polling.wait import WaitProgress, WaitResult, wait_until
from jobdash.store.records import ActionRequest


def ended(row: JobRow) -> bool:
    return row.terminal


async def waited(
    world: World, *remote_ids: str, seconds: float | None = None
) -> tuple[WaitResult, list[str]]:
    """Wait; return how it ended, and every status that was told."""
    told: list[str] = []
    waiting = WaitProgress(
        ids=tuple(world.row(remote_id).id for remote_id in remote_ids),
        ended=ended,
        deadline=None if seconds is None else world.ms() + round(seconds * 1000),
        on_change=lambda row: told.append(str(row.status)),
        sleep=world.sleep,
    )
    return await wait_until(waiting, world.syncs), told


async def test_it_asks_until_all_have_ended(world: World) -> None:
    quick, slow = world.add(running=90.0), world.add("gemini", running=600.0)
    await world.sync()

    result, told = await waited(world, quick, slow)

    assert {row.status for row in result.rows.values()} == {Status.COMPLETED}
    assert not result.timed_out
    assert told[0] == "in_progress"
    assert told[-1] == "completed"


async def test_it_gives_up_when_the_time_is_up(world: World) -> None:
    batch = world.add(running=math.inf)
    await world.sync()
    before = world.ms()

    result, _ = await waited(world, batch, seconds=120)

    assert result.timed_out
    assert 120_000 <= world.ms() - before < 125_000


async def test_what_another_process_writes_is_seen(world: World) -> None:
    batch = world.add(running=math.inf)
    await world.sync()
    row = world.row(batch)

    async def somebody_acts(seconds: float) -> None:
        await world.sleep(seconds)
        if not world.row(batch).terminal:
            await world.store.write(lambda writer: writer.force_fail(ActionRequest(row.id, row.fence)))

    waiting = WaitProgress(ids=(row.id,), ended=ended, deadline=None, sleep=somebody_acts)
    result = await wait_until(waiting, world.syncs)

    assert result.rows[row.id].status is Status.FAILED


async def test_a_stop_ends_it(world: World) -> None:
    batch = world.add(running=math.inf)
    await world.sync()

    async def pressed(_seconds: float) -> None:
        world.stop.set()

    waiting = WaitProgress(ids=(world.row(batch).id,), ended=ended, deadline=None, sleep=pressed)

    assert (await wait_until(waiting, world.syncs)).stopped


async def test_a_rejected_key_ends_it_with_the_reason(world: World) -> None:
    batch = world.add(running=math.inf)
    await world.sync()
    world.fault(ErrorAnswer(401))

    with pytest.raises(ConfigError, match="openai"):
        await waited(world, batch)


async def test_an_account_that_is_no_more_ends_it(world: World) -> None:
    batch = world.add("work", running=math.inf)
    await world.sync()
    await world.with_accounts(made_accounts(world.server, {"openai": "sk-x"}))

    with pytest.raises(ConfigError, match="work is not configured"):
        await waited(world, batch)


async def test_a_server_error_is_outlived(world: World) -> None:
    batch = world.add(running=90.0)
    await world.sync()
    world.fault(ErrorAnswer(500), times=6)

    result, _ = await waited(world, batch, seconds=3600)

    assert not result.timed_out


async def test_a_cancel_is_waited_for(world: World) -> None:
    batch = world.add(cancelling=45.0)
    await world.sync()
    await world.one(Action.CANCEL, batch)

    _, told = await waited(world, batch)

    assert told == ["cancelling", "cancelled"]


async def test_a_provider_that_hangs_does_not_hold_up_the_deadline(world: World) -> None:
    batch = world.add(running=math.inf)
    (row,) = await world.known(batch)
    world.fault(Delay(5.0), path="/v1/batches*", method="GET")
    world.pass_time(600)
    waiting = WaitProgress((row.id,), ended, deadline=world.ms() + 300)
    began = time.monotonic()

    how = await wait_until(waiting, world.syncs)

    assert how.timed_out
    assert time.monotonic() - began < 4.0
