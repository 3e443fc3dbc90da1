"""Cancel: what each answer of a provider, or its silence, means for the job."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from operations_kit import CANCEL, GEMINI_CANCEL, World
from shared.other_program import other_program

from jobdash.demo.emulator import CancelBehaviour, ErrorAnswer, MalformedJson, Reset, Switches
from jobdash.domain.plan import Action, ActionOutcome, ActionResult
from jobdash.domain.status import Status
from jobdash.operations.actions.cancel import NO_ANSWER
from jobdash.operations.execution import execute
from jobdash.operations.job_lookup import Scope
from jobdash.operations.planning import plan_cancel_all

ACCEPTED = '{"status": "accepted"}'


@pytest.mark.parametrize("account", ["openai", "gemini"])
async def test_a_job_is_cancelled_when_its_provider_says_so_and_not_before(
    world: World, account: str
) -> None:
    # A-1 A-8 A-9 B-1
    batch = world.add(account)
    await world.sync()

    outcome = await world.one(Action.CANCEL, batch)

    assert (outcome.result, outcome.status_after) == (ActionResult.DONE, Status.CANCELLING)
    assert world.row(batch).status is Status.CANCELLING
    world.pass_time(60)
    await world.sync()
    job = world.browser.job(world.row(batch).id)
    assert job is not None
    assert job.row.status is Status.CANCELLED
    assert job.cancel_reason == "Cancelled by user"
    assert world.open_intents() == []


@pytest.mark.parametrize("refusal", [409, 400, 500])
async def test_a_finished_batch_is_skipped_whatever_code_says_so(world: World, refusal: int) -> None:
    # A-6 B-3 C-9
    batch = world.add(running=60.0, switches=Switches(cancel_refusal=refusal))
    await world.sync()
    world.pass_time(300)

    outcome = await world.one(Action.CANCEL, batch)

    assert (outcome.result, outcome.reason) == (ActionResult.SKIPPED, "already completed")
    assert world.row(batch).status is Status.COMPLETED


async def test_a_finished_gemini_batch_is_skipped(world: World) -> None:
    #
    batch = world.add("gemini", running=60.0)
    await world.sync()
    world.pass_time(300)

    outcome = await world.one(Action.CANCEL, batch)

    assert (outcome.result, outcome.reason) == (ActionResult.SKIPPED, "already completed")


async def test_a_job_already_cancelled_is_skipped_without_a_call(world: World) -> None:
    # B-4 C-11
    batch = world.add()
    await world.sync()
    await world.one(Action.CANCEL, batch)

    outcome = await world.one(Action.CANCEL, batch)

    assert (outcome.result, outcome.reason) == (ActionResult.SKIPPED, "already asked 0s ago")
    assert world.calls("POST", CANCEL) == 1


async def test_two_at_once_send_one_cancel(world: World) -> None:
    # C-11
    batch = world.add()
    (row,) = await world.known(batch)
    plans = [world.plan(Action.CANCEL, [row]) for _ in range(2)]

    summaries = await asyncio.gather(*(execute(plan, world.work, lambda _outcome: None) for plan in plans))

    results = sorted(summary.outcomes[0].result for summary in summaries)
    assert results == [ActionResult.DONE, ActionResult.SKIPPED]
    assert world.calls("POST", CANCEL) == 1


async def test_a_cancel_stuck_for_15_minutes_may_be_asked_again(world: World) -> None:
    batch = world.add(running=10 * 3600.0, switches=Switches(cancel=CancelBehaviour.STICKS))
    await world.sync()
    await world.one(Action.CANCEL, batch)
    world.pass_time(16 * 60)

    assert (await world.one(Action.CANCEL, batch)).result is ActionResult.DONE
    assert world.calls("POST", CANCEL) == 2


async def test_429_waits_as_long_as_asked_and_goes_again(world: World) -> None:
    batch = world.add()
    await world.sync()
    world.fault(ErrorAnswer(429, retry_after=7), CANCEL, times=2)
    before = world.ms()

    outcome = await world.one(Action.CANCEL, batch)

    assert outcome.result is ActionResult.DONE
    assert world.ms() - before == 14_000
    assert world.calls("POST", CANCEL) == 3
    assert world.open_intents() == []


async def test_503_that_names_a_time_goes_again_and_one_that_names_none_does_not(world: World) -> None:
    # B-5: nothing is re-sent blindly
    named, silent = world.add(), world.add()
    await world.sync()
    world.fault(ErrorAnswer(503, retry_after=1), f"/v1/batches/{named}/cancel", times=1)
    world.fault(ErrorAnswer(503), f"/v1/batches/{silent}/cancel")

    summary = await world.do(Action.CANCEL, named, silent)

    ended = {outcome.job.remote_id: outcome.result for outcome in summary.outcomes}
    assert ended == {named: ActionResult.DONE, silent: ActionResult.FAILED}
    assert world.calls("POST", f"*{silent}/cancel") == 1


async def test_a_reset_before_the_cancel_was_applied_leaves_the_job_as_it_was(world: World) -> None:
    # C-8: the job goes on, one may try again
    batch = world.add()
    await world.sync()
    world.fault(Reset(applied=False), CANCEL, times=1)

    outcome = await world.one(Action.CANCEL, batch)

    assert outcome.result is ActionResult.FAILED
    row = world.row(batch)
    assert (row.status, row.cancel_requested_at) == (Status.IN_PROGRESS, None)
    assert (await world.one(Action.CANCEL, batch)).result is ActionResult.DONE


async def test_a_reset_after_the_cancel_was_applied_is_a_cancel(world: World) -> None:
    batch = world.add()
    await world.sync()
    world.fault(Reset(applied=True), CANCEL)

    outcome = await world.one(Action.CANCEL, batch)

    assert (outcome.result, outcome.status_after) == (ActionResult.DONE, Status.CANCELLING)
    assert world.calls("POST", CANCEL) == 1


@pytest.mark.parametrize("applied", [True, False])
async def test_gemini_tells_nobody_whether_an_unanswered_cancel_was_applied(
    world: World, applied: bool
) -> None:
    batch = world.add("gemini", cancelling=120.0)
    await world.sync()
    world.fault(Reset(applied=applied), GEMINI_CANCEL, times=1)

    outcome = await world.one(Action.CANCEL, batch)

    assert (outcome.result, outcome.reason) == (ActionResult.FAILED, NO_ANSWER)
    row = world.row(batch)
    assert (row.status, row.cancel_doubt) == (Status.CANCELLING, True)
    assert (await world.one(Action.CANCEL, batch)).result is ActionResult.DONE, (
        "it may be asked again at once"
    )
    assert not world.row(batch).cancel_doubt


async def test_no_answer_to_cancel_and_question_stays_cancelling(world: World) -> None:
    batch = world.add()
    await world.sync()
    world.fault(Reset(applied=False), f"/v1/batches/{batch}*")

    outcome = await world.one(Action.CANCEL, batch)

    assert (outcome.result, outcome.reason) == (ActionResult.FAILED, NO_ANSWER)
    assert world.row(batch).status is Status.CANCELLING
    assert world.open_intents() == []


async def test_a_refusal_is_passed_on_in_the_providers_own_words(world: World) -> None:
    # B-7 C-10
    batch = world.add()
    await world.sync()
    words = '{"error": {"message": "The moon is in the wrong phase.", "type": "invalid_request_error"}}'
    world.fault(ErrorAnswer(400, words), CANCEL)

    outcome = await world.one(Action.CANCEL, batch)

    assert outcome.result is ActionResult.FAILED
    assert "400" in outcome.reason
    assert "The moon is in the wrong phase." in outcome.reason
    assert world.row(batch).status is Status.IN_PROGRESS


async def test_an_answer_that_cannot_be_believed_is_asked_about(world: World) -> None:
    batch = world.add()
    await world.sync()
    world.fault(MalformedJson(), CANCEL)

    assert (await world.one(Action.CANCEL, batch)).status_after is Status.CANCELLING


@pytest.mark.parametrize(
    "answer", [ErrorAnswer(200, "{}"), ErrorAnswer(200, ""), ErrorAnswer(204, ""), ErrorAnswer(202, ACCEPTED)]
)
async def test_a_yes_without_the_batch_is_a_yes(world: World, answer: ErrorAnswer) -> None:
    batch = world.add()  # which goes on for a while, whatever its provider said
    await world.sync()
    world.fault(answer, CANCEL)

    outcome = await world.one(Action.CANCEL, batch)

    assert (outcome.result, outcome.status_after) == (ActionResult.DONE, Status.CANCELLING)
    row = world.row(batch)
    assert (row.status, row.cancel_doubt) == (Status.CANCELLING, False)


@pytest.mark.parametrize("body", ['{"error":{"message":"no such deployment"}}', "[]", '{"data":[]}', "false"])
async def test_a_200_that_is_no_yes_is_asked_about(world: World, body: str) -> None:
    batch = world.add()
    await world.sync()
    world.fault(ErrorAnswer(200, body), CANCEL)

    outcome = await world.one(Action.CANCEL, batch)

    assert (outcome.result, outcome.status_after) == (ActionResult.FAILED, Status.IN_PROGRESS)
    assert world.row(batch).cancel_requested_at is None


async def test_a_batch_its_provider_lost_is_not_cancelled(world: World) -> None:
    # B-6 C-9
    batch = world.add()
    await world.sync()
    world.forget(batch)

    outcome = await world.one(Action.CANCEL, batch)

    assert (outcome.result, outcome.reason) == (ActionResult.FAILED, "the provider knows no such batch (404)")
    assert world.row(batch).cancel_requested_at is None


async def test_a_rejected_key_is_not_asked_again_and_again(world: World) -> None:
    #
    world.narrow(1)
    batches = world.add_many(5)
    await world.sync()
    world.fault(ErrorAnswer(401, code="invalid_api_key"), CANCEL)

    summary = await world.do(Action.CANCEL, *batches)

    assert summary.count(ActionResult.FAILED) == 5
    assert world.calls("POST", CANCEL) == 1
    reasons = sorted(outcome.reason for outcome in summary.outcomes)
    assert reasons[1:] == ["not sent: key rejected (401)"] * 4
    assert {world.row(batch).status for batch in batches} == {Status.IN_PROGRESS}


async def test_a_used_up_quota_is_no_rate_limit(world: World) -> None:
    batch = world.add()
    await world.sync()
    world.fault(ErrorAnswer(429, code="insufficient_quota"), CANCEL)

    outcome = await world.one(Action.CANCEL, batch)

    assert outcome.result is ActionResult.FAILED
    assert "quota used up (429)" in outcome.reason
    assert world.calls("POST", CANCEL) == 1


async def test_one_failure_never_stops_the_rest(world: World) -> None:
    # A-3 A-7 B-17
    batches = world.add_many(12) + world.add_many(3, "gemini") + world.add_many(3, "work")
    await world.sync()
    world.fault(ErrorAnswer(400), f"/v1/batches/{batches[4]}/cancel")

    summary = await world.do(Action.CANCEL, *batches)

    assert (summary.count(ActionResult.DONE), summary.count(ActionResult.FAILED)) == (17, 1)
    assert len(summary.outcomes) == 18


async def test_stop_sends_nothing_more_and_tells_of_every_job(world: World) -> None:
    # C-6
    world.narrow(1)
    batches = world.add_many(60)
    await world.sync()

    def stop_after_three(_outcome: ActionOutcome) -> None:
        if world.calls("POST", CANCEL) >= 3:
            world.stop.set()

    summary = await world.do(Action.CANCEL, *batches, report=stop_after_three)

    sent = world.calls("POST", CANCEL)
    assert sent < 6
    assert (summary.count(ActionResult.DONE), summary.stopped) == (sent, 60 - sent)
    assert summary.interrupted
    assert world.open_intents() == []
    assert sum(world.row(batch).status is Status.CANCELLING for batch in batches) == sent


async def test_a_stop_while_the_provider_makes_us_wait_takes_the_intent_back(world: World) -> None:
    batch = world.add()
    await world.sync()
    world.fault(ErrorAnswer(429, retry_after=30), CANCEL)
    world.while_waiting = world.stop.set

    outcome = await world.one(Action.CANCEL, batch)

    assert (outcome.result, outcome.stopped) == (ActionResult.SKIPPED, True)
    row = world.row(batch)
    assert (row.status, row.cancel_requested_at) == (Status.IN_PROGRESS, None)
    assert world.open_intents() == []


async def test_429_without_end_fails_after_six_tries(world: World) -> None:
    batch = world.add()
    await world.sync()
    world.fault(ErrorAnswer(429, retry_after=2), CANCEL)

    outcome = await world.one(Action.CANCEL, batch)

    assert outcome.result is ActionResult.FAILED
    assert world.calls("POST", CANCEL) == 6
    assert world.row(batch).status is Status.IN_PROGRESS


async def test_what_a_plan_skips_or_refuses_is_in_the_summary(world: World) -> None:
    ended, running = world.add_finished(), world.add()
    await world.sync()

    summary = await world.do(Action.REMOVE, ended, running)

    by_job = {outcome.job.remote_id: outcome for outcome in summary.outcomes}
    assert by_job[ended].result is ActionResult.DONE
    assert (by_job[running].result, by_job[running].refused) == (ActionResult.SKIPPED, True)
    assert not summary.clean


async def test_a_job_removed_meanwhile_is_skipped_with_the_reason(world: World) -> None:
    batch = world.add()
    (row,) = await world.known(batch)
    plan = world.plan(Action.CANCEL, [row])
    await world.one(Action.REMOVE, batch, force=True)

    (outcome,) = (await execute(plan, world.work, lambda _outcome: None)).outcomes

    assert (outcome.result, outcome.reason) == (ActionResult.SKIPPED, "was removed meanwhile")
    assert world.calls("POST", CANCEL) == 0


async def test_a_job_that_finished_meanwhile_is_skipped(world: World) -> None:
    batch = world.add(running=60.0)
    (row,) = await world.known(batch)
    plan = world.plan(Action.CANCEL, [row])
    world.pass_time(300)
    await world.sync()

    (outcome,) = (await execute(plan, world.work, lambda _outcome: None)).outcomes

    assert (outcome.result, outcome.reason) == (ActionResult.SKIPPED, "already completed")
    assert world.calls("POST", CANCEL) == 0


async def test_a_cancel_that_loses_the_race_is_told_once(world: World) -> None:
    batch = world.add(switches=Switches(cancel=CancelBehaviour.LOSES_RACE))
    await world.sync()
    await world.one(Action.CANCEL, batch)
    world.pass_time(300)

    reports = [(await world.sync())["openai"] for _ in range(2)]

    assert [[row.remote_id for row in report.lost_race] for report in reports] == [[batch], []]
    assert world.row(batch).status is Status.COMPLETED


async def test_the_intent_is_on_disk_before_the_request_and_closed_after_it(world: World) -> None:
    batch = world.add()
    await world.sync()

    await world.one(Action.CANCEL, batch)

    assert [event.action for event in world.events(batch)] == ["cancel"]
    assert world.open_intents() == []


async def test_a_job_that_begins_to_run_while_it_is_planned_for_is_planned_for_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = world.add(age=60.0)
    await world.sync()
    with other_program(world.config.database) as other:
        other.execute("UPDATE job SET remote_status = 'pending'")
        every = world.browser.iter_ids

        def iter_ids(scope: Scope) -> Iterator[list[int]]:
            yield from list(every(scope))
            other.execute("UPDATE job SET remote_status = 'in_progress'")

        monkeypatch.setattr(world.browser, "iter_ids", iter_ids)
        plan = plan_cancel_all(world.browser, Scope(), world.work.situation(named=False))

    assert [decision.job.remote_id for decision in plan.acting] == [batch]


async def test_a_cancel_that_reached_nobody_leaves_the_job_as_it_was(world: World) -> None:
    # C-8
    batch = world.add("gemini")
    await world.sync()
    world.server.stop()

    outcome = await world.one(Action.CANCEL, batch)

    assert outcome.result is ActionResult.FAILED
    assert "cannot connect" in outcome.reason
    row = world.row(batch)
    assert (row.status, row.cancel_requested_at, row.cancel_doubt) == (Status.IN_PROGRESS, None, False)
    assert world.open_intents() == []


async def test_a_cancel_that_is_still_being_sent_is_nobody_elses_to_take_back(world: World) -> None:
    batch = world.add(running=10 * 3600.0)
    await world.sync()
    world.fault(ErrorAnswer(429, retry_after=60), CANCEL, times=5)
    late: list[bool] = []

    def slow() -> None:
        world.pass_time(30)  # each answer takes its time as well
        (intent,) = world.open_intents()
        late.append(intent.abandoned(world.ms()))

    world.while_waiting = slow

    outcome = await world.one(Action.CANCEL, batch)

    assert late == [False] * 5
    assert (outcome.result, outcome.status_after) == (ActionResult.DONE, Status.CANCELLING)


async def test_a_redirected_cancel_of_a_running_job_is_withdrawn_and_says_what_to_set(world: World) -> None:
    batch = world.add()
    await world.sync()
    world.fault(ErrorAnswer(302, "", headers={"Location": "/login"}), CANCEL)

    outcome = await world.one(Action.CANCEL, batch)

    row = world.row(batch)
    assert outcome.result is ActionResult.FAILED
    assert outcome.reason.startswith("redirected to /login, where no action follows (302); set base_url")
    assert (row.status, row.cancel_requested_at, world.open_intents()) == (Status.IN_PROGRESS, None, [])
