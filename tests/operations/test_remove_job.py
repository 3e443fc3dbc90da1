"""Remove: what goes, what stays and why; and removals that wait for a cancel."""

from __future__ import annotations

import re

import pytest
from operations_kit import CANCEL, KEYS, World, made_accounts
from shared.other_program import refusing

from jobdash.demo.emulator import CancelBehaviour, ErrorAnswer, Reset, Switches
from jobdash.domain.plan import Action, ActionResult, DecisionKind
from jobdash.domain.status import Status
from jobdash.operations.actions.undo import find_undoable, undo
from jobdash.operations.person import current_actor
from jobdash.store.records import UndoKind


async def test_a_finished_job_goes_without_a_single_delete(world: World) -> None:
    # B-8
    batch = world.add_finished()
    await world.sync()

    outcome = await world.one(Action.REMOVE, batch)

    assert (outcome.result, outcome.reason) == (ActionResult.DONE, "record removed")
    assert world.row(batch).removed_at == world.ms()
    assert world.calls("DELETE") == 0


async def test_an_unfinished_job_is_refused_with_the_way_out(world: World) -> None:
    # B-12 E-5
    batch = world.add()
    (row,) = await world.known(batch)

    (decision,) = world.plan(Action.REMOVE, [row]).decisions

    assert (decision.verdict, decision.reason) == (
        DecisionKind.REFUSED,
        "still running; cancel & delete it with --cancel, or --force",
    )


async def test_files_go_at_openai_and_the_batch_too_at_gemini(world: World) -> None:
    # A-12 B-9
    ours, theirs = world.add_finished(), world.add_finished("gemini")
    await world.sync()

    summary = await world.do(Action.REMOVE, ours, theirs, remote=True)

    by_account = {outcome.job.account: outcome for outcome in summary.outcomes}
    assert by_account["openai"].result is ActionResult.DONE
    assert "deleted input file-" in by_account["openai"].reason
    assert world.calls("DELETE", "/v1/files/*") == 2
    # A result file of Gemini's has an id too long to be deleted, and expires by itself: said, and no failure.
    gemini = by_account["gemini"]
    assert gemini.result is ActionResult.DONE
    assert gemini.reason.startswith("record removed; deleted input files/")
    assert re.search(r"batch batches/\S+; output files/batch-\S+ expires by itself$", gemini.reason)
    row = world.row(theirs)
    assert (row.removed_at, row.left_behind) == (world.ms(), None)
    assert world.open_intents() == []


async def test_what_expires_by_itself_is_no_reason_to_look_at_a_job_that_stays(world: World) -> None:
    batch = world.add_finished("gemini")
    await world.sync()

    outcome = await world.one(Action.REMOVE, batch, remote=True, record=False)

    assert outcome.result is ActionResult.DONE
    assert outcome.reason.startswith("record kept; deleted input files/")
    assert "expires by itself" in outcome.reason
    assert world.row(batch).left_behind is None
    assert world.browser.needing_attention() == {}


async def test_what_expires_by_itself_excuses_nothing_else(world: World) -> None:
    batch = world.add_finished("gemini")
    await world.sync()
    world.fault(ErrorAnswer(500), "*/files/*", "DELETE", nth=1)

    outcome = await world.one(Action.REMOVE, batch, remote=True)

    assert (outcome.result, world.row(batch).removed_at) == (ActionResult.FAILED, None)
    left = world.row(batch).left_behind
    assert left is not None
    assert left.startswith("input files/")
    assert "output" not in left


async def test_what_is_gone_already_counts_as_deleted(world: World) -> None:
    batch = world.add_finished()
    await world.sync()
    world.fault(ErrorAnswer(404), "/v1/files/*", "DELETE")

    outcome = await world.one(Action.REMOVE, batch, remote=True)

    assert outcome.result is ActionResult.DONE


