"""OpenAI's API, through the real SDK."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from openai import APIStatusError, AsyncOpenAI, BadRequestError, ConflictError, NotFoundError
from openai.types import Batch

from jobdash.demo.emulator import (
    OPENAI_KEY,
    BatchFailure,
    BatchPlan,
    BatchScript,
    Emulator,
    Ending,
    LineError,
    ManualClock,
    Timing,
)
from jobdash.demo.emulator.batch import Role

Jsonl = Callable[[int], bytes]

TIMING = Timing(validating=10, running=100, finalizing=5, cancelling=20)
AUTH = {"Authorization": f"Bearer {OPENAI_KEY}"}


async def create(openai: AsyncOpenAI, content: bytes, **options: Any) -> Batch:
    file = await openai.files.create(file=("requests.jsonl", content), purpose="batch")
    return await openai.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", **options
    )


async def lines(openai: AsyncOpenAI, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id is not None
    content = await openai.files.content(file_id)
    return [json.loads(line) for line in content.text.splitlines()]


async def test_files(openai: AsyncOpenAI) -> None:
    made = await openai.files.create(file=("requests.jsonl", b"one\r\n\x00two"), purpose="batch")
    assert (made.filename, made.purpose, made.bytes) == ("requests.jsonl", "batch", 9)
    assert await openai.files.retrieve(made.id) == made
    assert (await openai.files.content(made.id)).content == b"one\r\n\x00two"
    assert [file.id async for file in await openai.files.list(purpose="batch")] == [made.id]
    assert (await openai.files.delete(made.id)).deleted
    with pytest.raises(NotFoundError, match="No such File object"):
        await openai.files.retrieve(made.id)
    assert [file.id async for file in await openai.files.list()] == []


def marked(*keys: str) -> bytes:
    body = {"model": "gpt-x", "messages": [{"role": "user", "content": "?"}]}
    line = {"method": "POST", "url": "/v1/chat/completions", "body": body}
    return b"".join(json.dumps({"custom_id": key} | line).encode() + b"\n" for key in keys)


async def test_a_request_asks_by_its_key_to_fail_or_to_be_cut_off(
    openai: AsyncOpenAI, emulator: Emulator, clock: ManualClock
) -> None:
    emulator.openai.plan = BatchPlan(timing=TIMING)
    wrong = ["b-emulate-error", "d-emulate-cut-off"]
    batch = await create(openai, marked("a", wrong[0], "c", wrong[1]))
    clock.advance(60)
    counts = (await openai.batches.retrieve(batch.id)).request_counts
    assert counts is not None
    assert (counts.completed, counts.failed) == (1, 1), "half of it is done"
    clock.advance(60)
    done = await openai.batches.retrieve(batch.id)
    assert done.request_counts is not None
    assert (done.request_counts.completed, done.request_counts.failed) == (3, 1)
    assert [line["custom_id"] for line in await lines(openai, done.error_file_id)] == wrong[:1]
    finished = {
        line["custom_id"]: line["response"]["body"]["choices"][0]["finish_reason"]
        for line in await lines(openai, done.output_file_id)
    }
    assert finished == {"a": "stop", "c": "stop", wrong[1]: "length"}
    again = await create(openai, marked(*wrong))
    clock.advance(120)
    done = await openai.batches.retrieve(again.id)
    assert done.error_file_id is None
    assert len(await lines(openai, done.output_file_id)) == 2


class CountedKey(str):
    """A key that counts how often it is hashed."""

    __slots__ = ()
    hashed = 0

    def __hash__(self) -> int:
        CountedKey.hashed += 1
        return super().__hash__()


async def test_a_file_of_many_requests_is_made_in_a_time_in_proportion(
    openai: AsyncOpenAI, emulator: Emulator, clock: ManualClock, jsonl: Jsonl
) -> None:
    emulator.openai.plan = BatchPlan(timing=TIMING)
    batch = await create(openai, jsonl(300))
    clock.advance(120)
    made = emulator.openai.account(OPENAI_KEY).batches.get(batch.id)
    assert made is not None
    assert made.requests.ids is not None
    made.requests = replace(made.requests, ids=tuple(map(CountedKey, made.requests.ids)))
    done = await openai.batches.retrieve(batch.id)
    assert len(await lines(openai, done.output_file_id)) == 300
    assert CountedKey.hashed < 20 * 300


async def test_a_batch_over_the_enqueued_limit_fails_when_it_is_validated(
    openai: AsyncOpenAI, emulator: Emulator, clock: ManualClock, jsonl: Jsonl
) -> None:
    emulator.openai.plan = BatchPlan(timing=TIMING)
    emulator.openai.enqueued_limit = -(-len(jsonl(4)) // 4) + 1
    first = await create(openai, jsonl(4))
    second = await create(openai, jsonl(4))
    clock.advance(15)
    assert (await openai.batches.retrieve(first.id)).status == "in_progress"
    refused = await openai.batches.retrieve(second.id)
    assert refused.status == "failed"
    assert refused.errors is not None
    assert [error.code for error in refused.errors.data or ()] == ["token_limit_exceeded"]
    clock.advance(200)
    third = await create(openai, jsonl(4))
    clock.advance(15)
    assert (await openai.batches.retrieve(third.id)).status == "in_progress"


async def test_files_in_pages(openai: AsyncOpenAI) -> None:
    made = [(await openai.files.create(file=(f"{n}.jsonl", b"{}"), purpose="batch")).id for n in range(5)]
    listed = [file.id async for file in await openai.files.list(limit=2)]
    assert listed == made[::-1]


@pytest.mark.parametrize("form", [{"purpose": "batch"}, {"file": "text"}])
async def test_an_incomplete_upload(http: httpx2.AsyncClient, form: dict[str, str]) -> None:
    answer = await http.post("/v1/files", headers=AUTH, data=form)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_life(openai: AsyncOpenAI, emulator: Emulator, clock: ManualClock, jsonl: Jsonl) -> None:
    emulator.openai.plan = BatchPlan(timing=TIMING)
    batch = await create(openai, jsonl(10), metadata={"name": "nightly"})
    assert (batch.status, batch.model, batch.metadata) == ("validating", "gpt-x", {"name": "nightly"})
    assert batch.expires_at == batch.created_at + 24 * 3600
    assert batch.request_counts is not None
    assert batch.request_counts.total == 0

    seen = []
    for seconds in (10, 50, 50, 5):
        clock.advance(seconds)
        batch = await openai.batches.retrieve(batch.id)
        assert batch.request_counts is not None
        seen.append((batch.status, batch.request_counts.completed, batch.output_file_id is not None))
    assert seen == [
        ("in_progress", 0, False),
        ("in_progress", 5, False),
        ("finalizing", 10, False),
        ("completed", 10, True),
    ]
    assert batch.error_file_id is None
    assert batch.in_progress_at == batch.created_at + 10
    assert batch.completed_at == batch.created_at + 115
    assert batch.usage is not None
    assert batch.usage.total_tokens == 500

    results = await lines(openai, batch.output_file_id)
    assert [line["custom_id"] for line in results] == [f"r{n}" for n in range(10)]
    assert results[0]["response"]["status_code"] == 200
    assert results[0]["response"]["body"]["object"] == "chat.completion"
    assert results[0]["error"] is None


async def test_some_requests_fail(openai: AsyncOpenAI, emulator: Emulator, clock: ManualClock) -> None:
    failures = (BatchFailure(2), BatchFailure(1, "invalid_image", "The image is broken.", 400))
    batch_id = emulator.openai.add_batch(BatchScript(total=10, plan=BatchPlan(failures=failures)))
    clock.advance(3600)
    batch = await openai.batches.retrieve(batch_id)
    assert batch.request_counts is not None
    assert (batch.request_counts.completed, batch.request_counts.failed) == (7, 3)
    assert len(await lines(openai, batch.output_file_id)) == 7
    errors = [line["response"] for line in await lines(openai, batch.error_file_id)]
    assert [error["status_code"] for error in errors] == [429, 429, 400]
    assert errors[2]["body"]["error"]["code"] == "invalid_image"


async def test_all_requests_fail(openai: AsyncOpenAI, emulator: Emulator, clock: ManualClock) -> None:
    batch_id = emulator.openai.add_batch(BatchScript(total=10, plan=BatchPlan(failures=(BatchFailure(10),))))
    clock.advance(3600)
    batch = await openai.batches.retrieve(batch_id)
    assert (batch.status, batch.output_file_id) == ("completed", None)
    assert len(await lines(openai, batch.error_file_id)) == 10


async def test_validation_names_the_lines(openai: AsyncOpenAI, clock: ManualClock, jsonl: Jsonl) -> None:
    good = jsonl(1).decode()
    other_model = good.replace("gpt-x", "gpt-y").replace('"r0"', '"r1"')
    other_url = good.replace("/v1/chat/completions", "/v1/embeddings").replace('"r0"', '"r2"')
    content = "\n".join([good, "{oops", good, other_model, other_url, "[]", '{"custom_id": "r9"}'])
    batch = await create(openai, content.encode())
    assert batch.errors is None
    clock.advance(60)
    batch = await openai.batches.retrieve(batch.id)
    assert batch.status == "failed"
    assert batch.failed_at is not None
    assert batch.errors is not None
    assert batch.errors.data is not None
    assert [(error.line, error.code) for error in batch.errors.data] == [
        (2, "invalid_json_line"),
        (3, "duplicate_custom_id"),
        (4, "mismatched_model"),
        (5, "invalid_url"),
        (6, "invalid_json_line"),
        (7, "missing_required_parameter"),
        (7, "missing_required_parameter"),
        (7, "missing_required_parameter"),
    ]
    assert (batch.output_file_id, batch.error_file_id) == (None, None)


async def test_limits_of_the_input(openai: AsyncOpenAI, clock: ManualClock, jsonl: Jsonl) -> None:
    batches = [await create(openai, content) for content in (b"", jsonl(50_001))]
    clock.advance(60)
    codes = []
    for batch in batches:
        now = await openai.batches.retrieve(batch.id)
        assert now.errors is not None
        assert now.errors.data is not None
        codes.append(now.errors.data[0].code)
    assert codes == ["empty_file", "too_many_tasks"]


async def test_failed_by_script(openai: AsyncOpenAI, emulator: Emulator, clock: ManualClock) -> None:
    errors = (LineError("token_limit_exceeded", "Enqueued token limit reached."),)
    plan = BatchPlan(ending=Ending.FAILS, line_errors=errors)
    batch_id = emulator.openai.add_batch(BatchScript(plan=plan))
    clock.advance(60)
    batch = await openai.batches.retrieve(batch_id)
    assert batch.errors is not None
    assert batch.errors.data is not None
    assert (batch.errors.data[0].code, batch.errors.data[0].line) == ("token_limit_exceeded", None)


async def test_expiry_keeps_what_is_done(openai: AsyncOpenAI, emulator: Emulator, clock: ManualClock) -> None:
    plan = BatchPlan(ending=Ending.EXPIRES, reached=6, failures=(BatchFailure(5),))
    batch_id = emulator.openai.add_batch(BatchScript(total=10, plan=plan))
    clock.advance(24 * 3600)
    batch = await openai.batches.retrieve(batch_id)
    assert batch.status == "expired"
    assert batch.expired_at == batch.expires_at
    assert len(await lines(openai, batch.output_file_id)) == 3
    errors = await lines(openai, batch.error_file_id)
    codes = [line["error"] and line["error"]["code"] for line in errors]
    assert codes == [None] * 3 + ["batch_expired"] * 4
    assert errors[-1]["response"] is None


async def test_cancel_keeps_what_is_done(
    openai: AsyncOpenAI, emulator: Emulator, clock: ManualClock, jsonl: Jsonl
) -> None:
    emulator.openai.plan = BatchPlan(timing=TIMING)
    batch = await create(openai, jsonl(10))
    clock.advance(60)
    batch = await openai.batches.cancel(batch.id)
    assert (batch.status, batch.output_file_id) == ("cancelling", None)
    clock.advance(19)
    batch = await openai.batches.cancel(batch.id)  # again: accepted, and changes nothing
    assert batch.status == "cancelling"
    clock.advance(1)
    batch = await openai.batches.retrieve(batch.id)
    assert batch.status == "cancelled"
    assert batch.cancelled_at == batch.created_at + 80
    assert len(await lines(openai, batch.output_file_id)) == 5
    with pytest.raises(ConflictError) as refused:
        await openai.batches.cancel(batch.id)
    assert refused.value.body == {
        "message": "Cannot cancel a batch with status 'cancelled'.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


async def test_cancel_before_anything_is_done(openai: AsyncOpenAI, clock: ManualClock, jsonl: Jsonl) -> None:
    batch = await openai.batches.cancel((await create(openai, jsonl(10))).id)
    clock.advance(3600)
    batch = await openai.batches.retrieve(batch.id)
    assert (batch.status, batch.output_file_id) == ("cancelled", None)


async def test_results_are_not_there_before_the_end(openai: AsyncOpenAI, emulator: Emulator) -> None:
    batch_id = emulator.openai.add_batch(BatchScript(plan=BatchPlan(timing=TIMING)))
    batch = await openai.batches.retrieve(batch_id)
    assert [file.id async for file in await openai.files.list()] == [batch.input_file_id]
    later = emulator.openai.result_file(emulator.openai.account().batches.page(1).batches[0], Role.OUTPUT)
    with pytest.raises(NotFoundError):
        await openai.files.content(later)


async def test_batches_cannot_be_deleted(http: httpx2.AsyncClient, emulator: Emulator) -> None:
    batch_id = emulator.openai.add_batch(BatchScript())
    answer = await http.delete(f"/v1/batches/{batch_id}", headers=AUTH)
    assert answer.status_code == 405
    assert "Not allowed to DELETE" in answer.json()["error"]["message"]
    assert (await http.get(f"/v1/batches/{batch_id}", headers=AUTH)).status_code == 200


async def test_results_can_be_deleted(openai: AsyncOpenAI, emulator: Emulator, clock: ManualClock) -> None:
    batch_id = emulator.openai.add_batch(BatchScript(plan=BatchPlan(failures=(BatchFailure(1),))))
    clock.advance(3600)
    batch = await openai.batches.retrieve(batch_id)
    files = [batch.input_file_id, batch.output_file_id, batch.error_file_id]
    for file_id in files:
        assert file_id is not None
        assert (await openai.files.retrieve(file_id)).filename.startswith("batch_")
        await openai.files.delete(file_id)
        with pytest.raises(NotFoundError):
            await openai.files.content(file_id)
    assert (await openai.batches.retrieve(batch_id)).output_file_id == batch.output_file_id


async def test_a_seeded_input_file_can_be_sent_again(
    openai: AsyncOpenAI, emulator: Emulator, clock: ManualClock
) -> None:
    seeded = await openai.batches.retrieve(emulator.openai.add_batch(BatchScript(total=7)))
    again = await openai.batches.create(
        input_file_id=seeded.input_file_id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    clock.advance(3600)
    again = await openai.batches.retrieve(again.id)
    assert again.request_counts is not None
    assert (again.status, again.request_counts.completed) == ("completed", 7)


@pytest.mark.parametrize(("endpoint", "kind"), [("/v1/embeddings", "list"), ("/v1/responses", "response")])
async def test_bodies_follow_the_endpoint(
    openai: AsyncOpenAI, emulator: Emulator, clock: ManualClock, endpoint: str, kind: str
) -> None:
    batch_id = emulator.openai.add_batch(BatchScript(total=1, endpoint=endpoint))
    clock.advance(3600)
    batch = await openai.batches.retrieve(batch_id)
    [line] = await lines(openai, batch.output_file_id)
    assert line["response"]["body"]["object"] == kind
    [request] = await lines(openai, batch.input_file_id)
    assert (request["url"], "input" in request["body"]) == (endpoint, True)


async def test_list_is_newest_first_in_pages(
    openai: AsyncOpenAI, http: httpx2.AsyncClient, emulator: Emulator, clock: ManualClock
) -> None:
    now = clock.now()
    ages = [30, 10, 20, 20, 50]
    ids = [emulator.openai.add_batch(BatchScript(created_at=now - age)) for age in ages]
    newest_first = [ids[1], ids[3], ids[2], ids[0], ids[4]]
    assert [batch.id async for batch in openai.batches.list(limit=2)] == newest_first
    page = (await http.get("/v1/batches?limit=2", headers=AUTH)).json()
    assert (page["first_id"], page["last_id"], page["has_more"]) == (ids[1], ids[3], True)
    page = (await http.get(f"/v1/batches?limit=3&after={ids[3]}", headers=AUTH)).json()
    assert ([batch["id"] for batch in page["data"]], page["has_more"]) == (newest_first[2:], False)


async def test_an_empty_list(openai: AsyncOpenAI) -> None:
    page = await openai.batches.list()
    assert (page.data, page.has_more) == ([], False)


async def test_models(openai: AsyncOpenAI) -> None:
    assert "gpt-x" in [model.id async for model in openai.models.list()]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "after=batch_unknown"])
async def test_a_wrong_list(http: httpx2.AsyncClient, query: str) -> None:
    assert (await http.get(f"/v1/batches?{query}", headers=AUTH)).status_code == 400


@pytest.mark.parametrize(
    "change",
    [
        {"input_file_id": "file-unknown"},
        {"input_file_id": None},
        {"endpoint": "/v1/unknown"},
        {"completion_window": "1h"},
        {"metadata": {f"k{n}": "" for n in range(17)}},
        {"metadata": {"k" * 65: ""}},
        {"metadata": {"k": "v" * 513}},
        {"metadata": {"k": 1}},
    ],
)
async def test_a_wrong_creation(
    openai: AsyncOpenAI, http: httpx2.AsyncClient, emulator: Emulator, jsonl: Jsonl, change: dict[str, Any]
) -> None:
    file = await openai.files.create(file=("requests.jsonl", jsonl(1)), purpose="batch")
    wanted = {"input_file_id": file.id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    answer = await http.post("/v1/batches", headers=AUTH, json={**wanted, **change})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == next(iter(change))
    assert [batch.id async for batch in openai.batches.list()] == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
async def test_a_body_that_is_no_object(http: httpx2.AsyncClient, body: bytes) -> None:
    answer = await http.post("/v1/batches", headers=AUTH, content=body)
    assert answer.status_code == 400


async def test_unknown_things(openai: AsyncOpenAI, http: httpx2.AsyncClient) -> None:
    with pytest.raises(NotFoundError, match="No batch found with id 'batch_no'"):
        await openai.batches.retrieve("batch_no")
    with pytest.raises(NotFoundError):
        await openai.batches.cancel("batch_no")
    with pytest.raises(NotFoundError):
        await openai.files.delete("file-no")
    answer = await http.get("/v1/nothing", headers=AUTH)
    assert (answer.status_code, answer.json()["error"]["message"]) == (404, "Invalid URL (GET /v1/nothing)")


async def test_errors_are_those_of_the_sdk(openai: AsyncOpenAI) -> None:
    with pytest.raises(APIStatusError) as refused:
        await openai.batches.create(
            input_file_id="file-no", endpoint="/v1/chat/completions", completion_window="24h"
        )
    assert isinstance(refused.value, BadRequestError)
    assert refused.value.param == "input_file_id"
