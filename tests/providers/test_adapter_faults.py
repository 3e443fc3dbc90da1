"""Every fault, at every call, of every adapter: only our errors come out, and never the key."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from shared.slices import rest_slow

from jobdash.demo.emulator import (
    PROFILES,
    BatchScript,
    CutBody,
    Delay,
    EmptyJson,
    ErrorAnswer,
    FaultRule,
    MalformedJson,
    Reset,
)
from jobdash.errors import (
    AuthRejected,
    BadResponse,
    InvalidRequest,
    NotFound,
    ProviderError,
    RateLimited,
    Unavailable,
)
from jobdash.providers.base import Adapter
from jobdash.providers.http import Deadlines

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROVIDERS = ("openai", "gemini", "anthropic", "mistral", *PROFILES)
CALLS = ("list", "get", "upload", "create", "cancel", "delete", "delete_file")
NOT_ASKED = {(name, "delete") for name in ("openai", *PROFILES) if name != "openrouter"}
NOT_ASKED |= {
    ("openrouter", "upload"),
    ("openrouter", "delete_file"),
    ("openrouter", "cancel"),
    ("anthropic", "upload"),
    ("anthropic", "delete_file"),
}
"""Calls that send nothing, as the provider has no such thing."""
PAIRS = [(p, call) for p in PROVIDERS for call in CALLS if (p, call) not in NOT_ASKED]
OWN_FAST = rest_slow(
    PAIRS,
    [(p, call) for p, call in PAIRS if p not in PROFILES or (p, call) == ("together", "create")],
    several=True,
)
"""Servers with OpenAI's API are reached with OpenAI's adapter, mostly."""

ANSWERS: dict[int, type[ProviderError]] = {
    400: InvalidRequest,
    401: AuthRejected,
    403: AuthRejected,
    404: NotFound,
    409: InvalidRequest,
    418: InvalidRequest,
    429: RateLimited,
    500: Unavailable,
    502: Unavailable,
    503: Unavailable,
    529: Unavailable,
}
BROKEN: dict[str, tuple[object, type[ProviderError]]] = {
    "reset before": (Reset(applied=False), Unavailable),
    "reset after": (Reset(applied=True), Unavailable),
    "cut": (CutBody(), Unavailable),
    "malformed": (MalformedJson(), BadResponse),
}
EMPTY_IS_AN_ANSWER = {("gemini", call) for call in ("list", "cancel", "delete", "delete_file")}
"""Where google.protobuf.Empty, or an empty list, is what Gemini really says."""
EMPTY_IS_AN_ANSWER |= {("together", "upload")}
"""The file's id comes in a header."""
EMPTY_IS_AN_ANSWER |= {(name, "cancel") for name in ("openai", *PROFILES)}
"""A yes is a yes, with the batch or without; the syncs see what it came to."""

Calls = Callable[[Adapter, str], Awaitable[object]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def adapters(world: Any) -> AsyncIterator[dict[str, Adapter]]:
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(world.adapter(name)) for name in PROVIDERS}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty(world: Any) -> AsyncIterator[dict[str, Adapter]]:
    deadlines = Deadlines(call=0.1, upload=0.1)
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(world.adapter(name, deadlines)) for name in PROVIDERS}


@pytest.fixture(autouse=True)
def _no_faults_left(world: Any) -> Iterator[None]:
    yield
    world.emulator.faults.clear()


@pytest.fixture
def perform(world: Any, submission: Any) -> Calls:
    """Do one call on a batch made for it."""

    async def do(adapter: Adapter, call: str, effect: object = None) -> object:
        profile, provider = adapter.profile.name, adapter.info.name  # type: ignore[attr-defined]
        side = world.emulator.side(profile or provider)
        ended = world.clock.now() - 3 * 24 * 3600 if call == "delete" else None
        batch = side.add_batch(BatchScript(name="x", total=3, created_at=ended), key=world.key)
        job = await adapter.get(batch)
        submit = submission(provider)
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "list": adapter.list,
            "get": lambda: adapter.get(batch),
            "upload": lambda: adapter.upload(submit),
            "create": lambda: adapter.create(submit, job.files.get("input", "")),
            "cancel": lambda: adapter.cancel(batch),
            "delete": lambda: adapter.delete(batch),
            "delete_file": lambda: adapter.delete_file(job.files["input"]),
        }
        if effect is not None:
            world.emulator.faults.add(FaultRule(effect=effect))
        return await calls[call]()

    return do  # type: ignore[return-value]


