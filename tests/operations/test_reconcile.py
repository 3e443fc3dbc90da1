"""Reconciling: what the next sync makes of a process that died in the middle of something."""

from __future__ import annotations

from dataclasses import replace

import pytest
from operations_kit import CANCEL, World
from shared.other_program import refusing

from jobdash.domain.plan import Action, ActionResult
from jobdash.domain.status import Status
from jobdash.operations.actions.reconcile import INTERRUPTED
from jobdash.operations.writer_thread import WriterThread
from jobdash.store.owner import current_owner
from jobdash.store.records import ActionRequest, Actor, NewJob, Refusal
from jobdash.store.writer import Writer

DEADLINE_MS = 5 * 60_000


@pytest.fixture
def dead(world: World) -> Writer:
    """The writer of a process that runs no more."""
    owner = replace(current_owner(), pid=2**22 + 7)  # larger than any pid the kernel gives
    return Writer(world.config.database, world.ms, Actor("ann", "desk", "cli", owner))


def begin_cancel(world: World, dead: Writer, remote_id: str) -> None:
    row = world.row(remote_id)
    begun = dead.begin_cancel(ActionRequest(row.id, row.fence), deadline=world.ms() + DEADLINE_MS)
    assert not isinstance(begun, Refusal)
    dead.close()


async def test_a_cancel_that_never_left_is_withdrawn_and_told(world: World, dead: Writer) -> None:
    batch = world.add()
    await world.sync()
    begin_cancel(world, dead, batch)
    assert world.row(batch).status is Status.CANCELLING

    (reconciled,) = (await world.sync())["openai"].reconciled

    assert reconciled.notice == INTERRUPTED
    row = world.row(batch)
    assert (row.status, row.cancel_requested_at) == (Status.IN_PROGRESS, None)
    assert world.open_intents() == []
    assert world.calls("POST", CANCEL) == 0, "reconciling sends no cancel"


async def test_a_cancel_that_was_applied_is_closed(world: World, dead: Writer) -> None:
    batch = world.add(cancelling=600.0)
    await world.sync()
    begin_cancel(world, dead, batch)
    world.emulator.openai.cancel(batch)

    (reconciled,) = (await world.sync())["openai"].reconciled

    assert reconciled.notice == ""
    assert world.row(batch).status is Status.CANCELLING
    assert world.open_intents() == []


async def test_a_cancel_that_was_accepted_and_could_not_be_written_is_told_and_made_good(
    world: World,
) -> None:
    batch = world.add(cancelling=3600.0)
    await world.sync()
    with refusing(world.config.database, "UPDATE OF closed_at ON intent"):
        outcome = await world.one(Action.CANCEL, batch)

    assert outcome.result is ActionResult.DONE
    assert outcome.reason.startswith("cancel accepted, not yet written: ")
    world.pass_time(7 * 60)
    await world.sync()
    assert world.row(batch).remote_status is Status.CANCELLING
    assert world.open_intents() == []
    assert world.calls("POST", CANCEL) == 1


async def test_gemini_cannot_tell_so_the_job_stays_cancelling(world: World, dead: Writer) -> None:
    batch = world.add("gemini")
    await world.sync()
    begin_cancel(world, dead, batch)

    (reconciled,) = (await world.sync())["gemini"].reconciled

    assert reconciled.notice == INTERRUPTED
    assert (world.row(batch).status, world.row(batch).cancel_doubt) == (Status.CANCELLING, True)


async def test_a_lost_batch_ends_its_cancel(world: World, dead: Writer) -> None:
    other, batch = world.add(), world.add()
    await world.sync()
    begin_cancel(world, dead, batch)
    world.forget(batch)

    (reconciled,) = (await world.sync())["openai"].reconciled

    assert "404" in reconciled.notice
    assert world.row(batch).cancel_requested_at is None
    assert world.row(other).unfinished


async def test_a_living_process_is_left_alone_until_its_deadline_has_passed(world: World) -> None:
    batch = world.add()
    await world.sync()
    row = world.row(batch)
    await world.store.write(
        lambda writer: writer.begin_cancel(
            ActionRequest(row.id, row.fence), deadline=world.ms() + DEADLINE_MS
        )
    )
    assert (await world.sync())["openai"].reconciled == []
    world.pass_time(7 * 60)

    (reconciled,) = (await world.sync())["openai"].reconciled

    assert reconciled.notice == INTERRUPTED


