"""Our adapters pass the conformance suite, each against its emulator; an adapter that lies does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobdash.demo.emulator import PROFILES
from jobdash.providers.conformance import CHECKS, NotConforming, Target, a_list_ends, results_are_whole
from jobdash.providers.openai.batches import OpenAIBatches
from jobdash.providers.registry import provider_of

UNKNOWN = {
    "openai": "batch_0123456789abcdef",
    "gemini": "batches/doesnotexist",
    "anthropic": "msgbatch_0123456789abcdef",
    "mistral": "01234567-89ab-cdef-0123-456789abcdef",
} | dict.fromkeys(PROFILES, "batch_0123456789abcdef")


@pytest.fixture
def target(
    request: pytest.FixtureRequest, world: Any, write_batch: Callable[[str, int], Path]
) -> Iterator[Target]:
    """A provider of ours with an empty account at its emulator, which accepts one key."""
    world.emulator.keys = {world.key}
    name = request.param
    world.emptied(name)

    async def complete(_remote_id: str) -> None:
        world.clock.advance(3 * 24 * 3600)

    yield Target(
        info=provider_of(world.account(name)),
        account=world.account(name),
        input_file=write_batch(name, 3),
        keys=frozenset({"r0", "r1", "r2"}),
        complete=complete,
        unknown_id=UNKNOWN[name],
        model="model-x" if name in {"gemini", "mistral", "openrouter"} else None,
        endpoint={"gemini": None, "anthropic": None, "mistral": "/v1/chat/completions"}.get(
            name, "/v1/responses"
        ),
    )
    world.emulator.keys = None


@pytest.mark.parametrize("target", UNKNOWN, indirect=True)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_our_adapters_conform(check: Callable[[Target], Any], target: Target) -> None:
    await check(target)


@pytest.mark.parametrize("target", ["openai"], indirect=True)
async def test_an_adapter_that_repeats_a_page_does_not_conform(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = OpenAIBatches.list

    async def repeating(self: OpenAIBatches, cursor: str | None = None, limit: int | None = None) -> Any:
        page = await honest(self, cursor, limit)
        return type(page)(page.jobs * 2, page.cursor)

    monkeypatch.setattr(OpenAIBatches, "list", repeating)
    with pytest.raises(NotConforming, match="twice"):
        await a_list_ends(target)


@pytest.mark.parametrize("target", ["openai"], indirect=True)
async def test_an_adapter_that_loses_a_result_does_not_conform(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = OpenAIBatches.results

    async def losing(self: OpenAIBatches, job: Any) -> Any:
        skipped = False
        async for line in honest(self, job):
            if skipped:
                yield line
            skipped = True

    monkeypatch.setattr(OpenAIBatches, "results", losing)
    with pytest.raises(NotConforming, match="one line for each request"):
        await results_are_whole(target)
