"""Times that are a date in every time zone, and those that are not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobdash.domain.calendar import EARLIEST_MS, LATEST_MS, in_calendar, local_date, utc_date

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
