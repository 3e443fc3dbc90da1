"""The queue of submits: parts of a file, and batches under an enqueued limit, are sent once there is room."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from operations_kit import World, openai_requests

from jobdash.demo.emulator import BatchFailure, BatchPlan, Delay, ErrorAnswer, Reset, Timing
from jobdash.domain.account import Account
from jobdash.domain.describe.plan_text import notes
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, ActionOutcome, ActionResult, Choices, Note, Plan
from jobdash.domain.status import QUEUED_HERE, Status
from jobdash.errors import OverLimit, UsageError
from jobdash.operations.execution import execute
from jobdash.operations.fetch import fetch
from jobdash.operations.job_lookup import Browser, Scope, Sort
from jobdash.operations.planning import plan_jobs
from jobdash.operations.results.fetch_request import FetchRequest
from jobdash.operations.results.input_copies import input_copy
from jobdash.operations.submission.outcome import SubmitEnd, SubmitOutcome
from jobdash.operations.submission.queue import enqueue, send_queued, submit_file
from jobdash.operations.submission.request import SubmitRequest, order

RUNNING = 100.0
CREATE = ("POST", "/v1/batches")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Ten requests of the same length."""
    return openai_requests(tmp_path / "nightly.jsonl", 10)


def content(file: Path) -> bytes:
    return file.read_bytes()


def rewrite(file: Path, target: Path, old: str, new: str) -> Path:
    target.write_text(file.read_text().replace(old, new))
    return target


