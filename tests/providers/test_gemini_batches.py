"""Gemini: words, lists, submits, cancels, deletes and results, with the real SDK over a real port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from jobdash.demo.emulator import (
    BatchFailure,
    BatchPlan,
    BatchScript,
    Ending,
    LineError,
    ListBehaviour,
    Switches,
)
from jobdash.domain.remote_job import RemoteError
from jobdash.domain.status import Status
from jobdash.errors import AuthRejected, BadResponse, InvalidRequest, NotFound
from jobdash.providers.base import ResultLine, Submission
from jobdash.providers.gemini.batches import WINDOW_MS, GeminiBatches, read_job, signed_name, unsigned_name
from jobdash.providers.gemini.results import read_line
from jobdash.providers.pagination import pages


@pytest.fixture
async def adapter(world: Any) -> AsyncIterator[GeminiBatches]:
    async with GeminiBatches(world.account("gemini")) as opened:
        yield opened


@pytest.fixture
def side(world: Any) -> Any:
    return world.emptied("gemini")


def add(side: Any, world: Any, **script: Any) -> str:
    return side.add_batch(BatchScript(**script), key=world.key)


def told(**metadata: object) -> dict[str, object]:
    return {"name": "batches/b", "metadata": metadata}


@pytest.mark.parametrize("prefix", ["BATCH_STATE_", "JOB_STATE_"])
@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("UNSPECIFIED", Status.PENDING),
        ("PENDING", Status.PENDING),
        ("QUEUED", Status.PENDING),
        ("RUNNING", Status.IN_PROGRESS),
        ("UPDATING", Status.IN_PROGRESS),
        ("CANCELLING", Status.CANCELLING),
        ("SUCCEEDED", Status.COMPLETED),
        ("PARTIALLY_SUCCEEDED", Status.COMPLETED),
        ("FAILED", Status.FAILED),
        ("CANCELLED", Status.CANCELLED),
        ("EXPIRED", Status.EXPIRED),
        ("PAUSED", Status.UNKNOWN),
        ("HIBERNATING", Status.UNKNOWN),
    ],
)
def test_words(prefix: str, word: str, status: Status) -> None:
    job = read_job(told(state=prefix + word))
    assert (job.status, job.raw_status) == (status, prefix + word)


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ({"done": False}, Status.UNKNOWN),
        ({"done": True, "response": {}}, Status.COMPLETED),
        ({"done": True, "error": {"code": 13, "message": "broke"}}, Status.FAILED),
        ({"done": True, "error": {"code": 1}}, Status.CANCELLED),
        ({"done": True, "error": "odd"}, Status.FAILED),
    ],
)
def test_an_operation_without_a_state(operation: dict[str, object], status: Status) -> None:
    assert read_job({"name": "batches/b"} | operation).status is status


@pytest.mark.parametrize("answer", [None, {}, [], {"name": "operations/x"}, {"name": 3}, {"metadata": {}}])
def test_what_is_no_batch_is_not_believed(answer: object) -> None:
    with pytest.raises(BadResponse):
        read_job(answer)


@pytest.mark.parametrize(
    ("stats", "read"),
    [
        ({}, (None, None, None)),
        ({"requestCount": "5"}, (5, 0, 0)),
        ({"requestCount": "5", "successfulRequestCount": "3", "failedRequestCount": "2"}, (5, 3, 2)),
        ({"requestCount": 5, "pendingRequestCount": "5"}, (5, 0, 0)),
        ({"requestCount": "many"}, (None, None, None)),
    ],
)
def test_counts_are_texts_and_a_zero_is_left_out(stats: object, read: tuple[int | None, ...]) -> None:
    job = read_job(told(state="BATCH_STATE_RUNNING", batchStats=stats))
    assert (job.total, job.succeeded, job.failed) == read


def test_times_with_nanoseconds_and_the_window() -> None:
    job = read_job(told(state="BATCH_STATE_RUNNING", createTime="2025-07-07T12:00:00.123456789Z"))
    assert job.created_at == 1_751_889_600_123
    assert job.expires_at == job.created_at + WINDOW_MS
    ended = read_job(told(state="BATCH_STATE_FAILED", createTime="2025-07-07T12:00:00Z", endTime="never"))
    assert (ended.finished_at, ended.expires_at) == (None, None)


@pytest.mark.parametrize(
    ("display_name", "read"),
    [
        ("nightly [jobdash:k7f3]", ("nightly", "k7f3")),
        ("[jobdash:k7f3]", (None, "k7f3")),
        ("two\nlines [jobdash:k7f3]", ("two\nlines", "k7f3")),
        ("a [jobdash:x] [jobdash:k7f3]", ("a [jobdash:x]", "k7f3")),
        ("plain", ("plain", None)),
        ("nightly [jobdash:] ", ("nightly [jobdash:] ", None)),
        (None, (None, None)),
    ],
)
def test_the_key_is_read_back_from_the_name(
    display_name: str | None, read: tuple[str | None, str | None]
) -> None:
    assert unsigned_name(display_name) == read


@pytest.mark.parametrize("name", ["nightly", "", "x" * 2000, "a [jobdash:other]"])
def test_a_signed_name_gives_both_back(name: str, tmp_path: Any) -> None:
    signed = signed_name(Submission(tmp_path, "k7f3", name, "m", None, {}))
    assert len(signed) < 500
    assert unsigned_name(signed) == (name[:400] or None, "k7f3")


async def test_list_goes_on_by_token_over_an_empty_page(adapter: Any, side: Any, world: Any) -> None:
    made = {add(side, world, name=f"n{number}") for number in range(5)}
    side.listing = ListBehaviour(empty_pages=3)
    walked = [page async for page in pages(lambda cursor: adapter.list(cursor, 2))]
    assert walked[0].jobs == ()
    assert {job.remote_id for page in walked for job in page.jobs} == made


async def test_an_empty_account_has_an_empty_list(adapter: Any, side: Any) -> None:
    page = await adapter.list()
    assert (page.jobs, page.cursor) == ((), None)


async def test_a_page_that_repeats_ends_the_walk(adapter: Any, side: Any, world: Any) -> None:
    add(side, world)
    side.listing = ListBehaviour(repeat_page=True)
    with pytest.raises(BadResponse, match="repeats itself"):
        [page async for page in pages(adapter.list)]


async def test_submit_signs_the_name(adapter: Any, side: Any, world: Any, submission: Any) -> None:
    submit = submission("gemini")
    job = await adapter.create(submit, await adapter.upload(submit))
    assert (job.name, job.submit_key, job.model) == ("nightly eval", submit.key, "model-x")
    assert job.status is Status.PENDING
    found = [job async for page in pages(adapter.list) for job in page.jobs]
    assert [job.submit_key for job in found] == [submit.key]


async def test_a_file_whose_name_is_not_ascii_is_uploaded(adapter: Any, side: Any, submission: Any) -> None:
    submit = submission("gemini", name="Prüfung · 夜")
    renamed = submit.path.rename(submit.path.with_name("Prüfung 夜.jsonl"))
    submit = Submission(renamed, submit.key, submit.name, submit.model, None, {})
    job = await adapter.create(submit, await adapter.upload(submit))
    assert job.name == "Prüfung · 夜"


async def test_cancel_answers_nothing_and_shows_only_when_done(adapter: Any, side: Any, world: Any) -> None:
    batch = add(side, world)
    world.clock.advance(20)
    assert await adapter.cancel(batch) is None
    assert (await adapter.get(batch)).status is Status.IN_PROGRESS
    world.clock.advance(600)
    job = await adapter.get(batch)
    assert job.status is Status.CANCELLED
    with pytest.raises(InvalidRequest):
        await adapter.cancel(batch)


async def test_delete_removes_the_record(adapter: Any, side: Any, world: Any) -> None:
    batch = add(side, world)
    world.clock.advance(3600)
    await adapter.delete(batch)
    with pytest.raises(NotFound):
        await adapter.get(batch)
    with pytest.raises(NotFound):
        await adapter.delete(batch)


async def test_result_files_cannot_be_deleted_and_nothing_is_asked(
    adapter: Any, side: Any, world: Any
) -> None:
    batch = add(side, world)
    world.clock.advance(3600)
    job = await adapter.get(batch)
    await adapter.delete_file(job.files["input"])
    asked = len(world.emulator.journal)
    with pytest.raises(InvalidRequest, match="over 40 characters"):
        await adapter.delete_file(job.files["output"])
    assert len(world.emulator.journal) == asked


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("in_response", [False, True])
async def test_results_from_a_file_and_inline(
    adapter: Any, side: Any, world: Any, inline: bool, in_response: bool
) -> None:
    plan = BatchPlan(
        failures=(BatchFailure(2, "RESOURCE_EXHAUSTED", "no more"),),
        switches=Switches(output_only_in_response=in_response),
    )
    batch = add(side, world, total=6, inline=inline, plan=plan)
    world.clock.advance(3600)
    job = await adapter.get(batch)
    assert ("output" in job.files) is not inline
    lines = [line async for line in adapter.results(job)]
    assert len({line.key for line in lines}) == 6
    assert [line.error.message for line in lines if line.error] == ["no more"] * 2
    assert all("candidates" in line.body for line in lines if not line.error)


async def test_results_are_found_where_no_list_has_named_their_file(
    adapter: Any, side: Any, world: Any
) -> None:
    batch = add(side, world, total=6)
    world.clock.advance(3600)
    job = replace(await adapter.get(batch), files={})
    assert len([line async for line in adapter.results(job)]) == 6


async def test_a_batch_is_read_without_its_inline_results(adapter: Any, side: Any, world: Any) -> None:
    batch = add(side, world, total=50, inline=True)
    world.clock.advance(3600)
    job = await adapter.get(batch)
    assert (job.status, job.total, job.files) == (Status.COMPLETED, 50, {})


async def test_odd_result_files_are_read(adapter: Any, side: Any, world: Any) -> None:
    switches = Switches(no_trailing_newline=True, shuffled=True, garbage_lines=True)
    batch = add(side, world, total=10, plan=BatchPlan(switches=switches))
    world.clock.advance(3600)
    lines = [line async for line in adapter.results(await adapter.get(batch))]
    assert len({line.key for line in lines if line.error is None}) == 10
    assert len([line for line in lines if line.error]) == 1


async def test_error_details_that_the_sdk_cannot_read(adapter: Any, side: Any, world: Any) -> None:
    plan = BatchPlan(
        ending=Ending.FAILS,
        line_errors=(LineError("invalid", "line 2 is odd", line=2),),
        switches=Switches(detail_objects=True),
    )
    batch = add(side, world, plan=plan)
    world.clock.advance(600)
    job = await adapter.get(batch)
    assert job.status is Status.FAILED
    assert "line 2 is odd" in job.errors[0].message
    assert (await adapter.list()).jobs == (job,)


async def test_counts_are_those_the_sdk_drops(adapter: Any, side: Any, world: Any) -> None:
    batch = add(side, world, total=60)
    world.clock.advance(35)
    job = await adapter.get(batch)
    assert job.total == 60
    assert 0 < job.succeeded < 60


async def test_another_api_version_can_be_asked(side: Any, world: Any) -> None:
    batch = add(side, world)
    async with GeminiBatches(world.account("gemini", api_version="v1")) as adapter:
        await adapter.get(batch)
    assert world.emulator.journal.calls("GET", "/v1/batches/*")


async def test_the_environment_does_not_choose_another_api(
    side: Any, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("GOOGLE_API_KEY", "another")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:9")
    batch = add(side, world)
    async with GeminiBatches(world.account("gemini")) as adapter:
        assert (await adapter.get(batch)).remote_id == batch


async def test_an_id_of_another_form_is_not_sent(adapter: Any) -> None:
    with pytest.raises(InvalidRequest, match="not sent"):
        await adapter.get("batch_123")


def test_an_account_without_a_key_cannot_be_opened(world: Any) -> None:
    with pytest.raises(AuthRejected, match="set SOME_KEY"):
        GeminiBatches(world.account("gemini", api_key=None))


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ({"key": "a", "response": {"x": 1}}, ResultLine("a", {"x": 1}, None)),
        (
            {"key": "a", "error": {"code": 8, "message": "m"}},
            ResultLine("a", None, RemoteError("m", code="8")),
        ),
        (
            {"key": "a", "error": {"status": "INTERNAL"}},
            ResultLine("a", None, RemoteError("failed, without a reason", code="INTERNAL")),
        ),
        ({"response": {}}, None),
    ],
)
def test_lines(line: dict[str, object], read: ResultLine | None) -> None:
    assert read_line(line) == read
