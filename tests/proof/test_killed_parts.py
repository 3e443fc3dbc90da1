"""kill -9 of a worker at any point of a part: the next goes on, nothing is lost, no item counts twice."""

from __future__ import annotations

import random

import pytest
from kit.crash import KILL, PART_POINTS
from kit.part_world import PartWorld

from jobdash.worker.part_run import LOST_WORDS

ITEMS, PARTS, A_PART = 9, 3, 3
LONG_ITEM_S = 0.06
_ONCE = ("part.claim", "part.next_items", "part.end", "part._finish", "part.renew")


def nth(point: str, chance: random.Random) -> int:
    """Which call is the worker's last one."""
    if "_finish" in point or "part.renew" in point:
        return 1
    if any(word in point for word in _ONCE):
        return chance.randint(1, PARTS)
    # A claim and an end are transactions, too; an item of a part each of the other calls.
    return chance.randint(1, PARTS * (A_PART + 2) if "begin" in point or "commit" in point else ITEMS)


def die_at(place: PartWorld, name: str, point: str, chance: random.Random) -> None:
    """Let a worker be killed at a point, and another one do the rest."""
    place.submit(name, ITEMS, PARTS)
    item_s = LONG_ITEM_S if "part.renew" in point else 0
    worker = place.work(name, lease="0.1s", item_s=item_s, crash=f"{point} {nth(point, chance)}", signal=KILL)
    try:
        assert worker.life.code() == -KILL, "the point was not reached"
        left = place.status(name) != "completed"
        worker = place.work(name)
        assert (worker.life.code(), worker.err) == (0, "")
        assert left or place.out(worker) == ""
        place.is_whole(name, ITEMS, 1)
    except BaseException as error:
        error.add_note(f"killed {point}")
        raise


def every_point(place: PartWorld, turns: int, chance: random.Random) -> int:
    number = 0
    for turn in range(turns):
        for point in PART_POINTS:
            die_at(place, f"job {turn}-{number}", point, chance)
            number += 1
        place.is_sound()
    return number


def test_a_worker_killed_inside_an_item_is_gone_on_with(part_place: PartWorld) -> None:
    die_at(part_place, "resize", "before part.commit", random.Random(1))
    part_place.is_sound()


def test_an_item_that_ends_its_process_ends_three_workers_and_no_more(part_place: PartWorld) -> None:
    name = "resize"
    part_place.submit(name, 6, 2)
    codes = [part_place.work(name, deadly=4).life.code() for _ in range(3)]
    assert codes == [9, 9, 9]
    last = part_place.work(name, deadly=4)
    assert last.life.code() == 0
    job = part_place.job(name)
    assert (job["status"], job["succeeded"], job["failed"]) == ("completed", 5, 1)
    ((key, kind, error),) = part_place.sql("SELECT key, error_type, error FROM item WHERE outcome = 'error'")
    assert (key, kind) == ("4", "WorkerLost")
    assert error == LOST_WORDS
    assert f"done: item 4 is given up: {LOST_WORDS}" in part_place.out(last)
    part_place.counts_are_the_rows(job["id"])
    part_place.is_sound()


@pytest.mark.slow
def test_a_worker_killed_at_any_point_is_gone_on_with(part_place: PartWorld) -> None:
    every_point(part_place, 1, random.Random(20))


@pytest.mark.marathon
@pytest.mark.timeout(1200)
def test_a_worker_killed_at_any_point_two_hundred_times_is_gone_on_with(part_place: PartWorld) -> None:
    print(every_point(part_place, 10, random.Random()), "kills")
