"""Compute what batches cost: as their server says, else by own prices, else by those of the package
genai-prices, at the batch service's rate.

The package, which takes a quarter of a second to import, is loaded when the first batch is priced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from jobdash.domain.cost import Cost, ListPrice
from jobdash.domain.job import JobRow
from jobdash.domain.money import MICROS
from jobdash.domain.time import MINUTE, utc_date
from jobdash.operations.providers import provider_at
from jobdash.operations.writer_thread import WriterThread
from jobdash.providers.registry import find_provider, load_object
from jobdash.store.reader import Reader
from jobdash.store.sort_orders import Scope
from jobdash.store.writer import Writer

if TYPE_CHECKING:
    from decimal import Decimal

    from genai_prices.types import ModelPrice, TieredPrices

    from jobdash.domain.provider_info import ProviderInfo

_BATCH = {"processing": "batch"}
_AT_ONCE = 2_000
"""Batches that are priced between two writes."""
_STEP_MS = 15 * MINUTE
"""Prices change with the day, and at some providers with the time of day, at no odd minutes."""
_MOST_DOLLARS = 1e9
"""A larger amount is taken for an error."""
PricedJob = tuple[JobRow, Cost | None]


async def price_stale(reader: Reader, store: WriterThread, own: Mapping[str, ListPrice] | None) -> None:
    """Compute and write the cost of every batch whose tokens or model have changed; raises StoreError.

    ``own`` are a person's own prices, by model; None where they cannot be read: nothing is priced until they
    can. Prices are looked up in a thread of their own.
    """
    if own is None:
        return
    behind = 0
    while rows := reader.stale_costs(behind, _AT_ONCE):
        costs = await asyncio.to_thread(price_jobs, rows, own, paid(reader, rows))
        await store.write(Writer.set_costs, costs)
        behind = rows[-1].id


async def reprice(
    reader: Reader, store: WriterThread, own: Mapping[str, ListPrice], scope: Scope
) -> tuple[int, int]:
    """Compute and write the cost of every batch of a scope whose tokens are known, with the prices of now.

    Returns how many these are, and how many of the costs have changed.
    """
    behind = number = changed = 0
    while rows := reader.priced_jobs(scope, behind, _AT_ONCE):
        priced = await asyncio.to_thread(price_jobs, rows, own, paid(reader, rows))
        others = [(row, cost) for row, cost in priced if cost != _known_cost(row)]
        await store.write(Writer.set_costs, others)
        behind, number, changed = rows[-1].id, number + len(rows), changed + len(others)
    return number, changed


def _known_cost(row: JobRow) -> Cost | None:
    return None if row.cost is None else Cost(row.cost, bool(row.cost_is_upper_bound))


def paid(reader: Reader, rows: Iterable[JobRow]) -> dict[int, Cost]:
    """Return, by id, the cost of the batches whose server reports it."""
    entries = {
        row.id: info.usage_cost for row in rows if (info := provider_at(row)) is not None and info.usage_cost
    }
    found = {
        job_id: dollars((job.usage or {}).get(entries[job_id]))
        for job_id, job in reader.jobs(list(entries)).items()
    }
    return {job_id: Cost(amount) for job_id, amount in found.items() if amount is not None}


def dollars(value: object) -> int | None:
    """Return an amount in dollars, as a number or a text, in millionths of one; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = float(value)
    except (ValueError, OverflowError):
        return None
    return round(amount * MICROS) if 0 <= amount < _MOST_DOLLARS else None


def price_jobs(
    rows: Iterable[JobRow], own: Mapping[str, ListPrice], paid: Mapping[int, Cost]
) -> list[PricedJob]:
    """Return what each batch cost: as much as was ``paid``, by id, where that is known, else by its price.

    None where its tokens or its price are not known.
    """
    return [(row, paid.get(row.id) or price_of(row, own)) for row in rows]


def price_of(row: JobRow, own: Mapping[str, ListPrice]) -> Cost | None:
    """Return what a batch cost, at the prices of its creation; None where that is not known, never 0."""
    info = find_provider(row.provider)
    if row.model is None or row.input_tokens is None or info is None:
        return None
    found = _rates_at(info, row.model, row.created_at, _request_tokens(row), own)
    return None if found is None else _cost(row, *found)


