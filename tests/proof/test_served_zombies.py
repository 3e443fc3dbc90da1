"""Zombies at parts in PostgreSQL: what they hold they lose within seconds, and write nothing more."""

from __future__ import annotations

import random
import re

import pytest
from kit.crash import PART_OUTSIDE, PART_POINTS, STOP
from kit.part_world import PartWorld, ServedPartWorld
from kit.zombies import ACTS, STATUS
from test_part_zombies import FEW, ITEM_S, ITEMS, LEASE, Zombie, done_to, proof

pytestmark = pytest.mark.postgres
CONNECTS_WITHIN_S = 10.0
# The outcomes of items are one packet there: no place is between its statements.
OUTSIDE = tuple(p for p in PART_POINTS if p in PART_OUTSIDE and "begin" not in p and "commit" not in p)
INSIDE = ("after part.begin", "before part.commit", "before part._finish", "after part._finish")


def frozen_inside(place: PartWorld, name: str, point: str, act: str) -> None:
    """It holds the store's lock: whoever comes waits until it has lost that, and then has his way."""
    ends = "_finish" in point
    place.submit(name, FEW if ends else ITEMS)
    crash = f"{point} 1"
    running = place.work(name, lease=LEASE, item_s=ITEM_S, crash=crash, signal=STOP, parts=1)
    running.life.wait("stopped")
    zombie = Zombie(place, name, point, running)
    if act == "takeover":
        heir = place.work(name)
        assert heir.life.code() == 0
        # Its wait for the lock ends with an error, where it comes too early: then it is due again.
        if place.status(name) != "completed":
            assert place.work(name).life.code() == 0
        place.is_whole(name, FEW if ends else ITEMS, 0)
    else:
        done_to(zombie, act)
        assert place.status(name) == STATUS[act]
    before = place.everything(name)
    told = zombie.goes_on(CONNECTS_WITHIN_S)
    assert re.fullmatch(r"(stale: |lost: [^\n]+)\n", told), told
    assert place.everything(name) == before, "a late write"
    place.no_late_write()


@pytest.mark.slow
@pytest.mark.parametrize("act", ACTS)
def test_a_worker_that_sleeps_between_transactions_finds_its_part_gone(
    served_place: ServedPartWorld, act: str
) -> None:
    for number, point in enumerate(OUTSIDE):
        proof(served_place, f"zombie 0-{number}", point, act, random.Random(25))
    served_place.is_sound()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "act"), list(zip(INSIDE, ("force-fail", "takeover", "remove", "retry"), strict=True))
)
def test_a_worker_that_sleeps_in_a_transaction_has_lost_it(
    served_place: ServedPartWorld, point: str, act: str
) -> None:
    frozen_inside(served_place, "zombie 0-0", point, act)
    served_place.is_sound()


@pytest.mark.marathon
@pytest.mark.timeout(1200)
def test_a_worker_that_sleeps_anywhere_finds_its_part_gone(served_place: ServedPartWorld) -> None:
    for number, (point, act) in enumerate((point, act) for point in INSIDE for act in ACTS):
        frozen_inside(served_place, f"zombie 0-{number}", point, act)
    served_place.is_sound()
