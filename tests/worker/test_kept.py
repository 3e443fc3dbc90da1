"""What is kept of an item, shown of a job, and told by its token."""

from __future__ import annotations

import json
import os
import pickle
import pty
import re
import sys
from pathlib import Path

import pytest
from worker_kit import Scripts, Seen, until

from jobdash import JobCancelled, LeaseLost, Token, track
from jobdash.domain.text import keep_secret
from jobdash.worker import progress_line, saying
from jobdash.worker.item import Item
from jobdash.worker.keeping import DETAIL_BYTES, kept_detail, kept_error, kept_key, sentence_of
from jobdash.worker.progress_line import Progress, line


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


@pytest.mark.parametrize("value", ["text", 3, 2.5, True, ["a", 1], {"a": {"b": [None]}}])
def test_text_and_json_are_details(value: object) -> None:
    kept = kept_detail(value)
    assert kept is not None
    assert json.loads(kept) == value


def test_no_detail_is_none() -> None:
    assert kept_detail(None) is None


@pytest.mark.parametrize("value", [object(), b"bytes", {1, 2}, {"a": object()}])
def test_what_is_no_json_is_refused_by_name(value: object) -> None:
    with pytest.raises(TypeError, match="takes text or JSON"):
        kept_detail(value)


def test_a_detail_is_bounded_and_holds_no_secret() -> None:
    cut = kept_detail("x" * 50_000)
    assert cut is not None
    assert len(cut) <= DETAIL_BYTES + 20
    assert json.loads(cut).endswith("… (cut)")
    with pytest.raises(ValueError, match="at most 16,384 are kept"):
        kept_detail(["x" * 50_000])
    with pytest.raises(ValueError, match=r"item\.detail .*JSON compliant"):
        kept_detail(float("nan"))
    with pytest.raises(ValueError, match=r"item\.detail .*recursion"):
        kept_detail(deep(5_000))
    keep_secret("very-own-secret")
    kept = kept_detail({"very-own-secret": ["sk-abcdefghijklmnop", ("very-own-secret", 1)]})
    assert kept == '{"[secret]":["[secret]",["[secret]",1]]}'


def deep(levels: int) -> list[object]:
    inside: list[object] = []
    for _ in range(levels):
        inside = [inside]
    return inside


@pytest.mark.parametrize(
    ("detail", "kept"),
    [
        (
            {"headers": {"x-goog-api-key": "abcdef", "accept": "text"}},
            {"x-goog-api-key": "[secret]", "accept": "text"},
        ),
        ({"headers": {"Authorization": ["abc", 1]}}, {"Authorization": ["[secret]", 1]}),
        (
            {"headers": {"password": {"a": "b"}, "api_key": ""}},
            {"password": {"a": "[secret]"}, "api_key": ""},
        ),
        (
            {"headers": {"token": "cat", "tokens": 5, "key": "row 7"}},
            {"token": "cat", "tokens": 5, "key": "row 7"},
        ),
        ({"headers": {"token": "0123456789abcdef"}}, {"token": "[secret]"}),
    ],
)
def test_a_detail_under_the_name_of_a_secret_is_hidden(detail: object, kept: object) -> None:
    text = kept_detail(detail)
    assert text is not None
    assert json.loads(text) == {"headers": kept}


def test_an_error_is_kept_as_type_and_message() -> None:
    assert kept_error(ValueError("bad sk-abcdefghijklmnop")) == ("ValueError", "bad [secret]")
    assert sentence_of(KeyError()) == "KeyError"

    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "cannot be read: RuntimeError" in kept_error(Odd())[1]
    assert len(kept_error(ValueError("x" * 50_000))[1].encode()) <= 16 * 1024


def test_an_item_takes_its_detail_when_it_is_set() -> None:
    told: list[tuple[Item[int], BaseException | None]] = []
    item = Item(1, "1", lambda one, error: bool(told.append((one, error))))
    detail = {"a": 1}
    item.detail = detail
    detail["a"] = 2
    assert (item.kept, item.detail) == ('{"a":1}', {"a": 2})
    with item:
        item.skip()
    assert told == [(item, None)]
    assert item.skipped


def test_a_token_tells_why() -> None:
    token = Token()
    token.raise_if_cancelled()
    token.cancel()
    with pytest.raises(JobCancelled) as caught:
        token.raise_if_cancelled()
    assert not isinstance(caught.value, LeaseLost)
    token.lose("was removed")
    with pytest.raises(LeaseLost, match="was removed"):
        token.raise_if_cancelled()


def test_a_token_sent_elsewhere_looks_into_the_store(seen: Seen) -> None:  # D-8
    with track(range(3), "sent", key=str) as job:
        elsewhere = pickle.loads(pickle.dumps(job.token))
        assert not elsewhere.cancelled
        seen.cancel("sent")
        until(lambda: elsewhere.cancelled, "the cancel")
        until(lambda: job.token.cancelled, "the cancel here")
    assert job.status == "cancelled"


@pytest.mark.parametrize(
    ("progress", "seconds", "text"),
    [
        (Progress(20, 5, 100, 0), 10.0, "x ━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌  25/100 files  25 %  2.5/s  ~30s  5 errors"),
        (Progress(49, 1, 100, 40), 1.0, "x ━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌  50/100 files  50 %  10/s  ~5s  1 error"),
        (Progress(100, 0, 100, 0), 1.0, "x ━━━━━━━━━━━━━━━━━━━━  100/100 files  100 %  100/s"),
        (Progress(1_200, 0, None, 0), 1.0, "x  1,200 files  1,200/s"),
        (Progress(0, 0, 0, 0), 0.0, "x  0 files"),
    ],
)
def test_the_progress_line_says_how_far_it_is(progress: Progress, seconds: float, text: str) -> None:  # C-1
    assert line("x", "files", progress, seconds) == text


def test_the_line_is_shown_in_a_terminal_only(scripts: Scripts) -> None:
    code = """
        import time
        with jobdash.track(range(3), "shown \\x1b[31m", key=str) as job:
            for item in job:
                with item:
                    if item.value == 1: sys.stdin.readline()
        """
    assert progress_line._fitting("a漢字b", 4) == "a漢"
    for env, shown in (({}, True), ({"JOBDASH_PROGRESS": "0"}, False)):
        ours, theirs = pty.openpty()
        script = scripts.start(code, stderr_to=theirs, **env)
        os.close(theirs)
        text = ""
        if shown:
            while "1/3 items" not in text:
                text += os.read(ours, 4096).decode()
        script.go_on()
        assert script.finish() == (0, "")
        try:
            while more := os.read(ours, 4096).decode():
                text += more
        except OSError:  # the other end is closed
            pass
        os.close(ours)
        assert ("3/3 items  100 %" in text) is shown
        assert "\x1b[31m" not in text
        assert text.endswith("\r\n") is shown
    assert scripts.run(code.replace("sys.stdin.readline()", "pass"))[1] == ""


def test_no_standard_error_is_no_trouble(monkeypatch: pytest.MonkeyPatch, seen: Seen) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    saying.say("x")
    assert not progress_line.shown_here()
    assert list(track([1], "silent")) == [1]
    with Path(os.devnull).open("w") as closed:
        pass
    monkeypatch.setattr(sys, "stderr", closed)
    saying.say("x")
    assert not progress_line.shown_here()