async def test_what_could_not_be_deleted_keeps_the_record_and_is_said(world: World) -> None:
    # B-14
    batch = world.add_finished()
    await world.sync()
    world.fault(ErrorAnswer(500), "/v1/files/*", "DELETE", nth=1)

    outcome = await world.one(Action.REMOVE, batch, remote=True)

    assert outcome.result is ActionResult.FAILED
    assert "record kept; deleted output file-" in outcome.reason
    assert "not deleted: input file-" in outcome.reason
    assert world.row(batch).removed_at is None
    assert world.open_intents() == []

    world.emulator.faults.clear()
    assert (await world.one(Action.REMOVE, batch, remote=True)).result is ActionResult.DONE
    assert world.row(batch).left_behind is None


async def test_force_hides_it_all_the_same_and_remembers_what_stayed(world: World) -> None:
    # B-10
    batch = world.add_finished()
    await world.sync()
    world.fault(ErrorAnswer(500), "/v1/files/*", "DELETE", nth=1)

    await world.one(Action.REMOVE, batch, remote=True, force=True)

    row = world.row(batch)
    assert row.removed_at is not None
    assert row.left_behind is not None


async def test_clean_up_only_keeps_the_record(world: World) -> None:
    batch = world.add_finished()
    await world.sync()

    outcome = await world.one(Action.REMOVE, batch, remote=True, record=False)

    assert outcome.result is ActionResult.DONE
    assert outcome.reason.startswith("record kept; deleted input file-")
    row = world.row(batch)
    assert row.removed_at is None
    await world.sync(full=True)
    job = world.browser.job(row.id)
    assert job is not None
    # The provider goes on naming them in its answers; they are gone all the same.
    assert (job.files, job.deleted) == ({}, ("input", "output"))


async def test_a_provider_that_cannot_be_asked_keeps_the_record_unless_forced(world: World) -> None:
    batch = world.add_finished()
    await world.sync()
    world.fault(ErrorAnswer(500), f"/v1/batches/{batch}")

    outcome = await world.one(Action.REMOVE, batch, remote=True)

    assert outcome.result is ActionResult.FAILED
    assert outcome.reason.startswith("could not ask openai: ")
    assert (await world.one(Action.REMOVE, batch, force=True)).result is ActionResult.DONE


async def test_a_removed_job_never_comes_back(world: World) -> None:
    # E-7 E-10
    batch = world.add()
    await world.sync()
    await world.one(Action.REMOVE, batch, force=True)
    world.pass_time(2 * 3600)

    report = (await world.sync())["openai"]

    assert (report.new, report.changed, report.finished) == (0, 0, [])
    assert world.row(batch).removed_at is not None
    assert world.browser.counts().total == 0


async def test_remove_and_undo(world: World) -> None:
    batch = world.add_finished()
    await world.sync()
    await world.one(Action.REMOVE, batch)
    me = current_actor("test").name
    action = find_undoable(world.browser, me)
    assert action is not None

    await undo(action, world.store)

    assert world.row(batch).removed_at is None


# ── cancel & delete ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("account", ["openai", "gemini"])
async def test_the_removal_waits_for_the_cancel_and_a_later_sync_carries_it_out(
    world: World, account: str
) -> None:
    # E-2
    batch = world.add(account)
    await world.sync()

    outcome = await world.one(Action.REMOVE, batch, cancel_first=True)

    assert (outcome.result, outcome.reason) == (
        ActionResult.DONE,
        "cancel asked; removed when it is confirmed",
    )
    row = world.row(batch)
    assert (row.removed_at, row.status) == (None, Status.CANCELLING)
    assert row.removing is not None
    world.pass_time(60)
    (removal,) = (await world.sync())[account].removals
    assert removal.result is ActionResult.DONE
    row = world.row(batch)
    assert row.removed_at is not None
    assert row.removing is None
    assert world.open_intents() == []


