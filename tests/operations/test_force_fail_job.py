"""Force-fail: failed here at once, the provider told as far as that goes."""

from __future__ import annotations

from operations_kit import CANCEL, WORK_KEY, World, made_accounts

from jobdash.demo.emulator import CancelBehaviour, ErrorAnswer, Reset, Switches
from jobdash.domain.plan import Action, ActionOutcome, ActionResult
from jobdash.domain.status import Status
from jobdash.operations.actions.undo import find_undoable, undo, undo_words
from jobdash.operations.person import current_actor


async def test_both_sides_are_told(world: World) -> None:
    # E-1 E-3
    batch = world.add()
    await world.sync()

    outcome = await world.one(Action.FORCE_FAIL, batch, reason="stuck")

    assert (outcome.result, outcome.reason) == (ActionResult.DONE, "failed here; provider: cancel accepted")
    job = world.browser.job(world.row(batch).id)
    assert job is not None
    assert (job.row.status, job.verdict_reason) == (Status.FAILED, "stuck")
    assert world.calls("POST", CANCEL) == 1


async def test_a_provider_that_does_not_answer_does_not_keep_it_from_failing_here(world: World) -> None:
    batch = world.add()
    await world.sync()
    world.fault(Reset(applied=False), f"/v1/batches/{batch}*")

    outcome = await world.one(Action.FORCE_FAIL, batch)

    assert outcome.reason == "failed here; provider: no answer: it may still run and be billed"
    assert world.row(batch).status is Status.FAILED


async def test_a_refused_cancel_is_told(world: World) -> None:
    batch = world.add()
    await world.sync()
    world.fault(ErrorAnswer(401), CANCEL)

    outcome = await world.one(Action.FORCE_FAIL, batch)

    assert outcome.result is ActionResult.DONE
    assert outcome.reason.startswith("failed here; provider: key rejected (401)")
    assert outcome.reason.endswith("; it may still run and be billed")


async def test_a_finished_job_is_skipped(world: World) -> None:
    batch = world.add_finished()
    await world.sync()

    outcome = await world.one(Action.FORCE_FAIL, batch)

    assert (outcome.result, outcome.reason) == (ActionResult.SKIPPED, "already completed")


async def test_no_sync_revives_it_but_its_end_at_the_provider_is_seen(world: World) -> None:
    # E-7
    batch = world.add(running=300.0, switches=Switches(cancel=CancelBehaviour.LOSES_RACE))
    await world.sync()
    await world.one(Action.FORCE_FAIL, batch)
    world.pass_time(20 * 60)

    await world.sync()

    row = world.row(batch)
    assert (row.status, row.remote_status) == (Status.FAILED, Status.COMPLETED)


async def test_a_force_failed_job_can_still_be_cancelled_at_the_provider(world: World) -> None:
    batch = world.add()
    await world.sync()
    world.fault(ErrorAnswer(400), CANCEL, times=1)
    await world.one(Action.FORCE_FAIL, batch)

    outcome = await world.one(Action.CANCEL, batch)

    assert outcome.result is ActionResult.DONE
    assert world.row(batch).status is Status.FAILED


async def test_an_account_that_is_configured_no_more_cannot_be_told(world: World) -> None:
    batch = world.add("work")
    await world.sync()
    await world.with_accounts(made_accounts(world.server, {"openai": "sk-other"}))

    outcome = await world.one(Action.FORCE_FAIL, batch)

    assert outcome.result is ActionResult.DONE
    assert "account work is not configured" in outcome.reason
    assert WORK_KEY not in outcome.reason


async def test_stop_leaves_what_waits_alone(world: World) -> None:
    world.narrow(1)
    batches = world.add_many(90)
    await world.sync()

    def stop_at_once(_outcome: ActionOutcome) -> None:
        world.stop.set()

    summary = await world.do(Action.FORCE_FAIL, *batches, report=stop_at_once)

    failed = sum(world.row(batch).status is Status.FAILED for batch in batches)
    assert summary.stopped == 90 - failed > 0


async def test_undo_gives_the_job_back_and_says_what_it_will_show(world: World) -> None:
    batch = world.add()
    await world.sync()
    await world.one(Action.FORCE_FAIL, batch)
    action = find_undoable(world.browser, current_actor("test").name)
    assert action is not None
    assert undo_words(action).endswith("A cancel was accepted: it will show cancelling.")

    (outcome,) = await undo(action, world.store)

    assert outcome.reason is None
    assert world.row(batch).status is Status.CANCELLING
    assert find_undoable(world.browser, current_actor("test").name) is None
