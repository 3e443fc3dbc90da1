"""What is kept of an item, shown of a job, and told by its token."""

from __future__ import annotations

import os
import pickle
import pty
import re
import sys
from pathlib import Path

import pytest
from worker_kit import Scripts, Seen, until

from jobdash import JobCancelled, LeaseLost, Token, track
from jobdash.worker import terminal
from jobdash.worker.item import Item
from jobdash.worker.item_encoding import kept_error, kept_key, sentence_of
from jobdash.worker.terminal import ProgressState, line


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
    with track(range(3), "sent", key=str, on_cancel="continue") as job:
        elsewhere = pickle.loads(pickle.dumps(job.token))
        assert not elsewhere.cancelled
        seen.cancel("sent")
        until(lambda: elsewhere.cancelled, "the cancel")
        until(lambda: job.token.cancelled, "the cancel here")
    assert job.status == "cancelled"


@pytest.mark.parametrize(
    ("progress", "seconds", "text"),
    [
        (
            ProgressState(20, 5, 100, 0),
            10.0,
            "x ━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌  25/100 files  25 %  2.5/s  ~30s  5 errors",
        ),
        (
            ProgressState(49, 1, 100, 40),
            1.0,
            "x ━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌  50/100 files  50 %  10/s  ~5s  1 error",
        ),
        (ProgressState(100, 0, 100, 0), 1.0, "x ━━━━━━━━━━━━━━━━━━━━  100/100 files  100 %  100/s"),
        (ProgressState(1_200, 0, None, 0), 1.0, "x  1,200 files  1,200/s"),
        (ProgressState(0, 0, 0, 0), 0.0, "x  0 files"),
    ],
)
def test_the_progress_line_says_how_far_it_is(
    progress: ProgressState, seconds: float, text: str
) -> None:  # C-1
    assert line("x", "files", progress, seconds) == text


def test_the_line_is_shown_in_a_terminal_only(scripts: Scripts) -> None:
    code = """
        import time
        with jobdash.track(range(3), "shown \\x1b[31m", key=str) as job:
            for item in job:
                with item:
                    if item.value == 1: sys.stdin.readline()
        """
    assert terminal._fitting("a漢字b", 4) == "a漢"
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
    terminal.print_line("x")
    assert not terminal.shown_here()
    assert list(track([1], "silent")) == [1]
    with Path(os.devnull).open("w") as closed:
        pass
    monkeypatch.setattr(sys, "stderr", closed)
    terminal.print_line("x")
    assert not terminal.shown_here()