def input_cost(
    provider: str, model: str | None, tokens: int, requests: int, now: int, own: Mapping[str, ListPrice]
) -> Cost | None:
    """Return what the input tokens of a batch cost that is made now; None where that is not known."""
    info = find_provider(provider)
    if model is None or info is None:
        return None
    found = _rates_at(info, model, now, tokens // max(1, requests), own)
    rate = None if found is None else found[0].input
    if found is None or rate is None:
        return None
    full = found[1]
    return Cost(round(tokens * rate), full is not None and bool(rate) and rate == full.input)


def _rates_at(
    info: ProviderInfo, model: str, moment: int, tokens: int, own: Mapping[str, ListPrice]
) -> tuple[_Rates, _Rates | None] | None:
    """Return the rates of a batch and, where they are not one's own, those without a batch service.

    ``tokens`` are the input tokens of an average request. None where no price is known.
    """
    name = load_object(info.priced_model)(model) if info.priced_model else model
    mine = own.get(model) or own.get(name)
    if mine is not None:
        return _Rates(mine.input, mine.output, mine.cached), None
    prices = _listed(info.price_id, name, moment // _STEP_MS) if info.price_id else None
    if prices is None:
        return None
    batch, full = (_rates(price, tokens) for price in prices)
    return batch, full


class _Rates(NamedTuple):
    """Dollars per million tokens, which are millionths of one per token; None where there is no price."""

    input: float | None
    output: float | None
    cached: float | None
    """None: the same as for other input."""

    def paid(self, row: JobRow) -> list[tuple[int, float | None]]:
        """Return how many tokens of a batch are paid at which rate."""
        read = row.input_tokens or 0
        cached = min(row.cached_tokens or 0, read)  # whatever a provider counts
        return [
            (read - cached, self.input),
            (cached, self.input if self.cached is None else self.cached),
            (row.output_tokens or 0, self.output),
        ]


def _cost(row: JobRow, rates: _Rates, full: _Rates | None = None) -> Cost | None:
    """Return the cost at some rates; None where some tokens have no price, or those with a price are unknown.

    ``full`` are the rates without a batch service: where they are the same, no batch price is known.
    """
    if rates.input is None or (row.output_tokens is None and rates.output):
        return None
    amount = 0.0
    for tokens, rate in rates.paid(row):
        if tokens and rate is None:  # some models are paid by the second
            return None
        amount += tokens * (rate or 0)
    same = zip(rates.paid(row), full.paid(row), strict=True) if full is not None else ()
    return Cost(round(amount), any(tokens and rate and rate == other for (tokens, rate), (_, other) in same))


@lru_cache(maxsize=4_096)
def _listed(price_id: str, name: str, step: int) -> tuple[ModelPrice, ModelPrice] | None:
    """Return the batch price and the full one in the table at a time, which is given in steps of `_STEP_MS`.

    Of a model without a batch price the table silently gives the full one for it. None for an unknown model.
    """
    moment = utc_date(step * _STEP_MS)
    if moment is None or not _is_listed(price_id, name):
        return None
    from genai_prices import Usage, calc_price

    def price(context: dict[str, str] | None) -> ModelPrice:
        found = calc_price(
            Usage(input_tokens=0),
            name,
            provider_id=price_id,
            genai_request_timestamp=moment,
            price_context=context,
        )
        return found.model_price

    return price(_BATCH), price(None)


@lru_cache(maxsize=4_096)
def _is_listed(price_id: str, name: str) -> bool:
    """Whether the table has a model. It looks through all of them, each time, for one that it has not."""
    from genai_prices.data_snapshot import get_snapshot

    try:
        get_snapshot().find_provider_model(name, None, price_id, None)
    except LookupError:  # no such model, or no such provider
        return False
    return True


def _request_tokens(row: JobRow) -> int:
    """Return the input tokens of an average request: long ones cost more, however many there are."""
    return (row.input_tokens or 0) // max(1, row.succeeded or row.total or 1)


def _rates(price: ModelPrice, tokens: int) -> _Rates:
    """Return the rates of a price for requests of so many input tokens.

    The table compares its steps with the tokens it is given, which have to be those of one request, not of a
    batch.
    """
    prices = (price.input_mtok, price.output_mtok, price.cache_read_mtok)
    return _Rates(*(_rate(each, tokens) for each in prices))


def _rate(value: Decimal | TieredPrices | None, tokens: int) -> float | None:
    from genai_prices.types import TieredPrices

    if not isinstance(value, TieredPrices):
        return None if value is None else float(value)
    above = [tier.price for tier in value.tiers if tokens > tier.start]
    return float(above[-1] if above else value.base)
