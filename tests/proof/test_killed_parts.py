"""kill -9 of a worker at any point of a part: the next goes on, nothing is lost, no item counts twice."""

from __future__ import annotations

import random

import pytest
from kit.crash import KILL, PART_POINTS
from kit.part_world import PartWorld

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


@pytest.mark.slow
def test_a_worker_killed_at_any_point_is_gone_on_with(part_place: PartWorld) -> None:
    every_point(part_place, 1, random.Random(20))


@pytest.mark.marathon
@pytest.mark.timeout(1200)
def test_a_worker_killed_at_any_point_two_hundred_times_is_gone_on_with(part_place: PartWorld) -> None:
    print(every_point(part_place, 10, random.Random()), "kills")
