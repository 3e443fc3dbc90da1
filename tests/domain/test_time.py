"""Spans of time as they are written and read; times that are a date in every time zone, and others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobdash.domain.time import (
    DAY,
    EARLIEST_MS,
    HOUR,
    LATEST_MS,
    MINUTE,
    SECOND,
    in_calendar,
    local_date,
    parse_span,
    short_span,
    utc_date,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OFFSETS = st.integers(-86_399, 86_399).map(lambda seconds: timezone(timedelta(seconds=seconds)))


@given(st.integers(EARLIEST_MS, LATEST_MS) | st.sampled_from([EARLIEST_MS, LATEST_MS]), OFFSETS)
def test_a_time_in_the_calendar_is_a_date_in_every_zone(ms: int, zone: timezone) -> None:
    date = utc_date(ms)
    assert date is not None
    assert date.astimezone(zone) - EPOCH == timedelta(milliseconds=ms)
    assert local_date(ms) == date


@pytest.mark.parametrize(
    "ms",
    [EARLIEST_MS - 1, LATEST_MS + 1, 253_402_300_799_999, -62_135_596_800_000, 2**63 - 1, -(2**63),
     float("inf"), float("-inf"), float("nan"), 1e300],
)  # fmt: skip
def test_what_no_calendar_holds(ms: int) -> None:
    assert not in_calendar(ms)
    assert utc_date(ms) is None
    assert local_date(ms) is None


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("45", 45 * SECOND),
        ("0", 0),
        ("1.5", 1_500),
        ("45s", 45 * SECOND),
        ("5m", 5 * MINUTE),
        ("2h", 2 * HOUR),
        ("1.5h", 90 * MINUTE),
        ("1h30m", 90 * MINUTE),
        ("3d", 3 * DAY),
        ("2w", 14 * DAY),
        (" 2H ", 2 * HOUR),
    ],
)
def test_a_span_is_read(text: str, span: int) -> None:
    assert parse_span(text) == span


@pytest.mark.parametrize("text", ["", "h", "2x", "2 h", "-2h", "2h-", "1e3", "inf", "nan", "½h", "2h\n1"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a span of time \(like 30s, 5m, 2h, 3d\)"):
        parse_span(text)


@pytest.mark.parametrize("text", ["36501d", "99999d", "9" * 400, "9" * 30 + "d"])
def test_more_than_a_hundred_years_is_too_long(text: str) -> None:
    with pytest.raises(ValueError, match=r"is too long: at most 36500d$"):
        parse_span(text)


@pytest.mark.parametrize(
    ("span", "word"),
    [
        (-5, "0s"),
        (0, "0s"),
        (59_999, "59s"),
        (MINUTE, "1m"),
        (HOUR - 1, "59m"),
        (HOUR, "1h"),
        (26 * HOUR, "26h"),
        (2 * DAY - 1, "47h"),
        (2 * DAY, "2d"),
        (400 * DAY, "400d"),
    ],
)
def test_a_span_is_one_short_word(span: int, word: str) -> None:
    assert short_span(span) == word


@given(st.integers(0, 4_000 * DAY))
def test_what_is_written_is_read_back_to_within_its_own_unit(span: int) -> None:
    read = parse_span(short_span(span))
    unit = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}[short_span(span)[-1]]
    assert 0 <= span - read < unit
