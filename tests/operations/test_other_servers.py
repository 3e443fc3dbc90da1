"""Whole operations against servers that nobody here wrote."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from operations_kit import CANCEL, World
from shared.answering import Answering, Asked, answering, batch, page

from jobdash.demo.emulator import ErrorAnswer, Reset
from jobdash.domain.plan import Action, ActionResult
from jobdash.domain.status import Status
from jobdash.operations.actions.reconcile import NOT_APPLIED
from jobdash.operations.person import current_actor
from jobdash.operations.polling.wait import WaitProgress, wait_until
from jobdash.operations.submission.outcome import SubmitEnd, SubmitOutcome
from jobdash.operations.submission.request import order
from jobdash.operations.submission.submit import NO_ANSWER, submit
from jobdash.store.writer import Writer


@pytest.fixture
def openai_file(tmp_path: Path) -> Path:
    path = tmp_path / "one.jsonl"
    line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"}}
    path.write_text(json.dumps(line) + "\n")
    return path


@asynccontextmanager
async def at(world: World, answer: Callable[[Asked], Any]) -> AsyncIterator[Answering]:
    """Let the account "openai" lead to a server that answers so."""
    with answering(answer) as server:
        first, *others = world.config.accounts
        await world.with_accounts((replace(first, base_url=f"{server.url}/v1"), *others))
        yield server
        await world.accounts.__aexit__()


async def submitted(world: World, path: Path) -> SubmitOutcome:
    wanted = order(path, world.config.accounts[0])
    return await submit(wanted, world.accounts["openai"], world.work, sleep=world.sleep)


# ── a server that moves a batch on only when it is asked singly ────────────────────────────────────────────


async def test_a_batch_that_only_single_questions_move_on_is_asked_singly(world: World) -> None:
    moved = {"status": "validating"}

    def answer(asked: Asked) -> Any:
        if asked.path == "/v1/batches":
            return page(batch(1, moved["status"], created_at=1_800_000_000))
        moved["status"] = {"validating": "in_progress", "in_progress": "completed"}[moved["status"]]
        return batch(1, moved["status"], created_at=1_800_000_000)

    async with at(world, answer) as server:
        polls = 0
        while polls == 0 or not world.row("batch_1").terminal:
            await world.sync("openai")
            polls += 1
            if polls == 3:
                assert server.count("GET /v1/batches/batch_1") == 0, "two polls said the same"
            world.pass_time(1)
            assert polls < 20
    assert server.count("GET /v1/batches/batch_1") == 2


async def test_a_wait_sees_it_in_time(world: World) -> None:
    moved = {"status": "in_progress"}

    def answer(asked: Asked) -> Any:
        if asked.path != "/v1/batches":
            moved["status"] = "completed"
        return page(batch(1, moved["status"])) if asked.path == "/v1/batches" else batch(1, moved["status"])

    async with at(world, answer):
        await world.sync("openai")
        waiting = WaitProgress((world.row("batch_1").id,), lambda row: row.terminal, world.ms() + 90_000)
        waiting.sleep = world.sleep
        assert not (await wait_until(waiting, world.syncs)).timed_out


@pytest.mark.slow
async def test_of_many_that_do_not_change_a_few_are_asked_in_turn(world: World) -> None:
    known = [batch(number) for number in range(100)]

    def answer(asked: Asked) -> Any:
        number = asked.path.rpartition("_")[2]
        return page(*known) if asked.path == "/v1/batches" else known[int(number)]

    async with at(world, answer) as server:
        for _ in range(4):
            await world.sync("openai")
            world.pass_time(1)
        first = {line for line in server.lines if line.startswith("GET /v1/batches/")}
        assert 0 < len(first) <= 20
        for _ in range(4):
            await world.sync("openai")
            world.pass_time(1)
    singly = [line for line in server.lines if line.startswith("GET /v1/batches/")]
    assert len(set(singly)) == len(singly) == 100


async def test_a_404_of_a_batch_that_the_list_shows_is_nothing(world: World) -> None:
    def answer(asked: Asked) -> Any:
        return page(batch(1)) if asked.path == "/v1/batches" else (404, {"error": {"message": "no"}})

    async with at(world, answer):
        for _ in range(12):
            report = (await world.sync("openai"))["openai"]
            assert (report.error, report.gone, report.not_asked) == (None, [], [])
            world.pass_time(120)
    assert world.row("batch_1").gone_at is None


# ── a cancel without an answer ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("account", ["openai", "gemini"])
async def test_a_cancel_without_an_answer_is_withdrawn_when_its_job_is_seen_running(
    world: World, account: str
) -> None:
    remote_id = world.add(account, running=math.inf)
    await world.sync()
    path = "*:cancel" if account == "gemini" else CANCEL
    world.fault(Reset(applied=False), path)
    if account == "openai":  # neither is the question behind it answered
        world.fault(ErrorAnswer(500), "/v1/batches/batch_*", "GET", times=3)
    assert (await world.one(Action.CANCEL, remote_id)).result is ActionResult.FAILED
    assert world.row(remote_id).cancel_doubt
    sent = world.calls("POST", path)

    for seconds in (60, 120, 170):  # not yet: it may still be applied
        world.pass_time(seconds)
        assert (await world.sync(account))[account].reconciled == []
        assert world.row(remote_id).status is Status.CANCELLING
    world.pass_time(60)
    (reconciled,) = (await world.sync(account))[account].reconciled

    assert reconciled.notice == NOT_APPLIED
    row = world.row(remote_id)
    assert (row.status, row.cancel_requested_at, row.cancel_doubt) == (Status.IN_PROGRESS, None, False)
    assert world.events(remote_id)[0].detail == NOT_APPLIED
    assert world.calls("POST", path) == sent, "never sent again by itself"
    assert (await world.sync(account))[account].reconciled == []
    world.emulator.faults.clear()
    assert (await world.one(Action.CANCEL, remote_id)).result is ActionResult.DONE


async def test_a_cancel_that_was_applied_after_all_is_not_withdrawn(world: World) -> None:
    remote_id = world.add(running=math.inf, cancelling=math.inf)
    await world.sync()
    world.fault(Reset(applied=True), CANCEL)
    world.fault(ErrorAnswer(500), "/v1/batches/batch_*", "GET", times=3)
    await world.one(Action.CANCEL, remote_id)
    for _ in range(4):
        world.pass_time(200)
        assert (await world.sync())["openai"].reconciled == []
    assert world.row(remote_id).status is Status.CANCELLING


async def test_an_accepted_cancel_of_a_source_without_a_word_for_it_is_not_withdrawn(world: World) -> None:
    remote_id = world.add("gemini", running=math.inf, cancelling=math.inf)
    await world.sync()
    await world.one(Action.CANCEL, remote_id)
    for _ in range(4):
        world.pass_time(600)
        assert (await world.sync())["gemini"].reconciled == []
    assert world.row(remote_id).status is Status.CANCELLING


# ── submits ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("answered", [None, (504, b"<html>504"), (502, b"")])
@pytest.mark.parametrize("listed_at_once", [True, False])
async def test_a_lost_answer_is_found_by_its_input_file(
    world: World, openai_file: Path, answered: Any, listed_at_once: bool
) -> None:
    made: list[dict[str, Any]] = []
    lists = {"empty": not listed_at_once}

    def answer(asked: Asked) -> Any:
        if asked.line == "POST /v1/files":
            return {"id": "file-77", "status": "processed"}
        if asked.line == "POST /v1/batches":
            made.append(batch(1, "validating", input_file_id="file-77"))
            return answered
        return page() if lists["empty"] else page(batch(9), *made)

    async with at(world, answer) as server:
        done = await submitted(world, openai_file)
        if not listed_at_once:
            assert (done.end, done.reason) == (SubmitEnd.UNCONFIRMED, NO_ANSWER)
            lists["empty"] = False
            world.pass_time(30)
            report = (await world.sync("openai"))["openai"]
            assert report.new == 1, "batch_9 alone"
        assert done.row is not None
        row = world.row("batch_1")
        assert (row.id, row.name, row.status) == (done.row.id, "one", Status.VALIDATING)
        world.pass_time(3600)
        await world.sync("openai")
        assert world.open_intents() == []
    assert server.count("POST /v1/batches") == 1


@pytest.mark.parametrize("listed_at_once", [True, False])
async def test_an_older_batch_of_the_same_file_is_not_ours(
    world: World, openai_file: Path, listed_at_once: bool
) -> None:
    """Some servers give one file id to every upload of the same content."""
    old = batch(1, "completed", input_file_id="file-77")
    old["created_at"] -= 24 * 3600
    lists = {"empty": not listed_at_once}

    def answer(asked: Asked) -> Any:
        if asked.line == "POST /v1/files":
            return {"id": "file-77", "status": "processed"}
        if asked.line == "POST /v1/batches":
            return None
        return page() if lists["empty"] else page(old)

    async with at(world, answer):
        done = await submitted(world, openai_file)
        assert done.end is SubmitEnd.UNCONFIRMED
        lists["empty"] = False
        world.pass_time(30)
        await world.sync("openai")
        assert done.row is not None
        assert world.row("batch_1").id != done.row.id


async def test_a_batch_of_the_same_file_id_elsewhere_is_not_ours(world: World, openai_file: Path) -> None:
    def answer(asked: Asked) -> Any:
        if asked.line == "POST /v1/files":
            return {"id": "file-77"}
        return (504, b"") if asked.line == "POST /v1/batches" else page()

    async with at(world, answer):
        await submitted(world, openai_file)
    async with at(world, lambda _asked: page(batch(1, input_file_id="file-77"))):
        assert (await world.sync("openai"))["openai"].new == 1


@pytest.mark.parametrize("looks", [1, 3])
async def test_a_pending_file_is_waited_for(world: World, openai_file: Path, looks: int) -> None:
    states = ["pending"] * looks + ["processed"]

    def answer(asked: Asked) -> Any:
        if asked.line == "POST /v1/files":
            return {"id": "file-1", "status": "pending"}
        if asked.line == "GET /v1/files/file-1":
            return {"id": "file-1", "status": states.pop(0)}
        return batch(1, "validating")

    async with at(world, answer) as server:
        assert (await submitted(world, openai_file)).end is SubmitEnd.CREATED
    assert server.lines == ["POST /v1/files", *["GET /v1/files/file-1"] * (looks + 1), "POST /v1/batches"]


REFUSALS = [
    (400, "The provided input file is not yet in 'processed' state."),
    (409, "Input file file-1 is still being processed"),
    (400, "File status is pending, try again"),
]


@pytest.mark.parametrize(("status", "words"), REFUSALS)
async def test_a_server_that_will_not_have_the_file_yet_is_asked_again(
    world: World, openai_file: Path, status: int, words: str
) -> None:
    refused = [words, words]

    def answer(asked: Asked) -> Any:
        if asked.line == "POST /v1/files":
            return {"id": "file-1"}
        return (status, {"error": {"message": refused.pop()}}) if refused else batch(1, "validating")

    async with at(world, answer) as server:
        assert (await submitted(world, openai_file)).end is SubmitEnd.CREATED
    assert server.count("POST /v1/batches") == 3


@pytest.mark.parametrize("never", ["upload", "create"])
@pytest.mark.slow
async def test_a_file_that_is_never_processed_ends_in_a_sentence(
    world: World, openai_file: Path, never: str
) -> None:
    state = "pending" if never == "upload" else "processed"

    def answer(asked: Asked) -> Any:
        if "/files" in asked.path:
            return {"id": "file-1", "status": state}
        return 400, {"error": {"message": "the file is not yet processed"}}

    began = world.ms()
    async with at(world, answer):
        done = await submitted(world, openai_file)
    assert done.end is SubmitEnd.FAILED
    assert "processed" in done.reason
    assert "the uploaded file file-1 stays there" in done.reason
    assert world.ms() - began < 12 * 60_000


async def test_a_stop_while_the_file_is_processed_sends_no_batch(world: World, openai_file: Path) -> None:
    def answer(asked: Asked) -> Any:
        return {"id": "file-1", "status": "pending"} if "/files" in asked.path else batch(1)

    world.while_waiting = world.stop.set
    async with at(world, answer) as server:
        done = await submitted(world, openai_file)
    assert "stopped" in done.reason
    assert server.count("POST /v1/batches") == 0


async def test_a_submit_that_waits_for_its_file_is_not_taken_for_dead(
    world: World, openai_file: Path
) -> None:
    looks = iter(range(100))

    def answer(asked: Asked) -> Any:
        if "/files" in asked.path:
            return {"id": "file-1", "status": "pending" if next(looks) < 12 else "processed"}
        return batch(1, "validating")

    def reconciling() -> None:
        with Writer(world.config.database, world.ms, current_actor("rival")):
            assert not any(intent.abandoned(world.ms()) for intent in world.open_intents())

    world.while_waiting = reconciling
    async with at(world, answer):
        assert (await submitted(world, openai_file)).end is SubmitEnd.CREATED


@pytest.mark.parametrize("word", ["failed", "expired", "cancelled"])
async def test_a_batch_that_is_over_when_it_is_created_says_so(
    world: World, openai_file: Path, word: str
) -> None:
    errors = {"data": [{"code": "empty_file", "message": "The batch is empty."}]}

    def answer(asked: Asked) -> Any:
        return {"id": "file-1"} if "/files" in asked.path else batch(1, word, errors=errors)

    async with at(world, answer):
        done = await submitted(world, openai_file)
    assert done.end is SubmitEnd.ENDED
    assert done.reason == f"{word}: The batch is empty."
    assert done.row is not None
    assert done.row.remote_id == "batch_1"


async def test_an_answer_that_is_no_batch_is_shown_and_looked_for(world: World, openai_file: Path) -> None:
    def answer(asked: Asked) -> Any:
        if asked.line == "POST /v1/batches":
            return {"accepted": True, "ticket": "t-9"}
        return page() if asked.line == "GET /v1/batches" else {"id": "file-1"}

    async with at(world, answer):
        done = await submitted(world, openai_file)
    assert done.end is SubmitEnd.UNCONFIRMED
    assert '{"accepted": true, "ticket": "t-9"}' in done.reason
    assert "may or may not exist" in done.reason


async def test_a_batch_that_is_not_found_yet_says_nothing_of_the_key(world: World, openai_file: Path) -> None:
    found = {"status": 404}

    def answer(asked: Asked) -> Any:
        if asked.method == "POST":
            return {"id": "file-1"} if "/files" in asked.path else batch(1, "validating")
        if asked.path == "/v1/batches":
            return page()
        return batch(1) if found["status"] == 200 else (404, {"error": {"message": "No batch found"}})

    async with at(world, answer):
        await submitted(world, openai_file)
        for _ in range(3):
            world.pass_time(20)
            assert (await world.sync("openai"))["openai"].error is None
        found["status"] = 200
        world.pass_time(20)
        await world.sync("openai")
        assert world.row("batch_1").status is Status.IN_PROGRESS
        # Much later it is a key that sees none of what is known.
        found["status"] = 404
        world.pass_time(20 * 60)
        assert "sees none" in str((await world.sync("openai"))["openai"].error)
        assert world.row("batch_1").gone_at is None
