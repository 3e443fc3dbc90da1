"""An emulator on a real socket with a clock that stands still, and the real SDKs talking to it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator

import httpx2
import pytest
from google import genai
from google.genai import types
from openai import AsyncOpenAI

from jobdash.demo.emulator import GEMINI_KEY, OPENAI_KEY, Emulator, EmulatorServer, ManualClock

OpenAIFactory = Callable[[str], AsyncOpenAI]
GeminiFactory = Callable[[str, str], genai.client.AsyncClient]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def emulator(clock: ManualClock) -> Emulator:
    return Emulator(clock=clock)


@pytest.fixture
def server(emulator: Emulator) -> Iterator[EmulatorServer]:
    with EmulatorServer(emulator) as running:
        yield running


@pytest.fixture
async def http(server: EmulatorServer) -> AsyncIterator[httpx2.AsyncClient]:
    """A bare client with both keys at hand: nothing is sent unless a test says so."""
    # No certificates: loading them takes longer than most of these tests.
    async with httpx2.AsyncClient(base_url=server.url, verify=False, trust_env=False) as client:
        yield client


@pytest.fixture
def openai_as(server: EmulatorServer, http: httpx2.AsyncClient) -> OpenAIFactory:
    """Makes OpenAI clients by key."""
    return lambda key: AsyncOpenAI(
        base_url=server.openai_base_url, api_key=key, max_retries=0, http_client=http
    )


@pytest.fixture
def gemini_as(server: EmulatorServer, http: httpx2.AsyncClient) -> GeminiFactory:
    """Makes Gemini clients by key and API version."""

    def make(key: str, version: str) -> genai.client.AsyncClient:
        options = types.HttpOptions(
            base_url=server.gemini_base_url, api_version=version, httpx_async_client=http
        )
        return genai.Client(api_key=key, http_options=options).aio

    return make


@pytest.fixture
def openai(openai_as: OpenAIFactory) -> AsyncOpenAI:
    return openai_as(OPENAI_KEY)


@pytest.fixture
def gemini(gemini_as: GeminiFactory) -> genai.client.AsyncClient:
    return gemini_as(GEMINI_KEY, "v1")


@pytest.fixture
def jsonl() -> Callable[[int], bytes]:
    """Makes OpenAI input files of so many good requests."""

    def make(count: int) -> bytes:
        body = {"model": "gpt-x", "messages": [{"role": "user", "content": "Hello"}]}
        lines = [
            {"custom_id": f"r{n}", "method": "POST", "url": "/v1/chat/completions", "body": body}
            for n in range(count)
        ]
        return "\n".join(json.dumps(line) for line in lines).encode()

    return make
