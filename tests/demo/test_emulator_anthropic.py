"""Anthropic's API, through the official SDK: what that can do here is what the emulator can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from jobdash.demo.emulator import (
    ANTHROPIC_KEY,
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

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic
    from anthropic.types.messages import MessageBatch
    from anthropic.types.messages.batch_create_params import Request

TIMING = Timing(validating=10, running=100, finalizing=0, cancelling=20)


@pytest.fixture(scope="module")
def sdk() -> Any:
    """The SDK, which takes more than a second to import: only the process that runs these tests does."""
    import anthropic

    return anthropic


@pytest.fixture
def client(sdk: Any, server: EmulatorServer, http: httpx2.AsyncClient) -> AsyncAnthropic:
    made: AsyncAnthropic = sdk.AsyncAnthropic(
        base_url=server.anthropic_base_url, api_key=ANTHROPIC_KEY, max_retries=0, http_client=http
    )
    return made


def requests(count: int) -> list[Request]:
    return [
        {
            "custom_id": f"r{number}",
            "params": {
                "model": "claude-x",
                "max_tokens": 9,
                "messages": [{"role": "user", "content": "Hello"}],
            },
        }
        for number in range(count)
    ]


async def outcomes(client: AsyncAnthropic, batch: MessageBatch) -> dict[str, str]:
    decoder = await client.messages.batches.results(batch.id)
    return {entry.custom_id: entry.result.type async for entry in decoder}


async def test_life(sdk: Any, client: AsyncAnthropic, emulator: Emulator, clock: ManualClock) -> None:
    emulator.anthropic.plan = BatchPlan(timing=TIMING, failures=(BatchFailure(2),))
    batch = await client.messages.batches.create(requests=requests(10))
    assert (batch.type, batch.processing_status) == ("message_batch", "in_progress")
    assert batch.expires_at > batch.created_at
    clock.advance(60)
    batch = await client.messages.batches.retrieve(batch.id)
    assert batch.request_counts.to_dict() == {
        "processing": 10, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0,
    }  # fmt: skip
    assert batch.results_url is None
    with pytest.raises(sdk.BadRequestError):
        await client.messages.batches.delete(batch.id)
    clock.advance(60)
    batch = await client.messages.batches.retrieve(batch.id)
    assert batch.processing_status == "ended"
    assert (batch.request_counts.succeeded, batch.request_counts.errored) == (8, 2)
    assert sorted((await outcomes(client, batch)).values()) == ["errored"] * 2 + ["succeeded"] * 8
    with pytest.raises(sdk.BadRequestError):
        await client.messages.batches.cancel(batch.id)
    assert (await client.messages.batches.delete(batch.id)).type == "message_batch_deleted"
    with pytest.raises(sdk.NotFoundError):
        await client.messages.batches.retrieve(batch.id)


async def test_an_answer_and_an_error_are_whole(
    client: AsyncAnthropic, emulator: Emulator, clock: ManualClock
) -> None:
    emulator.anthropic.plan = BatchPlan(failures=(BatchFailure(1, message="no", status=400),), cut_off=1)
    batch = await client.messages.batches.create(requests=requests(2))
    clock.advance(3600)
    found = [entry.result async for entry in await client.messages.batches.results(batch.id)]
    answered = next(result for result in found if result.type == "succeeded")
    assert (answered.message.stop_reason, answered.message.usage.output_tokens) == ("max_tokens", 30)
    failed = next(result for result in found if result.type == "errored")
    assert (failed.error.error.type, failed.error.error.message) == ("invalid_request_error", "no")


async def test_a_cancel_keeps_what_is_finished(
    client: AsyncAnthropic, emulator: Emulator, clock: ManualClock
) -> None:
    emulator.anthropic.plan = BatchPlan(timing=TIMING)
    batch = await client.messages.batches.create(requests=requests(10))
    clock.advance(60)
    batch = await client.messages.batches.cancel(batch.id)
    assert batch.processing_status == "canceling"
    assert batch.cancel_initiated_at is not None
    clock.advance(60)
    batch = await client.messages.batches.retrieve(batch.id)
    assert (batch.processing_status, batch.request_counts.canceled) == ("ended", 5)
    assert sorted((await outcomes(client, batch)).values()) == ["canceled"] * 5 + ["succeeded"] * 5


@pytest.mark.parametrize(
    ("plan", "kinds"),
    [
        (BatchPlan(ending=Ending.EXPIRES, reached=1), ["expired", "expired", "succeeded"]),
        (BatchPlan(ending=Ending.FAILS), ["errored"] * 3),
    ],
)
async def test_other_ends(
    client: AsyncAnthropic, emulator: Emulator, clock: ManualClock, plan: BatchPlan, kinds: list[str]
) -> None:
    emulator.anthropic.plan = plan
    batch = await client.messages.batches.create(requests=requests(3))
    clock.advance(25 * 3600)
    assert sorted((await outcomes(client, batch)).values()) == kinds


async def test_the_list_goes_both_ways(
    client: AsyncAnthropic, emulator: Emulator, clock: ManualClock
) -> None:
    made = [
        emulator.anthropic.add_batch(BatchScript(total=2, created_at=clock.now() - age)) for age in range(7)
    ]
    assert [batch.id async for batch in client.messages.batches.list(limit=3)] == made
    page = await client.messages.batches.list(limit=2, before_id=made[5])
    assert [batch.id for batch in page.data] == made[3:5]
    assert [batch.id async for batch in page] == [*made[3:5], *made[1:3], made[0]]


async def test_results_go_and_the_record_stays(
    client: AsyncAnthropic, emulator: Emulator, clock: ManualClock, http: httpx2.AsyncClient
) -> None:
    batch = await client.messages.batches.create(requests=requests(1))
    clock.advance(30 * 24 * 3600)
    batch = await client.messages.batches.retrieve(batch.id)
    assert batch.archived_at is not None
    assert batch.results_url is None
    headers = {"x-api-key": ANTHROPIC_KEY, "anthropic-version": "2023-06-01"}
    answered = await http.get(f"/v1/messages/batches/{batch.id}/results", headers=headers)
    assert (answered.status_code, answered.json()["error"]["type"]) == (404, "not_found_error")


async def test_a_batch_may_not_be_found_for_a_while(
    sdk: Any, client: AsyncAnthropic, emulator: Emulator, clock: ManualClock
) -> None:
    emulator.anthropic.switches = Switches(not_found_for=30)
    emulator.anthropic.plan = BatchPlan(timing=TIMING)
    batch = await client.messages.batches.create(requests=requests(1))
    for seconds, found in ((0, False), (40, True), (75, False), (40, True)):
        clock.advance(seconds)
        try:
            await client.messages.batches.retrieve(batch.id)
        except sdk.NotFoundError:
            assert not found, seconds
        else:
            assert found, seconds


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"custom_id": "a b"}, "requests.0.custom_id"),
        ({"params": {"model": "m", "messages": []}}, "requests.0.params.max_tokens"),
        ({"params": {"model": "m", "max_tokens": 1, "messages": [], "stream": True}}, "stream"),
    ],
)
async def test_a_batch_with_a_wrong_request_is_refused_whole(
    sdk: Any, client: AsyncAnthropic, change: dict[str, object], words: str
) -> None:
    wrong: Callable[[], Request] = lambda: {**requests(1)[0], **change}  # type: ignore[typeddict-item,return-value]  # noqa: E731
    with pytest.raises(sdk.BadRequestError, match=words):
        await client.messages.batches.create(requests=[wrong(), *requests(1)])


async def test_a_wrong_key_is_refused(sdk: Any, client: AsyncAnthropic, emulator: Emulator) -> None:
    emulator.keys = frozenset({"another"})
    with pytest.raises(sdk.AuthenticationError):
        await client.messages.batches.list()
