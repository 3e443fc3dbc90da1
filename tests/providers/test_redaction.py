"""No key survives."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobdash.domain import text as gate
from jobdash.domain.text import redact, register_secret

KEY_CHARACTERS = string.ascii_letters + string.digits + "_-"
TAIL = st.text(KEY_CHARACTERS, min_size=8, max_size=60)
AROUND = st.text(max_size=40)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (
            "Incorrect API key provided: sk-proj-abc_DEF-123. See …",
            "Incorrect API key provided: [secret] See …",
        ),
        ("sk-abc***********xyz", "[secret]"),
        ("API key AIzaSyA-1234_56 is bad", "API key [secret] is bad"),
        ("Authorization: Bearer abc.def/ghi=", "Authorization: Bearer [secret]"),
        ("authorization: Basic dXNlcjpwYXNz", "authorization: Basic [secret]"),
        ("{'x-goog-api-key': 'abc', 'a': 1}", "{'x-goog-api-key': '[secret]', 'a': 1}"),
        ("api-key=abc&x=1", "api-key=[secret]&x=1"),
        ("GET /v1/files?alt=media&key=abc&x=1", "GET /v1/files?alt=media&key=[secret]&x=1"),
        ("a task-force of sk-8 boards", "a task-force of sk-8 boards"),
        ("nothing to hide", "nothing to hide"),
        ("", ""),
    ],
)
def test_shapes(text: str, clean: str) -> None:
    assert redact(text) == clean


@given(AROUND, st.sampled_from(["sk-", "sk-proj-", "AIza"]), TAIL, AROUND)
def test_keys_by_their_shape(before: str, prefix: str, tail: str, after: str) -> None:
    assert prefix + tail not in redact(f"{before} {prefix}{tail}{after}")


@given(AROUND, st.sampled_from(["Bearer ", "x-goog-api-key: ", "Authorization=", "?key="]), TAIL)
def test_keys_by_their_place(before: str, place: str, tail: str) -> None:
    assert not redact(f"{before} {place}{tail}").endswith(tail)


@pytest.fixture(autouse=True)
def _forget_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_known", frozenset())


def test_the_own_key_whatever_it_looks_like() -> None:
    register_secret("plain-word-0123")
    assert redact("a plain-word-0123, twice: plain-word-0123") == "a [secret], twice: [secret]"


@given(st.text(), TAIL)
def test_twice_is_once(text: str, tail: str) -> None:
    once = redact(text + tail)
    assert redact(once) == once
