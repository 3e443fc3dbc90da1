"""No key survives."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobdash.providers.redact import redact, redactor

KEY_CHARACTERS = string.ascii_letters + string.digits + "_-"
TAIL = st.text(KEY_CHARACTERS, min_size=8, max_size=60)
AROUND = st.text(max_size=40)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Incorrect API key provided: sk-proj-abc_DEF-123. See …", "Incorrect API key provided: [key] See …"),
        ("sk-abc***********xyz", "[key]"),
        ("API key AIzaSyA-1234_56 is bad", "API key [key] is bad"),
        ("Authorization: Bearer abc.def/ghi=", "Authorization: Bearer [key]"),
        ("authorization: Basic dXNlcjpwYXNz", "authorization: Basic [key]"),
        ("{'x-goog-api-key': 'abc', 'a': 1}", "{'x-goog-api-key': '[key]', 'a': 1}"),
        ("api-key=abc&x=1", "api-key=[key]&x=1"),
        ("GET /v1/files?alt=media&key=abc&x=1", "GET /v1/files?alt=media&key=[key]&x=1"),
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


@given(AROUND, st.text(KEY_CHARACTERS, min_size=8), AROUND)
def test_the_own_key_whatever_it_looks_like(before: str, secret: str, after: str) -> None:
    assert secret not in redactor(secret)(f"{before}{secret}{after}{secret}")


@given(st.text(), TAIL)
def test_twice_is_once(text: str, secret: str) -> None:
    once = redact(text + secret, secret)
    assert redact(once, secret) == once