async def test_an_interrupted_delete_is_closed_and_not_sent_again(world: World, dead: Writer) -> None:
    batch = world.add_finished()
    await world.sync()
    row, deadline = world.row(batch), world.ms() + DEADLINE_MS
    dead.begin_delete(ActionRequest(row.id, row.fence), deadline=deadline, target="input file-1")
    dead.close()

    await world.sync()

    assert world.open_intents() == []
    assert world.calls("DELETE") == 0


def begin_submit(world: World, dead: Writer, key: str, deadline_ms: int = DEADLINE_MS) -> int:
    new = NewJob("openai", "openai", world.server.openai_base_url, "nightly", key, total=3)
    begun = dead.begin_submit(new, deadline=world.ms() + deadline_ms)
    assert not isinstance(begun, Refusal)
    dead.close()
    return begun[0].id


async def test_a_submit_is_found_by_its_key(world: World, dead: Writer) -> None:
    job_id = begin_submit(world, dead, "abcdef012345")
    script_metadata = {"jobdash_key": "abcdef012345", "name": "nightly"}
    batch = world.add(name="nightly", metadata=script_metadata)

    await world.sync("openai")

    row = world.browser.rows([job_id])[job_id]
    assert (row.remote_id, row.status) == (batch, Status.IN_PROGRESS)
    assert world.browser.counts().total == 1
    assert world.open_intents() == []


async def test_a_submit_no_list_shows_is_unconfirmed_after_ten_minutes(world: World, dead: Writer) -> None:
    job_id = begin_submit(world, dead, "abcdef012345")
    await world.sync("openai")
    assert world.browser.rows([job_id])[job_id].status is Status.PENDING
    world.pass_time(11 * 60)

    (reconciled,) = (await world.sync("openai"))["openai"].reconciled

    assert "may or may not exist" in reconciled.notice
    row = world.browser.rows([job_id])[job_id]
    assert (row.status, row.raw_status) == (Status.UNKNOWN, "unconfirmed")


async def test_a_submit_killed_after_a_long_upload_has_its_time_to_be_listed(
    world: World, dead: Writer
) -> None:
    job_id = begin_submit(world, dead, "abcdef012345", deadline_ms=45 * 60_000)
    world.pass_time(20 * 60)
    for _ in range(9):
        assert (await world.sync("openai"))["openai"].reconciled == []
        world.pass_time(60)
    assert world.browser.rows([job_id])[job_id].status is Status.PENDING
    world.pass_time(2 * 60)

    (reconciled,) = (await world.sync("openai"))["openai"].reconciled

    assert reconciled.row is not None
    assert reconciled.row.raw_status == "unconfirmed"


async def test_an_unconfirmed_submit_is_still_found_later(world: World, dead: Writer) -> None:
    job_id = begin_submit(world, dead, "abcdef012345")
    world.pass_time(11 * 60)
    await world.sync("openai")
    assert world.browser.rows([job_id])[job_id].raw_status == "unconfirmed"
    batch = world.add(metadata={"jobdash_key": "abcdef012345"})

    await world.sync("openai")

    assert world.browser.rows([job_id])[job_id].remote_id == batch


async def test_a_removal_that_waits_is_carried_out_by_any_process(world: World, dead: Writer) -> None:
    batch = world.add()
    await world.sync()
    row = world.row(batch)
    begun = dead.begin_waiting_removal(
        ActionRequest(row.id, row.fence), choices={"cancel_first": True}, deadline=world.ms() + 900_000
    )
    assert not isinstance(begun, Refusal)
    dead.close()
    world.emulator.openai.cancel(batch)
    world.pass_time(60)
    with WriterThread(world.config.database, "other", world.ms) as other:
        world.store, kept = other, world.store
        reports = await world.sync()
        world.store = kept

    assert [removal.job.remote_id for removal in reports["openai"].removals] == [batch]
    assert world.row(batch).removed_at is not None