def tokens(file: Path, requests: int) -> int:
    """The tokens of so many of its lines."""
    return -(-len("".join(file.read_text().splitlines(keepends=True)[:requests])) // 4)


async def limited(world: World, **settings: Any) -> Account:
    """Go on with other settings of the account."""
    world.emulator.openai.plan = BatchPlan(timing=Timing(validating=5, running=RUNNING, finalizing=0))
    world.used.add("openai")
    accounts = tuple(
        replace(each, **settings) if each.name == "openai" else each for each in world.config.accounts
    )
    await world.with_accounts(accounts)
    account = world.config.account("openai")
    assert account is not None
    return account


def wanted(file: Path, account: Account, *, split: bool = True, **more: Any) -> SubmitRequest:
    return order(file, account, split=split, **more)


async def submitted(world: World, request: SubmitRequest) -> tuple[SubmitOutcome, ...]:
    return await submit_file(request, world.accounts["openai"], world.work, sleep=world.sleep)


def rows(world: World) -> list[JobRow]:
    """All jobs, oldest first."""
    return world.browser.page(Scope(removed=True), Sort(), None, 99)[::-1]


def by_name(world: World) -> dict[str, str]:
    """The newest job of each name, and its status."""
    return {row.name: QUEUED_HERE if row.queued_here else str(row.status) for row in rows(world)}


def copies(world: World) -> list[Path]:
    folder = world.config.store_path.parent / "inputs"
    return list(folder.iterdir()) if folder.exists() else []


async def polled(world: World, seconds: float = 60) -> None:
    """Let time pass, and poll the account as the dashboard does."""
    world.pass_time(seconds)
    await world.syncs.run(["openai"], send=True)


async def test_without_split_a_file_over_a_limit_is_refused_and_says_so(world: World, file: Path) -> None:
    account = await limited(world, max_requests=4)
    with pytest.raises(OverLimit, match="line 5: a batch takes 4 requests: --split cuts it into parts"):
        order(file, account)
    assert world.calls() == 0


async def test_split_makes_a_family_of_batches_that_hold_the_file_exactly(world: World, file: Path) -> None:
    account = await limited(world, max_requests=4)

    done = await submitted(world, wanted(file, account, tags={"run": "42"}))

    assert [each.end for each in done] == [SubmitEnd.CREATED] * 3
    family = rows(world)
    assert [row.name for row in family] == ["nightly (1/3)", "nightly (2/3)", "nightly (3/3)"]
    assert [row.total for row in family] == [4, 4, 2]
    assert {row.family for row in family} == {family[0].public_id}
    details = [world.browser.job(row.id) for row in family]
    assert all(each is not None and each.tags["run"] == "42" for each in details)
    keys = [each.submit_key for each in details if each is not None and each.submit_key]
    sent = b"".join(input_copy(world.config.store_path, key).read_bytes() for key in keys)
    assert sent == content(file)
    assert world.calls(*CREATE) == 3
    assert world.open_intents() == []
    assert (await world.sync("openai"))["openai"].new == 0, "all were found again by their keys"


async def test_parts_that_were_sent_before_are_named(world: World, file: Path) -> None:
    account = await limited(world, max_requests=4)
    request = wanted(file, account)
    await submitted(world, request)
    first = request.check.parts[0]
    assert [row.name for row in world.browser.submitted_before(first.digest)] == ["nightly (1/3)"]


async def test_a_file_that_changes_after_its_check_is_not_sent(world: World, file: Path) -> None:
    account = await limited(world, max_requests=4)
    request = wanted(file, account)
    rewrite(file, file, "r9", "x9")

    with pytest.raises(UsageError, match="has changed since it was checked"):
        await submitted(world, request)

    assert (rows(world), copies(world), world.calls()) == ([], [], 0)


async def test_parts_wait_while_the_enqueued_limit_would_be_passed_and_go_when_there_is_room(
    world: World, file: Path
) -> None:
    room = 2 * tokens(file, 3)
    account = await limited(world, enqueued_limit=room, max_requests=3)
    world.emulator.openai.enqueued_limit = room

    done = await submitted(world, wanted(file, account))

    assert [each.end for each in done] == [SubmitEnd.CREATED, SubmitEnd.CREATED] + [SubmitEnd.QUEUED] * 2
    assert list(by_name(world).values())[2:] == [QUEUED_HERE] * 2
    await polled(world)
    assert world.calls(*CREATE) == 2, "both run, and there is no room"
    await polled(world, RUNNING)
    assert world.calls(*CREATE) == 4
    await polled(world, RUNNING + 60)
    assert set(by_name(world).values()) == {"completed"}
    assert [row.succeeded for row in rows(world)] == [3, 3, 3, 1]


async def test_one_batch_goes_whatever_its_size_where_nothing_else_is_enqueued(
    world: World, file: Path
) -> None:
    account = await limited(world, enqueued_limit=1)
    request = wanted(file, account, split=False)
    assert any("--split cuts it into parts that fit" in doubt for doubt in request.doubts)

    (done,) = await submitted(world, request)

    assert done.end is SubmitEnd.CREATED


async def test_another_model_has_room_of_its_own(world: World, file: Path, tmp_path: Path) -> None:
    account = await limited(world, enqueued_limit=tokens(file, 10))
    other = rewrite(file, tmp_path / "other.jsonl", "gpt-x", "gpt-x-mini")

    for path, end in ((file, SubmitEnd.CREATED), (file, SubmitEnd.QUEUED), (other, SubmitEnd.CREATED)):
        (done,) = await submitted(world, wanted(path, account, split=False))
        assert done.end is end


async def test_a_batch_without_room_at_its_provider_is_queued_again_and_the_limit_is_learned(
    world: World, file: Path
) -> None:
    account = await limited(world, max_requests=4)
    world.emulator.openai.enqueued_limit = tokens(file, 6)

    await submitted(world, wanted(file, account))
    assert world.calls(*CREATE) == 3, "nothing is known of a limit yet"
    await polled(world, 10)

    waiting = [row for row in rows(world) if row.queued_here]
    assert [row.name for row in waiting] == ["nightly (2/3)"]
    refused = next(row for row in rows(world) if row.name == "nightly (2/3)" and row not in waiting)
    assert refused.status is Status.FAILED
    details = world.browser.job(waiting[0].id)
    assert details is not None
    assert details.parent == refused.public_id
    assert details.row.family == refused.family
    await polled(world, 30)
    assert world.calls(*CREATE) == 3, "it waits for its time, and for room"
    await polled(world, RUNNING)
    await polled(world, RUNNING + 60)
    await polled(world, RUNNING + 60)
    assert set(by_name(world).values()) == {"completed"}
    assert world.calls(*CREATE) == 4


async def test_a_refusal_at_the_creation_for_want_of_room_puts_the_batch_back(
    world: World, file: Path
) -> None:
    account = await limited(world, max_requests=4)
    words = json.dumps({"error": {"code": "token_limit_exceeded", "message": "token_limit_exceeded"}})
    world.fault(ErrorAnswer(400, words), "/v1/batches", "POST", times=1)

    done = await submitted(world, wanted(file, account))

    assert done[0].end is SubmitEnd.QUEUED
    assert world.open_intents() == []
    assert QUEUED_HERE in by_name(world).values()
    for _ in range(5):  # one at a time, as no room is known but that
        await polled(world, 600)
    assert set(by_name(world).values()) == {"completed"}


async def test_a_cancel_in_the_queue_is_done_at_once_and_asks_nobody(world: World, file: Path) -> None:
    account = await limited(world, max_requests=4)
    queued = await enqueue(wanted(file, account), world.accounts["openai"], world.work)

    plan = world.plan(Action.CANCEL, queued[:2])
    summary = await execute(plan, world.work, lambda _outcome: None)

    assert [each.result for each in summary.outcomes] == [ActionResult.DONE] * 2
    assert [each.reason for each in summary.outcomes] == ["never sent"] * 2
    assert list(by_name(world).values()) == ["cancelled", "cancelled", QUEUED_HERE]
    await polled(world)
    assert world.calls(*CREATE) == 1
    assert world.calls("POST", "*/cancel") == 0


async def test_a_retry_waits_for_room_like_any_other_batch(world: World, file: Path, tmp_path: Path) -> None:
    account = await limited(world, enqueued_limit=tokens(file, 10))
    going = world.emulator.openai.plan
    world.emulator.openai.plan = replace(going, failures=(BatchFailure(3),))
    (done,) = await submitted(world, wanted(file, account, split=False))
    await polled(world, RUNNING + 60)
    world.emulator.openai.plan = going
    row = done.row
    assert row is not None
    other = rewrite(file, tmp_path / "other.jsonl", "haiku", "novel")
    await submitted(world, wanted(other, account, split=False))
    assert world.calls(*CREATE) == 2

    room = "what openai has no room for now waits here, and is sent when it has"

    def planned() -> Plan:
        (now,) = world.browser.rows([row.id]).values()
        situation = replace(world.work.situation(), limited=world.config.limited)
        return plan_jobs(Action.RETRY, [now], situation, Choices(), browser=world.browser)

    async def retried() -> ActionOutcome:
        (outcome,) = (await execute(planned(), world.work, lambda _one: None)).outcomes
        return outcome

    assert Note("Room", room) in notes(planned())
    outcome = await retried()
    assert (outcome.result, outcome.status_after) == (ActionResult.DONE, Status.PENDING)
    child = rows(world)[-1]
    assert outcome.reason.startswith(f"3 of 10 sent again: 3 errors, as {child.public_id}; queued here; ")
    assert (child.queued_here, child.parent_id) == (True, row.id)
    assert (await retried()).reason == f"{child.public_id}, of the same requests, waits here to be sent"
    assert world.calls(*CREATE) == 2

    await execute(world.plan(Action.CANCEL, [child]), world.work, lambda _one: None)
    outcome = await retried()  # the first was never sent
    assert outcome.result is ActionResult.DONE
    await polled(world, RUNNING + 60)
    assert world.calls(*CREATE) == 3
    await polled(world, RUNNING + 60)
    (last,) = world.browser.by_public(outcome.reason.split(" as ")[1].split(";")[0])
    assert (last.status, last.total, last.family) == (Status.COMPLETED, 3, row.public_id)


@pytest.mark.parametrize("choices", [{"cancel_first": True}, {"force": True}])
async def test_what_waits_is_removed_and_never_sent(
    world: World, file: Path, choices: dict[str, bool]
) -> None:
    account = await limited(world, max_requests=4)
    queued = await enqueue(wanted(file, account), world.accounts["openai"], world.work)

    plan = world.plan(Action.REMOVE, queued, **choices)
    summary = await execute(plan, world.work, lambda _outcome: None)

    assert [each.result for each in summary.outcomes] == [ActionResult.DONE] * 3
    assert all(row.removed_at is not None for row in rows(world))
    await polled(world)
    assert world.calls("POST") == 0


async def test_what_was_failed_here_is_not_sent(world: World, file: Path) -> None:
    account = await limited(world, max_requests=4)
    queued = await enqueue(wanted(file, account), world.accounts["openai"], world.work)

    plan = world.plan(Action.FORCE_FAIL, queued)
    summary = await execute(plan, world.work, lambda _outcome: None)
    await polled(world)

    assert {each.reason for each in summary.outcomes} == {"failed here; provider: never sent"}
    assert world.calls("POST") == 0


async def test_many_senders_at_once_send_each_part_once(world: World, file: Path) -> None:
    account = await limited(world, max_requests=1)
    caller = world.accounts["openai"]
    await enqueue(wanted(file, account), caller, world.work)

    sent = await asyncio.gather(*(send_queued(account, caller, world.work) for _ in range(5)))

    assert sum(map(len, sent)) == 10
    assert world.calls(*CREATE) == 10
    assert len({row.remote_id for row in rows(world)}) == 10


async def test_an_upload_that_does_not_reach_the_provider_goes_back_into_the_queue(
    world: World, file: Path
) -> None:
    account = await limited(world, max_requests=4)
    world.fault(ErrorAnswer(500), "/v1/files", "POST")

    done = await submitted(world, wanted(file, account))

    assert {each.end for each in done} == {SubmitEnd.QUEUED}
    assert world.open_intents() == []
    world.emulator.faults.clear()
    await polled(world, 120)
    assert world.calls(*CREATE) == 3


async def test_a_stop_between_two_parts_leaves_the_rest_in_the_queue(world: World, file: Path) -> None:
    account = await limited(world, max_requests=4)
    world.fault(ErrorAnswer(429, retry_after=5), "/v1/batches", "POST", nth=2)
    world.while_waiting = world.stop.set

    done = await submitted(world, wanted(file, account))

    assert [each.end for each in done] == [SubmitEnd.CREATED, SubmitEnd.QUEUED, SubmitEnd.QUEUED]
    assert world.open_intents() == []
    assert list(by_name(world).values())[1:] == [QUEUED_HERE] * 2
    assert await submitted(world, wanted(file, account)) == (
        SubmitOutcome(SubmitEnd.STOPPED, "stopped", None),
    )


async def test_a_task_that_is_cancelled_while_it_uploads_leaves_its_batch_in_the_queue(
    world: World, file: Path
) -> None:
    account = await limited(world, enqueued_limit=1_000_000)
    world.fault(Delay(20.0, applied_first=True), "/v1/files", "POST", times=1)
    task = asyncio.ensure_future(submitted(world, wanted(file, account)))
    deadline = time.monotonic() + 20
    while not world.calls("POST", "/v1/files"):
        assert time.monotonic() < deadline
        await asyncio.wait((task,), timeout=0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.open_intents() == []
    assert list(by_name(world).values()) == [QUEUED_HERE]
    await polled(world, 120)
    assert world.calls(*CREATE) == 1


async def test_a_rejected_key_loses_nothing(world: World, file: Path) -> None:
    account = await limited(world, max_requests=4, api_key=None)

    done = await submitted(world, wanted(file, account))

    assert "no key" in done[0].reason
    assert list(by_name(world).values()) == [QUEUED_HERE] * 3


async def test_a_lost_answer_to_a_creation_from_the_queue_is_never_sent_again(
    world: World, file: Path
) -> None:
    account = await limited(world, max_requests=4)
    world.fault(Reset(applied=True), "/v1/batches", "POST", times=1)

    done = await submitted(world, wanted(file, account))

    assert [each.end for each in done] == [SubmitEnd.CREATED] * 3
    assert world.calls(*CREATE) == 3


async def test_a_permanent_refusal_fails_its_part_alone(world: World, file: Path) -> None:
    account = await limited(world, max_requests=4)
    world.fault(ErrorAnswer(400, '{"error": {"message": "no"}}'), "/v1/batches", "POST", times=1)

    done = await submitted(world, wanted(file, account))

    assert [each.end for each in done] == [SubmitEnd.FAILED, SubmitEnd.CREATED, SubmitEnd.CREATED]
    assert world.open_intents() == []


async def test_the_copy_of_an_input_is_dropped_when_the_batch_was_accepted_and_none_is_kept(
    world: World, file: Path
) -> None:
    account = await limited(world, max_requests=4, keep_input=False)
    await submitted(world, wanted(file, account))
    assert len(copies(world)) == 3
    await polled(world, 30)
    await polled(world, 30)
    assert copies(world) == []


async def test_a_sync_that_only_looks_sends_nothing(world: World, file: Path) -> None:
    account = await limited(world, max_requests=4)
    await enqueue(wanted(file, account), world.accounts["openai"], world.work)
    await world.sync("openai")
    assert world.calls("POST") == 0


async def test_the_parts_of_a_file_are_fetched_in_one(world: World, file: Path, tmp_path: Path) -> None:
    account = await limited(world, max_requests=4)
    parts = [done.row for done in await submitted(world, wanted(file, account, name="nightly"))]
    assert parts[0] is not None
    request = FetchRequest(
        tmp_path / "out",
        lambda: Browser(world.config.database, world.ms),
        world.work,
        merged=True,
        partial=False,
    )
    (early,) = await fetch([parts[0]], request)
    assert (early.result, "is not finished" in early.reason) == (ActionResult.FAILED, True)
    world.pass_time(3600)
    await world.sync(full=True)
    (done,) = await fetch([world.browser.rows([parts[0].id])[parts[0].id]], request)

    assert done.reason == "10 ok, of 3 batches"
    # Named after the file, and not after its first part.
    assert done.folder == tmp_path / "out" / f"nightly-{parts[0].public_id}-merged"
    assert done.file is not None
    assert json.loads((done.folder / "manifest.json").read_bytes())["job"]["total"] == 10
    keys = [json.loads(line)["key"] for line in done.file.read_text().splitlines()]
    assert keys == [f"r{number}" for number in range(10)]
