"""The join of results with their requests: any order, any duplicates, any damage."""

from __future__ import annotations

import io
import json
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobdash.domain.results import ResultCounts
from jobdash.operations.results.join import JoinedResults, ResultScan, join_results
from jobdash.providers.openai.results import read_line

KEYS = [f"row-{number}" for number in range(6)]


def request(key: str) -> bytes:
    return json.dumps({"custom_id": key, "method": "POST", "body": {}}).encode() + b"\n"


def whole(key: str, text: str = "yes") -> bytes:
    choice = {"finish_reason": "stop", "message": {"content": text}}
    return _answered(key, 200, {"choices": [choice]})


def cut_off(key: str) -> bytes:
    return _answered(key, 200, {"choices": [{"finish_reason": "length", "message": {"content": "y"}}]})


def refused(key: str) -> bytes:
    return _answered(key, 400, {"error": {"message": "no"}})


def _answered(key: str, code: int, body: dict[str, Any]) -> bytes:
    return json.dumps({"custom_id": key, "response": {"status_code": code, "body": body}}).encode() + b"\n"


LINES = st.builds(
    lambda make, key: make(key), st.sampled_from([whole, cut_off, refused]), st.sampled_from([*KEYS, "other"])
)
DAMAGED = st.builds(lambda line, end: line[:end] + b"\n", LINES, st.integers(0, 60))


def joined(raw: bytes, keys: list[str]) -> tuple[JoinedResults, list[dict[str, Any]], bytes, bytes]:
    """Join the raw lines with requests; returns the results, the lines missing, and the raw file after it."""
    with tempfile.TemporaryDirectory() as place:
        answers, requests = Path(place) / "raw", Path(place) / "requests"
        answers.write_bytes(raw)
        requests.write_bytes(b"".join(map(request, keys)))
        missing = io.BytesIO()
        with closing(ResultScan(read_line, Path(place) / "results")) as scan:
            scan.scan("output", answers)
            found = join_results(scan, missing, requests=requests, key_field="custom_id", total=len(keys))
        results = (Path(place) / "results").read_bytes()
        assert results.isascii()
        assert b"\x7f" not in results
        lines = [json.loads(line) for line in results.splitlines()]
        return found, lines, missing.getvalue(), answers.read_bytes()


def all_of(counts: ResultCounts) -> int:
    return counts.ok + counts.error + counts.cut_off + (counts.missing or 0)


@given(st.lists(LINES | DAMAGED), st.lists(st.sampled_from(KEYS), unique=True))
def test_each_request_has_one_outcome_and_the_raw_file_stays(lines: list[bytes], keys: list[str]) -> None:
    raw = b"".join(lines)
    found, results, missing, after = joined(raw, keys)
    assert after == raw
    assert all_of(found.counts) == len(keys)
    answered = [line["key"] for line in results]
    without = [json.loads(line)["custom_id"] for line in missing.splitlines()]
    assert sorted(answered + without) == sorted(keys)
    # Both stand in the order of the requests.
    assert answered == [key for key in keys if key in answered]
    assert without == [key for key in keys if key in without]


@given(st.permutations([whole, cut_off, refused]))
def test_of_several_lines_with_one_key_the_best_counts(order: list[Any]) -> None:
    found, results, _, _ = joined(b"".join(make("row-0") for make in order), ["row-0"])
    assert [line["outcome"] for line in results] == ["ok"]
    assert found.duplicate_keys == ("row-0", "row-0")


@pytest.mark.parametrize(
    ("number", "read"),
    [(b"1e999", None), (b"-1e999", None), (b"NaN", None), (b"1e3", 1000.0), (b"1" * 40, int("1" * 40))],
)
def test_a_number_json_has_no_word_for_is_null_in_the_results(number: bytes, read: object) -> None:
    line = b'{"custom_id": "row-0", "response": {"status_code": 200, "body": {"logprob": %s}}}\n' % number
    _, results, _, _ = joined(line, ["row-0"])
    assert [line["response"] for line in results] == [{"logprob": read}]


@pytest.mark.parametrize("deep", [100, 300, 700])
def test_an_answer_may_be_nested_deeply(deep: int) -> None:
    body = b'{"a":' * deep + b"1" + b"}" * deep
    line = b'{"custom_id": "row-0", "response": {"status_code": 200, "body": %s}}\n' % body
    _, results, _, _ = joined(line, ["row-0"])
    assert results[0]["response"] == json.loads(body)


def test_a_body_that_is_json_text_is_read_as_what_it_means() -> None:
    body = json.dumps('{"text": "\\ud800", "logprob": NaN}')
    line = b'{"custom_id": "row-0", "response": {"status_code": 200, "body": %s}}\n' % body.encode()
    _, results, _, _ = joined(line, ["row-0"])
    assert results[0]["response"] == {"text": "\ud800", "logprob": None}


@pytest.mark.parametrize("text", ["\ud800", "\u2028", "\x7f\x1b[31m", "日本"])
def test_results_are_ascii_whatever_a_model_wrote(text: str) -> None:
    _, results, _, _ = joined(whole("row-0", text), ["row-0"])
    assert results[0]["response"]["choices"][0]["message"]["content"] == text


@settings(deadline=None)
@given(st.lists(LINES | DAMAGED), st.lists(LINES), st.integers(0, 20), st.permutations(KEYS))
def test_a_try_that_begins_anew_counts_nothing_twice(
    output: list[bytes], errors: list[bytes], broken_off: int, keys: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as place:
        once = _scanned(Path(place) / "once", [("output", output), ("error", errors)], keys)
        tries = [("output", output[:broken_off]), ("output", output), ("error", errors[:broken_off])]
        again = _scanned(Path(place) / "again", [*tries, ("error", errors)], keys)
    assert again == once


@settings(deadline=None)
@given(st.lists(LINES | DAMAGED), st.permutations(KEYS), st.sets(st.sampled_from(KEYS)))
def test_a_scan_may_be_joined_again_with_other_requests(
    lines: list[bytes], keys: list[str], fewer: set[str]
) -> None:
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "results"
        with closing(ResultScan(read_line, file)) as scan:
            _take(scan, "output", lines)
            join_results(
                scan, io.BytesIO(), requests=_requests(file, sorted(fewer)), key_field="custom_id", total=6
            )
            found = join_results(
                scan, io.BytesIO(), requests=_requests(file, keys), key_field="custom_id", total=6
            )
        assert (found, file.read_bytes()) == _scanned(Path(place) / "once", [("output", lines)], keys)


def _scanned(
    file: Path, tries: list[tuple[str, list[bytes]]], keys: list[str]
) -> tuple[JoinedResults, bytes]:
    with closing(ResultScan(read_line, file)) as scan:
        for role, lines in tries:
            _take(scan, role, lines)
        found = join_results(
            scan, io.BytesIO(), requests=_requests(file, keys), key_field="custom_id", total=len(keys)
        )
    return found, file.read_bytes()


def _take(scan: ResultScan, role: str, lines: list[bytes]) -> None:
    take = scan.begin(role)
    for line in lines:
        take(line)


def _requests(beside: Path, keys: list[str]) -> Path:
    file = beside.with_name("requests")
    file.write_bytes(b"".join(map(request, keys)))
    return file
