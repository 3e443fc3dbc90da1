"""The sample jobs: enough of each kind to look at, and still moving."""

from __future__ import annotations

from collections import Counter

import pytest
from openai import AsyncOpenAI
from openai.types import Batch

from jobdash.demo.emulator import ANTHROPIC_KEY, GEMINI_KEY, MISTRAL_KEY, OPENAI_KEY, Emulator, ManualClock
from jobdash.demo.emulator.batch import EmulatedBatch
from jobdash.demo.emulator.emulator import EmulatedProvider
from jobdash.demo.environment import demo_world
from jobdash.demo.samples import KEYS, PRICES, WORK_KEY, seed_emulator


@pytest.fixture
def seeded(emulator: Emulator, clock: ManualClock) -> Emulator:
    seed_emulator(emulator, clock.now())
    return emulator


def everything(emulator: Emulator) -> list[tuple[EmulatedProvider, EmulatedBatch]]:
    accounts = [(emulator.openai, OPENAI_KEY), (emulator.openai, WORK_KEY), (emulator.gemini, GEMINI_KEY)]
    return [
        (provider, batch)
        for provider, key in accounts
        for batch in provider.account(key).batches.page(1_000).batches
    ]


def phases(emulator: Emulator) -> Counter[str]:
    return Counter(provider.snapshot_of(batch).phase.value for provider, batch in everything(emulator))


def test_every_state_is_there(seeded: Emulator) -> None:
    assert set(KEYS.values()) == {OPENAI_KEY, GEMINI_KEY, WORK_KEY, ANTHROPIC_KEY, MISTRAL_KEY}
    assert 35 <= len(everything(seeded)) <= 45
    found = phases(seeded)
    assert found["in_progress"] >= 8
    assert found["validating"] >= 5
    assert found["finalizing"] == 1
    assert found["cancelling"] == 2
    assert min(found[word] for word in ("completed", "failed", "expired", "cancelled")) >= 2


def test_names_are_distinct(seeded: Emulator) -> None:
    names = [batch.script.name for _, batch in everything(seeded)]
    assert max(Counter(names).values()) == 1
    assert max(map(len, names)) > 150


def test_something_moves_at_every_moment_of_twenty_minutes(seeded: Emulator, clock: ManualClock) -> None:
    for _ in range(40):
        before = [provider.snapshot_of(batch).processed for provider, batch in everything(seeded)]
        clock.advance(30)
        after = [provider.snapshot_of(batch).processed for provider, batch in everything(seeded)]
        assert sum(earlier < later for earlier, later in zip(before, after, strict=True)) >= 3


def test_something_ends_every_few_minutes(seeded: Emulator, clock: ManualClock) -> None:
    seen = [phases(seeded)]
    for _ in range(4):
        clock.advance(180)
        seen.append(phases(seeded))
        assert seen[-1] != seen[-2]
    assert seen[-1]["cancelling"] == 1  # the one that is stuck


async def by_name(openai: AsyncOpenAI) -> dict[str, Batch]:
    return {(batch.metadata or {}).get("name", ""): batch async for batch in openai.batches.list(limit=100)}


@pytest.mark.usefixtures("seeded")
async def test_the_numbers_are_those_of_the_picture(openai: AsyncOpenAI) -> None:
    jobs = await by_name(openai)
    counts = {
        name: (job.request_counts.completed, job.request_counts.failed, job.request_counts.total)
        for name, job in jobs.items()
        if job.request_counts is not None
    }
    assert counts["summaries-v2"] == (9_969, 31, 10_000)
    assert counts["summaries-v1"] == (0, 10_000, 10_000)
    assert counts["weekly-digest"] == (8_800, 0, 12_000)
    assert counts["catalogue-tags"] == (120, 0, 1_000)
    assert jobs["summaries-v1"].output_file_id is None
    errors = jobs["ticket-routing"].errors
    assert errors is not None
    assert errors.data is not None
    assert [error.line for error in errors.data] == [17, 203, 1_118]


@pytest.mark.usefixtures("seeded")
async def test_one_is_stuck_in_its_cancel(openai: AsyncOpenAI, clock: ManualClock) -> None:
    clock.advance(3_600)
    stuck = (await by_name(openai))["ledger-cleanup"]
    assert stuck.status == "cancelling"
    assert stuck.cancelling_at is not None
    assert clock.now() - stuck.cancelling_at > 15 * 60


@pytest.mark.usefixtures("seeded")
async def test_what_is_submitted_takes_three_minutes(openai: AsyncOpenAI, clock: ManualClock) -> None:
    file = (await by_name(openai))["eval-smoke"].input_file_id
    batch = await openai.batches.create(
        input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h"
    )
    clock.advance(100)
    batch = await openai.batches.retrieve(batch.id)
    assert batch.request_counts is not None
    assert (batch.status, batch.request_counts.completed) == ("in_progress", 25)
    clock.advance(100)
    assert (await openai.batches.retrieve(batch.id)).status == "completed"


def test_every_model_of_the_demo_has_a_price(seeded: Emulator) -> None:
    models = {batch.script.model for _, batch in everything(seeded)}
    assert len(models) > 3
    assert models <= set(PRICES)
    with demo_world() as config:
        assert config.prices == PRICES