async def test_a_removal_waits_also_for_a_cancel_that_was_accepted_and_could_not_be_written(
    world: World,
) -> None:
    batch = world.add(cancelling=1.0)
    await world.sync()
    with refusing(world.config.database, "UPDATE OF closed_at ON intent WHEN new.kind = 'cancel'"):
        outcome = await world.one(Action.REMOVE, batch, cancel_first=True)

    assert outcome.result is ActionResult.DONE
    assert outcome.reason == "cancel asked; removed when it is confirmed"
    world.pass_time(60)
    await world.sync()
    assert world.row(batch).removed_at is not None


async def test_a_job_that_completes_in_spite_of_it_stays(world: World) -> None:
    batch = world.add(switches=Switches(cancel=CancelBehaviour.LOSES_RACE))
    await world.sync()
    await world.one(Action.REMOVE, batch, cancel_first=True)
    world.pass_time(300)

    (removal,) = (await world.sync())["openai"].removals

    assert (removal.result, removal.reason) == (
        ActionResult.SKIPPED,
        "finished before the cancel; x removes it",
    )
    row = world.row(batch)
    assert (row.removed_at, row.removing, row.status) == (None, None, Status.COMPLETED)


async def test_a_cancel_nobody_confirms_lets_the_job_stay_after_a_quarter_of_an_hour(world: World) -> None:
    batch = world.add(running=10 * 3600.0, switches=Switches(cancel=CancelBehaviour.STICKS))
    await world.sync()
    await world.one(Action.REMOVE, batch, cancel_first=True)
    world.pass_time(14 * 60)
    assert (await world.sync())["openai"].removals == []
    world.pass_time(2 * 60)

    (removal,) = (await world.sync())["openai"].removals

    assert removal.result is ActionResult.FAILED
    assert "not confirmed in time" in removal.reason
    assert world.row(batch).removing is None


async def test_a_refused_cancel_ends_the_waiting_at_once(world: World) -> None:
    batch = world.add()
    await world.sync()
    world.fault(ErrorAnswer(400), CANCEL)

    outcome = await world.one(Action.REMOVE, batch, cancel_first=True)

    assert outcome.result is ActionResult.FAILED
    assert (world.row(batch).removing, world.row(batch).status) == (None, Status.IN_PROGRESS)
    assert world.open_intents() == []


async def test_an_unanswered_cancel_goes_on_waiting(world: World) -> None:
    batch = world.add("gemini")
    await world.sync()
    world.fault(Reset(applied=True), "*:cancel", times=1)

    outcome = await world.one(Action.REMOVE, batch, cancel_first=True)

    assert outcome.result is ActionResult.FAILED
    assert outcome.reason.endswith("removed if it turns out so")
    world.pass_time(60)
    (removal,) = (await world.sync())["gemini"].removals
    assert removal.result is ActionResult.DONE


async def test_a_job_cancelled_before_only_waits(world: World) -> None:
    batch = world.add()
    await world.sync()
    await world.one(Action.CANCEL, batch)

    outcome = await world.one(Action.REMOVE, batch, cancel_first=True)

    assert outcome.reason == "removed when the cancel is confirmed"
    assert world.calls("POST", CANCEL) == 1


async def test_undo_of_a_waiting_removal_lets_the_job_stay(world: World) -> None:
    batch = world.add()
    await world.sync()
    await world.one(Action.REMOVE, batch, cancel_first=True)
    action = find_undoable(world.browser, current_actor("test").name)
    assert action is not None
    assert action.what is UndoKind.WAITING_REMOVAL
    await undo(action, world.store)
    world.pass_time(60)

    report = (await world.sync())["openai"]

    assert report.removals == []
    assert (world.row(batch).removed_at, world.row(batch).status) == (None, Status.CANCELLED)


async def test_a_removal_of_an_account_that_is_no_more(world: World) -> None:
    batch = world.add("work")
    (row,) = await world.known(batch)
    await world.with_accounts(made_accounts(world.server, {"openai": "sk-other"}))

    reasons = {
        choice: world.plan(Action.REMOVE, [row], **{choice: True}).decisions[0].reason
        for choice in ("remote", "cancel_first")
    }

    assert all("account work is not configured any more" in reason for reason in reasons.values())
    assert (await world.one(Action.REMOVE, batch, force=True)).result is ActionResult.DONE


