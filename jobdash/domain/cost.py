"""What batches cost: prices, costs, and their sums by group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from jobdash.domain.money import cost_text
from jobdash.domain.text import quantity
from jobdash.domain.time import local_date


@dataclass(frozen=True, slots=True)
class ListPrice:
    """A price of one's own for a model at a batch service, in dollars per million tokens."""

    input: float
    output: float
    cached: float | None = None
    """Of the input tokens that came out of a cache; None: as all input."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a batch cost, in millionths of a dollar."""

    micros: int
    upper_bound: bool = False
    """It cost so much at most: no batch price is known for all of it."""


class CostLine(NamedTuple):
    """One batch, as far as its cost goes."""

    id: int
    public_id: str
    name: str
    account: str
    provider: str
    model: str | None
    created_at: int
    cost: int | None
    cost_is_upper_bound: bool | None
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None


@dataclass(slots=True)
class CostTotal:
    """The sum over batches; what is not known of one is in no amount, and counted."""

    jobs: int = 0
    micros: int = 0
    upper_bound: bool = False
    """One of the amounts is an upper bound, and so the sum is."""
    unknown: int = 0
    """Batches whose cost is not known."""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0

    def add(self, line: CostLine) -> None:
        """Add one batch."""
        self.jobs += 1
        if line.cost is None:
            self.unknown += 1
        else:
            self.micros += line.cost
            self.upper_bound |= bool(line.cost_is_upper_bound)
        self.input_tokens += line.input_tokens or 0
        self.output_tokens += line.output_tokens or 0
        self.cached_tokens += line.cached_tokens or 0

    def merge(self, other: CostTotal) -> None:
        """Add another sum."""
        self.jobs += other.jobs
        self.micros += other.micros
        self.upper_bound |= other.upper_bound
        self.unknown += other.unknown
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cached_tokens += other.cached_tokens

    @property
    def cost(self) -> Cost | None:
        """The sum of what is known; None when no cost is."""
        return Cost(self.micros, self.upper_bound) if self.jobs > self.unknown else None

    @property
    def text(self) -> str:
        """The sum in words: ``≤ $12.00``, empty when no cost is known."""
        known = self.cost
        return "" if known is None else cost_text(known.micros, known.upper_bound)

    @property
    def unknown_text(self) -> str:
        """``3 jobs of unknown cost``; empty where every cost is known."""
        return f"{quantity(self.unknown, 'job')} of unknown cost" if self.unknown else ""


class Grouping(StrEnum):
    """What costs can be summed by."""

    ACCOUNT = "account"
    PROVIDER = "provider"
    MODEL = "model"
    DAY = "day"
    """The local day of the creation."""
    TAG = "tag"
    """All tags of a job together, so that each job is counted once."""
    JOB = "job"


Tags = Mapping[str, str]


def group_key(grouping: Grouping, tag: str = "") -> Callable[[CostLine, Tags], str]:
    """Return the function that names the group of a batch, given its tags; empty where it has none.

    ``tag`` limits `Grouping.TAG` to the values of one tag.
    """
    if grouping is Grouping.DAY:
        return lambda line, _tags: _day(line.created_at)
    if grouping is Grouping.TAG and tag:
        return lambda _line, tags: tags.get(tag, "")
    if grouping is Grouping.TAG:
        return lambda _line, tags: ", ".join(f"{key}={value}" for key, value in sorted(tags.items()))
    attribute = "public_id" if grouping is Grouping.JOB else str(grouping)
    return lambda line, _tags: getattr(line, attribute) or ""


def _day(ms: int) -> str:
    date = local_date(ms)
    return "" if date is None else f"{date:%Y-%m-%d}"


def sum_by(
    lines: Iterable[tuple[CostLine, Tags]], key: Callable[[CostLine, Tags], str]
) -> dict[str, CostTotal]:
    """Return the sums by group; each batch is in one, so that they add up to the total."""
    found: dict[str, CostTotal] = {}
    for line, tags in lines:
        found.setdefault(key(line, tags), CostTotal()).add(line)
    return found


def total_of(totals: Iterable[CostTotal]) -> CostTotal:
    """Return the sum of sums."""
    whole = CostTotal()
    for each in totals:
        whole.merge(each)
    return whole
