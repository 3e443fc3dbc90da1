"""kill -9 while a batch is collected: no half file under a final name, and the next fetch makes it whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kit.child_processes import ForkServer
from kit.facts import store_is_sound
from kit.kill_points import killed
from kit.world import CONTENT, HOUR, World

from jobdash.demo.emulator import BatchFailure
from jobdash.operations.results.folder import INDEX, MANIFEST, OUTPUT, PART, RESULTS
from jobdash.operations.results.items import open_index, result_files

TOTAL, ERRORS = 100, 3
DOWNLOAD = ("request content", "answer content")
WRITTEN = tuple(
    f"{when} fsync:{name}{PART}"
    for name in (OUTPUT, RESULTS, MANIFEST)  # of what is missing there is nothing to write
    for when in ("before", "after")
)
NAMED = tuple(
    f"{when} replace:{name}" for name in (OUTPUT, RESULTS, MANIFEST) for when in ("before", "after")
)
RECORDED = ("before set_collected", "commit set_collected", "after set_collected")
INDEXED = (f"before replace:{INDEX}", f"after replace:{INDEX}")
POINTS = (*DOWNLOAD, *WRITTEN, *NAMED, *RECORDED, *INDEXED)


def files(folder: Path) -> dict[str, bytes]:
    """The files of the results that have their final names."""
    return {
        each.name: each.read_bytes()
        for each in folder.glob("*/*")
        if not each.name.endswith(PART) and each.name not in {MANIFEST, INDEX}
    }


def proof(world: World, fork_server: ForkServer, account: str, point: str) -> None:
    batch = world.add(account, age=3 * HOUR, running=60.0, failures=(BatchFailure(ERRORS),), cut_off=5)
    world.next_start(account)
    out, place = world.folder / "out", point
    if point in DOWNLOAD:
        place = " ".join((point.split()[0], *CONTENT[account]))
    killed(world, fork_server, place, "fetch", account, remote_id=batch, file=str(out))
    at_death = files(out)
    store_is_sound(world.path)
    if point not in {*RECORDED[2:], *INDEXED}:
        assert world.row(batch).collected is None

    done = fork_server.begin(world.task("fetch", account, remote_id=batch, file=str(out))).finish()
    assert done["result"] in {"done", "skipped"}, done
    (folder,) = out.iterdir()
    assert not [each for each in folder.iterdir() if PART in each.name and INDEX not in each.name]
    whole = files(out)
    # What had its final name at the moment of death was whole: it is the same in the end.
    assert {name: whole.get(name) for name in at_death} == at_death
    lines = [json.loads(line) for line in whole[RESULTS].splitlines()]
    assert len(lines) == TOTAL
    assert [line["outcome"] for line in lines].count("error") == ERRORS
    counts = world.row(batch).collected
    assert counts is not None
    assert (counts.ok, counts.error, counts.cut_off, counts.missing) == (TOTAL - ERRORS - 5, ERRORS, 5, 0)
    assert json.loads((folder / MANIFEST).read_text())["complete"] is True
    indexed = result_files(world.job(world.row(batch)), world.path)
    assert indexed is not None
    with open_index(indexed) as index:
        assert len(index.outcomes()) == TOTAL
    store_is_sound(world.path)


@pytest.mark.parametrize(
    "point",
    ["answer content", f"before replace:{RESULTS}", "commit set_collected", f"before replace:{INDEX}"],
)
def test_a_killed_fetch_is_made_whole(world: World, fork_server: ForkServer, point: str) -> None:
    proof(world, fork_server, "openai", point)


EVERYWHERE = [(account, point) for account in CONTENT for point in POINTS]


@pytest.mark.slow
@pytest.mark.parametrize(("account", "point"), EVERYWHERE)
def test_a_fetch_killed_anywhere_is_made_whole(
    world: World, fork_server: ForkServer, account: str, point: str
) -> None:
    proof(world, fork_server, account, point)


@pytest.mark.marathon
@pytest.mark.parametrize(("account", "point"), EVERYWHERE)
@pytest.mark.parametrize("turn", range(10))
def test_ten_fetches_killed_anywhere_are_made_whole(
    world: World, fork_server: ForkServer, account: str, point: str, turn: int
) -> None:
    del turn
    proof(world, fork_server, account, point)
