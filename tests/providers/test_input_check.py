"""A batch's file, checked before it is sent."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from jobdash.errors import FileFaults, OverLimit, UsageError
from jobdash.providers.input_check import FileCheck, SubmitWishes, input_rules
from jobdash.providers.input_parts import InputLimits
from jobdash.providers.openai.input import OpenAIInput, unknown_endpoint
from jobdash.providers.registry import bundled


def check_file(path: Path, provider: str, *, name: str | None = None) -> FileCheck:
    return input_rules(bundled()[provider])(path, name or str(path)).check()


def openai(key: object = "a", **changes: object) -> dict[str, object]:
    line = {"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"}}
    return line | changes


def gemini(key: object = "a", **changes: object) -> dict[str, object]:
    return {"key": key, "request": {"contents": []}} | changes


def anthropic(key: object = "a", **changes: object) -> dict[str, object]:
    params = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
    return {"custom_id": key, "params": params | changes}


def mistral(key: object = "a", **changes: object) -> dict[str, object]:
    return {"custom_id": key, "body": {"messages": [{"role": "user", "content": "x"}]} | changes}


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
        (openai("b", body={"messages": []}), 'line 2: "body" names no "model"'),
        (openai("b", body={"model": ""}), 'line 2: "body" names no "model"'),
    ],
)
def test_what_is_wrong_in_an_openai_line(write: Any, second: object, what: str) -> None:
    assert what in refused(write(openai("a"), second), "openai")


@pytest.mark.parametrize(
    ("second", "what"),
    [
        (gemini("a"), "line 2: \"key\" 'a' was used in line 1"),
        (gemini(None), 'line 2: "key"'),
        (gemini("b", request=["x"]), 'line 2: "request" has to be an object'),
        (openai("b"), "line 2: the line looks like one for OpenAI, not for Gemini"),
    ],
)
def test_what_is_wrong_in_a_gemini_line(write: Any, second: object, what: str) -> None:
    assert what in refused(write(gemini("a"), second), "gemini")


LINES = {"openai": openai, "gemini": gemini, "anthropic": anthropic, "mistral": mistral}


@pytest.mark.parametrize(("made_for", "provider"), list(permutations(LINES, 2)))
def test_a_line_for_another_provider_is_told_at_once(write: Any, made_for: str, provider: str) -> None:
    line = LINES[made_for]("a")
    title, own = bundled()[made_for].title, bundled()[provider].title
    words = refused(write(line, line), provider)
    assert f"line 1: the line looks like one for {title}, not for {own}; a line for {own} has" in words
    assert "line 2" not in words


def test_a_line_with_something_left_out_is_nobody_elses(write: Any) -> None:
    assert "looks like" not in refused(write({"request": {}}), "openai")
    assert "looks like" not in refused(write(openai("")), "openai")
    assert "looks like" not in refused(write({"custom_id": "a", "url": "/v1/x", "body": {}}), "openai")


def test_a_byte_order_mark(write: Any) -> None:
    assert "byte order mark" in refused(write(b"\xef\xbb\xbf" + json.dumps(openai()).encode()), "openai")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (json.dumps(openai()).encode("utf-16"), "the file is UTF-16: save it as UTF-8"),
        (json.dumps(openai()).encode("utf-16-be").join([b"\xfe\xff", b""]), "the file is UTF-16"),
        (gzip.compress(json.dumps(openai()).encode(), mtime=0), "is compressed with gzip: gunzip it before"),
    ],
)
def test_a_file_of_another_encoding_is_named_once(write: Any, content: bytes, words: str) -> None:
    message = refused(write(content), "openai")
    assert words in message
    assert "line 2" not in message


def test_a_file_that_ends_within_a_line_says_so(tmp_path: Path) -> None:
    path, whole = tmp_path / "batch.jsonl", json.dumps(openai()).encode()
    cut = "the file ends in this line, and may have been cut"
    path.write_bytes(whole + b"\n" + whole[:40])
    assert cut in refused(path, "openai")
    path.write_bytes(whole + b"\n" + whole[:40] + b"\n")
    assert cut not in refused(path, "openai")


def test_a_body_that_is_a_text_of_json_says_how_to_make_it_an_object(write: Any) -> None:
    request = openai()
    request["body"] = json.dumps(request["body"])
    message = refused(write(json.dumps(request).encode()), "openai")
    assert "jq -c '.body |= fromjson' FILE > requests.jsonl makes it so" in message


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
    monkeypatch.setattr(OpenAIInput, "max_requests", 2)
    assert "line 3: a batch takes 2 requests" in refused(path, "openai")
    monkeypatch.setattr(OpenAIInput, "max_bytes", 10)
    assert "a batch takes 10: --split cuts it into parts" in refused(path, "openai")


def cut_of(path: Path, **limits: int) -> FileCheck:
    return OpenAIInput(path, "mine", InputLimits(**limits), split=True).check()


def test_a_file_over_a_limit_is_cut_into_whole_lines_that_are_the_file_again(write: Any) -> None:
    path = write(*(openai(f"k{number}") for number in range(7)), end=b"")
    content = path.read_bytes()
    one_line = len(content.splitlines(keepends=True)[0])
    for limits, sizes in (
        ({"requests": 3}, [3, 3, 1]),
        ({"size": 2 * one_line + 1}, [2, 2, 2, 1]),
        ({"requests": 5, "size": 4 * one_line}, [4, 3]),
        ({"characters": one_line}, [1] * 7),
    ):
        parts = cut_of(path, **limits).parts
        assert [part.requests for part in parts] == sizes
        pieces = [content[part.start : part.start + part.size] for part in parts]
        assert b"".join(pieces) == content
        assert [hashlib.sha256(piece).hexdigest() for piece in pieces] == [part.digest for part in parts]


def test_a_file_within_the_limits_is_not_cut(write: Any) -> None:
    found = cut_of(write(openai("a"), openai("b")), requests=2)
    assert (found.requests, found.parts) == (2, ())


def test_an_account_may_set_lower_limits_and_no_higher_ones(
    write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(openai("a"), openai("b"), openai("c"))
    with pytest.raises(OverLimit, match="line 3: a batch takes 2 requests: --split"):
        OpenAIInput(path, "mine", InputLimits(requests=2)).check()
    monkeypatch.setattr(OpenAIInput, "max_requests", 1)
    with pytest.raises(OverLimit, match="line 2: a batch takes 1 requests"):
        OpenAIInput(path, "mine", InputLimits(requests=2)).check()


def test_what_is_wrong_with_a_line_is_said_of_a_file_that_is_cut(write: Any) -> None:
    path = write(openai("a"), openai("b"), openai("a"))  # twice, in two parts
    with pytest.raises(UsageError, match=r"line 3: .* was used in line 1"):
        cut_of(path, requests=2)
    with pytest.raises(UsageError, match=r"line 1: the line has .* bytes, a whole batch takes 10"):
        cut_of(write(openai("a"), b"{}"), size=10)


def test_up_to_fifty_wrong_lines_are_told_at_once(write: Any) -> None:
    lines = [openai(f"k{number}") for number in range(200)]
    lines[3] = openai("k2")  # twice
    lines[7] = b"{"  # type: ignore[assignment]
    lines[150] = openai("x", body={})
    with pytest.raises(FileFaults) as caught:
        check_file(write(*lines), "openai", name="mine")
    assert caught.value.head == "mine has 3 wrong lines"
    assert [fault.partition(":")[0] for fault in caught.value.faults] == ["line 4", "line 8", "line 151"]
    assert "line 151" in str(caught.value)
    with pytest.raises(FileFaults) as caught:
        check_file(write(*(openai(f"k{number}", method="GET") for number in range(200))), "openai")
    assert len(caught.value.faults) == 50
    assert "at least 50 wrong lines" in caught.value.head


def test_one_wrong_line_is_told_as_several_are(write: Any) -> None:
    with pytest.raises(FileFaults, match=r"mine, line 2: ") as caught:
        check_file(write(openai("a"), openai("b", body={})), "openai", name="mine")
    assert (caught.value.head, len(caught.value.faults)) == ("mine", 1)
    assert caught.value.faults[0].startswith("line 2: ")


RESULTS = [
    {"id": "r", "custom_id": "a", "response": {"status_code": 200, "body": {}}, "error": None},
    {"id": "r", "custom_id": "a", "response": None, "error": {"message": "no"}},
    {"key": "a", "response": {"candidates": []}},
    {"key": "a", "error": {"code": 3}},
    {"custom_id": "a", "result": {"type": "succeeded", "message": {}}},
]


@pytest.mark.parametrize("provider", LINES)
@pytest.mark.parametrize("line", RESULTS)
def test_a_file_of_results_is_one(write: Any, provider: str, line: object) -> None:
    words = refused(write(line, line, line), provider)
    assert "line 1: this is a file of results" in words
    assert "line 2" not in words


@pytest.mark.parametrize(
    ("second", "what"),
    [
        (anthropic("a"), "line 2: \"custom_id\" 'a' was used in line 1"),
        (anthropic("b c"), 'line 2: "custom_id" has to be 1 to 64 letters'),
        (anthropic("b" * 65), 'line 2: "custom_id" has to be 1 to 64 letters'),
        (anthropic("b\n"), 'line 2: "custom_id" has to be 1 to 64 letters'),
        ({"custom_id": "b", "params": []}, 'line 2: "params" has to be an object'),
        (anthropic("b", model=None), 'line 2: "params" names no "model"'),
        (anthropic("b", max_tokens=None), 'line 2: "params.max_tokens"'),
        (anthropic("b", max_tokens=True), 'line 2: "params.max_tokens"'),
        (anthropic("b", messages=[]), 'line 2: "params.messages"'),
        (anthropic("b", stream=True), 'line 2: "params.stream" cannot be true'),
    ],
)
def test_what_is_wrong_in_an_anthropic_line(write: Any, second: object, what: str) -> None:
    assert what in refused(write(anthropic("a"), second), "anthropic")


@pytest.mark.parametrize(
    ("second", "what"),
    [
        (mistral("a", model="m"), "line 2: \"custom_id\" 'a' was used in line 1"),
        (mistral(None), 'line 2: "custom_id" has to be a text'),
        ({"custom_id": "b", "body": []}, 'line 2: "body" has to be an object'),
        (mistral("b", model="n"), "line 2: a file has one model: 'n' here, 'm' in line 1"),
        (mistral("b", model=5), 'line 2: "body.model"'),
        (mistral("b", stream=True), 'line 2: "body.stream" cannot be true'),
    ],
)
def test_what_is_wrong_in_a_mistral_line(write: Any, second: object, what: str) -> None:
    assert what in refused(write(mistral("a", model="m"), second), "mistral")


@pytest.mark.parametrize(
    ("lines", "wishes", "words"),
    [
        ([mistral("a")], {}, "wants --model"),
        ([mistral("a")], {"model": "m"}, None),
        ([mistral("a", model="m"), mistral("b")], {}, None),
        ([mistral("a", model="m")], {"model": "n"}, "the lines name the model 'm'"),
        ([{"custom_id": "a", "body": {"input": "x"}}], {"model": "m"}, "wants --endpoint"),
        ([{"custom_id": "a", "body": {"input": "x"}}], {"model": "m", "endpoint": "/v1/embeddings"}, None),
        ([mistral("a")], {"model": "m", "endpoint": "/v1/chat"}, "doubt"),
        ([mistral("a")], {"model": "m", "tags": {str(n): "x" for n in range(15)}}, "15 tags"),
    ],
)
def test_what_a_mistral_file_leaves_open(
    write: Any, lines: list[object], wishes: dict[str, Any], words: str | None
) -> None:
    rules = input_rules(bundled()["mistral"])
    check = check_file(write(*lines), "mistral")
    if words in {None, "doubt"}:
        assert len(tuple(rules.check_wishes(check, SubmitWishes(**wishes)))) == (words == "doubt")
        return
    with pytest.raises(UsageError, match=words):
        tuple(rules.check_wishes(check, SubmitWishes(**wishes)))


def test_an_anthropic_file_may_mix_models(write: Any) -> None:
    assert check_file(write(anthropic("a"), anthropic("b")), "anthropic").model == "m"
    mixed = check_file(write(anthropic("a"), anthropic("b", model="n"), anthropic("c")), "anthropic")
    assert (mixed.requests, mixed.model) == (3, None)


@pytest.mark.parametrize("indent", [1, 2, 4, "\t"])
def test_json_that_is_no_jsonl_is_said_to_be_that(tmp_path: Path, indent: Any) -> None:
    path = tmp_path / "batch.json"
    for text, what in (
        (json.dumps(openai(), indent=indent), "pretty-printed JSON"),
        (
            json.dumps(openai(), indent=indent) + "\n" + json.dumps(openai("b"), indent=indent),
            "pretty-printed",
        ),
        (json.dumps([openai(), openai("b")], indent=indent), "one JSON array"),
        (json.dumps([openai(), openai("b")]), "one JSON array"),
    ):
        path.write_text(text)
        words = refused(path, "openai")
        assert what in words
        assert "jq" in words
    path.write_text('{\n"x": broken\n}\n')
    assert "pretty" not in refused(path, "openai")


def test_moderations_need_no_model(write: Any) -> None:
    line = {"custom_id": "a", "method": "POST", "url": "/v1/moderations", "body": {"input": "x"}}
    assert check_file(write(line), "openai").model is None


def test_embeddings_of_gemini_are_known(write: Any) -> None:
    lines = [gemini(key, request={"content": {"parts": []}}) for key in "ab"]
    assert check_file(write(*lines), "gemini").embeddings
    assert not check_file(write(gemini("a")), "gemini").embeddings
    words = refused(write(*lines, gemini("c")), "gemini")
    assert "line 3: a file is for one kind of request: no embeddings here, embeddings in line 1" in words


def test_the_digest_is_of_the_content(write: Any) -> None:
    path = write(openai("a"), openai("b"))
    digest = check_file(path, "openai").digest
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("endpoint", "base_url", "what"),
    [
        ("/v1/chat/completions", None, None),
        ("/v1/chat/completion", None, "do you mean /v1/chat/completions?"),
        ("/chat/completions", None, "do you mean /v1/chat/completions?"),
        ("/chat/completions", "https://x.azure.com/openai/v1", None),
        ("/v1/embedding", "http://127.0.0.1:1/v1", "do you mean /v1/embeddings?"),
        ("/nothing", "https://api.openai.com/v1", "there are /v1/responses"),
    ],
)
def test_endpoints(endpoint: str, base_url: str | None, what: str | None) -> None:
    told = unknown_endpoint(endpoint, base_url)
    assert (told is None) if what is None else (told is not None and what in told)
