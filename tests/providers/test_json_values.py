"""JSON nobody vouches for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobdash.domain.time import local_date
from jobdash.errors import BadResponse
from jobdash.providers.gemini.batches import read_job as read_gemini_job
from jobdash.providers.json_values import (
    decode,
    decode_line,
    items,
    mapping,
    readable,
    rfc3339_ms,
    text,
    unix_ms,
    whole,
)
from jobdash.providers.openai.batches import read_job as read_openai_job

OPENAI_BATCH = {"id": "batch_1", "status": "completed"}
GEMINI_BATCH = {"name": "batches/1", "metadata": {"state": "BATCH_STATE_RUNNING"}}

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"nope", b"1" * 10_000])
def test_what_is_no_json(content: bytes) -> None:
    with pytest.raises(BadResponse):
        decode(content)


def test_what_is_no_number_is_not_told() -> None:
    found = decode(b'{"a": NaN, "b": [-Infinity, 1e999], "c": 1.5}')
    assert found == {"a": None, "b": [None, None], "c": 1.5}


@given(ANYTHING, st.booleans())
def test_a_line_is_read_as_an_answer_is(value: object, ascii_only: bool) -> None:
    """Whatever the parser: surrogates, NaN, numbers of any length."""
    line = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert repr(decode_line(line)) == repr(decode(line))


@given(st.binary() | st.text(alphabet='[]{}:,"\\udnull0123456789.eE+-NaInfity \ufeff').map(str.encode))
def test_a_damaged_line_is_read_as_an_answer_is(line: bytes) -> None:
    try:
        expected = decode(line)
    except BadResponse:
        with pytest.raises(BadResponse):
            decode_line(line)
    else:
        assert repr(decode_line(line)).replace("-inf", "None").replace("inf", "None") == repr(expected)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"nope", b"1" * 10_000])
def test_a_line_that_is_no_json(content: bytes) -> None:
    with pytest.raises(BadResponse):
        decode_line(content)


@pytest.mark.parametrize(
    ("value", "read"),
    [(5, 5), ("5", 5), (5.0, 5), (0, 0), (-1, None), (5.5, None), (True, None), ("x", None), ("٣", None),
     (2**63, None), (None, None), ("9" * 30, None), (float("nan"), None), (float("inf"), None)],
)  # fmt: skip
def test_whole(value: object, read: int | None) -> None:
    assert whole(value) == read


@pytest.mark.parametrize(
    ("value", "read"),
    [(1_700_000_000, 1_700_000_000_000), (1_700_000_000.5, 1_700_000_000_500),
     (1_700_000_000_123, 1_700_000_000_123), (0, None), (-1, None), (True, None), ("1700000000", None),
     (253_402_300_799, None), (253_402_300_799_999, None), (253_402_214_399, 253_402_214_399_000),
     (253_402_214_400, None),
     (10**20, None), (10**400, None), (float("nan"), None), (float("inf"), None)],
)  # fmt: skip
def test_unix_ms(value: object, read: int | None) -> None:
    assert unix_ms(value) == read


@pytest.mark.parametrize(
    ("value", "read"),
    [("2025-07-07T12:00:00Z", 1_751_889_600_000), ("2025-07-07T14:00:00+02:00", 1_751_889_600_000),
     ("2025-07-07T12:00:00", 1_751_889_600_000), ("2025-07-07T12:00:00.5Z", 1_751_889_600_500),
     ("0001-01-01T00:00:00+23:00", None), ("never", None), ("", None), (5, None), (None, None)],
)  # fmt: skip
def test_rfc3339_ms(value: object, read: int | None) -> None:
    assert rfc3339_ms(value) == read


@pytest.mark.parametrize(
    "value",
    ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999-14:00", "9999-12-31T00:00:00+14:00",
     "9999-12-31T00:00:00", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "10000-01-01T00:00:00Z"],
)  # fmt: skip
def test_a_time_that_is_no_date_in_every_zone_is_not_told(value: str) -> None:
    read = rfc3339_ms(value)
    assert read is None or local_date(read) is not None
    assert value.endswith("+14:00") or read is None


@pytest.mark.parametrize(
    ("value", "read"), [("a", "a"), ("", None), (" \n", None), (3, None), ("a\ud800b", "a�b"), ("夜", "夜")]
)
def test_text(value: object, read: str | None) -> None:
    assert text(value) == read


@given(ANYTHING)
def test_anything_is_read_without_an_error(value: object) -> None:
    for read in (mapping, items, text, whole, unix_ms, rfc3339_ms):
        read(value)
    told = text(value)
    assert told is None or told.encode()


@pytest.mark.parametrize(
    ("read", "batch"), [(read_openai_job, OPENAI_BATCH), (read_gemini_job, GEMINI_BATCH)]
)
def test_an_entry_nobody_can_read_does_not_hide_the_others(read: Any, batch: dict[str, Any]) -> None:
    page = [None, batch, {}, "text"]
    assert [job.remote_id for job in readable(page, read)] == [batch.get("id") or batch["name"]]
    assert readable([], read) == ()
    with pytest.raises(BadResponse, match="not a batch"):
        readable([None, {}], read)
