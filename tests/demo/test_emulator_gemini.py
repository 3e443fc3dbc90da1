"""Gemini's API, through the real SDK and, where that drops something, in the raw."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from google.genai import errors, types
from google.genai.client import AsyncClient

from jobdash.demo.emulator import (
    GEMINI_KEY,
    BatchFailure,
    BatchPlan,
    BatchScript,
    Emulator,
    Ending,
    ManualClock,
    Timing,
)

TIMING = Timing(validating=10, running=100, finalizing=0, cancelling=20)
KEY = {"x-goog-api-key": GEMINI_KEY}


def requests(count: int) -> bytes:
    contents = [{"parts": [{"text": "Hello"}]}]
    lines = [{"key": f"k{n}", "request": {"contents": contents}} for n in range(count)]
    return "\n".join(json.dumps(line) for line in lines).encode()


async def create(gemini: AsyncClient, content: bytes, name: str = "nightly") -> str:
    file = await gemini.files.upload(
        file=io.BytesIO(content), config=types.UploadFileConfig(mime_type="application/jsonl")
    )
    assert file.name is not None
    batch = await gemini.batches.create(
        model="gemini-x-flash", src=file.name, config=types.CreateBatchJobConfig(display_name=name)
    )
    assert batch.name is not None
    return batch.name


async def state(gemini: AsyncClient, name: str) -> str:
    found = (await gemini.batches.get(name=name)).state
    assert found is not None
    return found.value


async def raw(http: httpx2.AsyncClient, name: str) -> dict[str, Any]:
    operation = (await http.get(f"/v1/{name}", headers=KEY)).json()
    assert isinstance(operation, dict)
    return operation


@pytest.mark.parametrize("version", ["v1", "v1beta"])
async def test_life(
    gemini_as: Callable[[str, str], AsyncClient],
    http: httpx2.AsyncClient,
    emulator: Emulator,
    clock: ManualClock,
    version: str,
) -> None:
    gemini = gemini_as(GEMINI_KEY, version)
    emulator.gemini.plan = BatchPlan(timing=TIMING)
    name = await create(gemini, requests(10))
    batch = await gemini.batches.get(name=name)
    assert (batch.display_name, batch.model, batch.done) == ("nightly", "models/gemini-x-flash", False)

    seen = [await state(gemini, name)]
    stats = [(await raw(http, name))["metadata"]["batchStats"]]
    for seconds in (60, 50):
        clock.advance(seconds)
        seen.append(await state(gemini, name))
        stats.append((await raw(http, name))["metadata"]["batchStats"])
    assert seen == ["JOB_STATE_PENDING", "JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"]
    assert stats == [
        {"requestCount": "10", "pendingRequestCount": "10"},
        {"requestCount": "10", "pendingRequestCount": "5", "successfulRequestCount": "5"},
        {"requestCount": "10", "successfulRequestCount": "10"},
    ]

    batch = await gemini.batches.get(name=name)
    assert batch.end_time is not None
    assert batch.create_time is not None
    assert (batch.end_time - batch.create_time).total_seconds() == 110
    assert batch.dest is not None
    assert batch.dest.file_name is not None
    content = await gemini.files.download(file=batch.dest.file_name)
    results = [json.loads(line) for line in content.splitlines()]
    assert [line["key"] for line in results] == [f"k{n}" for n in range(10)]
    assert results[0]["response"]["candidates"][0]["content"]["parts"][0]["text"]
    assert (await gemini.files.get(name=batch.dest.file_name)).source is types.FileSource.GENERATED


async def test_the_operation(http: httpx2.AsyncClient, emulator: Emulator, clock: ManualClock) -> None:
    name = emulator.gemini.add_batch(BatchScript(name="nightly", model="gemini-x-pro"))
    running = await raw(http, name)
    assert set(running) == {"name", "metadata"}
    assert running["metadata"]["state"] == "BATCH_STATE_PENDING"
    assert running["metadata"]["createTime"] == "2027-01-15T08:00:00.000000000Z"
    clock.advance(3600)
    finished = await raw(http, name)
    assert finished["done"] is True
    assert finished["metadata"]["output"]["responsesFile"] == f"files/batch-{name.removeprefix('batches/')}"
    assert finished["response"]["responsesFile"] == finished["metadata"]["output"]["responsesFile"]


async def test_a_batch_of_nothing(gemini: AsyncClient, emulator: Emulator, clock: ManualClock) -> None:
    name = emulator.gemini.add_batch(BatchScript(total=0))
    clock.advance(3600)
    batch = await gemini.batches.get(name=name)
    assert batch.dest is not None
    assert batch.dest.file_name is not None
    assert await gemini.files.download(file=batch.dest.file_name) == b""


async def test_failures_stand_among_the_results(
    gemini: AsyncClient, http: httpx2.AsyncClient, emulator: Emulator, clock: ManualClock
) -> None:
    failures = (BatchFailure(2), BatchFailure(1, "invalid_image", "The image is broken.", 400))
    name = emulator.gemini.add_batch(BatchScript(total=10, plan=BatchPlan(failures=failures)))
    clock.advance(3600)
    assert (await raw(http, name))["metadata"]["batchStats"]["failedRequestCount"] == "3"
    batch = await gemini.batches.get(name=name)
    assert batch.dest is not None
    assert batch.dest.file_name is not None
    content = await gemini.files.download(file=batch.dest.file_name)
    results = [json.loads(line) for line in content.splitlines()]
    assert len(results) == 10
    assert [line["error"]["code"] for line in results if "error" in line] == [8, 8, 3]


async def test_inline_requests(gemini: AsyncClient, clock: ManualClock) -> None:
    source = [
        types.InlinedRequest(contents="Hello", metadata={"key": "first"}),
        types.InlinedRequest(contents="Hello"),
    ]
    batch = await gemini.batches.create(model="gemini-x-flash", src=source)
    assert batch.name is not None
    clock.advance(3600)
    batch = await gemini.batches.get(name=batch.name)
    assert batch.dest is not None
    assert batch.dest.file_name is None
    assert batch.dest.inlined_responses is not None
    first, second = batch.dest.inlined_responses
    assert (first.metadata, second.metadata) == ({"key": "first"}, None)
    assert first.response is not None
    assert first.response.text


async def test_cancel(gemini: AsyncClient, emulator: Emulator, clock: ManualClock) -> None:
    name = emulator.gemini.add_batch(BatchScript(plan=BatchPlan(timing=TIMING)))
    early = emulator.gemini.add_batch(BatchScript(plan=BatchPlan(timing=TIMING)))
    await gemini.batches.cancel(name=early)
    assert await state(gemini, early) == "JOB_STATE_PENDING"
    clock.advance(60)
    await gemini.batches.cancel(name=name)
    assert await state(gemini, name) == "JOB_STATE_RUNNING"  # there is no word for it
    await gemini.batches.cancel(name=name)
    clock.advance(20)
    batch = await gemini.batches.get(name=name)
    assert batch.state is types.JobState.JOB_STATE_CANCELLED
    assert batch.dest is None
    with pytest.raises(errors.ClientError) as refused:
        await gemini.batches.cancel(name=name)
    assert (refused.value.code, refused.value.status) == (400, "FAILED_PRECONDITION")


@pytest.mark.parametrize(
    ("plan", "word", "code"),
    [
        (BatchPlan(ending=Ending.FAILS), "BATCH_STATE_FAILED", 3),
        (BatchPlan(ending=Ending.EXPIRES), "BATCH_STATE_EXPIRED", 4),
    ],
)
async def test_ends_without_results(
    http: httpx2.AsyncClient, emulator: Emulator, clock: ManualClock, plan: BatchPlan, word: str, code: int
) -> None:
    name = emulator.gemini.add_batch(BatchScript(plan=plan))
    clock.advance(48 * 3600)
    operation = await raw(http, name)
    assert operation["metadata"]["state"] == word
    assert (operation["done"], operation["error"]["code"]) == (True, code)
    assert "response" not in operation


async def test_delete_is_not_cancel(gemini: AsyncClient, emulator: Emulator) -> None:
    name = emulator.gemini.add_batch(BatchScript())
    await gemini.batches.delete(name=name)
    with pytest.raises(errors.ClientError) as missing:
        await gemini.batches.get(name=name)
    assert missing.value.code == 404
    assert [batch async for batch in await gemini.batches.list()] == []


async def test_list_in_pages(gemini: AsyncClient, http: httpx2.AsyncClient, emulator: Emulator) -> None:
    names = [emulator.gemini.add_batch(BatchScript()) for _ in range(5)]
    pages = await gemini.batches.list(config=types.ListBatchJobsConfig(page_size=2))
    assert [batch.name async for batch in pages] == names[::-1]
    last = (await http.get("/v1/batches?pageSize=5", headers=KEY)).json()
    assert "nextPageToken" not in last


async def test_an_empty_list(gemini: AsyncClient, http: httpx2.AsyncClient) -> None:
    assert (await http.get("/v1/batches", headers=KEY)).json() == {}
    assert [batch async for batch in await gemini.batches.list()] == []


@pytest.mark.parametrize("token", ["%%%", "bm8=", "e30=", "W10=", "eyJhZnRlciI6ICJiYXRjaGVzL25vIn0="])
async def test_a_wrong_token(http: httpx2.AsyncClient, token: str) -> None:
    answer = await http.get("/v1/batches", params={"pageToken": token}, headers=KEY)
    assert answer.status_code == 400


async def test_uploaded_files(gemini: AsyncClient) -> None:
    file = await gemini.files.upload(
        file=io.BytesIO(b"x" * 1000),
        config=types.UploadFileConfig(mime_type="application/jsonl", display_name="my file"),
    )
    assert file.name is not None
    assert (file.display_name, file.mime_type, file.size_bytes) == ("my file", "application/jsonl", 1000)
    assert await gemini.files.get(name=file.name) == file
    with pytest.raises(errors.ClientError, match="Only generated files"):
        await gemini.files.download(file=file.name)
    await gemini.files.delete(name=file.name)
    with pytest.raises(errors.ClientError) as missing:
        await gemini.files.get(name=file.name)
    assert missing.value.code == 403  # so says Gemini: it may be missing, or another's


async def test_an_upload_in_pieces(http: httpx2.AsyncClient) -> None:
    start = {**KEY, "X-Goog-Upload-Command": "start"}
    opened = await http.post("/upload/v1beta/files", headers=start, json={"file": {"name": "files/mine"}})
    url = opened.headers["x-goog-upload-url"]

    def piece(command: str, offset: int) -> dict[str, str]:
        return {"X-Goog-Upload-Command": command, "X-Goog-Upload-Offset": str(offset)}

    first = await http.post(url, headers=piece("upload", 0), content=b"one")
    assert first.headers["x-goog-upload-status"] == "active"
    twice = await http.post(url, headers=piece("upload", 0), content=b"one")
    assert twice.status_code == 400
    odd = await http.post(url, headers=piece("explode", 3))
    assert odd.status_code == 400
    await http.post(url, headers=piece("upload", 3), content=b"two")
    last = await http.post(url, headers=piece("finalize", 6))
    assert last.headers["x-goog-upload-status"] == "final"
    assert (last.json()["file"]["name"], last.json()["file"]["sizeBytes"]) == ("files/mine", "6")
    closed = await http.post(url, headers=piece("finalize", 6))
    assert closed.status_code == 404


async def test_an_upload_without_start(http: httpx2.AsyncClient) -> None:
    assert (await http.post("/upload/v1/files", headers=KEY, json={})).status_code == 400


async def test_result_files_can_be_read_and_not_deleted(
    gemini: AsyncClient, http: httpx2.AsyncClient, emulator: Emulator, clock: ManualClock
) -> None:
    name = emulator.gemini.add_batch(BatchScript(total=3))
    file = f"files/batch-{name.removeprefix('batches/')}"
    assert (await http.get(f"/v1/{file}", headers=KEY)).status_code == 403  # not yet
    clock.advance(3600)
    with pytest.raises(errors.ClientError, match="more than 40 characters") as refused:
        await gemini.files.delete(name=file)
    assert refused.value.code == 400
    documented = await http.get(f"/download/v1beta/{file}:download?alt=media", headers=KEY)
    assert documented.content == await gemini.files.download(file=file)


async def test_a_seeded_input_file_can_be_sent_again(
    gemini: AsyncClient, http: httpx2.AsyncClient, emulator: Emulator, clock: ManualClock
) -> None:
    seeded = await raw(http, emulator.gemini.add_batch(BatchScript(total=7)))
    file = seeded["metadata"]["inputConfig"]["fileName"]
    assert (await gemini.files.get(name=file)).create_time is not None
    again = await gemini.batches.create(model="gemini-x-flash", src=file)
    assert again.name is not None
    clock.advance(3600)
    assert (await raw(http, again.name))["metadata"]["batchStats"]["successfulRequestCount"] == "7"


@pytest.mark.parametrize("content", [b"", b"{oops", b'{"key": "a"}', b"[]"])
async def test_a_wrong_input_file(
    gemini: AsyncClient, http: httpx2.AsyncClient, clock: ManualClock, content: bytes
) -> None:
    name = await create(gemini, content)
    clock.advance(60)
    operation = await raw(http, name)
    assert operation["metadata"]["state"] == "BATCH_STATE_FAILED"
    assert operation["error"]["code"] == 3


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"batch": {}}, 400),
        ({"batch": {"inputConfig": {}}}, 400),
        ({"batch": {"inputConfig": {"requests": {"requests": []}}}}, 400),
        ({"batch": {"inputConfig": {"fileName": "files/no"}}}, 404),
    ],
)
async def test_a_wrong_creation(http: httpx2.AsyncClient, body: dict[str, Any], status: int) -> None:
    answer = await http.post("/v1beta/models/gemini-x-flash:batchGenerateContent", headers=KEY, json=body)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == status


async def test_models(gemini: AsyncClient) -> None:
    assert "models/gemini-x-flash" in [model.name async for model in await gemini.models.list()]


async def test_unknown_paths(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/v1beta/nothing", headers=KEY)
    assert (answer.status_code, answer.json()["error"]["status"]) == (404, "NOT_FOUND")
