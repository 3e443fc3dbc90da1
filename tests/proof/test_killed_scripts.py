"""kill -9 of a script at any moment: the next run goes on, nothing is lost and hardly anything done twice."""

from __future__ import annotations

import random
from itertools import count

import pytest
from kit.crash import KILL, POINTS
from kit.local_world import LocalWorld

ITEMS = 8
BEFORE_ITEMS = 3
"""Transactions of a run in front of its first item: the claim, the keys, the total."""
_ONCE = ("claims.", "Lease.expect", "Lease.finish")
LONG, FAILS = 250, 17
LONGEST_LIFE_S = 0.12


def nth(point: str, chance: random.Random) -> int:
    """Which call of a run is the last one."""
    if any(name in point for name in _ONCE):
        return 1
    transactions = "sqlite." in point
    return chance.randint(1, ITEMS + (BEFORE_ITEMS + 1 if transactions else 0))


def die_at(place: LocalWorld, name: str, point: str, chance: random.Random) -> int:
    """Run a script that is killed at a point, then without, until its job is completed; return the kills."""
    kills = 0
    if "_ready" in point:  # which takes somebody who was there before
        first = place.start(name, ITEMS, crash="before Lease._upsert 4", signal=KILL)
        assert first.life.code() == -KILL
        kills += 1
    script = place.start(name, ITEMS, crash=f"{point} {nth(point, chance)}", signal=KILL)
    assert script.life.code() == -KILL, "the point was not reached"
    kills += 1
    if place.status(name) != "completed":
        script = place.start(name, ITEMS)
        assert (script.life.code(), script.err) == (0, "")
    return kills


def every_point(place: LocalWorld, turns: int, chance: random.Random) -> None:
    for turn in range(turns):
        for number, point in enumerate(POINTS):
            name = f"job {turn}-{number}"
            kills = die_at(place, name, point, chance)
            place.is_whole(name, ITEMS, kills)
    place.is_sound()


def at_random(place: LocalWorld, kills: int, chance: random.Random, workers: int = 1) -> int:
    """Kill scripts at any moment until so many were killed; return how many items they had."""
    killed = items = 0
    for number in count():
        name, here = f"job {number}", 0
        while place.status(name) != "completed":
            script = place.start(name, LONG, fails=FAILS, item_s=0.0005, workers=workers)
            code = script.life.ends_within(chance.uniform(0, LONGEST_LIFE_S)) if killed < kills else None
            if code is None and killed < kills:
                if script.life.kill():
                    killed, here = killed + 1, here + 1
            elif code is None:
                code = script.life.code()
            assert (code, script.err) in {(None, ""), (0, "")}
        place.is_whole(name, LONG, here * workers, FAILS)
        items += LONG
        if killed == kills:
            break
    place.is_sound()
    return items


def test_a_script_killed_inside_an_item_is_gone_on_with(place: LocalWorld) -> None:  # C-13 D-8
    kills = die_at(place, "resize", "before sqlite.commit", random.Random(1))
    place.is_whole("resize", ITEMS, kills)
    place.is_sound()


@pytest.mark.slow
def test_a_script_killed_at_any_point_is_gone_on_with(place: LocalWorld) -> None:
    every_point(place, 1, random.Random(20))


@pytest.mark.slow
def test_a_script_killed_at_any_moment_is_gone_on_with(place: LocalWorld) -> None:
    at_random(place, 40, random.Random(200))


@pytest.mark.slow
def test_a_script_with_threads_killed_at_any_moment_is_gone_on_with(place: LocalWorld) -> None:
    at_random(place, 20, random.Random(4), workers=4)


@pytest.mark.marathon
def test_a_script_killed_at_any_point_twenty_times_is_gone_on_with(place: LocalWorld) -> None:
    every_point(place, 20, random.Random())


@pytest.mark.marathon
def test_a_script_killed_two_hundred_times_is_gone_on_with(place: LocalWorld) -> None:
    items = at_random(place, 200, random.Random())
    print(f"200 kills, {items} items")


@pytest.mark.marathon
def test_a_script_with_threads_killed_two_hundred_times_is_gone_on_with(place: LocalWorld) -> None:
    items = at_random(place, 200, random.Random(), workers=4)
    print(f"200 kills of scripts with four threads, {items} items")
