"""The outcome of a line of results, its finish reason and tokens; inline results read piece by piece."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobdash.domain.items import ItemStatus
from jobdash.errors import BadResponse
from jobdash.providers.gemini.inline import OperationReader
from jobdash.providers.gemini.results import read_line as read_gemini
from jobdash.providers.openai.results import read_line as read_openai

OK, CUT_OFF, ERROR = ItemStatus.OK, ItemStatus.CUT_OFF, ItemStatus.ERROR


def chat(*reasons: str) -> dict[str, Any]:
    return {"choices": [{"finish_reason": reason} for reason in reasons], "usage": {"prompt_tokens": 7}}


@pytest.mark.parametrize(
    ("body", "outcome", "reason"),
    [
        (chat("stop"), OK, "stop"),
        (chat("tool_calls"), OK, "tool_calls"),
        (chat("length"), CUT_OFF, "length"),
        (chat("stop", "content_filter"), CUT_OFF, "content_filter"),
        ({"status": "completed", "output": []}, OK, None),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            CUT_OFF,
            "max_output_tokens",
        ),
        ({"object": "list", "data": []}, OK, None),
        (json.dumps(chat("length")), CUT_OFF, "length"),
        ({"choices": "odd", "usage": 3}, OK, None),
    ],
)
def test_an_answer_of_openai_that_was_cut_off_is_no_whole_one(
    body: object, outcome: ItemStatus, reason: str | None
) -> None:
    line = read_openai({"custom_id": "a", "response": {"status_code": 200, "body": body}})
    assert line is not None
    assert (line.outcome, line.finish_reason) == (outcome, reason)


def test_tokens_are_read_in_both_spellings() -> None:
    for usage in ({"prompt_tokens": 20, "completion_tokens": 0}, {"input_tokens": 20, "output_tokens": 0}):
        line = read_openai({"custom_id": "a", "response": {"body": {"usage": usage}}})
        assert line is not None
        assert (line.input_tokens, line.output_tokens) == (20, 0)
    line = read_gemini(
        {
            "key": "a",
            "response": {
                "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 5, "thoughtsTokenCount": 6}
            },
        }
    )
    assert line is not None
    assert (line.input_tokens, line.output_tokens) == (4, 11)


@pytest.mark.parametrize(
    ("usage", "cached"),
    [
        ({"prompt_tokens": 20, "prompt_tokens_details": {"cached_tokens": 16}}, 16),
        ({"input_tokens": 20, "input_tokens_details": {"cached_tokens": 0}}, 0),
        ({"input_tokens": 20, "input_tokens_details": {"cached_tokens": "odd"}}, None),
        ({"input_tokens": 20, "input_tokens_details": None}, None),
        ({"input_tokens": 20}, None),
    ],
)
def test_cached_tokens_are_read_in_both_spellings(usage: dict[str, object], cached: int | None) -> None:
    line = read_openai({"custom_id": "a", "response": {"body": {"usage": usage}}})
    assert line is not None
    assert (line.input_tokens, line.cached_tokens) == (20, cached)


def test_geminis_cached_tokens_are_part_of_its_prompt() -> None:
    usage = {"promptTokenCount": 9, "cachedContentTokenCount": 7}
    line = read_gemini({"key": "a", "response": {"usageMetadata": usage}})
    assert line is not None
    assert (line.input_tokens, line.cached_tokens) == (9, 7)


@pytest.mark.parametrize(
    ("response", "outcome", "reason"),
    [
        ({"candidates": [{"finishReason": "STOP"}]}, OK, "STOP"),
        ({"candidates": [{"finishReason": "MAX_TOKENS"}]}, CUT_OFF, "MAX_TOKENS"),
        ({"candidates": [{"finishReason": "SAFETY"}]}, CUT_OFF, "SAFETY"),
        ({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}, CUT_OFF, "PROHIBITED_CONTENT"),
        ({"embedding": {"values": [1]}}, OK, None),
    ],
)
def test_an_answer_of_gemini_that_was_cut_off_is_no_whole_one(
    response: object, outcome: ItemStatus, reason: str | None
) -> None:
    line = read_gemini({"key": "a", "response": response})
    assert line is not None
    assert (line.outcome, line.finish_reason) == (outcome, reason)


def test_an_inline_answer_is_known_by_the_key_in_its_metadata_and_by_nothing_else() -> None:
    line = read_gemini({"metadata": {"key": "a"}, "error": {"message": "no"}})
    assert line is not None
    assert (line.key, line.outcome) == ("a", ERROR)
    assert read_gemini({"response": {"candidates": []}}) is None


# ── inline results, piece by piece ────────────────────────────────────────────────────────────────

TEXTS = st.text(alphabet='ab"\\{}[],: \n\u2028é', max_size=12)
ANSWERS = st.lists(st.dictionaries(TEXTS, st.one_of(TEXTS, st.lists(TEXTS, max_size=3))), max_size=4)


def operation(answers: list[Any], *, twice: bool, indent: int | None) -> bytes:
    output = {"inlinedResponses": {"inlinedResponses": answers}}
    metadata = {"displayName": 'x "inlinedResponses": [', "output": output, "state": "BATCH_STATE_SUCCEEDED"}
    value = {"name": "batches/a", "metadata": metadata, "done": True}
    if twice:
        value["response"] = output
    return json.dumps(value, indent=indent, ensure_ascii=False).encode()


@given(ANSWERS, st.booleans(), st.sampled_from([None, 2]), st.integers(1, 50))
def test_inline_answers_do_not_depend_on_how_they_arrive(
    answers: list[Any], twice: bool, indent: int | None, size: int
) -> None:
    content = operation(answers, twice=twice, indent=indent)
    reader = OperationReader()
    lines: list[bytes] = []
    for start in range(0, len(content), size):
        lines += reader.feed(content[start : start + size])
        if reader.complete:
            break
    assert [json.loads(line) for line in lines] == answers
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    assert reader.complete is (twice and bool(answers))
    rest: Any = reader.rest()
    assert rest["name"] == "batches/a"
    assert rest["metadata"]["state"] == "BATCH_STATE_SUCCEEDED"
    assert rest["metadata"]["output"]["inlinedResponses"]["inlinedResponses"] == []


def test_an_answer_that_is_none_is_a_line_that_cannot_be_read() -> None:
    reader = OperationReader()
    lines = reader.feed(operation([None, {"a": 1}, None, None], twice=False, indent=None))
    assert lines == [b"null\n", b'{"a": 1}\n', b"null\n", b"null\n"]


def test_an_answer_without_an_end_does_not_fill_the_memory() -> None:
    reader = OperationReader(longest=1000)
    reader.feed(b'{"inlinedResponses": [{"a": "')
    with pytest.raises(BadResponse, match="longer than 1,000 bytes"):
        [reader.feed(b"x" * 100) for _ in range(100)]
