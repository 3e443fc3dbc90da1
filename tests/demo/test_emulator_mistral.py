"""Mistral's API, through the official SDK: what that can do here is what the emulator can do."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from mistralai.client import Mistral
from mistralai.client.errors import SDKError
from mistralai.client.models import BatchJob

from jobdash.demo.emulator import (
    MISTRAL_KEY,
    BatchFailure,
    BatchPlan,
    BatchScript,
    Emulator,
    EmulatorServer,
    Ending,
    ManualClock,
    Switches,
    Timing,
)

TIMING = Timing(validating=10, running=100, finalizing=0, cancelling=20)


@pytest.fixture
def client(server: EmulatorServer, http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> Mistral:
    monkeypatch.setenv("MISTRAL_SDK_TELEMETRY", "false")  # nothing but the emulator is asked
    return Mistral(api_key=MISTRAL_KEY, server_url=server.mistral_base_url, async_client=http)


def requests(count: int) -> bytes:
    body = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
    return b"".join(json.dumps({"custom_id": f"r{n}", "body": body}).encode() + b"\n" for n in range(count))


async def create(client: Mistral, content: bytes, **more: Any) -> BatchJob:
    file = await client.files.upload_async(file={"file_name": "x.jsonl", "content": content}, purpose="batch")
    return await client.batch.jobs.create_async(
        input_files=[file.id],
        model="mistral-x",
        endpoint="/v1/chat/completions",
        metadata={"team": "search"},
        **more,
    )


async def lines(client: Mistral, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id is not None
    content = await (await client.files.download_async(file_id=file_id)).aread()
    return [json.loads(line) for line in content.splitlines()]


async def test_life(client: Mistral, emulator: Emulator, clock: ManualClock) -> None:
    emulator.mistral.plan = BatchPlan(timing=TIMING, failures=(BatchFailure(2),))
    job = await create(client, requests(10))
    assert (job.status, job.metadata, job.total_requests) == ("QUEUED", {"team": "search"}, 0)
    clock.advance(60)
    job = await client.batch.jobs.get_async(job_id=job.id)
    assert (job.status, job.total_requests, job.completed_requests) == ("RUNNING", 10, 5)
    clock.advance(60)
    job = await client.batch.jobs.get_async(job_id=job.id)
    assert (job.status, job.succeeded_requests, job.failed_requests) == ("SUCCESS", 8, 2)
    answered = await lines(client, job.output_file)
    assert len(answered) == 8
    assert {line["error"] for line in answered} == {None}
    failed = await lines(client, job.error_file)
    assert [line["response"]["status_code"] for line in failed] == [429, 429]
    assert (await client.batch.jobs.delete_async(job_id=job.id)).deleted
    with pytest.raises(SDKError, match="404"):
        await client.batch.jobs.get_async(job_id=job.id)
    assert (await client.files.delete_async(file_id=job.input_files[0])).deleted


async def test_a_cancel(client: Mistral, emulator: Emulator, clock: ManualClock) -> None:
    emulator.mistral.plan = BatchPlan(timing=TIMING)
    job = await create(client, requests(10))
    clock.advance(60)
    assert (await client.batch.jobs.cancel_async(job_id=job.id)).status == "CANCELLATION_REQUESTED"
    clock.advance(60)
    job = await client.batch.jobs.get_async(job_id=job.id)
    assert (job.status, job.completed_requests) == ("CANCELLED", 5)
    assert len(await lines(client, job.output_file)) == 5
    with pytest.raises(SDKError, match="400"):
        await client.batch.jobs.cancel_async(job_id=job.id)


@pytest.mark.parametrize(
    ("plan", "hours", "status"),
    [
        (BatchPlan(ending=Ending.EXPIRES, reached=1), 24, "TIMEOUT_EXCEEDED"),
        (BatchPlan(ending=Ending.STALLS), 2, "TIMEOUT_EXCEEDED"),
        (BatchPlan(), 24, "SUCCESS"),
    ],
)
async def test_other_ends(
    client: Mistral, emulator: Emulator, clock: ManualClock, plan: BatchPlan, hours: int, status: str
) -> None:
    emulator.mistral.plan = plan
    job = await create(client, requests(3), timeout_hours=hours)
    clock.advance(hours * 3600 + 1)
    assert (await client.batch.jobs.get_async(job_id=job.id)).status == status


async def test_a_file_with_wrong_lines_fails_the_batch(client: Mistral, clock: ManualClock) -> None:
    job = await create(client, requests(1) + b"{}\n{}\n")
    clock.advance(60)
    job = await client.batch.jobs.get_async(job_id=job.id)
    assert (job.status, [(error.message, error.count) for error in job.errors]) == (
        "FAILED",
        [("Invalid request: a line has to have a body", 2)],
    )


async def test_pages_filters_and_orders(client: Mistral, emulator: Emulator, clock: ManualClock) -> None:
    made = [
        emulator.mistral.add_batch(BatchScript(total=2, created_at=clock.now() - 3600.0 * age))
        for age in range(5)
    ]
    pages = [await client.batch.jobs.list_async(page=number, page_size=2) for number in range(3)]
    assert [job.id for page in pages for job in page.data or ()] == made
    assert {page.total for page in pages} == {5}
    oldest = await client.batch.jobs.list_async(order_by="created", page_size=1)
    assert [job.id for job in oldest.data or ()] == made[-1:]
    queued = await client.batch.jobs.list_async(status=["QUEUED"])
    assert [job.id for job in queued.data or ()] == made[:1]


async def test_inline_requests_have_inline_results(client: Mistral, clock: ManualClock) -> None:
    job = await client.batch.jobs.create_async(
        requests=[{"custom_id": "a", "body": {"messages": []}}],
        model="mistral-x",
        endpoint="/v1/chat/completions",
    )
    clock.advance(3600)
    job = await client.batch.jobs.get_async(job_id=job.id)
    assert (job.status, job.output_file, job.outputs) == ("SUCCESS", None, None)
    job = await client.batch.jobs.get_async(job_id=job.id, inline=True)
    assert [entry["custom_id"] for entry in job.outputs or ()] == ["a"]


async def test_files_are_listed_and_results_go(
    client: Mistral, emulator: Emulator, clock: ManualClock
) -> None:
    emulator.mistral.switches = Switches(results_kept=3600)
    job = await create(client, requests(1))
    clock.advance(600)
    job = await client.batch.jobs.get_async(job_id=job.id)
    assert job.output_file is not None
    found = await client.files.list_async(page=0, page_size=10)
    assert {file.id for file in found.data} == {job.output_file, *job.input_files}
    assert (await client.files.retrieve_async(file_id=job.output_file)).expires_at is not None
    clock.advance(3600)
    with pytest.raises(SDKError, match="404"):
        await client.files.retrieve_async(file_id=job.output_file)


async def test_a_wrong_key_is_refused(client: Mistral, emulator: Emulator) -> None:
    emulator.keys = frozenset({"another"})
    with pytest.raises(SDKError, match="401"):
        await client.batch.jobs.list_async()