def assert_tells_no_key(error: ProviderError, key: str) -> None:
    told = f"{error} {error!r} {error.detail} {error.args} {vars(error)}"
    assert key not in told
    assert error.__suppress_context__ or error.__context__ is None


@pytest.mark.parametrize(("provider", "call"), PAIRS)
async def test_without_a_fault_every_call_works(
    adapters: Any, perform: Any, provider: str, call: str
) -> None:
    await perform(adapters[provider], call)


@pytest.mark.parametrize("status", ANSWERS)
@pytest.mark.parametrize(("provider", "call"), OWN_FAST)
async def test_a_refusal_is_translated(
    adapters: Any, world: Any, perform: Any, provider: str, call: str, status: int
) -> None:
    words = f"no {world.key} x-goog-api-key: {world.key} Bearer {world.key}, sorry"
    body = json.dumps({"error": {"message": words, "code": status}})
    with pytest.raises(ProviderError) as caught:
        await perform(adapters[provider], call, ErrorAnswer(status, body=body))
    assert type(caught.value) is ANSWERS[status]
    assert caught.value.status == status
    assert "sorry" in caught.value.detail
    assert_tells_no_key(caught.value, world.key)


@pytest.mark.parametrize("fault", BROKEN)
@pytest.mark.parametrize(("provider", "call"), OWN_FAST)
async def test_a_broken_answer_is_translated(
    adapters: Any, world: Any, perform: Any, provider: str, call: str, fault: str
) -> None:
    effect, expected = BROKEN[fault]
    with pytest.raises(ProviderError) as caught:
        await perform(adapters[provider], call, effect)
    assert type(caught.value) is expected
    assert_tells_no_key(caught.value, world.key)


@pytest.mark.parametrize(("provider", "call"), PAIRS)
async def test_an_empty_object_is_not_believed(adapters: Any, perform: Any, provider: str, call: str) -> None:
    if (provider, call) in EMPTY_IS_AN_ANSWER:
        await perform(adapters[provider], call, EmptyJson())
    else:
        with pytest.raises(BadResponse):
            await perform(adapters[provider], call, EmptyJson())


@pytest.mark.parametrize(
    ("provider", "other"),
    [
        ("openai", {"id": "batch_other", "status": "completed"}),
        ("gemini", {"name": "batches/other", "metadata": {"state": "BATCH_STATE_SUCCEEDED"}}),
        ("anthropic", {"id": "msgbatch_other", "processing_status": "ended"}),
        ("mistral", {"id": "other", "status": "SUCCESS"}),
    ],
)
async def test_the_answer_about_another_batch_is_not_believed(
    adapters: Any, perform: Any, provider: str, other: object
) -> None:
    with pytest.raises(BadResponse, match="asked for"):
        await perform(adapters[provider], "get", ErrorAnswer(200, body=json.dumps(other)))


@pytest.mark.parametrize(("provider", "call"), OWN_FAST)
async def test_a_call_ends_at_its_deadline(
    hasty: Any, world: Any, perform: Any, provider: str, call: str
) -> None:
    with pytest.raises(Unavailable, match="no answer in time") as caught:
        await perform(hasty[provider], call, Delay(0.4))
    assert caught.value.retry_after is None
    assert_tells_no_key(caught.value, world.key)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        (ErrorAnswer(404), NotFound),
        (ErrorAnswer(429, retry_after=20), RateLimited),
        (Reset(applied=False), Unavailable),
        (Reset(applied=True), Unavailable),
        (CutBody(), Unavailable),
    ],
)
async def test_a_download_that_breaks_says_so(
    adapters: Any, world: Any, provider: str, effect: object, expected: type[ProviderError]
) -> None:
    adapter = adapters[provider]
    batch = world.emulator.side(provider).add_batch(BatchScript(total=3), key=world.key)
    world.clock.advance(3600)
    job = await adapter.get(batch)
    world.emulator.faults.add(FaultRule(effect=effect))  # type: ignore[arg-type]
    with pytest.raises(ProviderError) as caught:
        [line async for line in adapter.results(job)]
    assert type(caught.value) is expected
    assert_tells_no_key(caught.value, world.key)
