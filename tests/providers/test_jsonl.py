"""A batch's file, checked before it is sent."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobdash.errors import UsageError
from jobdash.providers import jsonl
from jobdash.providers.jsonl import check_file


def openai(key: object = "a", **changes: object) -> dict[str, object]:
    line = {"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"}}
    return line | changes


def gemini(key: object = "a", **changes: object) -> dict[str, object]:
    return {"key": key, "request": {"contents": []}} | changes


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def lines(*lines: object, end: bytes = b"\n") -> Path:
        path = tmp_path / "batch.jsonl"
        raw = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
        path.write_bytes(b"\n".join(raw) + end)
        return path

    return lines


def refused(path: Path, provider: str) -> str:
    with pytest.raises(UsageError) as caught:
        check_file(path, provider)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_sound_openai_file(write: Any) -> None:
    path = write(openai("a"), openai("b"), end=b"")
    found = check_file(path, "openai")
    assert (found.requests, found.endpoint, found.model) == (2, "/v1/chat/completions", "m")
    assert found.size == path.stat().st_size


def test_a_sound_gemini_file(write: Any) -> None:
    found = check_file(write(gemini("a"), gemini("b"), gemini("c")), "gemini")
    assert (found.requests, found.endpoint, found.model) == (3, None, None)


def test_other_line_breaks_inside_a_text_are_no_lines(write: Any) -> None:
    line = json.dumps(openai(body={"model": "m", "x": "a\u2028b\x85c"}), ensure_ascii=False).encode()
    assert check_file(write(line), "openai").requests == 1


@pytest.mark.parametrize(
    ("second", "what"),
    [
        (b"", "line 2: the line is empty"),
        (b"{", "line 2: not JSON"),
        (b"[1]", "line 2: not a JSON object"),
        (b"\xff\xfe", "line 2: not UTF-8 (byte 1)"),
        (b'{"a": NaN}', "line 2: not JSON: NaN"),
        (b"[" * 100_000, "line 2: not JSON that anybody can read"),
        (openai("a"), "line 2: \"custom_id\" 'a' was used in line 1"),
        (openai(""), 'line 2: "custom_id" has to be a text'),
        (openai(3), 'line 2: "custom_id"'),
        (openai("b", method="GET"), 'line 2: "method"'),
        (openai("b", url="chat"), 'line 2: "url"'),
        (openai("b", url=None), 'line 2: "url"'),
        (openai("b", url="/v1/embeddings"), "line 2: a file has one url"),
        (openai("b", body=[]), 'line 2: "body" has to be an object'),
        (openai("b", body={"model": "n"}), "line 2: a file has one model: 'n' here, 'm' in line 1"),
        (openai("b", body={"model": 5}), 'line 2: "body.model"'),
    ],
)
def test_what_is_wrong_in_an_openai_line(write: Any, second: object, what: str) -> None:
    assert what in refused(write(openai("a"), second), "openai")


@pytest.mark.parametrize(
    ("second", "what"),
    [
        (gemini("a"), "line 2: \"key\" 'a' was used in line 1"),
        (gemini(None), 'line 2: "key"'),
        (gemini("b", request="x"), 'line 2: "request" has to be an object'),
        (openai("b"), 'line 2: "key"'),
    ],
)
def test_what_is_wrong_in_a_gemini_line(write: Any, second: object, what: str) -> None:
    assert what in refused(write(gemini("a"), second), "gemini")


def test_a_line_for_the_other_provider_is_told(write: Any) -> None:
    for line, provider, told in (
        (openai("a"), "gemini", "OpenAI, not for Gemini"),
        (gemini("a"), "openai", "Gemini, not for OpenAI"),
    ):
        words = refused(write(line), provider)
        assert words.endswith(f"has to be a text that is not empty; the line looks like one for {told}")
    assert "looks like" not in refused(write({"request": {}}), "openai")
    assert "looks like" not in refused(write(openai("")), "openai")


def test_a_byte_order_mark(write: Any) -> None:
    assert "byte order mark" in refused(write(b"\xef\xbb\xbf" + json.dumps(openai()).encode()), "openai")


def test_what_is_wrong_with_the_file(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "is empty" in refused(empty, "openai")
    assert "cannot be read" in refused(tmp_path / "missing", "openai")
    assert "is not a file" in refused(tmp_path, "openai")
    assert "is not a file" in refused(pipe, "openai")


def test_too_large(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(openai("a"), openai("b"), openai("c"))
    monkeypatch.setattr(jsonl._OpenAIChecker, "max_requests", 2)
    assert "line 3: a batch takes 2 requests" in refused(path, "openai")
    monkeypatch.setattr(jsonl._OpenAIChecker, "max_bytes", 10)
    assert "split it" in refused(path, "openai")


def test_a_provider_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="mistral"):
        check_file(tmp_path, "mistral")
