"""Workers that are stopped at a part, lose it meanwhile, and go on: nothing of theirs is written any more."""

from __future__ import annotations

import random
import re
import time

import pytest
from kit.crash import PART_OUTSIDE, PART_POINTS, STOP
from kit.local_world import until
from kit.part_world import PartWorld
from kit.zombies import ACTS, STATUS, StoppedProcess, unfinished_words
from shared.slices import rest_slow

ITEMS, ITEM_S, FEW, LONG_ITEM_S = 30, 0.02, 4, 0.15
LEASE = "0.1s"
ENDS_WITHIN_S = 3.0
_LOST = {
    "cancel": r"cancelled: |lost: was cancelled",
    "force-fail": r"lost: was failed by \S+",
    "remove": r"lost: was removed",
    "retry": r"lost: was ((set back to pending|failed) by \S+|taken over by (pid \d+|another run))",
    "takeover": r"lost: goes on elsewhere: its part 1 was taken over",
}


class Zombie(StoppedProcess[PartWorld]):
    """A worker that has stopped itself, and the job of its part."""

    def lease_runs_out(self) -> None:
        def out() -> bool:
            ((lease,),) = self.place.sql(
                "SELECT lease_until FROM part WHERE job_id = ?", self.place.job(self.name)["id"]
            )
            return lease is None or lease < time.time() * 1000

        until(out, "the end of the lease")

    def goes_on(self, within_s: float = ENDS_WITHIN_S) -> str:
        """Let it go on; return what it reports of its part, at once."""
        since = time.monotonic()
        self.running.life.goes_on()
        assert self.running.life.code() == 0, self.running.err
        assert time.monotonic() - since <= within_s
        assert self.running.err == ""
        return self.place.out(self.running)


def stop_at(place: PartWorld, name: str, point: str, chance: random.Random) -> Zombie:
    """Start a worker that stops itself at a point of its first part."""
    ends = any(word in point for word in ("part.end", "part._finish"))
    place.submit(name, FEW if ends else ITEMS)
    once = ends or any(word in point for word in ("part.claim", "part.next_items", "part.renew"))
    # The first transaction is the claim's.
    number = 1 if once else chance.randint(2, 6)
    item_s = LONG_ITEM_S if "part.renew" in point else ITEM_S
    running = place.work(name, lease=LEASE, item_s=item_s, crash=f"{point} {number}", signal=STOP, parts=1)
    try:
        running.life.wait("stopped")
    except AssertionError as error:
        error.add_note(running.err)
        raise
    return Zombie(place, name, point, running)


def outside_a_transaction(zombie: Zombie, act: str) -> None:
    """Everybody can write: what is done to its job while it sleeps is the last word."""
    place, name = zombie.place, zombie.name
    heir = None
    if act == "takeover":
        zombie.lease_runs_out()
    else:
        done_to(zombie, act)
    if act in {"takeover", "retry"}:
        # It holds nothing then.
        heir = place.work(name, item_s=ITEM_S, crash=f"after part.write_items {place.packets}", signal=STOP)
        heir.life.wait("stopped")
    before = place.everything(name)
    told = zombie.goes_on()
    if "before part.claim" in zombie.point:
        assert told == "stale: \n"
    else:
        assert re.fullmatch(f"({_LOST[act]})\n", told), told
    if before[0]["status"] == "cancelling":  # its lease had not run out: it is asked, and answers itself
        assert place.status(name) == "cancelled"
        assert place.job(name)["succeeded"] - before[0]["succeeded"] in {0, 1}, (
            "the item it was at may finish"
        )
    else:
        assert place.everything(name) == before, "a late write"
    if heir is not None:
        heir.life.goes_on()
        assert heir.life.code() == 0
        place.is_whole(name, ITEMS, 1)


def done_to(zombie: Zombie, act: str) -> None:
    """What a person does to its job by a command."""
    place, name = zombie.place, zombie.name
    if act == "retry":
        zombie.lease_runs_out()
        if place.status(name) == "pending":  # it waits already
            assert place.jobdash("force-fail", zombie.known_as, "--yes").code == 0
    zombie.done_to(act)


