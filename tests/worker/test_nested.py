"""Jobs inside the items of another: a cancel that means both leaves neither as done."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from worker_kit import Seen, until

from jobdash import Job, track

FOLDERS = ["A", "B", "C"]
CONTINUED: dict[str, Any] = {"resume": "always", "on_cancel": "continue"}
Cancel = Callable[[Job[str], Job[str]], None]


def interrupt(outer: Job[str], inner: Job[str]) -> None:
    """Press Ctrl-C."""
    os.kill(os.getpid(), signal.SIGINT)
    until(lambda: outer.token.stopped and inner.token.stopped, "Ctrl-C")


def files_of(folder: str) -> list[str]:
    return [f"{folder}{number}" for number in range(10)]


def files(outer: Job[str], folder: str, did: list[str], cancel: Cancel | None, at: str = "A2") -> None:
    """Do the files of a folder, up to the one with which a cancel comes."""
    with track(files_of(folder), f"files of {folder}", key=str, **CONTINUED) as inner:
        for file in inner:
            with file:
                did.append(file.value)
                if cancel and file.value == at:
                    cancel(outer, inner)


def in_items(did: list[str], cancel: Cancel | None) -> Job[str]:
    with track(FOLDERS, "folders", key=str, **CONTINUED) as outer:
        for folder in outer:
            with folder:
                files(outer, folder.value, did, cancel)
    return outer


def in_threads(did: list[str], cancel: Cancel | None) -> Job[str]:
    with track(FOLDERS, "folders", key=str, **CONTINUED) as outer:
        outer.map(lambda folder: files(outer, folder, did, cancel), workers=1)
    return outer


def in_tasks(did: list[str], cancel: Cancel | None) -> Job[str]:
    async def main() -> Job[str]:
        async with track(FOLDERS, "folders", key=str, **CONTINUED) as outer:
            async for folder in outer:
                with folder:
                    await those_of(outer, folder.value)
        return outer

    async def those_of(outer: Job[str], folder: str) -> None:
        async with track(files_of(folder), f"files of {folder}", key=str, **CONTINUED) as inner:
            async for file in inner:
                with file:
                    did.append(file.value)
                    if cancel and file.value == "A2":
                        cancel(outer, inner)

    return asyncio.run(main())


@pytest.mark.parametrize("run", [in_items, in_threads, in_tasks])
def test_what_an_interrupt_leaves_inside_an_item_is_done_by_the_next_run(
    seen: Seen, run: Callable[[list[str], Cancel | None], Job[str]]
) -> None:
    did: list[str] = []
    assert run(did, interrupt).status == "cancelled"
    assert did == ["A0", "A1", "A2"]
    assert seen.items("folders") == dict.fromkeys(FOLDERS, "waiting")
    assert seen.counts("files of A") == ("cancelled", 10, 3, 0)
    assert run(did, None).status == "completed"
    assert sorted(did) == [file for folder in FOLDERS for file in files_of(folder)]
    assert seen.counts("folders") == ("completed", 3, 3, 0)


def test_a_cancel_of_both_from_elsewhere_leaves_neither_as_done(seen: Seen) -> None:
    def cancel(outer: Job[str], inner: Job[str]) -> None:
        seen.cancel("folders")
        seen.cancel("files of A")
        until(lambda: outer.token.stopped and inner.token.stopped, "the cancel")

    assert in_items([], cancel).status == "cancelled"
    assert seen.counts("folders") == ("cancelled", 3, 0, 0)
    assert seen.counts("files of A") == ("cancelled", 10, 3, 0)


def test_a_cancel_of_the_inner_job_alone_ends_that_one(seen: Seen) -> None:
    def cancel(_outer: Job[str], inner: Job[str]) -> None:
        seen.cancel("files of A")
        until(lambda: inner.token.stopped, "the cancel")

    did: list[str] = []
    assert in_items(did, cancel).status == "completed"
    assert len(did) == 23
    assert seen.counts("folders") == ("completed", 3, 3, 0)


def test_behind_a_block_that_was_interrupted_a_job_is_a_job_of_its_own(seen: Seen) -> None:
    assert in_items([], interrupt).status == "cancelled"
    with track(["D"], "behind", key=str, **CONTINUED) as outer:
        files(outer, "D", [], lambda _outer, inner: inner.token.cancel(), at="D4")
    assert seen.counts("files of D") == ("cancelled", 10, 5, 0)
    assert outer.status == "cancelled"  # nobody went through it
    assert seen.attempts("behind") == [(1, "loop left at 0 of 1")]


def test_a_plain_loop_inside_an_item_leaves_the_item_too(seen: Seen) -> None:
    with track(FOLDERS, "folders", key=str, **CONTINUED) as outer:
        for folder in outer:
            with folder:
                for file in track(files_of(folder.value), "plain", on_cancel="continue"):
                    if file == "A2":
                        os.kill(os.getpid(), signal.SIGINT)
                        until(lambda: outer.token.stopped, "Ctrl-C")
    assert seen.counts("plain") == ("cancelled", 10, 3, 0)
    assert seen.counts("folders") == ("cancelled", 3, 0, 0)
    assert seen.items("folders") == dict.fromkeys(FOLDERS, "waiting")
