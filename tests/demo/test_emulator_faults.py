"""Requests that go wrong by rule: what the client sees, and whether the request was applied."""

from __future__ import annotations

import datetime as dt
import json
from email.utils import parsedate_to_datetime

import httpx2
import pytest
from google.genai import errors
from google.genai.client import AsyncClient
from openai import AsyncOpenAI, InternalServerError, RateLimitError

from jobdash.demo.emulator import (
    OPENAI_KEY,
    BatchScript,
    CutBody,
    Delay,
    EmptyJson,
    Emulator,
    EmulatorServer,
    ErrorAnswer,
    FaultRule,
    MalformedJson,
    Reset,
    key_label,
)
from jobdash.demo.emulator.faults import Faults

AUTH = {"Authorization": f"Bearer {OPENAI_KEY}"}
CANCEL = "/v1/batches/*/cancel"


async def test_an_answer_of_its_own(http: httpx2.AsyncClient, emulator: Emulator) -> None:
    emulator.faults.add(FaultRule(effect=ErrorAnswer(418, "short and stout", {"X-Pot": "tea"})))
    answer = await http.get("/v1/batches", headers=AUTH)
    assert (answer.status_code, answer.text, answer.headers["x-pot"]) == (418, "short and stout", "tea")
    [entry] = emulator.journal
    assert (entry.applied, entry.status, entry.fault) == (False, 418, "ErrorAnswer")


async def test_the_answer_has_the_provider_s_form(
    openai: AsyncOpenAI, gemini: AsyncClient, emulator: Emulator
) -> None:
    emulator.faults.add(FaultRule(effect=ErrorAnswer(429, code="insufficient_quota")))
    with pytest.raises(RateLimitError) as quota:
        await openai.batches.list()
    assert (quota.value.code, quota.value.type) == ("insufficient_quota", "insufficient_quota")
    emulator.faults.clear()
    emulator.faults.add(FaultRule(effect=ErrorAnswer(429)), FaultRule(effect=ErrorAnswer(503)))
    with pytest.raises(errors.ClientError) as limited:
        await gemini.batches.list()
    assert limited.value.status == "RESOURCE_EXHAUSTED"


@pytest.mark.parametrize("seconds", [30, 10**9])
async def test_retry_after_in_seconds(openai: AsyncOpenAI, emulator: Emulator, seconds: int) -> None:
    emulator.faults.add(FaultRule(effect=ErrorAnswer(429, retry_after=seconds)))
    with pytest.raises(RateLimitError) as limited:
        await openai.batches.list()
    assert limited.value.response.headers["retry-after"] == str(seconds)


async def test_retry_after_as_a_date(openai: AsyncOpenAI, emulator: Emulator) -> None:
    moment = dt.datetime(2027, 1, 15, 8, 0, 30, tzinfo=dt.UTC)
    emulator.faults.add(FaultRule(effect=ErrorAnswer(503, retry_after=moment)))
    with pytest.raises(InternalServerError) as limited:
        await openai.batches.list()
    assert parsedate_to_datetime(limited.value.response.headers["retry-after"]) == moment


@pytest.mark.parametrize("applied", [False, True])
async def test_reset(http: httpx2.AsyncClient, emulator: Emulator, *, applied: bool) -> None:
    batch_id = emulator.openai.add_batch(BatchScript())
    emulator.faults.add(FaultRule(effect=Reset(applied=applied), path=CANCEL, nth=1))
    with pytest.raises(httpx2.ReadError):
        await http.post(f"/v1/batches/{batch_id}/cancel", headers=AUTH)
    [entry] = emulator.journal
    assert (entry.applied, entry.status, entry.fault) == (applied, None, "Reset")
    status = (await http.get(f"/v1/batches/{batch_id}", headers=AUTH)).json()["status"]
    assert status == ("cancelling" if applied else "validating")


async def test_a_reset_of_a_creation_makes_a_double_when_repeated(
    openai: AsyncOpenAI, emulator: Emulator
) -> None:
    file = await openai.files.create(
        file=("in.jsonl", b'{"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {}}'),
        purpose="batch",
    )
    emulator.faults.add(FaultRule(effect=Reset(applied=True), method="POST", path="/v1/batches", nth=1))
    await openai.with_options(max_retries=1).batches.create(
        input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h"
    )
    assert len(emulator.journal.calls("POST", "/v1/batches")) == 2
    assert len((await openai.batches.list()).data) == 2


async def test_a_reset_spares_other_connections(
    http: httpx2.AsyncClient, server: EmulatorServer, emulator: Emulator
) -> None:
    def address(answer: httpx2.Response) -> object:
        return answer.extensions["network_stream"].get_extra_info("client_addr")

    before = await http.get("/v1/models", headers=AUTH)
    emulator.faults.add(FaultRule(effect=Reset(applied=False), nth=1))
    async with httpx2.AsyncClient(verify=False, trust_env=False) as other:
        with pytest.raises(httpx2.ReadError):
            await other.get(f"{server.url}/v1/models", headers=AUTH)
    after = await http.get("/v1/models", headers=AUTH)
    assert address(after) == address(before)


async def test_a_cut_body(http: httpx2.AsyncClient, emulator: Emulator) -> None:
    emulator.faults.add(FaultRule(effect=CutBody(keep=0.5), nth=1))
    with pytest.raises(httpx2.RemoteProtocolError, match="without sending complete message body"):
        await http.get("/v1/models", headers=AUTH)
    assert (await http.get("/v1/models", headers=AUTH)).status_code == 200


