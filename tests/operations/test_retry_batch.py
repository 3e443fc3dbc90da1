"""Retrying batches: exactly what has no whole answer is sent again, once, and belongs together afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from operations_kit import KEYS, World, openai_requests

from jobdash.demo.emulator import BatchFailure, BatchPlan, Ending, LineError, Switches, Timing
from jobdash.demo.emulator.faults import ErrorAnswer, FaultRule, MalformedJson, Reset
from jobdash.domain.cost import Cost
from jobdash.domain.describe.job_text import ended_word
from jobdash.domain.filter.language import parse
from jobdash.domain.items import RETRYABLE
from jobdash.domain.job import JobDetails, JobRow
from jobdash.domain.plan import Action, ActionOutcome, ActionResult, Choices, Plan
from jobdash.domain.status import Status
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.execution import execute
from jobdash.operations.fetch import fetch
from jobdash.operations.job_lookup import Browser, JobListing, Scope, Sort
from jobdash.operations.planning import plan_jobs
from jobdash.operations.results.fetch_request import FetchedResults, FetchRequest
from jobdash.operations.results.input_copies import input_copy, scratch_folder
from jobdash.operations.submission.outcome import SubmitEnd
from jobdash.operations.submission.request import order
from jobdash.operations.submission.submit import submit
from jobdash.store.owner import current_owner
from jobdash.store.records import Actor, NewJob, Refusal
from jobdash.store.writer import Writer

DONE, SKIPPED, FAILED = ActionResult.DONE, ActionResult.SKIPPED, ActionResult.FAILED


async def ended(world: World, account: str = "openai", **settings: Any) -> JobRow:
    (row,) = await world.known(world.add_finished(account, **settings))
    return row


def planned(world: World, row: JobRow, **choices: Any) -> Plan:
    (now,) = world.browser.rows([row.id]).values()
    return plan_jobs(Action.RETRY, [now], world.work.situation(), Choices(**choices), browser=world.browser)


async def retried(world: World, row: JobRow, **choices: Any) -> ActionOutcome:
    (outcome,) = (await execute(planned(world, row, **choices), world.work, lambda _one: None)).outcomes
    return outcome


def details(world: World, public_id: str) -> JobDetails:
    (row,) = world.browser.by_public(public_id)
    found = world.browser.job(row.id)
    assert found is not None
    return found


def child_of(world: World, row: JobRow) -> JobDetails:
    job = world.browser.job(row.id)
    assert job is not None
    assert job.superseded_by is not None
    return details(world, job.superseded_by)


def sent_keys(world: World, job: JobDetails) -> list[str]:
    """The keys of the file from which a batch was made at the emulator."""
    file = world.emulator.openai.account(KEYS["openai"]).files.get(job.files["input"])
    assert file is not None
    from jobdash.demo.emulator.openai_view import file_content

    content = file_content(world.emulator.openai, file)
    assert content is not None
    return [json.loads(line)["custom_id"] for line in content.splitlines()]


async def fetched(world: World, row: JobRow, folder: Path, **settings: Any) -> FetchedResults:
    request = FetchRequest(
        folder, lambda: Browser(world.config.database, world.ms), world.work, merged=True, **settings
    )
    (done,) = await fetch([row], request)
    return done


async def test_only_what_has_no_whole_answer_is_sent_again_and_linked_both_ways(world: World) -> None:
    # C-13 D-4
    row = await ended(world, name="nightly", total=40, failures=(BatchFailure(3),), cut_off=5)
    outcome = await retried(world, row)

    assert outcome.result is DONE
    child = child_of(world, row)
    assert outcome.reason == f"3 of 40 sent again: 3 errors, as {child.row.public_id}"
    assert (child.row.name, child.row.total, child.row.account) == ("nightly", 3, "openai")
    assert child.parent == row.public_id
    parent = world.browser.job(row.id)
    assert parent is not None
    assert parent.row.family == child.row.family == row.public_id
    assert parent.children == (child.row.public_id,)
    # Its results were fetched first, into the folder of results, and what has an answer stays answered.
    assert parent.row.collected is not None
    assert Path(parent.results_folder or "").parent == world.config.results_folder
    results = (Path(parent.results_folder or "") / "results.jsonl").read_text().splitlines()
    wrong = {line["key"] for line in map(json.loads, results) if line["outcome"] == "error"}
    assert set(sent_keys(world, child)) == wrong
    assert "retry" in [event.action for event in world.browser.events(row.id)]


@pytest.mark.parametrize(
    ("only", "number"), [(("failed",), 3), (("cut-off",), 5), (RETRYABLE, 8), (("missing",), None)]
)
async def test_a_person_says_which_parts(world: World, only: tuple[str, ...], number: int | None) -> None:
    row = await ended(world, total=40, failures=(BatchFailure(3),), cut_off=5)
    outcome = await retried(world, row, only=only)
    if number is None:
        assert (outcome.result, outcome.refused) == (SKIPPED, False)
    else:
        assert child_of(world, row).row.total == number


async def test_the_plan_says_what_is_sent_again(world: World) -> None:
    row = await ended(world, name="nightly", total=40, failures=(BatchFailure(3),))
    notes = {note.topic: note.text for note in _notes(planned(world, row))}
    assert notes["Sent again"] == "3 of 40 sent again: 3 errors · linked to nightly"
    assert "are fetched" in notes["First"]


async def test_the_plan_says_what_it_will_cost_where_that_is_known(world: World) -> None:
    row = await ended(world, total=40, failures=(BatchFailure(4),))
    notes = {note.topic: note.text for note in _notes(planned(world, row))}
    assert notes["Billed"] == "what is sent again is billed again"
    await world.store.write(Writer.set_costs, [(row, Cost(360_000))])
    notes = {note.topic: note.text for note in _notes(planned(world, row))}
    # 36 answers cost $0.36, and 4 requests are sent again.
    assert notes["Billed"] == "what is sent again is billed again: about $0.04, by what each answer has cost"


def _notes(plan: Plan) -> Any:
    from jobdash.domain.describe import plan_text

    return plan_text.notes(plan)


def _texts(plan: Plan) -> dict[str, str]:
    return {note.topic: note.text for note in _notes(plan)}


async def test_what_an_expired_batch_did_not_come_to_is_sent_again(world: World) -> None:
    row = await ended(world, total=10, ending=Ending.EXPIRES, reached=4, age=3 * 24 * 3600.0)
    outcome = await retried(world, row)
    assert outcome.result is DONE
    assert child_of(world, row).row.total == 6


async def test_a_batch_that_the_provider_still_runs_is_refused(world: World) -> None:
    (row,) = await world.known(world.add(total=10))
    outcome = await retried(world, row)
    assert (outcome.result, outcome.refused) == (SKIPPED, True)
    assert "cancel it there first, or it is billed twice" in outcome.reason
    await world.one(Action.FORCE_FAIL, row.remote_id or "")
    outcome = await retried(world, row)
    assert outcome.refused
    assert world.calls("POST", "/v1/files") == 0


async def test_nothing_left_is_no_error_and_sends_nothing(world: World) -> None:
    row = await ended(world, total=5)
    outcome = await retried(world, row)
    assert (outcome.result, outcome.refused, outcome.reason) == (
        SKIPPED,
        False,
        "every request has its answer",
    )
    assert world.calls("POST") == 0


async def test_while_a_retry_runs_there_is_no_second_one(world: World) -> None:
    row = await ended(world, total=10, failures=(BatchFailure(2),))
    assert (await retried(world, row)).result is DONE
    child = child_of(world, row)
    for each in (row, child.row):
        outcome = await retried(world, each)
        assert outcome.refused, outcome.reason
        assert "is still" in outcome.reason or "says" in outcome.reason
    assert world.calls("POST", "/v1/batches") == 1


async def test_two_at_once_send_once(world: World) -> None:
    row = await ended(world, total=10, failures=(BatchFailure(2),))
    plan = planned(world, row)
    first, second = await asyncio.gather(
        execute(plan, world.work, lambda _one: None), execute(plan, world.work, lambda _one: None)
    )
    results = sorted(summary.outcomes[0].result for summary in (first, second))
    assert DONE in results
    assert world.calls("POST", "/v1/batches") == 1


def fails_next(world: World, failures: int = 0, **plan: Any) -> None:
    """What the emulator does with the batches that are created from now on."""
    world.emulator.openai.plan = BatchPlan(
        timing=Timing(validating=1.0, running=10.0), failures=(BatchFailure(failures),), **plan
    )


async def finish(world: World) -> None:
    world.pass_time(3600)
    await world.sync(full=True)


async def test_the_next_retry_is_for_what_is_left_of_the_whole_family(world: World) -> None:
    row = await ended(world, name="nightly", total=20, failures=(BatchFailure(6),))
    fails_next(world, 2)
    await retried(world, row)
    child = child_of(world, row)
    await finish(world)
    # Whichever of the family is named: what is left is that of all of them.
    outcome = await retried(world, row)
    assert outcome.result is DONE, outcome.reason
    grandchild = child_of(world, child.row)
    assert grandchild.parent == child.row.public_id
    listing = Scope(conditions=parse(f"family:{row.public_id}"))
    found = {each.public_id for each in JobListing(listing, Sort()).rows(world.browser)}
    assert found == {row.public_id, child.row.public_id, grandchild.row.public_id}
    assert outcome.reason.startswith("2 of 20 sent again: 2 errors")
    assert set(sent_keys(world, grandchild)) < set(sent_keys(world, child))
    fails_next(world, 0)


async def test_the_sums_of_a_family_and_the_next_plan_know_what_was_left_out(world: World) -> None:
    fails_next(world, 0)
    row = await ended(world, name="nightly", total=40, failures=(BatchFailure(3),), cut_off=5)
    await retried(world, row, only=("cut-off",))
    await finish(world)
    child = child_of(world, row).row
    assert (child.total, child.kept_succeeded, child.kept_failed) == (5, 32, 3)
    assert child.family_id is not None
    family = world.browser.families([child.family_id])[child.family_id].row
    assert (family.total, family.succeeded, family.failed, ended_word(family)) == (40, 37, 3, "partial")
    assert _texts(planned(world, row))["Sent again"] == "3 of 40 sent again: 3 errors · linked to nightly"
    await retried(world, row)
    await finish(world)
    family = world.browser.families([child.family_id])[child.family_id].row
    assert (family.succeeded, family.failed, ended_word(family)) == (40, 0, "completed")


async def test_a_family_is_fetched_in_one_with_the_newest_whole_answer_of_each_key(
    world: World, tmp_path: Path
) -> None:
    row = await ended(world, name="nightly", total=20, failures=(BatchFailure(6),), cut_off=2)
    fails_next(world, 2)
    await retried(world, row)
    await finish(world)
    child = child_of(world, row)
    for named in (row, child.row):
        done = await fetched(world, named, tmp_path)
        assert done.result is DONE, done.reason
        assert done.reason == "16 ok · 2 cut off · 2 errors, of 2 batches"
        assert done.folder == tmp_path / f"nightly-{row.public_id}-merged"
    assert done.folder is not None
    lines = [json.loads(line) for line in (done.folder / "results.jsonl").read_text().splitlines()]
    assert len({line["key"] for line in lines}) == 20
    failed = {line["key"] for line in lines if line["outcome"] == "error"}
    assert failed < set(sent_keys(world, child))
    manifest = json.loads((done.folder / "manifest.json").read_text())
    assert manifest["merged"] == [row.public_id, child.row.public_id]
    assert manifest["counts"]["ok"] == 16


async def test_a_batch_without_a_retry_is_merged_as_it_is(world: World, tmp_path: Path) -> None:
    row = await ended(world, name="nightly", total=4)
    done = await fetched(world, row, tmp_path)
    assert done.folder == tmp_path / f"nightly-{row.public_id}"


async def test_a_family_that_still_runs_is_merged_only_as_far_as_it_came(
    world: World, tmp_path: Path
) -> None:
    row = await ended(world, total=6, failures=(BatchFailure(2),))
    await retried(world, row)
    done = await fetched(world, row, tmp_path)
    assert (done.result, "is not finished" in done.reason) == (FAILED, True)
    done = await fetched(world, row, tmp_path, partial=True)
    assert done.reason == "4 ok · 2 errors, of 1 batch"


def gemini_file(folder: Path, number: int = 6) -> Path:
    path = folder / "requests.jsonl"
    lines = [
        {"key": f"k-{each}", "request": {"contents": [{"parts": [{"text": "x"}]}]}} for each in range(number)
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def openai_file(folder: Path, number: int = 4) -> Path:
    path = folder / "requests.jsonl"
    body = {"model": "gpt-x", "messages": []}
    lines = [
        {"custom_id": f"r-{n}", "method": "POST", "url": "/v1/chat/completions", "body": body}
        for n in range(number)
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


async def submitted(world: World, account: str, path: Path, **settings: Any) -> JobRow:
    found = next(each for each in world.config.accounts if each.name == account)
    wanted = order(path, found, model="gemini-x" if account == "gemini" else None, **settings)
    done = await submit(wanted, world.accounts[account], world.work, sleep=world.sleep)
    assert done.row is not None, done.reason
    world.used.add(account)
    return done.row


async def test_a_submit_that_was_stopped_after_its_upload_can_be_retried(
    world: World, tmp_path: Path
) -> None:
    world.emulator.faults.add(
        FaultRule(effect=ErrorAnswer(429, retry_after=30), method="POST", path="/v1/batches", times=1)
    )
    world.while_waiting = world.stop.set
    account = next(each for each in world.config.accounts if each.name == "openai")
    wanted = order(openai_requests(tmp_path / "stopped.jsonl", 3), account)
    done = await submit(wanted, world.accounts["openai"], world.work, sleep=world.sleep)
    assert done.end is SubmitEnd.STOPPED
    assert done.reason.startswith("stopped; the uploaded file file-")
    assert done.row is not None
    assert (done.row.status, world.calls("POST", "/v1/batches")) == (Status.FAILED, 1)

    world.stop, world.while_waiting = CancelToken(), lambda: None
    outcome = await retried(world, done.row)

    assert outcome.result is DONE, outcome.reason
    assert sent_keys(world, child_of(world, done.row)) == ["r0", "r1", "r2"]


async def test_what_a_killed_retry_has_left_is_deleted_by_the_next(world: World, tmp_path: Path) -> None:
    scratch = world.config.store_path.parent / "retries"
    killed, begun = scratch / "killed", scratch / "begun"
    for folder in (killed, begun):
        folder.mkdir(parents=True)
        (folder / "input.jsonl").write_text("{}")
    long_ago = time.time() - 3600
    os.utime(killed, (long_ago, long_ago))
    row = await ended(world, total=40, failures=(BatchFailure(3),))
    with scratch_folder(world.config.store_path) as held:
        os.utime(held, (long_ago, long_ago))
        assert (await retried(world, row)).result is DONE
        assert sorted(scratch.iterdir()) == sorted([begun, held])
    assert list(scratch.iterdir()) == [begun]


async def test_the_copy_made_at_submit_is_what_is_sent_again(world: World, tmp_path: Path) -> None:
    world.emulator.gemini.plan = BatchPlan(
        timing=Timing(validating=1.0, running=10.0), failures=(BatchFailure(2),)
    )
    row = await submitted(world, "gemini", gemini_file(tmp_path))
    await finish(world)
    outcome = await retried(world, row)
    assert outcome.result is DONE, outcome.reason
    assert child_of(world, row).row.total == 2


async def test_without_a_copy_the_refusal_says_why_and_a_file_of_ones_own_helps(
    world: World, tmp_path: Path
) -> None:
    world.emulator.gemini.plan = BatchPlan(
        timing=Timing(validating=1.0, running=10.0), failures=(BatchFailure(2),)
    )
    file = gemini_file(tmp_path)
    row = await submitted(world, "gemini", file, keep_input=False)
    await finish(world)
    outcome = await retried(world, row)
    assert outcome.refused
    assert "Gemini does not hand uploaded files out, and keeps them 48 h" in outcome.reason
    assert "--input FILE" in outcome.reason
    outcome = await retried(world, row, input=file)
    assert outcome.result is DONE, outcome.reason
    child = child_of(world, row)
    assert child.row.total == 2
    assert child.submit_key is not None
    assert not input_copy(world.config.store_path, child.submit_key).exists()


async def test_a_wrong_file_is_refused_before_anything_is_sent(world: World, tmp_path: Path) -> None:
    row = await ended(world, total=10, failures=(BatchFailure(2),))
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text('{"custom_id": "other", "method": "POST", "url": "/v1/responses", "body": {}}\n')
    outcome = await retried(world, row, input=wrong)
    assert outcome.refused
    assert (
        "is not its input: 10 of its keys are not in it: request-1, request-2, request-3, …" in outcome.reason
    )
    assert world.calls("POST") == 0


async def test_an_input_that_its_provider_deleted_is_said(world: World) -> None:
    row = await ended(world, total=10, failures=(BatchFailure(2),))
    job = world.browser.job(row.id)
    assert job is not None
    world.emulator.openai.remove_file(job.files["input"], key=KEYS["openai"])
    outcome = await retried(world, row)
    assert outcome.refused
    assert outcome.reason == "no copy of its input is here, and OpenAI does not hand it out any more"


async def test_half_an_input_file_is_not_taken_for_all_of_it(world: World) -> None:
    row = await ended(world, total=10, failures=(BatchFailure(6),))
    job = world.browser.job(row.id)
    assert job is not None
    world.fault(MalformedJson(), f"*/{job.files['input']}/content")
    outcome = await retried(world, row)
    assert (outcome.result, "of the 10 requests of its input: try again" in outcome.reason) == (SKIPPED, True)
    assert world.calls("POST", "/v1/batches") == 0
    world.emulator.faults.clear()
    assert (await retried(world, row)).reason.startswith("6 of 10 sent again: 6 errors")


async def test_without_the_results_nothing_is_sent(world: World) -> None:
    row = await ended(world, total=10, failures=(BatchFailure(2),))
    world.fault(ErrorAnswer(404), "*/content")
    outcome = await retried(world, row)
    assert outcome.result is FAILED
    assert "results were deleted at the provider" in outcome.reason
    assert world.calls("POST") == 0


async def test_answers_that_were_deleted_and_never_fetched_are_missing(world: World, tmp_path: Path) -> None:
    world.emulator.gemini.plan = BatchPlan(
        timing=Timing(validating=1.0, running=10.0), failures=(BatchFailure(2),)
    )
    row = await submitted(world, "gemini", gemini_file(tmp_path))
    await finish(world)
    clean_up = {"record": False, "remote": True}

    def lost() -> list[str]:
        (now,) = world.browser.rows([row.id]).values()
        plan = plan_jobs(
            Action.REMOVE, [now], world.work.situation(), Choices(**clean_up), browser=world.browser
        )
        return [note.text for note in _notes(plan) if note.topic == "Lost"]

    assert lost() == ["6 results were never fetched, and will be lost"]
    await world.one(Action.REMOVE, row.remote_id or "", **clean_up)
    assert lost() == []
    plan = planned(world, row)
    assert (
        _texts(plan)["Sent again"] == "6 of 6 sent again: 6 missing · linked to " + plan.decisions[0].job.name
    )
    assert "First" not in _texts(plan)
    outcome = await retried(world, row)
    assert outcome.reason.startswith("6 of 6 sent again: 6 missing"), outcome.reason
    await finish(world)
    # The family is merged of what there is, and what is left of it is found there.
    done = await fetched(world, row, tmp_path)
    assert (done.result, done.reason) == (DONE, "4 ok · 2 errors, of 1 batch")
    assert _texts(planned(world, row))["Sent again"].startswith("2 of 6 sent again: 2 errors")


async def test_what_was_fetched_stays_answered_when_it_is_deleted(world: World, tmp_path: Path) -> None:
    fails_next(world, 1)
    row = await submitted(world, "openai", openai_file(tmp_path))
    await finish(world)
    await fetched(world, details(world, row.public_id).row, tmp_path)
    await world.one(Action.REMOVE, row.remote_id or "", record=False, remote=True)
    assert _texts(planned(world, row))["Sent again"].startswith("1 of 4 sent again: 1 error")


async def test_results_whose_time_is_over_are_asked_for_once_more(world: World, tmp_path: Path) -> None:
    fails_next(world, 1, switches=Switches(results_kept=7_000.0))
    row = await submitted(world, "openai", openai_file(tmp_path))
    await finish(world)
    await world.store.write(Writer.set_results_expire_at, row.id, world.ms() + 1_000)
    assert _texts(planned(world, row))["Sent again"].startswith("1 of 4 sent again: 1 error")
    world.pass_time(7_200)
    assert _texts(planned(world, row))["Sent again"].startswith("up to 4 of 4 sent again: 4 missing")
    fails_next(world, 0)
    outcome = await retried(world, row)
    assert outcome.reason.startswith("4 of 4 sent again: 4 missing"), outcome.reason


async def test_what_a_provider_keeps_no_results_of_is_announced_in_whole(
    world: World, tmp_path: Path
) -> None:
    world.emulator.gemini.plan = BatchPlan(timing=Timing(validating=1.0, running=100.0))
    row = await submitted(world, "gemini", gemini_file(tmp_path))
    world.pass_time(60)
    await world.sync(full=True)
    await world.one(Action.CANCEL, row.remote_id or "")
    await finish(world)
    (now,) = world.browser.rows([row.id]).values()
    assert (now.status, bool(now.succeeded)) == (Status.CANCELLED, True), "some were finished, and billed"
    assert _texts(planned(world, row))["Sent again"].startswith("up to 6 of 6 sent again: 6 missing")
    world.emulator.gemini.plan = BatchPlan(timing=Timing(validating=1.0, running=100.0))
    outcome = await retried(world, row)
    assert outcome.reason.startswith("6 of 6 sent again: 6 missing"), outcome.reason
    world.pass_time(60)
    await world.sync(full=True)
    await world.one(Action.CANCEL, child_of(world, row).row.remote_id or "")
    await finish(world)
    assert _texts(planned(world, row))["Sent again"].startswith("up to 6 of 6 sent again: 6 missing")


async def test_a_lost_answer_sends_it_no_second_time(world: World) -> None:
    row = await ended(world, total=10, failures=(BatchFailure(2),))
    world.fault(Reset(applied=True), "/v1/batches", "POST", nth=1)
    outcome = await retried(world, row)
    assert outcome.result is DONE, outcome.reason
    assert child_of(world, row).row.remote_id is not None
    assert world.calls("POST", "/v1/batches") == 1


async def test_a_retry_that_made_no_batch_can_be_tried_again(world: World) -> None:
    row = await ended(world, total=10, failures=(BatchFailure(2),))
    world.fault(ErrorAnswer(400), "/v1/batches", "POST", nth=1)
    outcome = await retried(world, row)
    assert outcome.result is FAILED
    outcome = await retried(world, row)
    assert outcome.result is DONE, outcome.reason
    assert child_of(world, row).row.remote_id is not None


async def test_a_retry_that_died_before_it_was_sent_leaves_the_way_free(world: World) -> None:
    row = await ended(world, total=10, failures=(BatchFailure(2),))
    owner = replace(current_owner(), pid=2**22 + 7)  # larger than any pid the kernel gives
    with Writer(world.config.database, world.ms, Actor("ann", "desk", "cli", owner)) as dead:
        new = NewJob("openai", "openai", row.origin, row.name, "key-1", total=2, parent_id=row.id)
        begun = dead.begin_submit(new, deadline=world.ms() + 60_000)
    assert not isinstance(begun, Refusal)
    refused = await retried(world, row)
    assert refused.refused, "whether it was sent is not known yet"
    world.pass_time(3600)
    await world.sync(full=True)
    world.pass_time(3600)
    await world.sync(full=True)
    (child,) = world.browser.by_public(begun[0].public_id)
    outcome = await retried(world, row)
    assert outcome.refused
    assert outcome.reason.endswith("is not confirmed; force-fail it if it never was sent")
    plan = plan_jobs(Action.FORCE_FAIL, [child], world.work.situation())
    await execute(plan, world.work, lambda _one: None)
    outcome = await retried(world, row)
    assert outcome.result is DONE, outcome.reason
    assert world.calls("POST", "/v1/batches") == 1


async def test_a_batch_that_failed_as_a_whole_is_sent_again_wholly(world: World, tmp_path: Path) -> None:
    file = openai_file(tmp_path)
    fault = LineError("token_limit_exceeded", "Enqueued token limit reached")
    world.emulator.openai.plan = BatchPlan(
        timing=Timing(validating=1.0, running=10.0), ending=Ending.FAILS, line_errors=(fault,)
    )
    row = await submitted(world, "openai", file)
    await finish(world)
    assert world.browser.rows([row.id])[row.id].status is Status.FAILED
    fails_next(world, 0)
    outcome = await retried(world, row)
    assert outcome.reason.startswith("4 of 4 sent again: 4 missing"), outcome.reason
    assert sorted(sent_keys(world, child_of(world, row))) == ["r-0", "r-1", "r-2", "r-3"]


@pytest.mark.parametrize("failed", [0, 3])
async def test_answers_that_the_provider_does_not_send_are_not_paid_again(world: World, failed: int) -> None:
    row = await ended(world, total=40, cut_off=5, failures=(BatchFailure(failed),) if failed else ())
    output = details(world, row.public_id).files["output"]
    world.fault(ErrorAnswer(200, ""), f"*/{output}/content")
    outcome = await retried(world, row, only=RETRYABLE)
    assert outcome.result is FAILED
    assert f"counts {40 - failed} answers, and sent none" in outcome.reason
    assert world.calls("POST", "/v1/batches") == 0


async def test_more_than_the_dialog_said_is_not_sent(world: World) -> None:
    # Half a file, twice: the plan knows of three errors, and of no answer that is missing.
    row = await ended(world, total=40, failures=(BatchFailure(3),))
    output = details(world, row.public_id).files["output"]
    world.fault(MalformedJson(), f"*/{output}/content")
    first = await retried(world, row)
    assert first.result is FAILED
    assert "fewer answers than its provider counts" in first.reason
    assert world.calls("POST", "/v1/batches") == 0
    # Asked again, the plan counts in the results that are here now.
    (left,) = planned(world, row).remainders.values()
    assert left.counted
    assert (await retried(world, row)).result is DONE
