"""Prices of batches by the table of the package genai-prices, as it is installed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import Usage, calc_price
from operations_kit import HOUR, KEYS, World

from jobdash.demo.emulator import BatchFailure, BatchPlan, BatchScript, Timing
from jobdash.domain.account import Account, Secret
from jobdash.domain.cost import Cost, ListPrice
from jobdash.domain.job import JobRow
from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.status import Status
from jobdash.operations.fetch import fetch
from jobdash.operations.pricing import dollars, input_cost, price_of, price_stale, reprice
from jobdash.operations.results.fetch_request import FetchRequest
from jobdash.store.sort_orders import Scope
from jobdash.store.writer import Writer

MILLION = 1_000_000
WITH_BATCH_PRICE = datetime(2026, 11, 1, tzinfo=UTC)
BEFORE_BATCH_PRICES = datetime(2026, 9, 1, tzinfo=UTC)
IDS = {"openai": "openai", "gemini": "google"}


def row(
    model: str | None,
    read: int | None = MILLION,
    written: int | None = MILLION,
    *,
    provider: str = "openai",
    created: datetime = WITH_BATCH_PRICE,
    **more: Any,
) -> JobRow:
    known: dict[str, Any] = {
        "id": 1,
        "public_id": "k3f9a2bc",
        "provider": provider,
        "account": provider,
        "remote_id": "batch_1",
        "name": "nightly",
        "status": Status.COMPLETED,
        "remote_status": Status.COMPLETED,
        "raw_status": "completed",
        "created_at": int(created.timestamp() * 1000),
        "total": 10_000,
        "succeeded": 10_000,
    }
    nothing = (
        "verdict", "cancel_requested_at", "removed_at", "gone_at", "error", "left_behind", "lease_until",
        "removing",
    )  # fmt: skip
    known |= dict.fromkeys(nothing) | {"updated_at": 0, "cancel_doubt": False, "fence": 0, "revision": 1}
    known |= {"model": model, "input_tokens": read, "output_tokens": written}
    return JobRow(**(known | more))


def listed(
    model: str,
    provider: str = "openai",
    created: datetime = WITH_BATCH_PRICE,
    *,
    batch: bool = True,
    **tokens: int,
) -> Decimal:
    """What the table itself says, in dollars."""
    found = calc_price(
        Usage(**tokens),
        model,
        provider_id=IDS[provider],
        genai_request_timestamp=created,
        price_context={"processing": "batch"} if batch else None,
    )
    return found.total_price


def known(cost: Cost | None) -> Cost:
    assert cost is not None
    return cost


BOTH = {"input_tokens": MILLION, "output_tokens": MILLION}


@pytest.mark.parametrize(
    ("model", "provider"), [("gpt-4.1-mini", "openai"), ("gemini-2.5-flash", "gemini"), ("o3", "openai")]
)
def test_a_batch_has_the_batch_price(model: str, provider: str) -> None:
    cost = known(price_of(row(model, provider=provider), {}))
    assert cost == Cost(int(listed(model, provider, **BOTH) * MILLION))
    assert cost.micros < listed(model, provider, batch=False, **BOTH) * MILLION


def test_without_a_batch_price_the_full_one_is_an_upper_bound() -> None:
    cost = known(price_of(row("gpt-4o-search-preview"), {}))
    full = listed("gpt-4o-search-preview", batch=False, **BOTH)
    assert cost == Cost(int(full * MILLION), upper_bound=True)


def test_a_batch_older_than_the_batch_prices_has_the_price_of_its_own_day() -> None:
    old = known(price_of(row("gpt-4.1-mini", created=BEFORE_BATCH_PRICES), {}))
    new = known(price_of(row("gpt-4.1-mini"), {}))
    assert (old.upper_bound, new.upper_bound) == (True, False)
    assert old.micros == 2 * new.micros


def test_prices_that_changed_since_are_those_of_the_day_of_its_creation() -> None:
    old, new = (
        known(price_of(row("o3", created=day), {})).micros
        for day in (datetime(2025, 6, 1, tzinfo=UTC), BEFORE_BATCH_PRICES)
    )
    assert old == 5 * new


@pytest.mark.parametrize(
    "unknown",
    [
        row("gpt-x"),
        row(""),
        row(None),
        row("gpt-4.1-mini", None),
        row("gpt-4.1-mini", written=None),
        row("gpt-4.1-mini", provider="nobody"),
        row("gpt-4.1-mini", provider="local"),
        row("ft:gpt-4.1-mini-2025-04-14:acme::abc"),
        row("tunedModels/mine", provider="gemini"),
        row("gpt-4.1-mini", created_at=10**18),
        row("whisper-1"),
    ],
    ids=lambda job: f"{job.provider} {job.model}",
)
def test_what_is_not_known_is_unknown_and_never_nothing(unknown: JobRow) -> None:
    assert price_of(unknown, {}) is None


def test_embeddings_have_no_output() -> None:
    cost = price_of(row("text-embedding-3-small", written=None), {})
    assert cost == Cost(
        int(listed("text-embedding-3-small", input_tokens=MILLION) * MILLION), upper_bound=True
    )
    assert (
        known(price_of(row("gemini-embedding-2", written=None, provider="gemini"), {})).upper_bound is False
    )


@pytest.mark.parametrize(
    ("name", "plain", "provider"),
    [
        ("models/gemini-2.5-flash", "gemini-2.5-flash", "gemini"),
        ("publishers/google/models/gemini-2.5-flash", "gemini-2.5-flash", "gemini"),
        ("ft:gpt-4o-mini-2024-07-18:acme:support:9xYz", "ft:gpt-4o-mini-2024-07-18", "openai"),
        ("gpt-4.1-mini-2025-04-14", "gpt-4.1-mini", "openai"),
    ],
)
def test_names_are_found_as_providers_write_them(name: str, plain: str, provider: str) -> None:
    assert known(price_of(row(name, provider=provider), {})) == price_of(row(plain, provider=provider), {})


def test_a_fine_tuned_model_is_dearer_than_its_base() -> None:
    tuned, base = (
        known(price_of(row(name), {})) for name in ("ft:gpt-4o-mini-2024-07-18:acme::9x", "gpt-4o-mini")
    )
    assert tuned.micros > base.micros


def test_cached_tokens_are_cheaper_and_an_upper_bound_where_only_their_full_price_is_known() -> None:
    cached = known(price_of(row("gemini-3.1-flash-lite", provider="gemini", cached_tokens=MILLION // 2), {}))
    without = known(price_of(row("gemini-3.1-flash-lite", provider="gemini"), {}))
    assert cached.micros < without.micros
    assert not cached.upper_bound
    assert known(price_of(row("gpt-4.1-mini", cached_tokens=MILLION // 2), {})).upper_bound


def test_more_cached_tokens_than_tokens_are_all_of_them() -> None:
    too_many, all_of_them = (row("gpt-4.1-mini", cached_tokens=number * MILLION) for number in (3, 1))
    assert price_of(too_many, {}) == price_of(all_of_them, {})


def test_long_requests_cost_more_and_many_short_ones_do_not() -> None:
    many, long = (
        known(price_of(row("gemini-2.5-pro", 3 * MILLION, 0, provider="gemini", succeeded=number), {}))
        for number in (1_000, 10)
    )
    assert long.micros == 2 * many.micros


def test_own_prices_win_by_the_providers_name_and_by_the_lists() -> None:
    own = {"gpt-x": ListPrice(0.5, 1.5, 0.1), "gemini-2.5-flash": ListPrice(0, 0)}
    assert price_of(row("gpt-x", cached_tokens=MILLION // 2), own) == Cost(250_000 + 50_000 + 1_500_000)
    assert price_of(row("models/gemini-2.5-flash", provider="gemini"), own) == Cost(0)
    assert price_of(row("gpt-x", cached_tokens=5), {"gpt-x": ListPrice(0.5, 1.5)}) == Cost(2_000_000)
    assert price_of(row("gpt-x", None), own) is None


# ── as costs become known ──────────────────────────────────────────────────────────────────────────────


def add(world: World, account: str = "openai", model: str = "gpt-4.1-mini", **plan: Any) -> str:
    """Add a batch of 100 requests that has ended, or ends as the plan says."""
    plan.setdefault("timing", Timing(validating=5, running=60.0))
    script = BatchScript(
        model=model, total=100, created_at=world.clock.now() - 2 * HOUR, plan=BatchPlan(**plan)
    )
    world.used.add(account)
    provider = world.emulator.gemini if account == "gemini" else world.emulator.openai
    return provider.add_batch(script, key=KEYS[account])


async def test_a_sync_prices_what_has_a_usage(world: World) -> None:
    priced = add(world, failures=(BatchFailure(10),))
    unknown = add(world, model="gpt-x")
    running = add(world, timing=Timing(validating=5, running=24 * HOUR))
    await world.sync()
    job = world.row(priced)
    assert (job.input_tokens, job.output_tokens, job.cached_tokens) == (1_800, 2_700, 0)
    assert job.cost == known(price_of(job, {})).micros
    assert (world.row(unknown).tokens, world.row(unknown).cost) == (5_000, None)
    assert (world.row(running).tokens, world.row(running).cost) == (None, None)
    assert world.browser.stale_costs(0, 10) == []


async def test_what_was_paid_is_the_cost_where_the_server_says_it(world: World) -> None:
    side = world.emulator.side("openrouter")
    address = world.server.profile_base_url("openrouter")
    account = Account("router", "openai", "ROUTER_KEY", Secret(side.key), address, profile="openrouter")
    await world.with_accounts((account,))
    plan = BatchPlan(timing=Timing(validating=5, running=60.0))
    made = world.clock.now() - 2 * HOUR
    ids = [
        side.add_batch(BatchScript(model=model, total=100, created_at=made, plan=plan), key=side.key)
        for model in ("gpt-4.1-mini", "somebody/has-no-price")
    ]
    await world.sync("router")

    own = {"gpt-4.1-mini": ListPrice(1, 1)}
    for remote_id in ids:
        job = world.row(remote_id)
        assert (job.tokens, job.cost, job.cost_is_upper_bound) == (5_000, 2_500, False)
    assert await reprice(world.browser, world.store, own, Scope(removed=True)) == (2, 0)


@pytest.mark.parametrize(
    ("value", "micros"),
    [(0.0025, 2_500), ("0.0025", 2_500), (0, 0), (2, 2 * MILLION)]
    + [(wrong, None) for wrong in (None, True, -1, "free", {}, float("nan"), float("inf"), 1e300, 10**400)],
)
def test_an_amount_is_a_number_of_dollars_or_unknown(value: object, micros: int | None) -> None:
    assert dollars(value) == micros


async def test_a_collected_batch_is_priced_by_its_lines_where_its_provider_reports_no_usage(
    world: World, tmp_path: Any
) -> None:
    remote = add(world, "gemini", "gemini-2.5-flash")
    (job,) = await world.known(remote)
    assert (job.tokens, job.cost) == (None, None)
    await fetch([job], FetchRequest(tmp_path, world.browser.again, world.work))
    job = world.row(remote)
    assert (job.input_tokens, job.output_tokens) == (2_000, 3_000)
    assert job.cost == known(price_of(job, {})).micros > 0


async def test_what_the_provider_says_of_the_batch_is_not_replaced_by_a_sum_of_lines(
    world: World, tmp_path: Any
) -> None:
    (job,) = await world.known(add(world))
    before = job.tokens
    await world.store.write(Writer.upsert, "openai", "openai", job.origin, (usage(job, 7),), world.ms() + 1)
    await fetch([job], FetchRequest(tmp_path, world.browser.again, world.work))
    assert before != 14
    assert world.row(job.remote_id or "").tokens == 14


def usage(job: JobRow, tokens: int) -> RemoteJob:
    return RemoteJob(
        job.remote_id or "", job.remote_status, job.raw_status, job.name, job.created_at,
        input_tokens=tokens, output_tokens=tokens,
    )  # fmt: skip


async def test_a_cost_follows_the_tokens(world: World) -> None:
    (job,) = await world.known(add(world))
    await world.store.write(
        Writer.upsert, "openai", "openai", job.origin, (usage(job, MILLION),), world.ms() + 1
    )
    assert world.row(job.remote_id or "").cost == job.cost
    await price_stale(world.browser, world.store, {})
    assert world.row(job.remote_id or "").cost == listed("gpt-4.1-mini", **BOTH) * MILLION


async def test_a_cost_of_tokens_that_have_changed_meanwhile_is_not_written(world: World) -> None:
    (job,) = await world.known(add(world))
    newer = usage(job, MILLION)
    await world.store.write(Writer.upsert, "openai", "openai", job.origin, (newer,), world.ms() + 1)
    await world.store.write(Writer.set_costs, [(job, Cost(1))])
    assert world.row(job.remote_id or "").cost == job.cost
    assert [each.id for each in world.browser.stale_costs(0, 10)] == [job.id]


async def test_a_cost_is_no_change_of_the_job(world: World) -> None:
    (job,) = await world.known(add(world))
    await world.store.write(Writer.set_costs, [(job, Cost(1, upper_bound=True))])
    now = world.row(job.remote_id or "")
    assert (now.cost, now.cost_is_upper_bound) == (1, True)
    assert now.updated_at == job.updated_at
    assert now.revision > job.revision


async def test_pricing_anew_takes_the_prices_of_now(world: World) -> None:
    remote = add(world, model="gpt-x")
    other = add(world)
    await world.sync()
    own = {"gpt-x": ListPrice(1, 2)}
    assert await reprice(world.browser, world.store, own, Scope(removed=True)) == (2, 1)
    assert world.row(remote).cost == 2_000 + 2 * 3_000
    assert await reprice(world.browser, world.store, own, Scope(removed=True)) == (2, 0)
    assert await reprice(world.browser, world.store, {}, Scope(removed=True)) == (2, 1)
    assert world.row(remote).cost is None
    assert world.row(other).cost is not None


async def test_own_prices_of_the_settings_are_used_by_a_sync(world: World) -> None:
    world.config = replace(world.config, prices={"gpt-x": ListPrice(1, 1)})
    remote = add(world, model="gpt-x")
    await world.sync()
    assert world.row(remote).cost == 5_000


def test_own_prices_do_not_make_unknown_output_free() -> None:
    assert price_of(row("gpt-x", written=None), {"gpt-x": ListPrice(1, 2)}) is None
    assert price_of(row("embed-x", written=None), {"embed-x": ListPrice(1, 0)}) == Cost(MILLION)


@pytest.mark.parametrize(
    ("provider", "model", "own", "expected"),
    [
        ("openai", "gpt-x", {"gpt-x": ListPrice(2.0, 8.0)}, 20),
        ("openai", "gpt-x", {}, None),
        ("openai", None, {}, None),
        ("nobody", "gpt-x", {"gpt-x": ListPrice(2.0, 8.0)}, None),
    ],
)
def test_what_an_input_will_cost_is_known_where_its_price_is(
    provider: str, model: str | None, own: dict[str, ListPrice], expected: int | None
) -> None:
    found = input_cost(provider, model, 10, 2, 1_800_000_000_000, own)
    assert (None if found is None else found.micros) == expected


def test_the_input_of_a_listed_model_costs_half_at_a_batch_service() -> None:
    found = input_cost("openai", "gpt-5-mini", 1_000_000, 100, 1_796_000_000_000, {})
    assert found is not None
    assert (found.micros, found.upper_bound) == (125_000, False)