def inside_a_transaction(zombie: Zombie, act: str) -> None:
    """It holds the store for writing: whoever comes waits until it goes on, and then has his way."""
    place, name = zombie.place, zombie.name
    if act == "takeover":
        held_takeover(zombie)
        return
    words = unfinished_words(act)
    acting = place.command(*words, zombie.known_as, "--yes")
    zombie.running.life.goes_on()
    acting.wait("done")
    acting.wait("dead")
    while place.job(name)["status"] == "in_progress":  # it wrote under the command's eyes: look again
        assert place.jobdash(*words, zombie.known_as, "--yes").code in {0, 1}
    if act == "retry":
        assert place.jobdash("retry", zombie.known_as, "--yes").code == 0
    assert zombie.running.life.code() == 0
    told, job = place.out(zombie.running), place.job(name)
    ended_first = "part._finish" in zombie.point and told == "done: \n"
    assert ended_first or re.fullmatch(f"({_LOST[act]})\n", told), told
    ought = "completed" if ended_first else STATUS[act]
    assert (job["status"], job["owner"]) == (ought, None)
    place.counts_are_the_rows(job["id"])


def held_takeover(zombie: Zombie) -> None:
    """The store itself keeps another worker out until it goes on, with its lease renewed, or is overtaken."""
    place, name = zombie.place, zombie.name
    second = place.work(name)
    zombie.running.life.goes_on()
    assert (zombie.running.life.code(), second.life.code()) == (0, 0)
    assert re.fullmatch(f"(done: |{_LOST['takeover']})\n", place.out(zombie.running))
    if place.status(name) != "completed":
        assert place.work(name).life.code() == 0
    place.is_whole(name, place.job(name)["total"], 1)


def after_the_end(zombie: Zombie, act: str) -> None:
    """It has ended its job, and only the process is left: whatever is done then, it ends in peace."""
    place, name = zombie.place, zombie.name
    if act == "takeover":
        assert place.work(name).life.code() == 0
    else:
        more = ["--cancel"] if act == "remove" else []
        assert place.jobdash(act, zombie.known_as, *more, "--yes").code == 0
    before = place.everything(name)
    assert zombie.goes_on() == "done: \n"
    assert place.everything(name) == before
    assert place.status(name) == "completed"


def at_the_end(zombie: Zombie, act: str) -> None:
    """Its items are done and written, and the end of the part is not: what is done to the job goes first."""
    place, name = zombie.place, zombie.name
    if act == "takeover":
        zombie.lease_runs_out()
        assert place.work(name).life.code() == 0
    else:
        done_to(zombie, act)
    before = place.everything(name)
    told = zombie.goes_on()
    if act == "cancel" and before[0]["status"] == "cancelling":
        assert (told, place.status(name)) == ("done: \n", "completed")  # nothing was left to be cancelled
        return
    # Whoever took it over found nothing left, and has completed it: there is no other worker to name.
    lost = r"lost: is completed already|" + _LOST[act]
    assert re.fullmatch(f"({lost})\n", told), told
    assert place.everything(name) == before, "a late write"


def proof(place: PartWorld, name: str, point: str, act: str, chance: random.Random) -> None:
    zombie = stop_at(place, name, point, chance)
    try:
        if point == "after part.end":
            after_the_end(zombie, act)
        elif point == "before part.end":
            at_the_end(zombie, act)
        elif point in PART_OUTSIDE:
            outside_a_transaction(zombie, act)
        else:
            inside_a_transaction(zombie, act)
    except BaseException as error:
        error.add_note(f"{act} of one stopped {point}")
        raise
    place.no_late_write()


def every_point(place: PartWorld, acts: tuple[str, ...], chance: random.Random) -> None:
    places = [(point, act) for point in PART_POINTS for act in acts]
    for number, (point, act) in enumerate(places):
        proof(place, f"zombie 0-{number}", point, act, chance)
    place.is_sound()


@pytest.mark.parametrize("act", rest_slow(ACTS, ["cancel", "takeover"]))
def test_a_worker_that_went_to_sleep_between_items_finds_its_part_gone(
    part_place: PartWorld, act: str
) -> None:
    proof(part_place, "zombie 0-0", "after part.commit", act, random.Random(1))
    part_place.is_sound()


@pytest.mark.slow
@pytest.mark.parametrize("act", ACTS)
def test_a_worker_that_went_to_sleep_anywhere_finds_its_part_gone(part_place: PartWorld, act: str) -> None:
    every_point(part_place, (act,), random.Random(25))


@pytest.mark.marathon
@pytest.mark.parametrize("turn", range(25))
def test_a_worker_that_went_to_sleep_anywhere_finds_its_part_gone_every_time(
    part_place: PartWorld, turn: int
) -> None:
    every_point(part_place, ACTS, random.Random(turn))