async def test_malformed_json(http: httpx2.AsyncClient, emulator: Emulator) -> None:
    emulator.faults.add(FaultRule(effect=MalformedJson()))
    answer = await http.get("/v1/models", headers=AUTH)
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()


async def test_empty_json(openai: AsyncOpenAI, emulator: Emulator) -> None:
    batch_id = emulator.openai.add_batch(BatchScript())
    emulator.faults.add(FaultRule(effect=EmptyJson(), path=CANCEL))
    assert (await openai.batches.cancel(batch_id)).id is None
    assert (await openai.batches.retrieve(batch_id)).status == "cancelling"


async def test_an_answer_that_comes_too_late(http: httpx2.AsyncClient, emulator: Emulator) -> None:
    batch_id = emulator.openai.add_batch(BatchScript())
    emulator.faults.add(FaultRule(effect=Delay(60, applied_first=True), path=CANCEL))
    with pytest.raises(httpx2.ReadTimeout):
        await http.post(f"/v1/batches/{batch_id}/cancel", headers=AUTH, timeout=0.2)
    assert (await http.get(f"/v1/batches/{batch_id}", headers=AUTH)).json()["status"] == "cancelling"


async def test_a_request_that_is_applied_too_late(http: httpx2.AsyncClient, emulator: Emulator) -> None:
    batch_id = emulator.openai.add_batch(BatchScript())
    emulator.faults.add(FaultRule(effect=Delay(60), path=CANCEL))
    with pytest.raises(httpx2.ReadTimeout):
        await http.post(f"/v1/batches/{batch_id}/cancel", headers=AUTH, timeout=0.2)
    assert (await http.get(f"/v1/batches/{batch_id}", headers=AUTH)).json()["status"] == "validating"


async def test_a_short_delay_and_latency(http: httpx2.AsyncClient, emulator: Emulator) -> None:
    emulator.latency = 0.05
    emulator.faults.add(FaultRule(effect=Delay(0.05), nth=2))
    quick, slow = [await http.get("/v1/models", headers=AUTH) for _ in range(2)]
    assert quick.elapsed >= dt.timedelta(seconds=0.05)
    assert slow.elapsed >= dt.timedelta(seconds=0.1)


@pytest.mark.parametrize(
    ("rule", "struck"),
    [
        (FaultRule(effect=EmptyJson()), [1, 2, 3, 4, 5, 6]),
        (FaultRule(effect=EmptyJson(), method="POST"), [2, 4, 6]),
        (FaultRule(effect=EmptyJson(), path="/v1/batches/*"), [3, 4]),
        (FaultRule(effect=EmptyJson(), path="/v1/files"), []),
        (FaultRule(effect=EmptyJson(), key="a"), [1, 2, 3]),
        (FaultRule(effect=EmptyJson(), nth=2), [2]),
        (FaultRule(effect=EmptyJson(), method="POST", nth=2), [4]),
        (FaultRule(effect=EmptyJson(), times=2), [1, 2]),
        (FaultRule(effect=EmptyJson(), probability=0.0), []),
        (FaultRule(effect=EmptyJson(), probability=1.0, times=1), [1]),
    ],
)
def test_what_a_rule_strikes(rule: FaultRule, struck: list[int]) -> None:
    faults = Faults(seed=0)
    faults.add(rule)
    requests = [
        ("GET", "/v1/batches", "a"),
        ("POST", "/v1/batches", "a"),
        ("GET", "/v1/batches/b/cancel", "a"),
        ("POST", "/v1/batches/b/cancel", "b"),
        ("GET", "/v1beta/batches", "b"),
        ("POST", "/v1beta/batches", "b"),
    ]
    hit = [n for n, request in enumerate(requests, start=1) if faults.effect_on(*request) is not None]
    assert hit == struck


def test_chance_is_the_seed_s() -> None:
    def strikes(seed: int) -> list[bool]:
        faults = Faults(seed)
        faults.add(FaultRule(effect=EmptyJson(), probability=0.5))
        return [faults.effect_on("GET", "/", "") is not None for _ in range(50)]

    assert strikes(1) == strikes(1)
    assert strikes(1) != strikes(2)
    assert {*strikes(1)} == {True, False}


def test_the_first_rule_decides_and_all_count() -> None:
    faults = Faults(seed=0)
    faults.add(FaultRule(effect=EmptyJson(), nth=1), FaultRule(effect=MalformedJson(), nth=2))
    assert [faults.effect_on("GET", "/", "") for _ in range(3)] == [EmptyJson(), MalformedJson(), None]


async def test_the_journal(http: httpx2.AsyncClient, emulator: Emulator) -> None:
    await http.post("/v1/batches", headers=AUTH, json={"input_file_id": "file-x"})
    await http.get("/v1/batches?limit=3", headers=AUTH)
    await http.post("/v1/files", headers=AUTH, files={"file": b"secret"})
    first, second, third = emulator.journal
    assert (first.method, first.path, first.status) == ("POST", "/v1/batches", 400)
    assert first.at == emulator.clock.now()
    assert json.loads(first.body) == {"input_file_id": "file-x"}
    assert (second.query, second.body) == ("limit=3", "")
    assert third.body.startswith("<")
    assert first.account == key_label(OPENAI_KEY)
    assert OPENAI_KEY not in repr(list(emulator.journal))
    assert emulator.journal.calls("POST", "/v1/f*") == [third]
    emulator.journal.clear()
    assert len(emulator.journal) == 0
