"""OpenAI: words, lists, submits, cancels, deletes and results, with the real SDK over a real port."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from jobdash.demo.emulator import (
    BatchFailure,
    BatchPlan,
    BatchScript,
    CancelBehaviour,
    Ending,
    LineError,
    ListBehaviour,
    Phase,
    Switches,
)
from jobdash.domain.remote_job import RemoteError
from jobdash.domain.status import Status
from jobdash.errors import AuthRejected, BadResponse, ConfigError, InvalidRequest, NotFound
from jobdash.providers.base import ResultLine
from jobdash.providers.openai.batches import OpenAIBatches, metadata_of, read_job
from jobdash.providers.openai.results import read_line
from jobdash.providers.pagination import pages


@pytest.fixture
async def adapter(world: Any) -> AsyncIterator[OpenAIBatches]:
    async with OpenAIBatches(world.account("openai")) as opened:
        yield opened


@pytest.fixture
def side(world: Any) -> Any:
    return world.emptied("openai")


def add(side: Any, world: Any, **script: Any) -> str:
    return side.add_batch(BatchScript(**script), key=world.key)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("validating", Status.VALIDATING),
        ("in_progress", Status.IN_PROGRESS),
        ("finalizing", Status.FINALIZING),
        ("cancelling", Status.CANCELLING),
        ("completed", Status.COMPLETED),
        ("failed", Status.FAILED),
        ("expired", Status.EXPIRED),
        ("cancelled", Status.CANCELLED),
        ("scheduling", Status.PENDING),
        ("queued", Status.PENDING),
        ("canceled", Status.CANCELLED),
        ("COMPLETED", Status.COMPLETED),
        ("running", Status.IN_PROGRESS),
        ("paused", Status.UNKNOWN),
        ("completed_with_warnings", Status.UNKNOWN),
        ("", Status.UNKNOWN),
    ],
)
def test_words(word: str, status: Status) -> None:
    job = read_job({"id": "batch_1", "status": word})
    assert (job.status, job.raw_status) == (status, word)


@pytest.mark.parametrize("answer", [None, {}, [], "batch_1", 7, {"id": None}, {"id": ""}, {"id": 3}])
def test_what_is_no_batch_is_not_believed(answer: object) -> None:
    with pytest.raises(BadResponse):
        read_job(answer)


def test_a_batch_of_nonsense_is_read_as_not_told() -> None:
    job = read_job(
        {
            "id": "batch_1",
            "status": None,
            "created_at": "yesterday",
            "expires_at": -4,
            "request_counts": "many",
            "metadata": {"name": 7, "job": "the job"},
            "errors": 3,
            "usage": [],
            "model": {},
            "input_file_id": 9,
        }
    )
    assert job.status is Status.UNKNOWN
    assert job.raw_status == ""
    assert (job.created_at, job.expires_at, job.total, job.usage, job.model) == (None,) * 5
    assert job.name == "the job"
    assert job.errors == ()
    assert job.files == {}


@pytest.mark.parametrize(
    ("errors", "messages"),
    [
        ("the file is empty", ["the file is empty"]),
        ({"message": "the file is empty", "code": "empty_file"}, ["the file is empty"]),
        ({"detail": "the file is empty"}, ["the file is empty"]),
        (["one", {"message": "two"}], ["one", "two"]),
        ({"data": [{"detail": [{"msg": "one"}]}]}, ["one"]),
        ({"object": "list", "data": "one"}, ["one"]),
        ("", []),
        ({}, []),
        ([], []),
    ],
)
def test_errors_of_a_batch_in_any_shape(errors: object, messages: list[str]) -> None:
    for shape in ({"errors": errors}, {"errors": None, "error": errors}):
        job = read_job({"id": "b", "status": "failed"} | shape)
        assert [error.message for error in job.errors] == messages


@pytest.mark.parametrize(
    ("counts", "read"),
    [
        (None, (None, None, None)),
        ({"total": 0, "completed": 0, "failed": 0}, (None, None, None)),
        ({"total": 10, "completed": 0, "failed": 0}, (10, 0, 0)),
        ({"total": 10, "completed": 7, "failed": 3}, (10, 7, 3)),
        ({"total": 10}, (10, None, None)),
        ({"total": "10", "completed": 7.0, "failed": -1}, (10, 7, None)),
    ],
)
def test_counts(counts: object, read: tuple[int | None, ...]) -> None:
    job = read_job({"id": "b", "status": "in_progress", "request_counts": counts})
    assert (job.total, job.succeeded, job.failed) == read


def test_times_are_milliseconds_and_an_end_needs_a_final_word() -> None:
    facts = {
        "id": "b",
        "created_at": 1_700_000_000,
        "in_progress_at": 1_700_000_001_500,
        "cancelled_at": 1_700_000_009,
    }
    job = read_job(facts | {"status": "cancelled"})
    assert (job.created_at, job.started_at, job.finished_at) == (
        1_700_000_000_000,
        1_700_000_001_500,
        1_700_000_009_000,
    )
    assert read_job(facts | {"status": "cancelling"}).finished_at is None


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({"name": "a", "job": "b", "description": "c"}, "a"),
        ({"job": "b", "description": "c"}, "b"),
        ({"description": "c"}, "c"),
        ({"name": "  "}, None),
        (None, None),
    ],
)
def test_names(metadata: object, name: str | None) -> None:
    assert read_job({"id": "b", "status": "completed", "metadata": metadata}).name == name


async def test_list_is_newest_first_and_goes_on_by_cursor(adapter: Any, side: Any, world: Any) -> None:
    made = [add(side, world, name=f"n{number}", created_at=world.clock.now() - number) for number in range(5)]
    first = await adapter.list(limit=2)
    assert [job.remote_id for job in first.jobs] == made[:2]
    second = await adapter.list(first.cursor, limit=2)
    assert [job.remote_id for job in second.jobs] == made[2:4]
    everything = [job.remote_id async for page in pages(adapter.list) for job in page.jobs]
    assert everything == made


async def test_an_empty_account_has_an_empty_list(adapter: Any, side: Any) -> None:
    page = await adapter.list()
    assert (page.jobs, page.cursor) == ((), None)


async def test_a_page_that_repeats_ends_the_walk(adapter: Any, side: Any, world: Any) -> None:
    for number in range(3):
        add(side, world, name=str(number))
    side.listing = ListBehaviour(repeat_page=True)
    with pytest.raises(BadResponse, match=r"repeats itself after [12] pages"):
        [page async for page in pages(adapter.list)]


async def test_submit_carries_key_name_and_tags(adapter: Any, side: Any, world: Any, submission: Any) -> None:
    submit = submission("openai", tags={"team": "search"})
    job = await adapter.create(submit, await adapter.upload(submit))
    assert job.submit_key == submit.key
    assert job.name == "nightly eval"
    assert job.metadata["team"] == "search"
    assert job.endpoint == "/v1/responses"
    assert job.files["input"].startswith("file-")
    world.clock.advance(600)
    assert (await adapter.get(job.remote_id)).total == 3


def test_tags_that_do_not_fit_are_refused_before_anything_is_sent(submission: Any) -> None:
    with pytest.raises(InvalidRequest, match="15 tags"):
        metadata_of(submission("openai", tags={str(number): "x" for number in range(15)}))
    with pytest.raises(InvalidRequest, match="too long"):
        metadata_of(submission("openai", tags={"x" * 65: "y"}))
    assert len(metadata_of(submission("openai", name="n" * 1000))["name"]) == 512


async def test_a_file_that_is_gone_is_not_sent(adapter: Any, submission: Any) -> None:
    submit = submission("openai")
    submit.path.unlink()
    with pytest.raises(InvalidRequest, match="cannot read"):
        await adapter.upload(submit)


async def test_cancel_is_asked_then_confirmed_with_partial_results(
    adapter: Any, side: Any, world: Any
) -> None:
    batch = add(side, world, total=600)
    world.clock.advance(35)
    answered = await adapter.cancel(batch)
    assert answered.status is Status.CANCELLING
    world.clock.advance(600)
    job = await adapter.get(batch)
    assert job.status is Status.CANCELLED
    lines = [line async for line in adapter.results(job)]
    assert 0 < len([line for line in lines if line.error is None]) < 600


async def test_cancel_of_a_finished_batch_is_a_409_with_their_words(
    adapter: Any, side: Any, world: Any
) -> None:
    batch = add(side, world)
    world.clock.advance(3600)
    with pytest.raises(InvalidRequest, match="status 'completed'") as caught:
        await adapter.cancel(batch)
    assert caught.value.status == 409


async def test_cancel_may_lose_the_race(adapter: Any, side: Any, world: Any) -> None:
    batch = add(side, world, plan=BatchPlan(switches=Switches(cancel=CancelBehaviour.LOSES_RACE)))
    world.clock.advance(30)
    await adapter.cancel(batch)
    world.clock.advance(600)
    assert (await adapter.get(batch)).status is Status.COMPLETED


async def test_odd_words_and_missing_counts(adapter: Any, side: Any, world: Any) -> None:
    switches = Switches(
        words={Phase.VALIDATING: "scheduling", Phase.IN_PROGRESS: "warming"}, null_counts=True
    )
    batch = add(side, world, plan=BatchPlan(switches=switches))
    assert (await adapter.get(batch)).status is Status.PENDING
    world.clock.advance(10)
    job = await adapter.get(batch)
    assert (job.status, job.raw_status, job.total) == (Status.UNKNOWN, "warming", None)


async def test_validation_errors_are_read_line_by_line(adapter: Any, side: Any, world: Any) -> None:
    errors = (LineError("invalid_json_line", "not JSON", line=3), LineError("empty_file", "nothing"))
    batch = add(side, world, plan=BatchPlan(ending=Ending.FAILS, line_errors=errors))
    world.clock.advance(600)
    job = await adapter.get(batch)
    assert job.status is Status.FAILED
    assert job.errors == (
        RemoteError("not JSON", code="invalid_json_line", line=3),
        RemoteError("nothing", code="empty_file"),
    )


ZEROS = {"input_tokens": 0, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 0}
COUNTED = {"input_tokens": 20, "input_tokens_details": {"cached_tokens": 5}, "output_tokens": 30}


@pytest.mark.parametrize(
    ("status", "succeeded", "usage", "tokens"),
    [
        ("completed", 3, COUNTED, (20, 30, 5)),
        ("in_progress", 3, COUNTED, (20, 30, 5)),
        ("completed", 3, {"prompt_tokens": 20, "total_tokens": 20}, (20, None, None)),
        ("in_progress", 0, ZEROS, (None, None, None)),
        ("completed", 3, ZEROS, (None, None, None)),
        ("failed", 0, ZEROS, (0, 0, 0)),
        ("cancelled", 0, ZEROS, (0, 0, 0)),
        ("completed", 3, None, (None, None, None)),
        ("completed", 3, "odd", (None, None, None)),
        ("completed", 3, {"input_tokens": -1, "output_tokens": True}, (None, None, None)),
    ],
)
def test_the_tokens_of_a_batch_and_zeros_before_anything_is_counted(
    status: str, succeeded: int, usage: object, tokens: tuple[int | None, ...]
) -> None:
    counts = {"total": 3, "completed": succeeded, "failed": 0}
    job = read_job({"id": "batch_1", "status": status, "usage": usage, "request_counts": counts})
    assert (job.input_tokens, job.output_tokens, job.cached_tokens) == tokens


async def test_results_join_output_and_error_file(adapter: Any, side: Any, world: Any) -> None:
    batch = add(side, world, total=10, plan=BatchPlan(failures=(BatchFailure(4),)))
    world.clock.advance(3600)
    job = await adapter.get(batch)
    assert (job.succeeded, job.failed, job.usage is not None) == (6, 4, True)
    lines = [line async for line in adapter.results(job)]
    assert len({line.key for line in lines}) == 10
    failed = [line for line in lines if line.error]
    assert len(failed) == 4
    assert failed[0].error.code == "rate_limit_exceeded"
    assert all(line.body is None for line in failed)
    assert all("choices" in line.body for line in lines if not line.error)


async def test_expired_requests_are_errors_and_the_others_results(
    adapter: Any, side: Any, world: Any
) -> None:
    batch = add(side, world, total=10, plan=BatchPlan(ending=Ending.EXPIRES, reached=7))
    world.clock.advance(25 * 3600)
    job = await adapter.get(batch)
    assert job.status is Status.EXPIRED
    lines = [line async for line in adapter.results(job)]
    assert [line.error.code for line in lines if line.error] == ["batch_expired"] * 3


async def test_odd_result_files_are_read(adapter: Any, side: Any, world: Any) -> None:
    switches = Switches(body_as_string=True, no_trailing_newline=True, shuffled=True, garbage_lines=True)
    batch = add(side, world, total=10, plan=BatchPlan(switches=switches))
    world.clock.advance(3600)
    lines = [line async for line in adapter.results(await adapter.get(batch))]
    good = [line for line in lines if line.error is None]
    assert len({line.key for line in good}) == 10
    assert all(line.body["choices"] for line in good)
    (garbage,) = [line for line in lines if line.error]
    assert "of the output file)" in garbage.key
    assert "cannot be read" in garbage.error.message


async def test_the_record_stays_and_the_files_go(adapter: Any, side: Any, world: Any) -> None:
    batch = add(side, world)
    world.clock.advance(3600)
    job = await adapter.get(batch)
    for file_id in job.files.values():
        await adapter.delete_file(file_id)
    with pytest.raises(NotFound):
        await adapter.delete_file(job.files["output"])
    with pytest.raises(InvalidRequest, match="keeps the record"):
        await adapter.delete(batch)
    assert not world.emulator.journal.calls("DELETE", "*/batches/*")


async def test_an_unknown_batch_is_not_found(adapter: Any, side: Any) -> None:
    with pytest.raises(NotFound, match="404"):
        await adapter.get("batch_nowhere")


async def test_organisation_and_project_belong_to_the_standard_key(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    async with OpenAIBatches(world.account("openai")) as other:
        assert other._client.organization is None
    async with OpenAIBatches(world.account("openai", key_env="OPENAI_API_KEY")) as standard:
        assert standard._client.organization == "org-mine"


def test_an_account_without_a_usable_key_cannot_be_opened(world: Any) -> None:
    with pytest.raises(AuthRejected, match="set SOME_KEY"):
        OpenAIBatches(world.account("openai", api_key=None))
    with pytest.raises(ConfigError):
        OpenAIBatches(world.account("openai", base_url="no address"))


@pytest.mark.parametrize(
    ("line", "read"),
    [
        (
            {"custom_id": "a", "response": {"status_code": 200, "body": {"x": 1}}},
            ResultLine("a", {"x": 1}, None),
        ),
        ({"custom_id": "a", "response": {"body": '{"x": 1}'}}, ResultLine("a", {"x": 1}, None)),
        ({"custom_id": "a", "response": {"body": "plain"}}, ResultLine("a", "plain", None)),
        (
            {
                "custom_id": "a",
                "response": {"status_code": 429, "body": {"error": {"code": "c", "message": "m"}}},
            },
            ResultLine("a", None, RemoteError("m", code="c")),
        ),
        (
            {"custom_id": "a", "response": {"status_code": 500, "body": None}},
            ResultLine("a", None, RemoteError("HTTP 500, without a reason")),
        ),
        (
            {"custom_id": "a", "error": {"code": "batch_expired", "message": "late"}},
            ResultLine("a", None, RemoteError("late", code="batch_expired")),
        ),
        ({"custom_id": "a", "error": "odd"}, ResultLine("a", None, RemoteError("odd"))),
        ({"custom_id": ""}, None),
        ({"id": "x"}, None),
    ],
)
def test_lines(line: dict[str, object], read: ResultLine | None) -> None:
    assert read_line(json.loads(json.dumps(line))) == read


def test_a_line_with_neither_side_is_an_error() -> None:
    line = read_line({"custom_id": "a", "response": None, "error": None})
    assert line is not None
    assert line.body is None
    assert line.error is not None
