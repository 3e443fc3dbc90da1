"""Removals that wait for a cancel in vain: their deadline ends them, whoever can be asked by then."""

from __future__ import annotations

import asyncio

from operations_kit import KEYS, World, made_accounts

from jobdash.demo.emulator import CancelBehaviour, ErrorAnswer, Switches
from jobdash.domain.plan import Action, ActionResult
from jobdash.domain.status import Status
from jobdash.operations.actions.abandoned import NOT_CONFIRMED, give_up_removals, polled_accounts
from jobdash.operations.polling.account_worker import close_abandoned

OVERDUE = 20 * 60.0


async def waiting(world: World, account: str = "work") -> str:
    """A batch whose removal waits for a cancel that is never confirmed."""
    batch = world.add(account, running=36_000.0, switches=Switches(cancel=CancelBehaviour.STICKS))
    await world.sync(account)
    outcome = await world.one(Action.REMOVE, batch, cancel_first=True)
    assert outcome.result is ActionResult.DONE
    return batch


async def without_work(world: World) -> None:
    await world.with_accounts(made_accounts(world.server, {"openai": KEYS["openai"]}))


def waits(world: World, batch: str) -> bool:
    return world.row(batch).removing is not None or bool(world.open_intents())


async def test_of_an_account_that_is_configured_no_more(world: World) -> None:
    batch = await waiting(world)
    await without_work(world)
    (report,) = await world.syncs.run()
    assert (report.removals, waits(world, batch)) == ([], True), "its time is not over"
    world.pass_time(OVERDUE)

    (report,) = await world.syncs.run()

    assert [(done.job.remote_id, done.reason) for done in report.removals] == [(batch, NOT_CONFIRMED)]
    assert not waits(world, batch)
    assert [event.result for event in world.events(batch) if event.action == "remove"] == ["failed"]


async def test_of_an_account_whose_key_is_missing_or_rejected(world: World) -> None:
    batch = await waiting(world)
    await world.with_accounts(made_accounts(world.server, {"work": None}))
    world.pass_time(OVERDUE)
    await world.syncs.run()
    assert not waits(world, batch)

    await world.with_accounts(made_accounts(world.server, {"work": KEYS["work"]}))
    await world.one(Action.REMOVE, batch, cancel_first=True)
    world.fault(ErrorAnswer(401))
    world.pass_time(OVERDUE)
    await world.syncs.run()
    assert not waits(world, batch)


async def test_by_a_command_before_it_looks(world: World) -> None:
    batch = await waiting(world)
    await without_work(world)
    path, config = world.config.database, world.config
    assert give_up_removals(path, world.browser, config, "cli", world.ms) == []
    world.pass_time(OVERDUE)

    (row,) = give_up_removals(path, world.browser, config, "cli", world.ms)

    assert row.remote_id == batch
    assert not waits(world, batch)


async def test_by_a_dashboard_now_and_then(world: World) -> None:
    batch = await waiting(world)
    await without_work(world)
    world.pass_time(OVERDUE)
    told: asyncio.Queue[tuple[str | None, str]] = asyncio.Queue()

    looking = asyncio.create_task(
        close_abandoned(
            world.store, polled_accounts(world.config), lambda row, why: told.put_nowait((row.remote_id, why))
        )
    )

    assert await asyncio.wait_for(told.get(), 10) == (batch, NOT_CONFIRMED)
    looking.cancel()
    assert not waits(world, batch)


async def test_not_before_the_account_was_asked_how_it_ended(world: World) -> None:
    batch = await waiting(world)
    world.pass_time(OVERDUE)
    path, config = world.config.database, world.config

    assert give_up_removals(path, world.browser, config, "cli", world.ms) == []
    assert waits(world, batch)


async def test_an_overdue_one_may_be_asked_for_again_and_waits_once(world: World) -> None:
    batch = await waiting(world)
    world.pass_time(OVERDUE)

    outcome = await world.one(Action.REMOVE, batch, cancel_first=True)

    assert outcome.result is ActionResult.DONE
    assert len(world.open_intents()) == 1
    await world.sync("work")
    assert waits(world, batch)
    assert world.row(batch).status is Status.CANCELLING
