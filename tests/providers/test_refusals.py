"""What each refusal means, and how long a provider asks to wait."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from email.utils import format_datetime

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobdash.errors import (
    AuthRejected,
    BadResponse,
    InvalidRequest,
    NotFound,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Unavailable,
)
from jobdash.providers.refusals import LONGEST_WAIT_S, answered_error, parse_retry_after, refusal

NOW = 1_800_000_000.0


def refused(status: int, body: object = None, headers: dict[str, str] | None = None) -> ProviderError:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return refusal(status, httpx2.Headers(headers or {}), content, now=NOW)


def openai(message: str = "words", **fields: object) -> dict[str, object]:
    return {"error": {"message": message} | fields}


def google(message: str = "words", *reasons: str, **fields: object) -> dict[str, object]:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason} for reason in reasons]
    return {"error": {"code": 400, "message": message, "status": "X", "details": details} | fields}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, openai(), InvalidRequest),
        (400, google("API key not valid.", "API_KEY_INVALID"), AuthRejected),
        (400, google("bad", "SOMETHING_ELSE"), InvalidRequest),
        (400, openai(code="billing_hard_limit_reached"), QuotaExhausted),
        (401, openai(code="invalid_api_key"), AuthRejected),
        (401, b"", AuthRejected),
        (402, openai(), QuotaExhausted),
        (403, openai(), AuthRejected),
        (403, google("You do not have permission to access the File x or it may not exist."), NotFound),
        (404, openai(), NotFound),
        (405, b"<html>no</html>", InvalidRequest),
        (408, openai(), Unavailable),
        (409, openai(), InvalidRequest),
        (410, b"", NotFound),
        (413, b"too large", InvalidRequest),
        (422, {"detail": [{"msg": "odd"}]}, InvalidRequest),
        (429, openai(type="insufficient_quota"), QuotaExhausted),
        (429, openai(code="insufficient_quota"), QuotaExhausted),
        (429, openai(code="rate_limit_exceeded"), RateLimited),
        (429, google(status="RESOURCE_EXHAUSTED"), RateLimited),
        (429, [google()], RateLimited),
        (500, b"\xff\xfe", Unavailable),
        (502, b"<html>Bad gateway</html>", Unavailable),
        (503, openai(), Unavailable),
        (529, openai(), Unavailable),
        (304, b"", BadResponse),
        (199, b"", BadResponse),
    ],
)
def test_kinds(status: int, body: object, kind: type[ProviderError]) -> None:
    error = refused(status, body)
    assert type(error) is kind
    assert error.status == status
    assert f"({status})" in str(error)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (openai("their words"), "their words"),
        ([google("their words")], "their words"),
        ({"error": "their words"}, "their words"),
        ({"message": "their words"}, "their words"),
        (b"their\n  words", "their words"),
        ({"detail": "their words"}, "their words"),
        ({"detail": {"error": "their words"}}, "their words"),
        ({"detail": [{"loc": ["query", "limit"], "msg": "too large"}]}, "query.limit: too large"),
        ({"detail": [{"loc": ["body", 0], "msg": "a"}, {"msg": "b"}]}, "body.0: a; b"),
        ({"error": {"detail": "their words"}}, "their words"),
        ({"errors": "their words"}, "their words"),
        ({"errors": ["their", {"message": "words"}]}, "their; words"),
        ({"error": "invalid", "error_description": "their words"}, "invalid"),
        ({"object": "error", "message": "their\nwords"}, "their words"),
        (b"<!DOCTYPE html><html><head><title>413 Too &amp; Large</title></head></html>", "413 Too & Large"),
        (b"<html><script>no</script><body><h1>Sorry</h1> blocked</body></html>", "Sorry blocked"),
        ({"error": {"message": None}}, ""),
        ([], ""),
        (b"[" * 100_000, None),
    ],
)
def test_their_own_words_are_kept(body: object, detail: str | None) -> None:
    error = refused(500, body)
    assert len(error.detail) <= 4096
    assert len(str(error)) < 400
    if detail is not None:
        assert error.detail == detail
        assert str(error) == (f"server error (500): {detail}" if detail else "server error (500)")


@pytest.mark.parametrize(
    "body",
    [
        openai("Incorrect API key provided: sk-abc***xyz."),
        openai("anything", code="invalid_api_key"),
        {"detail": "Invalid API key"},
        google("API key not valid. Please pass a valid API key.", "API_KEY_INVALID"),
        b"",
    ],
)
def test_a_wrong_key_says_only_that(body: object) -> None:
    error = refused(401, body)
    assert str(error) == "key rejected (401)"
    assert "sk-" not in error.detail


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (openai("Missing scopes: api.batch.read.", code=None), "Missing scopes: api.batch.read."),
        (
            openai("Country not supported", code="unsupported_country_region_territory"),
            "Country not supported",
        ),
        (openai("Your IP address 203.0.113.7 is not allowed.\nSorry"), "Your IP address 203.0.113.7 is not"),
        (google("The API is disabled.", "SERVICE_DISABLED"), "The API is disabled."),
        (google("API key expired. Renew it.", "API_KEY_EXPIRED"), "API key expired. Renew it."),
        ({"detail": "Token expired"}, "Token expired"),
        (openai("Invalid API key or IP address"), "Invalid API key or IP address"),
    ],
)
def test_a_key_that_is_not_simply_wrong_goes_with_the_reason(status: int, body: object, words: str) -> None:
    error = refused(status, body)
    assert isinstance(error, AuthRejected)
    assert str(error).startswith(f"key rejected ({status}): {words}")
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "sk-abc1234 is blocked"}}, "[secret] is blocked"),
        ({"error": "their words"}, "their words"),
        ({"errors": "their words"}, "their words"),
        ({"detail": "their words"}, "their words"),
        ({"object": "error", "message": "their words", "code": 400}, "their words"),
    ],
)
def test_an_error_inside_a_200_is_one(body: object, words: str) -> None:
    error = answered_error(body)
    assert error is not None
    assert str(error) == f"the provider answered an error: {words}"


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        [],
        "text",
        {"id": "batch_1", "error": "its own"},
        {"data": [], "error": "partly"},
        {"name": "batches/1", "error": {"code": 3}},
        {"error": None},
        {"message": "ok"},
    ],
)
def test_what_has_anything_of_its_own_is_no_error(body: object) -> None:
    assert answered_error(body) is None


@pytest.mark.parametrize(
    ("status", "headers", "body", "wait"),
    [
        (429, {"Retry-After": "20"}, openai(), 20.0),
        (429, {"retry-after": "1.5"}, openai(), 1.5),
        (429, {}, openai(), None),
        (429, {}, {"error": {"details": [{"retryDelay": "17s"}]}}, 17.0),
        (429, {"Retry-After": "5"}, {"error": {"details": [{"retryDelay": "17s"}]}}, 5.0),
        (429, {}, {"error": {"details": [{"retryDelay": "soon"}, 3]}}, None),
        (503, {"Retry-After": "20"}, b"", 20.0),
        (503, {}, b"", None),
        (500, {"Retry-After": "20"}, b"", None),
    ],
)
def test_a_wait_is_told_only_where_nothing_was_applied(
    status: int, headers: dict[str, str], body: object, wait: float | None
) -> None:
    error = refused(status, body, headers)
    assert isinstance(error, (RateLimited, Unavailable))
    assert error.retry_after == wait


@pytest.mark.parametrize(
    "value", ["", "soon", "-5", "1e3", "0x10", "1_0", "nan", "inf", "٣", "9" * 400, "5 s"]
)
def test_garbage_is_no_wait(value: str) -> None:
    assert parse_retry_after(value, NOW) is None


@given(st.integers(0, int(LONGEST_WAIT_S)))
def test_seconds(seconds: int) -> None:
    assert parse_retry_after(f" {seconds} ", NOW) == seconds


@given(st.integers(-(10**6), int(LONGEST_WAIT_S)))
def test_dates(seconds: int) -> None:
    date = format_datetime(datetime.fromtimestamp(NOW + seconds, UTC), usegmt=True)
    assert parse_retry_after(date, NOW) == max(0, seconds)


@given(st.text() | st.integers().map(str) | st.floats().map(str))
def test_any_value_is_none_or_a_sensible_wait(value: str) -> None:
    wait = parse_retry_after(value, NOW)
    assert wait is None or 0 <= wait <= LONGEST_WAIT_S


@given(st.integers(100, 999).filter(lambda status: not 200 <= status < 300), st.binary())
def test_any_answer_is_one_of_ours(status: int, content: bytes) -> None:
    assert isinstance(refused(status, content), ProviderError)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["error", "message", "details", "code"]), inner)
    ),
)


@given(st.sampled_from([400, 403, 429, 503]), _JSON)
def test_any_json_is_one_of_ours(status: int, body: object) -> None:
    assert isinstance(refused(status, body), ProviderError)


@pytest.mark.parametrize("body", [b"sk-" * 5_000_000, openai("api-key: " * 1_000_000)])
def test_an_endless_refusal_is_searched_for_secrets_no_further_than_it_is_kept(body: object) -> None:
    began = time.process_time()
    assert isinstance(refused(500, body), Unavailable)
    assert time.process_time() - began < 1.0


def test_openais_own_header_is_finer() -> None:
    error = refused(429, openai(), {"retry-after-ms": "1500", "retry-after": "2"})
    assert isinstance(error, RateLimited)
    assert error.retry_after == 1.5


@pytest.mark.parametrize(
    ("asked", "wait"), [("100000", 100.0), ("86400000", 86400.0), ("86400001", None), ("250", 0.25)]
)
def test_milliseconds_are_measured_as_such(asked: str, wait: float | None) -> None:
    error = refused(429, headers={"retry-after-ms": asked})
    assert isinstance(error, RateLimited)
    assert error.retry_after == wait
