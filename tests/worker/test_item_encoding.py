"""What is kept of an item: its key, its error, and its result, exact or refused with the part in the way."""

from __future__ import annotations

import enum
import json
import re
import threading
import uuid
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from jobdash.domain import text
from jobdash.worker.item import Item
from jobdash.worker.item_encoding import DETAIL_BYTES, detail_json, kept_error, kept_key, sentence_of


@pytest.fixture(autouse=True)
def _known_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that other tests have made known would be replaced here."""
    monkeypatch.setattr(text, "_known", frozenset())


def kept(value: object, limit: int = DETAIL_BYTES) -> Any:
    encoded = detail_json(value, limit)
    assert encoded is not None
    assert encoded.isascii()
    return json.loads(encoded)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values.filter(lambda value: value is not None))
def test_json_is_kept_exactly(value: object) -> None:
    assert kept(value, 1 << 20) == value


@pytest.mark.parametrize(
    "words",
    [
        "The ring bearer went on, and the bearer token too",
        "pip install sk-learn-extra sk-abcdefghijklmnop",
        {"authorization": "everybody", "password": "swordfish", "api_key": "of the story"},
        ["?key=AIzaSyA1234567890", {"token": "0123456789abcdef0123"}],
    ],
)
def test_a_persons_own_results_are_not_redacted(words: object) -> None:
    assert kept(words) == words


def test_only_keys_of_this_process_are_replaced() -> None:
    text.register_secret("key-of-an-account")
    assert kept({"a key-of-an-account": ["x key-of-an-account y", 1]}) == {"a [secret]": ["x [secret] y", 1]}


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Point(NamedTuple):
    x: int
    y: int


@dataclass(slots=True)
class Size:
    width: int
    unit: Colour = Colour.RED
    tags: set[str] = field(default_factory=lambda: {"b", "a"})


class Model(BaseModel):
    name: str
    at: date


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (time(3, 4), "03:04:00"),
        (Path("/a/b"), "/a/b"),
        (PurePosixPath("c"), "c"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.10"), "1.10"),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"b", "a"}), ["a", "b"]),
        ((1, (2,)), [1, [2]]),
        (Point(1, 2), [1, 2]),
        (Size(3), {"width": 3, "unit": "red", "tags": ["a", "b"]}),
        (Model(name="x", at=date(2026, 1, 2)), {"name": "x", "at": "2026-01-02"}),
        ({1: "a", False: "b", 2.5: "c", None: "d"}, {"1": "a", "false": "b", "2.5": "c", "null": "d"}),
        ({date(2026, 1, 2): Path("x")}, {"2026-01-02": "x"}),
        ("half \udcff", "half \udcff"),
        (False, False),
        (0, 0),
        ("", ""),
    ],
)
def test_what_has_a_plain_text_is_taken(value: object, expected: object) -> None:
    assert kept(value) == expected


def test_of_a_dataclass_the_fields_are_kept_and_not_those_of_the_class() -> None:
    @dataclass
    class Answer:
        lock: ClassVar[object] = threading.Lock()
        seed: InitVar[object] = threading.Lock
        words: str = "x"

    assert kept(Answer()) == {"words": "x"}


def test_numpy_scalars_are_taken_and_arrays_are_refused_with_the_way_out() -> None:
    numpy = pytest.importorskip("numpy")
    assert kept({"a": numpy.float32(0.5), "b": numpy.int64(7), "c": numpy.bool_(True)}) == {
        "a": 0.5,
        "b": 7,
        "c": True,
    }
    assert kept([numpy.float64(1.5), numpy.str_("x"), numpy.datetime64("2026-01-02")]) == [
        1.5,
        "x",
        "2026-01-02",
    ]
    nanoseconds = numpy.datetime64("2026-01-02T03:04:05.000000006")
    assert kept([nanoseconds]) == ["2026-01-02T03:04:05.000000006"]
    for span in (numpy.timedelta64(1, "ns"), numpy.timedelta64(1, "D")):
        with pytest.raises(TypeError, match=r"is a numpy\.timedelta64"):
            detail_json(span)
    with pytest.raises(TypeError, match=r"is a numpy\.ndarray, .*use its tolist\(\)"):
        detail_json(numpy.zeros(3))
    with pytest.raises(ValueError, match="is nan"):
        detail_json(numpy.float32("nan"))


def test_no_detail_is_none() -> None:
    assert detail_json(None) is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"bytes", "the result is bytes, which is no JSON"),
        (object(), "the result is an object, which is no JSON"),
        ({"a": [1, object()]}, r"the part \['a'\]\[1\] of the result is an object"),
        ({"a": {2, b"x"}}, r"the part \['a'\]\{…\} of the result is bytes"),
        ({(1, 2): 3}, "a key of the result is a tuple"),
        (1j, "is a complex"),
        (Size, "is a type"),
    ],
)
def test_what_is_no_json_is_refused_by_name(value: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        detail_json(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "the result is nan, for which JSON has no number"),
        ({"loss": [float("inf")]}, r"the part \['loss'\]\[0\] of the result is inf"),
        ({1: "a", "1": "b"}, "two keys of the result are '1' as text"),
        ("x" * 20_000, "the result is 20,002 bytes of JSON, and at most 16,384 are kept: raise max_detail="),
        (["ä" * 9_000], "is 18,004 bytes"),
    ],
)
def test_what_cannot_be_kept_whole_is_refused_with_the_reason(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        detail_json(value)


def test_letters_of_every_script_count_as_they_are_in_utf_8() -> None:
    assert kept("語" * 5_000) == "語" * 5_000


def test_the_limit_can_be_raised() -> None:
    assert kept("x" * 20_000, 1 << 20) == "x" * 20_000


def test_what_contains_itself_is_refused() -> None:
    around: list[object] = []
    around.append(around)
    with pytest.raises(ValueError, match="nested too deeply, or contains itself"):
        detail_json(around)


def test_a_key_stays_itself_and_unique() -> None:
    assert kept_key("a/b.txt") == "a/b.txt"
    assert kept_key(7) == "7"
    assert kept_key("bild-ä.png") == "bild-ä.png"
    assert re.fullmatch(r"bad-\?#[0-9a-f]{16}", kept_key("bad-\udcff"))
    assert len({kept_key(key) for key in ("bad-\udcff", "bad-\udcfe", "bad-?", r"bad-\udcff")}) == 4
    assert kept_key("sk-SK.json") == "sk-SK.json"
    long = [kept_key("x" * 5000 + end) for end in "ab"]
    assert len(set(long)) == 2
    assert all(len(key.encode()) <= 1024 for key in long)
    secrets = [kept_key(f"https://x/?key=AIza{number}secret&p=1") for number in "12"]
    assert len(set(secrets)) == 2
    assert "secret" not in "".join(secrets).replace("[secret]", "")


def test_an_error_is_kept_as_type_and_message() -> None:
    assert kept_error(ValueError("bad sk-abcdefghijklmnop")) == ("ValueError", "bad [secret]")
    assert sentence_of(KeyError()) == "KeyError"

    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "cannot be read: RuntimeError" in kept_error(Odd())[1]
    assert len(kept_error(ValueError("x" * 50_000))[1].encode()) <= 16 * 1024


def test_an_item_takes_its_detail_when_it_is_set() -> None:
    settled: list[tuple[Item[int], BaseException | None]] = []
    item = Item(1, "1", lambda one, error: bool(settled.append((one, error))))
    detail = {"a": 1}
    item.detail = detail
    detail["a"] = 2
    assert (item.kept, item.detail) == ('{"a":1}', {"a": 2})
    with item:
        item.skip()
    assert settled == [(item, None)]
    assert item.skipped
