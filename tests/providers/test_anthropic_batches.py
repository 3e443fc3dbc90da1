"""Anthropic: what its counts mean, what is sent, and where its results are read from."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobdash.demo.emulator import BatchFailure, BatchPlan, BatchScript, ErrorAnswer, FaultRule, Timing
from jobdash.domain.items import ItemStatus
from jobdash.domain.status import Status
from jobdash.domain.time import DAY
from jobdash.errors import BadResponse, InvalidRequest, NotFound, QuotaExhausted, Unavailable
from jobdash.providers.anthropic.batches import AnthropicBatches, read_job
from jobdash.providers.anthropic.results import read_line
from jobdash.providers.http_adapter import InlineRequests

NONE = {"processing": 0, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
TIMING = Timing(validating=10, running=100, finalizing=0, cancelling=20)


@pytest.fixture
async def adapter(world: Any) -> AsyncIterator[AnthropicBatches]:
    async with AnthropicBatches(world.account("anthropic")) as opened:
        yield opened


@pytest.fixture
def side(world: Any) -> Any:
    yield world.emptied("anthropic", BatchPlan(timing=TIMING))
    world.emulator.faults.clear()


def batch(status: str = "ended", *, asked: bool = False, **counts: int) -> dict[str, object]:
    return {
        "id": "msgbatch_1",
        "processing_status": status,
        "request_counts": NONE | counts,
        "created_at": "2026-11-01T10:00:00.5Z",
        "cancel_initiated_at": "2026-11-01T11:00:00Z" if asked else None,
    }


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (batch("in_progress", processing=9), Status.IN_PROGRESS),
        (batch("canceling", processing=9, asked=True), Status.CANCELLING),
        (batch(succeeded=9), Status.COMPLETED),
        (batch(errored=9), Status.COMPLETED),
        (batch(succeeded=9, asked=True), Status.COMPLETED),
        (batch(succeeded=4, errored=1, canceled=4, asked=True), Status.CANCELLED),
        (batch(succeeded=4, canceled=3, expired=2, asked=True), Status.CANCELLED),
        (batch(expired=9), Status.EXPIRED),
        (batch(succeeded=4, errored=1, expired=4), Status.EXPIRED),
        (batch(succeeded=4, expired=4, asked=True), Status.EXPIRED),
        (batch("paused", processing=9), Status.UNKNOWN),
    ],
)
def test_what_an_ended_batch_came_to_is_in_its_counts(value: dict[str, object], status: Status) -> None:
    job = read_job(value)
    assert (job.status, job.raw_status) == (status, value["processing_status"])
    assert job.total == 9 if status is not Status.EXPIRED else job.total in {8, 9}


def test_nothing_is_known_of_a_batchs_progress_before_its_end() -> None:
    job = read_job(batch("in_progress", processing=9))
    assert (job.total, job.succeeded, job.failed, job.cancelled, job.expired) == (9, None, None, None, None)
    job = read_job(batch(succeeded=5, errored=1, canceled=2, expired=1, asked=True))
    assert (job.total, job.succeeded, job.failed, job.cancelled, job.expired) == (9, 5, 1, 2, 1)
    silent = read_job(batch() | {"request_counts": None})
    assert (silent.status, silent.total, silent.succeeded) == (Status.COMPLETED, None, None)


@pytest.mark.parametrize("value", [{}, [], None, {"id": "msgbatch_1"}, {"processing_status": "ended"}])
def test_what_is_no_batch_is_not_believed(value: object) -> None:
    with pytest.raises(BadResponse):
        read_job(value)


@pytest.mark.parametrize(
    ("result", "outcome", "words"),
    [
        ({"type": "succeeded", "message": {"stop_reason": "end_turn"}}, ItemStatus.OK, "end_turn"),
        ({"type": "succeeded", "message": {"stop_reason": "tool_use"}}, ItemStatus.OK, "tool_use"),
        ({"type": "succeeded", "message": {"stop_reason": "max_tokens"}}, ItemStatus.CUT_OFF, "max_tokens"),
        ({"type": "succeeded", "message": {"stop_reason": "refusal"}}, ItemStatus.CUT_OFF, "refusal"),
        (
            {"type": "errored", "error": {"type": "error", "error": {"type": "api_error", "message": "no"}}},
            ItemStatus.ERROR,
            "api_error",
        ),
        ({"type": "errored", "error": {"type": "api_error", "message": "no"}}, ItemStatus.ERROR, "api_error"),
        ({"type": "errored"}, ItemStatus.ERROR, None),
        ({"type": "canceled"}, ItemStatus.ERROR, "canceled"),
        ({"type": "expired"}, ItemStatus.ERROR, "expired"),
        ({}, ItemStatus.ERROR, "unreadable_line"),
    ],
)
def test_a_line_of_results(result: object, outcome: ItemStatus, words: str | None) -> None:
    line = read_line({"custom_id": "a", "result": result})
    assert line is not None
    assert line.outcome is outcome
    assert (line.error.code if line.error else line.finish_reason) == words


def test_what_was_read_from_and_written_to_a_cache_is_input_too() -> None:
    usage = {
        "input_tokens": 5,
        "cache_read_input_tokens": 70,
        "cache_creation_input_tokens": 25,
        "output_tokens": 3,
    }
    line = read_line({"custom_id": "a", "result": {"type": "succeeded", "message": {"usage": usage}}})
    assert line is not None
    assert (line.input_tokens, line.output_tokens, line.cached_tokens) == (100, 3, 70)


async def test_a_creation_sends_the_lines_as_they_are_in_one_body(
    adapter: AnthropicBatches, side: Any, world: Any, submission: Any
) -> None:
    submit = submission("anthropic")
    lines = submit.path.read_text().splitlines()
    submit.path.write_text("\r\n".join(["", *lines, "", "  "]))
    job = await adapter.create(submit, await adapter.upload(submit))
    assert (job.status, job.total) == (Status.IN_PROGRESS, 3)
    (entry,) = world.emulator.journal.calls("POST", "/v1/messages/batches")[-1:]
    assert entry.body == f'{{"requests":[{",".join(lines)}]}}'


async def test_a_creation_holds_but_a_piece_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    line = json.dumps({"custom_id": "x", "params": {"text": "y" * 4000}})
    path.write_text(f"{line}\n" * 8000)  # 32 MB
    tracemalloc.start()
    try:
        size = 0
        async for piece in InlineRequests(path):
            size += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == len('{"requests":[]}') + 8000 * (len(line) + 1) - 1
    assert peak < 16 * 1024 * 1024  # other threads of this process count, too


async def test_a_file_that_cannot_be_read_is_not_sent(
    adapter: AnthropicBatches, side: Any, world: Any, submission: Any
) -> None:
    submit = replace(submission("anthropic"), path=Path("/nonexistent/x.jsonl"))
    before = len(world.emulator.journal)
    with pytest.raises(InvalidRequest, match="not sent: cannot read"):
        await adapter.create(submit, "")
    assert len(world.emulator.journal) == before


async def test_what_was_finished_before_a_cancel_can_be_read(
    adapter: AnthropicBatches, side: Any, world: Any, submission: Any
) -> None:
    submit = submission("anthropic")
    submit.path.write_text(
        "".join(
            json.dumps({"custom_id": f"r{n}", "params": {"model": "m", "max_tokens": 1, "messages": [{}]}})
            + "\n"
            for n in range(10)
        )
    )
    side.plan = BatchPlan(timing=TIMING, failures=(BatchFailure(2),))
    job = await adapter.create(submit, "")
    world.clock.advance(60)
    assert (await adapter.cancel(job.remote_id)).status is Status.CANCELLING
    world.clock.advance(60)
    job = await adapter.get(job.remote_id)
    assert (job.status, job.succeeded, job.failed, job.cancelled) == (Status.CANCELLED, 4, 1, 5)
    found = [line async for line in adapter.results(job)]
    assert sum(line.error is None for line in found) == 4
    assert sum(line.error is not None and line.error.code == "canceled" for line in found) == 5


async def test_results_are_read_from_the_accounts_own_server_alone(
    adapter: AnthropicBatches, side: Any, world: Any
) -> None:
    remote_id = side.add_batch(BatchScript(total=2), key=world.key)
    world.clock.advance(3600)
    job = await adapter.get(remote_id)
    elsewhere = replace(job, files={"output": "https://elsewhere.invalid/results"})
    assert len([line async for line in adapter.results(elsewhere)]) == 2
    assert world.emulator.journal.calls("GET")[-1].path == f"/v1/messages/batches/{remote_id}/results"


async def test_results_are_gone_29_days_after_the_creation(
    adapter: AnthropicBatches, side: Any, world: Any
) -> None:
    remote_id = side.add_batch(BatchScript(total=2), key=world.key)
    assert await adapter.results_expire_at(await adapter.get(remote_id)) is None
    world.clock.advance(3600)
    job = await adapter.get(remote_id)
    assert job.created_at is not None
    assert await adapter.results_expire_at(job) == job.created_at + 29 * DAY
    world.clock.advance(29 * 24 * 3600)
    job = await adapter.get(remote_id)
    assert (job.status, job.succeeded) == (Status.COMPLETED, 2)
    with pytest.raises(NotFound):
        [line async for line in adapter.results(job)]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (ErrorAnswer(529, retry_after=7), Unavailable),
        (
            ErrorAnswer(
                400,
                body=json.dumps(
                    {
                        "type": "error",
                        "error": {
                            "type": "invalid_request_error",
                            "message": "Your credit balance is too low to access the Anthropic API.",
                        },
                    }
                ),
            ),
            QuotaExhausted,
        ),
    ],
)
async def test_its_own_ways_to_say_no(
    adapter: AnthropicBatches, side: Any, world: Any, answer: ErrorAnswer, error: type[Exception]
) -> None:
    world.emulator.faults.add(FaultRule(effect=answer))
    with pytest.raises(error) as caught:
        await adapter.list()
    assert getattr(caught.value, "retry_after", None) == (7 if error is Unavailable else None)


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
async def test_the_version_in_an_address_is_not_sent_twice(side: Any, world: Any, suffix: str) -> None:
    account = world.account("anthropic")
    async with AnthropicBatches(replace(account, base_url=account.base_url + suffix)) as opened:
        assert (await opened.list()).jobs == ()


async def test_a_list_that_promises_more_after_nothing_is_not_believed(
    adapter: AnthropicBatches, side: Any, world: Any
) -> None:
    page = {"data": [], "has_more": True, "last_id": None}
    world.emulator.faults.add(FaultRule(effect=ErrorAnswer(200, body=json.dumps(page))))
    with pytest.raises(BadResponse, match="does not say where"):
        await adapter.list()
