"""Fetching what has ended by itself: the pauses between attempts, and several processes at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from operations_kit import HOUR, World

from jobdash.operations.auto_fetch import FIRST_PAUSE_MS, LONGEST_PAUSE_MS, EndedBatches
from jobdash.operations.results.fetch_request import FetchedResults
from jobdash.operations.results.folder import folder_of

CONTENT, ONE_BATCH = "/v1/files/*/content", 2
"""The requests for a batch's files: its results and its requests."""


def fetching(world: World, folder: Path) -> World:
    """Let the account "openai" fetch by itself into a folder."""
    accounts = tuple(replace(each, auto_fetch=each.name == "openai") for each in world.config.accounts)
    world.config = replace(world.config, accounts=accounts, results=folder)
    return world


def ended_batches(world: World, told: list[FetchedResults] | None = None) -> EndedBatches:
    report = (lambda _one: None) if told is None else told.append
    return EndedBatches(world.config, world.work, world.browser.again, report)


async def fetch_due(world: World, ended: EndedBatches) -> int:
    """Fetch what is due; return how many batches that were."""
    ended.look(world.browser)
    due = ended.due(world.browser)
    await ended.fetch_results(due)
    return len(due)


async def seen_end(world: World, *names: str) -> list[str]:
    """Add batches that a sync sees end."""
    batches = [world.add(name=name, total=3, running=HOUR) for name in names]
    await world.sync()
    world.pass_time(2 * HOUR)
    await world.sync()
    return batches


async def test_a_fetch_that_fails_is_tried_again_after_a_growing_pause(world: World, tmp_path: Path) -> None:
    fetching(world, Path("/proc/nowhere"))
    told: list[FetchedResults] = []
    ended = ended_batches(world, told)
    (batch,) = await seen_end(world, "nightly")
    assert await fetch_due(world, ended) == 1
    assert await fetch_due(world, ended) == 0
    pause = FIRST_PAUSE_MS
    for _ in range(9):
        world.pass_time(pause / 1000 - 1)
        assert await fetch_due(world, ended) == 0
        world.pass_time(1)
        assert await fetch_due(world, ended) == 1
        pause = min(2 * pause, LONGEST_PAUSE_MS)
    assert [each.result for each in told] == ["failed"]  # told once
    assert [event.result for event in world.events(batch) if event.action == "fetch"] == ["failed"]
    assert "cannot be written" in str(world.row(batch).fetch_error)


async def test_one_that_ends_later_is_found_and_one_that_fails_stops_no_other(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "auto").mkdir()
    fetching(world, tmp_path / "auto")
    ended = ended_batches(world)
    first, second = await seen_end(world, "first", "second")
    (tmp_path / "auto" / f"first-{world.row(first).public_id}").write_text("in the way")
    assert await fetch_due(world, ended) == 2
    assert world.row(first).fetched_at is None
    assert world.row(second).fetched_at is not None
    (third,) = await seen_end(world, "third")
    assert await fetch_due(world, ended) == 2
    assert world.row(third).fetched_at is not None


async def test_of_two_processes_one_downloads_a_batch(world: World, tmp_path: Path) -> None:
    fetching(world, tmp_path / "auto")
    one, other = ended_batches(world), ended_batches(world)
    (batch,) = await seen_end(world, "nightly")
    assert await asyncio.gather(fetch_due(world, one), fetch_due(world, other)) == [1, 1]
    assert world.calls("GET", CONTENT) == ONE_BATCH
    assert [event.result for event in world.events(batch) if event.action == "fetch"] == ["done"]


async def test_what_a_person_fetches_elsewhere_meanwhile_is_not_downloaded_again(
    world: World, tmp_path: Path
) -> None:
    fetching(world, tmp_path / "auto")
    await seen_end(world, "nightly")
    ended = ended_batches(world)
    ended.look(world.browser)
    due = ended.due(world.browser)
    by_hand = ended_batches(fetching(world, tmp_path / "by hand"))
    await fetch_due(world, by_hand)
    await ended.fetch_results(due)
    assert world.calls("GET", CONTENT) == ONE_BATCH
    assert not (tmp_path / "auto").exists() or not any((tmp_path / "auto").iterdir())
    assert await fetch_due(world, ended) == 0


async def test_what_another_process_is_still_fetching_has_not_failed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobdash.operations.results.held_folder.PATIENCE_SECONDS", 0.1)
    fetching(world, tmp_path / "auto")
    told: list[FetchedResults] = []
    ended = ended_batches(world, told)
    (batch,) = await seen_end(world, "nightly")
    with folder_of(tmp_path / "auto", world.row(batch)).locked():
        assert await fetch_due(world, ended) == 1
    assert (told, world.row(batch).fetch_error) == ([], None)
    world.pass_time(FIRST_PAUSE_MS / 1000)
    assert await fetch_due(world, ended) == 1
    assert world.row(batch).fetched_at is not None


async def test_the_end_of_results_is_asked_for_when_another_process_saw_the_batch_end(world: World) -> None:
    ended = ended_batches(world)
    ended.look(world.browser)
    (batch,) = await seen_end(world, "nightly")
    ended.look(world.browser)
    asked = ended.to_ask(world.browser)
    assert [row.remote_id for row in asked] == [batch]
    assert ended.to_ask(world.browser) == []
