"""Mistral: words, counts, pages, results, with the adapter over a real port."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from jobdash.demo.emulator import (
    BatchFailure,
    BatchPlan,
    BatchScript,
    ErrorAnswer,
    FaultRule,
    ListBehaviour,
    Switches,
    Timing,
)
from jobdash.domain.items import ItemStatus
from jobdash.domain.remote_job import RemoteError
from jobdash.domain.status import UNFINISHED, Status
from jobdash.errors import AuthRejected, BadResponse
from jobdash.providers.mistral.batches import MistralBatches, read_job
from jobdash.providers.mistral.results import read_line
from jobdash.providers.pagination import pages

TIMING = Timing(validating=10, running=100, finalizing=0, cancelling=20)
ERROR = {"response": {"status_code": 422, "body": {"message": "no", "code": "bad"}}}


@pytest.fixture
async def adapter(world: Any) -> AsyncIterator[MistralBatches]:
    async with MistralBatches(world.account("mistral")) as opened:
        yield opened


@pytest.fixture
def side(world: Any) -> Any:
    yield world.emptied("mistral", BatchPlan(timing=TIMING))
    world.emulator.faults.clear()


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("QUEUED", Status.PENDING),
        ("RUNNING", Status.IN_PROGRESS),
        ("SUCCESS", Status.COMPLETED),
        ("FAILED", Status.FAILED),
        ("TIMEOUT_EXCEEDED", Status.EXPIRED),
        ("CANCELLATION_REQUESTED", Status.CANCELLING),
        ("CANCELLED", Status.CANCELLED),
        ("success", Status.COMPLETED),
        ("POSTPONED", Status.UNKNOWN),
    ],
)
def test_words(word: str, status: Status) -> None:
    job = read_job({"id": "x", "status": word})
    assert (job.status, job.raw_status) == (status, word)
    assert Status.UNKNOWN in UNFINISHED


def test_counts_files_and_errors() -> None:
    job = read_job(
        {
            "id": "x",
            "status": "SUCCESS",
            "total_requests": 9,
            "succeeded_requests": 7,
            "failed_requests": 2,
            "input_files": ["in"],
            "output_file": "out",
            "error_file": None,
            "errors": [{"message": "no"}, {"message": "odd", "count": 3}],
            "metadata": {"name": "mine", "jobdash_key": "k", "depth": 3},
            "model": None,
            "agent_id": "ag",
        }
    )
    assert (job.total, job.succeeded, job.failed, job.model) == (9, 7, 2, "ag")
    assert job.files == {"input": "in", "output": "out"}
    assert job.errors == (RemoteError("no"), RemoteError("odd (3 times)"))
    assert (job.name, job.submit_key) == ("mine", "k")
    several = read_job({"id": "x", "status": "QUEUED", "input_files": ["a", "b"], "total_requests": 0})
    assert (several.files, several.total) == ({}, None)


@pytest.mark.parametrize("value", [{}, [], None, {"id": "x"}, {"status": "QUEUED"}])
def test_what_is_no_batch_is_not_believed(value: object) -> None:
    with pytest.raises(BadResponse):
        read_job(value)


@pytest.mark.parametrize(
    ("line", "key", "outcome"),
    [
        ({"custom_id": "a", "response": {"status_code": 200, "body": {}}, "error": None}, "a", ItemStatus.OK),
        (
            {"custom_id": "a", "response": {"body": {"choices": [{"finish_reason": "model_length"}]}}},
            "a",
            ItemStatus.CUT_OFF,
        ),
        ({"custom_id": "a", **ERROR, "error": None}, "a", ItemStatus.ERROR),
        ({"custom_id": "a", "response": None, "error": "broken"}, "a", ItemStatus.ERROR),
        ({"id": "l1", "custom_id": None, **ERROR}, "(no custom_id, l1)", ItemStatus.ERROR),
        ({"error": {"message": "no"}}, "(no custom_id, no id)", ItemStatus.ERROR),
    ],
)
def test_a_line_of_results(line: dict[str, object], key: str, outcome: ItemStatus) -> None:
    found = read_line(line)
    assert found is not None
    assert (found.key, found.outcome) == (key, outcome)
    assert found.readable is ("(" not in key)


def test_an_answer_without_a_custom_id_cannot_be_read() -> None:
    assert read_line({"response": {"status_code": 200, "body": {}}, "error": None}) is None


async def test_pages_end_with_and_without_a_total(adapter: MistralBatches, side: Any, world: Any) -> None:
    made = {side.add_batch(BatchScript(total=1), key=world.key) for _ in range(5)}
    for size in (1, 2, 5, 10):
        found = [job.remote_id async for page in pages(lambda c: adapter.list(c, size)) for job in page.jobs]  # noqa: B023
        assert (len(found), set(found)) == (5, made)
    side.listing = ListBehaviour(repeat_page=True)
    with pytest.raises(BadResponse, match="repeats itself"):
        async for _page in pages(lambda cursor: adapter.list(cursor, 2)):
            pass
    empty = json.dumps({"object": "list", "total": 0})
    world.emulator.faults.add(FaultRule(effect=ErrorAnswer(200, body=empty)))
    assert (await adapter.list()).jobs == ()


async def test_what_a_cancelled_batch_left_can_be_read(
    adapter: MistralBatches, side: Any, world: Any
) -> None:
    plan = BatchPlan(timing=TIMING, failures=(BatchFailure(2),), switches=Switches(nameless_failures=True))
    remote_id = side.add_batch(BatchScript(total=10, plan=plan), key=world.key)
    world.clock.advance(60)
    assert (await adapter.cancel(remote_id)).status is Status.CANCELLING
    world.clock.advance(60)
    job = await adapter.get(remote_id)
    assert (job.status, job.succeeded, job.failed) == (Status.CANCELLED, 4, 1)
    found = [line async for line in adapter.results(job)]
    assert [line.outcome for line in found].count(ItemStatus.OK) == 4
    assert next(line.key for line in found if not line.readable).startswith("(no custom_id, batch_req_")


async def test_inline_results_are_lines_too(adapter: MistralBatches, side: Any, world: Any) -> None:
    plan = BatchPlan(timing=TIMING, failures=(BatchFailure(1),))
    remote_id = side.add_batch(BatchScript(total=3, inline=True, plan=plan), key=world.key)
    world.clock.advance(600)
    job = await adapter.get(remote_id)
    assert adapter.result_roles(job) == ("output",)
    assert sorted(line.outcome for line in [each async for each in adapter.results(job)]) == [
        "error",
        "ok",
        "ok",
    ]
    assert await adapter.results_expire_at(job) is None


async def test_results_say_when_they_go(adapter: MistralBatches, side: Any, world: Any) -> None:
    side.switches = Switches(results_kept=3600)
    remote_id = side.add_batch(BatchScript(total=3), key=world.key)
    world.clock.advance(600)
    job = await adapter.get(remote_id)
    assert job.finished_at is not None
    assert await adapter.results_expire_at(job) == job.finished_at + 3_600_000


async def test_a_wrong_key_is_one(adapter: MistralBatches, side: Any, world: Any) -> None:
    world.emulator.faults.add(FaultRule(effect=ErrorAnswer(401)))
    with pytest.raises(AuthRejected, match="Unauthorized"):
        await adapter.list()
