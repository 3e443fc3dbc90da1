"""Keys: which are accepted, and what belongs to which."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest
from google.genai import errors
from google.genai.client import AsyncClient
from openai import AsyncOpenAI, AuthenticationError, NotFoundError

from jobdash.demo.emulator import BatchScript, Emulator

OpenAIFactory = Callable[[str], AsyncOpenAI]
GeminiFactory = Callable[[str, str], AsyncClient]


async def test_a_key_sees_its_own_batches(
    openai_as: OpenAIFactory, gemini_as: GeminiFactory, emulator: Emulator
) -> None:
    private = emulator.openai.add_batch(BatchScript(), key="sk-private")
    work = emulator.openai.add_batch(BatchScript(), key="sk-work")
    google = emulator.gemini.add_batch(BatchScript(), key="google")
    mine, theirs = openai_as("sk-private"), openai_as("sk-work")
    assert [batch.id async for batch in mine.batches.list()] == [private]
    assert [batch.id async for batch in theirs.batches.list()] == [work]
    with pytest.raises(NotFoundError):
        await mine.batches.cancel(work)
    assert [batch.name async for batch in await gemini_as("google", "v1").batches.list()] == [google]
    assert [batch async for batch in await gemini_as("other", "v1").batches.list()] == []


async def test_a_key_sees_its_own_files(openai_as: OpenAIFactory) -> None:
    file = await openai_as("sk-private").files.create(file=("a", b"{}"), purpose="batch")
    with pytest.raises(NotFoundError):
        await openai_as("sk-work").files.retrieve(file.id)


async def test_a_wrong_key(openai_as: OpenAIFactory, gemini_as: GeminiFactory, emulator: Emulator) -> None:
    emulator.keys = {"sk-good", "good"}
    assert (await openai_as("sk-good").batches.list()).data == []
    wrong = "sk-wrong-0123456789-secret"
    with pytest.raises(AuthenticationError, match="Incorrect API key provided") as rejected:
        await openai_as(wrong).batches.list()
    assert rejected.value.code == "invalid_api_key"
    assert wrong not in str(rejected.value)
    assert [batch async for batch in await gemini_as("good", "v1").batches.list()] == []
    with pytest.raises(errors.ClientError, match="API key not valid") as invalid:
        await gemini_as("wrong", "v1").batches.list()
    assert invalid.value.code == 400
    assert "API_KEY_INVALID" in str(invalid.value.details)


async def test_no_key(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/v1/batches")).status_code == 401
    assert (await http.get("/v1/batches", headers={"Authorization": "Basic x"})).status_code == 401
    assert (await http.get("/v1beta/batches")).status_code == 403


async def test_gemini_s_key_in_the_query(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/v1/batches?key=google")).json() == {}


async def test_from_outside_the_api(emulator: Emulator, openai_as: OpenAIFactory) -> None:
    batch_id = emulator.openai.add_batch(BatchScript(total=9), key="sk-private")
    assert emulator.openai.snapshot(batch_id, key="sk-private").total == 9
    assert emulator.openai.cancel(batch_id, key="sk-private")
    openai = openai_as("sk-private")
    assert (await openai.batches.retrieve(batch_id)).status == "cancelling"
    assert emulator.openai.remove_batch(batch_id, key="sk-private")
    assert not emulator.openai.remove_batch(batch_id, key="sk-private")
    with pytest.raises(NotFoundError):
        await openai.batches.retrieve(batch_id)
    with pytest.raises(KeyError):
        emulator.openai.cancel(batch_id)


def test_the_same_seed_gives_the_same_ids() -> None:
    def ids(seed: int) -> list[str]:
        emulator = Emulator(seed=seed)
        return [emulator.openai.add_batch(BatchScript()), emulator.gemini.add_batch(BatchScript())]

    assert ids(1) == ids(1)
    assert ids(1) != ids(2)
