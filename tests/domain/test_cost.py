"""What batches cost: amounts in words, and sums in which nothing is lost or counted twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from domain_kit import job
from hypothesis import given
from hypothesis import strategies as st

from jobdash.domain.cost import Cost, CostLine, CostTotal, Grouping, Tags, group_key, sum_by, total_of
from jobdash.domain.describe.cost_text import so_far, token_text
from jobdash.domain.filter.language import parse
from jobdash.domain.money import cost_text, dollars
from jobdash.errors import FilterError


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000001"),
        (42, "$0.000042"),
        (420, "$0.00042"),
        (4_200, "$0.0042"),
        (10_000, "$0.01"),
        (1_200_000, "$1.20"),
        (1_234_567_890_000, "$1,234,567.89"),
    ],
)
def test_an_amount_is_short_and_never_nothing_where_it_is_something(micros: int, text: str) -> None:
    assert dollars(micros) == text


def test_an_upper_bound_is_said_and_what_is_unknown_is_not_zero() -> None:
    assert cost_text(1_200_000, False) == "$1.20"
    assert cost_text(1_200_000, True) == "≤ $1.20"
    assert cost_text(None, None) == ""


def test_what_a_cancel_does_not_save() -> None:
    rows = [job(cost=1_000_000, cost_is_upper_bound=False), job(cost=200_000, cost_is_upper_bound=True)]
    assert so_far(rows) == "about ≤ $1.20"
    assert so_far([*rows, job(succeeded=3)]) == "about ≤ $1.20, and 1 job of unknown cost"
    assert so_far([*rows, job(succeeded=None, failed=None)]) == "about ≤ $1.20"
    assert so_far([job(succeeded=3)]) == ""


def test_tokens_in_words() -> None:
    assert token_text(job()) == ""
    assert token_text(job(input_tokens=1_200, output_tokens=30)) == "1,200 in · 30 out"
    assert token_text(job(input_tokens=1_200, cached_tokens=1_000)) == "1,200 in (1,000 cached)"


def test_tokens_are_known_when_one_side_is() -> None:
    assert job().tokens is None
    assert job(input_tokens=4).tokens == 4
    assert job(input_tokens=4, output_tokens=5, cached_tokens=3).tokens == 9


WORDS = st.sampled_from(["", "a", "b", "a, b=1", "="])
LINES = st.builds(
    CostLine,
    id=st.integers(1, 99),
    public_id=st.text("abc", min_size=1, max_size=3),
    name=WORDS,
    account=WORDS,
    provider=WORDS,
    model=st.none() | WORDS,
    created_at=st.integers(-(10**14), 10**15),
    cost=st.none() | st.integers(0, 10**15),
    cost_is_upper_bound=st.none() | st.booleans(),
    input_tokens=st.none() | st.integers(0, 10**12),
    output_tokens=st.none() | st.integers(0, 10**12),
    cached_tokens=st.none() | st.integers(0, 10**12),
)
TAGS = st.dictionaries(WORDS, WORDS, max_size=3)


@given(st.lists(st.tuples(LINES, TAGS)), st.sampled_from(Grouping), st.sampled_from(["", "a"]))
def test_sums_by_anything_add_up_to_the_total(
    lines: list[tuple[CostLine, Tags]], grouping: Grouping, tag: str
) -> None:
    whole = CostTotal()
    for line, _ in lines:
        whole.add(line)
    groups = sum_by(lines, group_key(grouping, tag))
    assert total_of(groups.values()) == whole
    assert whole.jobs == len(lines)
    assert whole.micros == sum(line.cost or 0 for line, _ in lines)
    assert whole.upper_bound == any(line.cost_is_upper_bound for line, _ in lines if line.cost is not None)
    assert (whole.cost is None) == all(line.cost is None for line, _ in lines)


def test_a_sum_keeps_the_upper_bound_and_counts_what_is_unknown() -> None:
    line = CostLine(1, "k3f9", "n", "a", "p", "m", 0, 1_000_000, True, 1, 2, 0)
    total = CostTotal()
    for each in (line, line._replace(cost_is_upper_bound=False), line._replace(cost=None)):
        total.add(each)
    assert (total.text, total.unknown_text) == ("≤ $2.00", "1 job of unknown cost")
    assert total.cost == Cost(2_000_000, upper_bound=True)
    assert CostTotal().text == ""


@pytest.mark.parametrize(
    ("expr", "passes"),
    [
        ("cost>1", True),
        ("cost>1.2", False),
        ("cost>=$1.20", True),
        ("cost<1_000", True),
        ("cost:1.2", True),
        ("-cost>1", False),
        ("tokens>1000000", True),
        ("tokens<1000000", False),
    ],
)
def test_a_filter_compares_dollars_and_tokens(expr: str, passes: bool) -> None:
    row = job(cost=1_200_000, cost_is_upper_bound=False, input_tokens=1_000_000, output_tokens=1)
    assert parse(expr).matches(row, {}, 0) is passes
    unknown = replace(row, cost=None, input_tokens=None, output_tokens=None)
    assert parse(expr.removeprefix("-")).matches(unknown, {}, 0) is False


@pytest.mark.parametrize("expr", ["cost>much", "cost>nan", "cost>1e99", "cost>"])
def test_what_is_no_amount_is_a_mistake(expr: str) -> None:
    with pytest.raises(FilterError):
        parse(expr)
