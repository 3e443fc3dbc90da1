"""Compute what batches cost: own prices, else those of the package genai-prices, at the batch service's rate.

The package, which takes a quarter of a second to import, is loaded when the first batch is priced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from jobdash.domain.cost import Cost, ListPrice
from jobdash.domain.job import JobRow
from jobdash.domain.money import MICROS
from jobdash.domain.provider_info import ProviderInfo
from jobdash.domain.time import utc_date
from jobdash.operations.writer_thread import StoreWriter
from jobdash.providers.registry import find_provider, load_object
from jobdash.store.reader import Reader
from jobdash.store.sort_orders import Scope
from jobdash.store.writer import Writer

if TYPE_CHECKING:
    from decimal import Decimal

    from genai_prices.types import ModelPrice

_BATCH = {"processing": "batch"}
_AT_ONCE = 2_000
"""Batches that are priced between two writes."""
PricedJob = tuple[JobRow, Cost | None]


async def price_stale(reader: Reader, store: StoreWriter, own: Mapping[str, ListPrice]) -> None:
    """Compute and write the cost of every batch whose tokens or model have changed; raises StoreError.

    ``own`` are a person's own prices, by model. Prices are looked up in a thread of their own.
    """
    behind = 0
    while rows := reader.stale_costs(behind, _AT_ONCE):
        await store.write(Writer.set_costs, await asyncio.to_thread(price_jobs, rows, own))
        behind = rows[-1].id


async def reprice(
    reader: Reader, store: StoreWriter, own: Mapping[str, ListPrice], scope: Scope
) -> tuple[int, int]:
    """Compute and write the cost of every batch of a scope whose tokens are known, with the prices of now.

    Returns how many these are, and how many of the costs are other ones than before.
    """
    behind = number = changed = 0
    while rows := reader.priced_jobs(scope, behind, _AT_ONCE):
        priced = await asyncio.to_thread(price_jobs, rows, own)
        others = [(row, cost) for row, cost in priced if cost != _known_cost(row)]
        await store.write(Writer.set_costs, others)
        behind, number, changed = rows[-1].id, number + len(rows), changed + len(others)
    return number, changed


def _known_cost(row: JobRow) -> Cost | None:
    return None if row.cost is None else Cost(row.cost, bool(row.cost_is_upper_bound))


def price_jobs(rows: Iterable[JobRow], own: Mapping[str, ListPrice]) -> list[PricedJob]:
    """Return what each batch cost; None where its tokens or its price are not known."""
    return [(row, price_of(row, own)) for row in rows]


def price_of(row: JobRow, own: Mapping[str, ListPrice]) -> Cost | None:
    """Return what a batch cost, at the prices of its creation; None where that is not known, never 0."""
    info = find_provider(row.provider)
    if row.model is None or row.input_tokens is None or info is None:
        return None
    name = load_object(info.priced_model)(row.model) if info.priced_model else row.model
    mine = own.get(row.model) or own.get(name)
    return _own_cost(row, mine) if mine is not None else _listed_cost(row, name, info)


def _own_cost(row: JobRow, price: ListPrice) -> Cost:
    read, cached = _input(row)
    for_cached = price.input if price.cached is None else price.cached
    written = row.output_tokens or 0
    return Cost(round((read - cached) * price.input + cached * for_cached + written * price.output))


def _input(row: JobRow) -> tuple[int, int]:
    """Return the input tokens, and how many of them are cached; no provider's slip makes these more."""
    read = row.input_tokens or 0
    return read, min(row.cached_tokens or 0, read)


def _listed_cost(row: JobRow, name: str, info: ProviderInfo) -> Cost | None:
    """Return the cost by the table of prices."""
    created = utc_date(row.created_at)
    if not info.price_id or created is None:
        return None
    from genai_prices import Usage, calc_price

    def listed(context: dict[str, str] | None) -> ModelPrice:
        nothing = Usage(input_tokens=0)
        found = calc_price(
            nothing, name, provider_id=info.price_id, genai_request_timestamp=created, price_context=context
        )
        return _flat(found.model_price, _request_tokens(row))

    try:
        batch, full = listed(_BATCH), listed(None)
    except LookupError:  # no such model, or no such provider
        return None
    if not _prices_tokens(row, batch):
        return None
    read, cached = _input(row)
    usage = Usage(input_tokens=read, cache_read_tokens=cached, output_tokens=row.output_tokens or 0)
    amount: Decimal = batch.calc_price(usage)["total_price"]
    return Cost(round(amount * MICROS), _at_full_price(row, batch, full))


def _prices_tokens(row: JobRow, price: ModelPrice) -> bool:
    """Whether all tokens are known that have a price, and have one: some models are paid by the second."""
    if row.output_tokens is None:
        return price.input_mtok is not None and price.output_mtok is None
    paid = ((row.input_tokens, price.input_mtok), (row.output_tokens, price.output_mtok))
    return all(rate is not None for tokens, rate in paid if tokens)


def _at_full_price(row: JobRow, batch: ModelPrice, full: ModelPrice) -> bool:
    """Whether some of a batch's tokens have no batch price: then the table silently gives the full one."""
    read, cached = _input(row)
    used = {
        "input_mtok": read - cached,
        "output_mtok": row.output_tokens or 0,
        "cache_read_mtok": cached,
    }
    return any(
        tokens and getattr(full, rate) and getattr(batch, rate) == getattr(full, rate)
        for rate, tokens in used.items()
    )


def _request_tokens(row: JobRow) -> int:
    """Return the input tokens of an average request: long ones cost more, however many there are."""
    return (row.input_tokens or 0) // max(1, row.succeeded or row.total or 1)


def _flat(price: ModelPrice, tokens: int) -> ModelPrice:
    """Return a price as it is for requests of so many input tokens.

    The table compares its steps with the tokens it is given, which are those of one request, not of a batch.
    """
    from genai_prices.types import ModelPrice, TieredPrices

    def rate(value: Decimal | TieredPrices | None) -> Decimal | None:
        if not isinstance(value, TieredPrices):
            return value
        above = [tier.price for tier in value.tiers if tokens > tier.start]
        return above[-1] if above else value.base

    return ModelPrice(**{key: rate(value) for key, value in vars(price).items() if not key.startswith("_")})