async def test_a_forced_removal_says_what_it_could_not_ask_about(world: World) -> None:
    # B-14
    batch = world.add_finished()
    await world.sync()
    world.fault(ErrorAnswer(500, "boom"), f"/v1/batches/{batch}")

    outcome = await world.one(Action.REMOVE, batch, remote=True, force=True)

    row = world.row(batch)
    assert outcome.result is ActionResult.FAILED
    assert row.removed_at is not None
    assert "what openai keeps (could not ask: server error (500): boom)" in str(row.left_behind)


async def test_results_are_not_deleted_of_a_job_that_completed_although_it_was_force_failed(
    world: World,
) -> None:
    batch = world.add(
        age=500.0, running=600.0, cancelling=300.0, switches=Switches(cancel=CancelBehaviour.LOSES_RACE)
    )
    await world.sync()
    await world.one(Action.REMOVE, batch, cancel_first=True, remote=True)
    await world.one(Action.FORCE_FAIL, batch)
    world.pass_time(400)

    (report,) = (await world.sync()).values()

    assert [outcome.reason for outcome in report.removals] == ["finished before the cancel; x removes it"]
    assert world.row(batch).removed_at is None
    assert world.calls("DELETE") == 0


async def test_a_waiting_removal_goes_on_under_the_accounts_new_name(world: World) -> None:
    batch = world.add(cancelling=120.0)
    await world.sync()
    await world.one(Action.REMOVE, batch, cancel_first=True)
    await world.with_accounts(made_accounts(world.server, {"office": KEYS["openai"]}))
    world.pass_time(300)

    await world.sync("office")

    assert world.row(batch).removed_at is not None
    assert not world.open_intents()


async def test_a_forced_removal_that_cannot_reach_its_provider_goes_on_and_says_so(world: World) -> None:
    batch = world.add()
    await world.sync()
    world.fault(ErrorAnswer(400, "no"), CANCEL)

    outcome = await world.one(Action.REMOVE, batch, cancel_first=True, force=True)

    assert outcome.result is ActionResult.DONE
    assert "it may still run and be billed" in outcome.reason
    assert world.row(batch).removed_at is not None


async def test_one_404_deletes_nothing_of_a_batch_that_may_run_on(world: World) -> None:
    batch = world.add(running=10 * 3600.0)
    await world.sync()
    world.fault(ErrorAnswer(404), f"/v1/batches/{batch}", times=1)

    outcome = await world.one(Action.REMOVE, batch, remote=True, force=True)

    row = world.row(batch)
    assert outcome.result is ActionResult.FAILED
    assert "its batch is not known to have ended" in str(row.left_behind)
    assert (row.removed_at is not None, world.calls("DELETE")) == (True, 0)


async def test_a_batch_that_is_gone_leaves_no_file_behind(world: World) -> None:
    batch, _other = world.add_many(2, running=10 * 3600.0)
    await world.sync()
    world.forget(batch)
    for _ in range(2):
        world.pass_time(600)
        await world.sync()
    assert world.row(batch).gone

    outcome = await world.one(Action.REMOVE, batch, remote=True)

    assert (outcome.result, world.calls("DELETE", "/v1/files/*")) == (ActionResult.DONE, 1)


async def test_a_404_that_makes_a_batch_gone_lets_its_file_go(world: World) -> None:
    batch, _other = world.add_many(2, running=10 * 3600.0)
    await world.sync()
    world.forget(batch)
    world.pass_time(600)
    await world.sync()
    assert not world.row(batch).gone
    world.pass_time(600)

    outcome = await world.one(Action.REMOVE, batch, remote=True, force=True)

    assert (outcome.result, world.calls("DELETE", "/v1/files/*")) == (ActionResult.DONE, 1)
