"""Ways in which real servers differ from their documentation, and what the SDKs make of them."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pydantic
import pytest
from google.genai import errors, types
from google.genai.client import AsyncClient
from openai import APIStatusError, AsyncOpenAI

from jobdash.demo.emulator import (
    GEMINI_KEY,
    OPENAI_KEY,
    BatchFailure,
    BatchPlan,
    BatchScript,
    CancelBehaviour,
    Emulator,
    Ending,
    ListBehaviour,
    ManualClock,
    Phase,
    Switches,
    Timing,
)

TIMING = Timing(validating=0, running=100, finalizing=0, cancelling=20)
OPENAI_AUTH = {"Authorization": f"Bearer {OPENAI_KEY}"}
GEMINI_AUTH = {"x-goog-api-key": GEMINI_KEY}


def script(switches: Switches | None = None, **options: Any) -> BatchScript:
    return BatchScript(total=10, plan=BatchPlan(timing=TIMING, switches=switches, **options))


async def output(openai: AsyncOpenAI, batch_id: str) -> str:
    batch = await openai.batches.retrieve(batch_id)
    assert batch.output_file_id is not None
    return (await openai.files.content(batch.output_file_id)).text


async def test_a_cancel_that_loses_the_race(
    openai: AsyncOpenAI, gemini: AsyncClient, emulator: Emulator, clock: ManualClock
) -> None:
    late = script(Switches(cancel=CancelBehaviour.LOSES_RACE))
    batch_id, name = emulator.openai.add_batch(late), emulator.gemini.add_batch(late)
    assert (await openai.batches.cancel(batch_id)).status == "cancelling"
    await gemini.batches.cancel(name=name)
    clock.advance(20)
    batch = await openai.batches.retrieve(batch_id)
    assert batch.request_counts is not None
    assert (batch.status, batch.request_counts.completed) == ("completed", 10)
    assert (await gemini.batches.get(name=name)).state is types.JobState.JOB_STATE_SUCCEEDED


async def test_a_cancel_that_sticks(openai: AsyncOpenAI, emulator: Emulator, clock: ManualClock) -> None:
    batch_id = emulator.openai.add_batch(script(Switches(cancel=CancelBehaviour.STICKS)))
    await openai.batches.cancel(batch_id)
    clock.advance(1e7)
    assert (await openai.batches.retrieve(batch_id)).status == "cancelling"


async def test_unknown_words(
    openai: AsyncOpenAI, gemini: AsyncClient, emulator: Emulator, clock: ManualClock
) -> None:
    openai_words = Switches(words={Phase.VALIDATING: "scheduling", Phase.IN_PROGRESS: "pondering"})
    plan = BatchPlan(timing=Timing(validating=10), switches=openai_words)
    batch_id = emulator.openai.add_batch(BatchScript(plan=plan))
    google_words = Switches(words={Phase.IN_PROGRESS: "BATCH_STATE_PONDERING"})
    name = emulator.gemini.add_batch(script(google_words))
    assert str((await openai.batches.retrieve(batch_id)).status) == "scheduling"
    clock.advance(10)
    assert str((await openai.batches.retrieve(batch_id)).status) == "pondering"
    with pytest.warns(UserWarning, match="is not a valid JobState"):
        state = (await gemini.batches.get(name=name)).state
    assert state is not None
    assert state.value == "BATCH_STATE_PONDERING"


async def test_no_counts(
    openai: AsyncOpenAI, http: httpx2.AsyncClient, emulator: Emulator, clock: ManualClock
) -> None:
    silent = script(Switches(null_counts=True))
    batch_id, name = emulator.openai.add_batch(silent), emulator.gemini.add_batch(silent)
    clock.advance(50)
    assert (await openai.batches.retrieve(batch_id)).request_counts is None
    assert "batchStats" not in (await http.get(f"/v1/{name}", headers=GEMINI_AUTH)).json()["metadata"]


@pytest.mark.parametrize("status", [400, 500])
async def test_another_refusal_of_a_cancel(
    openai: AsyncOpenAI, gemini: AsyncClient, emulator: Emulator, clock: ManualClock, status: int
) -> None:
    refusing = script(Switches(cancel_refusal=status))
    batch_id, name = emulator.openai.add_batch(refusing), emulator.gemini.add_batch(refusing)
    clock.advance(3600)
    with pytest.raises(APIStatusError, match="'completed'") as refused:
        await openai.batches.cancel(batch_id)
    assert refused.value.status_code == status
    with pytest.raises(errors.APIError) as also_refused:
        await gemini.batches.cancel(name=name)
    assert also_refused.value.code == status


async def test_nothing_is_left_after_a_cancel(
    openai: AsyncOpenAI, emulator: Emulator, clock: ManualClock
) -> None:
    forgetful = script(Switches(keep_partial=False), failures=(BatchFailure(4),))
    batch_id = emulator.openai.add_batch(forgetful)
    clock.advance(50)
    await openai.batches.cancel(batch_id)
    clock.advance(20)
    batch = await openai.batches.retrieve(batch_id)
    assert (batch.status, batch.output_file_id, batch.error_file_id) == ("cancelled", None, None)


async def test_gemini_keeps_what_is_done(
    gemini: AsyncClient, http: httpx2.AsyncClient, emulator: Emulator, clock: ManualClock
) -> None:
    kept = script(Switches(keep_partial=True), ending=Ending.EXPIRES, reached=4)
    name = emulator.gemini.add_batch(kept)
    clock.advance(48 * 3600)
    operation = (await http.get(f"/v1/{name}", headers=GEMINI_AUTH)).json()
    assert operation["metadata"]["state"] == "BATCH_STATE_EXPIRED"
    content = await gemini.files.download(file=operation["response"]["responsesFile"])
    lines = [json.loads(line) for line in content.splitlines()]
    assert ["response" in line for line in lines] == [True] * 4 + [False] * 6


async def test_results_out_of_order(openai: AsyncOpenAI, emulator: Emulator, clock: ManualClock) -> None:
    batch_id = emulator.openai.add_batch(script(Switches(shuffled=True)))
    clock.advance(3600)
    ids = [json.loads(line)["custom_id"] for line in (await output(openai, batch_id)).splitlines()]
    ordered = [f"request-{n}" for n in range(1, 11)]
    assert ids != ordered
    assert sorted(ids) == sorted(ordered)


async def test_odd_lines(openai: AsyncOpenAI, emulator: Emulator, clock: ManualClock) -> None:
    odd = Switches(body_as_string=True, no_trailing_newline=True, garbage_lines=True)
    batch_id = emulator.openai.add_batch(script(odd))
    clock.advance(3600)
    text = await output(openai, batch_id)
    assert not text.endswith("\n")
    first, blank, garbage, *others = text.splitlines()
    assert (blank, garbage[0], len(others)) == ("", "<", 9)
    body = json.loads(first)["response"]["body"]
    assert isinstance(body, str)
    assert json.loads(body)["object"] == "chat.completion"


async def test_details_that_are_objects(
    gemini: AsyncClient, http: httpx2.AsyncClient, emulator: Emulator, clock: ManualClock
) -> None:
    plan = BatchPlan(timing=TIMING, failures=(BatchFailure(1),), switches=Switches(detail_objects=True))
    name = emulator.gemini.add_batch(BatchScript(total=2, inline=True, plan=plan))
    failed = emulator.gemini.add_batch(script(Switches(detail_objects=True), ending=Ending.FAILS))
    clock.advance(3600)
    with pytest.raises(pydantic.ValidationError):
        await gemini.batches.get(name=name)
    assert len((await gemini.batches.list()).page) == 2  # a list carries no inline results
    operation = (await http.get(f"/v1/{name}", headers=GEMINI_AUTH)).json()
    [_, second] = operation["metadata"]["output"]["inlinedResponses"]["inlinedResponses"]
    assert second["error"]["details"][0]["reason"] == "RATE_LIMIT_EXCEEDED"
    operation = (await http.get(f"/v1/{failed}", headers=GEMINI_AUTH)).json()
    assert isinstance(operation["error"]["details"][0], dict)


async def test_output_in_the_response_only(
    gemini: AsyncClient, http: httpx2.AsyncClient, emulator: Emulator, clock: ManualClock
) -> None:
    name = emulator.gemini.add_batch(script(Switches(output_only_in_response=True)))
    clock.advance(3600)
    assert (await gemini.batches.get(name=name)).dest is None
    operation = (await http.get(f"/v1/{name}", headers=GEMINI_AUTH)).json()
    assert operation["response"]["responsesFile"].startswith("files/batch-")


async def test_a_page_that_repeats(http: httpx2.AsyncClient, emulator: Emulator) -> None:
    for provider in (emulator.openai, emulator.gemini):
        provider.listing = ListBehaviour(repeat_page=True)
        for _ in range(3):
            provider.add_batch(BatchScript())
    first = (await http.get("/v1/batches?limit=2", headers=OPENAI_AUTH)).json()
    again = await http.get(f"/v1/batches?limit=2&after={first['last_id']}", headers=OPENAI_AUTH)
    assert again.json() == first
    assert first["has_more"] is True
    page = (await http.get("/v1/batches?pageSize=5", headers=GEMINI_AUTH)).json()
    token = page["nextPageToken"]
    again = await http.get("/v1/batches", params={"pageToken": token}, headers=GEMINI_AUTH)
    assert again.json() == page


async def test_empty_pages_with_a_token(
    gemini: AsyncClient, http: httpx2.AsyncClient, emulator: Emulator
) -> None:
    name = emulator.gemini.add_batch(BatchScript())
    emulator.gemini.listing = ListBehaviour(empty_pages=2)
    query: dict[str, str] = {}
    for _ in range(2):
        page = (await http.get("/v1/batches", params=query, headers=GEMINI_AUTH)).json()
        assert set(page) == {"nextPageToken"}
        query = {"pageToken": page["nextPageToken"]}
    page = (await http.get("/v1/batches", params=query, headers=GEMINI_AUTH)).json()
    assert [operation["name"] for operation in page["operations"]] == [name]
    with pytest.raises(IndexError):
        _ = [batch async for batch in await gemini.batches.list()]


async def test_a_batch_follows_the_provider_unless_it_has_its_own(
    openai: AsyncOpenAI, emulator: Emulator, clock: ManualClock
) -> None:
    own, common = emulator.openai.add_batch(script(Switches())), emulator.openai.add_batch(script())
    emulator.openai.switches = Switches(null_counts=True)
    clock.advance(50)
    assert (await openai.batches.retrieve(own)).request_counts is not None
    assert (await openai.batches.retrieve(common)).request_counts is None


async def test_answers_that_are_cut_off_and_keys_that_are_odd(
    openai: AsyncOpenAI, emulator: Emulator, clock: ManualClock
) -> None:
    batch_id = emulator.openai.add_batch(script(Switches(odd_keys=True), cut_off=4))
    clock.advance(3600)
    lines = [json.loads(line) for line in (await output(openai, batch_id)).splitlines()]
    keys = [line["custom_id"] for line in lines]
    assert keys == ["request-1", "request-1", "nobody-asked", *(f"request-{n}" for n in range(4, 11))]
    reasons = [line["response"]["body"]["choices"][0]["finish_reason"] for line in lines]
    assert reasons == ["length"] * 4 + ["stop"] * 6


async def test_results_that_are_deleted_after_a_while(
    openai: AsyncOpenAI, emulator: Emulator, clock: ManualClock
) -> None:
    batch_id = emulator.openai.add_batch(script(Switches(results_kept=5000)))
    clock.advance(3600)
    batch = await openai.batches.retrieve(batch_id)
    assert batch.output_file_id is not None
    assert batch.completed_at is not None
    assert (await openai.files.retrieve(batch.output_file_id)).expires_at == batch.completed_at + 5000
    clock.advance(5000)
    with pytest.raises(APIStatusError) as gone:
        await openai.files.content(batch.output_file_id)
    assert gone.value.status_code == 404


async def test_a_list_carries_no_inline_results(
    http: httpx2.AsyncClient, emulator: Emulator, clock: ManualClock
) -> None:
    name = emulator.gemini.add_batch(BatchScript(total=2, inline=True, plan=BatchPlan(timing=TIMING)))
    clock.advance(3600)
    (listed,) = (await http.get("/v1/batches", headers=GEMINI_AUTH)).json()["operations"]
    assert (listed["name"], listed["done"]) == (name, True)
    assert "inlinedResponses" not in json.dumps(listed)
