"""Remote clean-up: looked at before it deletes, and nothing goes that an unfinished batch needs."""

from __future__ import annotations

from pathlib import Path

from operations_kit import CANCEL, World

from jobdash.demo.emulator import ErrorAnswer
from jobdash.domain.plan import Action, ActionResult
from jobdash.domain.status import Status
from jobdash.operations.accounts.session import CreateBatch
from jobdash.operations.actions.remove import finish_waiting
from jobdash.operations.actions.undo import find_undoable, undo
from jobdash.operations.execution import execute
from jobdash.operations.person import current_actor
from jobdash.providers.base import Submission
from jobdash.store.records import IntentKind


async def shared(world: World, batch: str) -> str:
    """Let a second batch run with the input file of a first; return its id."""
    row = world.row(batch)
    job = world.browser.job(row.id)
    assert job is not None
    submission = Submission(Path("x"), "k1", "second", "model-x", "/v1/responses", {})
    made = await world.accounts["openai"].call(CreateBatch(submission, job.files["input"]))
    await world.sync()
    return made.remote_id


async def taken_back(world: World) -> None:
    action = find_undoable(world.browser, current_actor("test").name)
    assert action is not None
    await undo(action, world.store)


async def test_a_job_changed_since_the_plan_loses_nothing(world: World) -> None:
    batch = world.add_finished()
    (row,) = await world.known(batch)
    plan = world.plan(Action.REMOVE, [row], remote=True)
    await world.one(Action.REMOVE, batch)
    await taken_back(world)

    (outcome,) = (await execute(plan, world.work, lambda _outcome: None)).outcomes

    assert (outcome.result, outcome.reason) == (ActionResult.SKIPPED, "was changed meanwhile; look again")
    assert world.calls("DELETE") == 0
    assert world.row(batch).left_behind is None


async def test_a_waiting_removal_that_was_taken_back_deletes_nothing(world: World) -> None:
    batch = world.add()
    await world.sync()
    await world.one(Action.REMOVE, batch, cancel_first=True, remote=True)
    (intent,) = world.browser.open_intents(kind=IntentKind.REMOVE)
    await taken_back(world)
    world.pass_time(300)
    await world.sync()

    outcome = await finish_waiting(intent, world.row(batch), world.work)

    assert (outcome.result, "taken back" in outcome.reason) == (ActionResult.SKIPPED, True)
    assert world.calls("DELETE") == 0


async def test_the_input_of_a_running_batch_stays(world: World) -> None:
    batch = world.add_finished()
    await world.sync()
    second = await shared(world, batch)

    outcome = await world.one(Action.REMOVE, batch, remote=True)

    assert outcome.result is ActionResult.FAILED
    assert f"also the input of {world.row(second).public_id}, which is not finished" in outcome.reason
    assert "deleted output file-" in outcome.reason
    assert world.row(batch).removed_at is None

    world.pass_time(30 * 3600)
    await world.sync()
    assert world.row(second).terminal
    assert (await world.one(Action.REMOVE, batch, remote=True)).result is ActionResult.DONE


async def test_nothing_is_deleted_under_an_unfinished_batch_even_by_force(world: World) -> None:
    ours, theirs = world.add(), world.add("gemini")
    await world.sync()

    summary = await world.do(Action.REMOVE, ours, theirs, remote=True, force=True)

    assert world.calls("DELETE") == 0
    assert [outcome.result for outcome in summary.outcomes] == [ActionResult.FAILED] * 2
    for batch in (ours, theirs):
        row = world.row(batch)
        assert row.removed_at is not None
        assert "its batch is not finished there" in str(row.left_behind)


async def test_a_batch_that_is_cancelled_first_by_force_keeps_its_files_until_it_has_ended(
    world: World,
) -> None:
    batch = world.add()
    await world.sync()

    outcome = await world.one(Action.REMOVE, batch, remote=True, force=True, cancel_first=True)

    assert "its batch is not finished there" in outcome.reason
    assert outcome.reason.endswith("provider: cancel accepted")
    assert (world.calls("DELETE"), world.calls("POST", CANCEL)) == (0, 1)


async def test_the_files_of_a_batch_its_provider_has_lost_are_deleted(world: World) -> None:
    batch = world.add_finished()
    await world.sync()
    world.fault(ErrorAnswer(404), f"/v1/batches/{batch}")

    outcome = await world.one(Action.REMOVE, batch, remote=True)

    assert outcome.result is ActionResult.DONE
    assert "deleted input file-" in outcome.reason
    assert world.calls("DELETE", "/v1/files/*") == 2


async def test_what_could_not_be_deleted_is_not_forgotten_with_its_batch(world: World) -> None:
    batch = world.add_finished()
    await world.sync()
    world.fault(ErrorAnswer(404), f"/v1/batches/{batch}")
    world.fault(ErrorAnswer(500), "/v1/files/*", "DELETE")
    await world.one(Action.REMOVE, batch, remote=True)
    left = world.row(batch).left_behind

    second = await world.one(Action.REMOVE, batch, remote=True)

    assert second.result is ActionResult.FAILED
    assert left is not None
    assert world.row(batch).left_behind == left
    assert world.row(batch).removed_at is None


async def test_what_expires_by_itself_is_said_again_when_its_batch_is_no_more(world: World) -> None:
    batch = world.add_finished("gemini")
    await world.sync()
    first = await world.one(Action.REMOVE, batch, remote=True, record=False)
    assert "deleted input files/" in first.reason
    assert f"batch {batch}" in first.reason

    second = await world.one(Action.REMOVE, batch, remote=True)

    assert second.result is ActionResult.DONE
    assert "; output files/batch-" in second.reason
    assert second.reason.endswith("expires by itself")
    assert world.row(batch).left_behind is None


async def test_geminis_record_stays_while_a_file_may_still_go(world: World) -> None:
    batch = world.add_finished("gemini")
    await world.sync()
    world.fault(ErrorAnswer(500), "/v1beta/files/*", "DELETE", times=1)

    outcome = await world.one(Action.REMOVE, batch, remote=True)

    assert f"batch {batch} (its files are still there)" in outcome.reason
    assert world.row(batch).status is Status.COMPLETED
    assert world.calls("DELETE", f"*{batch}") == 0


async def test_a_delete_answered_without_a_word_is_done(world: World) -> None:
    batch = world.add_finished()
    await world.sync()
    world.fault(ErrorAnswer(204, ""), "/v1/files/*", "DELETE")

    assert (await world.one(Action.REMOVE, batch, remote=True)).result is ActionResult.DONE
