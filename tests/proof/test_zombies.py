"""Scripts that are stopped, lose their job meanwhile, and go on: nothing of theirs is written any more."""

from __future__ import annotations

import random
import re
import time

import pytest
from kit.crash import OUTSIDE, POINTS, STOP
from kit.local_world import LocalWorld, until
from kit.zombies import ACTS, STATUS, StoppedProcess, unfinished_words
from shared.deadlines import LONG

ITEMS, ITEM_S, FEW = 1_500, 0.002, 5
BEFORE_ITEMS = 3
LEASE = "0.1s"
ENDS_WITHIN_S = 1.0 + ITEM_S
LOST, CANCELLED = 75, 130
_LOST_LINE = re.compile(
    r"jobdash: job zombie [\d-]+ \(\w+\) was"
    r" (removed|failed by \S+|set back to pending by \S+|taken over by pid \d+), exiting\n"
)
_CANCELLED_LINE = re.compile(r"Job was cancelled: [\d,]+ of [\d,]+ done, [\d,]+ not processed\n")


class Zombie(StoppedProcess[LocalWorld]):
    """A script that has stopped itself, and its job."""

    def lease_runs_out(self) -> None:
        def out() -> bool:
            return bool(self.place.job(self.name)["lease_until"] < time.time() * 1000)

        until(out, "the end of the lease")

    def ended(self, since: float) -> tuple[int, str]:
        """Its exit code and what it said; it ends in time."""
        code = self.running.life.code()
        assert time.monotonic() - since <= ENDS_WITHIN_S, (self.point, time.monotonic() - since)
        return code, self.running.err


def stop_at(place: LocalWorld, name: str, point: str, chance: random.Random) -> Zombie:
    """Start a script that stops itself at a point."""
    items = FEW if "finish" in point else ITEMS
    if "_ready" in point:  # which takes somebody who was there before
        first = place.start(name, items, crash="before Lease._upsert 3", signal=9)
        assert first.life.code() == -9
    once = any(word in point for word in ("claims.", "Lease.expect", "Lease.finish"))
    number = 1 if once else chance.randint(1, 6) + (BEFORE_ITEMS if "sqlite." in point else 0)
    running = place.start(name, items, lease=LEASE, item_s=ITEM_S, crash=f"{point} {number}", signal=STOP)
    running.life.wait("stopped")
    return Zombie(place, name, point, running)


def outside_a_transaction(zombie: Zombie, act: str) -> None:
    """Everybody can write: what is done to its job while it sleeps is the last word."""
    place, name = zombie.place, zombie.name
    heir = None
    if act == "takeover":
        zombie.lease_runs_out()
        heir = place.start(name, ITEMS, item_s=ITEM_S)
        until(lambda: place.job(name)["attempt"] == 2 and place.job(name)["succeeded"], "the takeover")
    else:
        done_to(zombie, act)
    before = place.everything(name)
    since = time.monotonic()
    zombie.running.life.goes_on()
    code, err = zombie.ended(since)
    told_well(act, code, err)
    if heir is None:
        if before[0]["status"] == "cancelling":  # its lease had not run out: it is asked, and answers itself
            assert place.status(name) == "cancelled"
            more = place.job(name)["succeeded"] - before[0]["succeeded"]
            assert more in {0, 1}, "the item it was at may finish, no new one starts"
        else:
            assert place.everything(name) == before, "a late write"
        return
    assert f"was taken over by pid {heir.life.pid}, exiting" in err
    heir.life.kill()
    place.counts_are_the_rows(place.job(name)["id"])


def done_to(zombie: Zombie, act: str) -> None:
    """What a person does to its job by a command."""
    if act == "retry":
        zombie.lease_runs_out()
    zombie.done_to(act)


def inside_a_transaction(zombie: Zombie, act: str) -> None:
    """It holds the store for writing: whoever comes waits until it goes on, and then has his way."""
    place, name = zombie.place, zombie.name
    if act == "takeover":
        refused_takeover(zombie)
        return
    acting = None
    words = unfinished_words(act)
    if place.job(name):  # else it does not even exist for others yet
        acting = place.command(*words, zombie.known_as, "--yes")
    zombie.running.life.goes_on()
    until(lambda: place.job(name), "the job")
    if acting is not None:
        acting.wait("done")
        acting.wait("dead")
    deadline = time.monotonic() + LONG
    while place.job(name)["status"] == "in_progress":  # it was claimed while the command ran: once more
        assert time.monotonic() < deadline
        assert place.jobdash(*words, zombie.known_as, "--yes").code in {0, 1}
    since = time.monotonic()
    if act == "retry":
        assert place.jobdash("retry", zombie.known_as, "--yes").code == 0
    code, err = zombie.running.life.code(), zombie.running.err
    assert time.monotonic() - since <= ENDS_WITHIN_S + (1.0 if act == "retry" else 0)
    told_well("force-fail" if act == "retry" and "failed" in err else act, code, err)
    job = place.job(name)
    assert (job["status"], job["owner"], job["removed_at"] is not None) == (
        STATUS[act],
        None,
        act == "remove",
    )
    place.counts_are_the_rows(job["id"])


def refused_takeover(zombie: Zombie) -> None:
    """The store itself keeps a second run out until it goes on, with its lease renewed: it is no zombie."""
    place, name = zombie.place, zombie.name
    second = place.start(name, FEW)
    zombie.running.life.goes_on()
    code = second.life.code()
    assert (code, place.job(name)["status"]) == (0, "completed")
    if f"another run of {name} is active, pid {zombie.running.life.pid}" not in second.err:
        return  # the second was faster, or its lease had run out before it was renewed
    zombie.running.life.kill()


def after_the_end(zombie: Zombie, act: str) -> None:
    """It has ended its job, and only the process is left: whatever is done then, it ends in peace."""
    place, name = zombie.place, zombie.name
    more = ["--cancel"] if act == "remove" else []
    if act == "takeover":
        assert place.start(name, FEW).life.code() == 0
    else:
        assert place.jobdash(act, zombie.known_as, *more, "--yes").code == 0
    before = place.everything(name)
    zombie.running.life.goes_on()
    assert (zombie.running.life.code(), zombie.running.err) == (0, "")
    assert place.everything(name) == before
    assert place.status(name) == "completed"


def told_well(act: str, code: int, err: str) -> None:
    """It ends with one clear line."""
    if act == "cancel":
        assert (code, bool(_CANCELLED_LINE.fullmatch(err))) == (CANCELLED, True), (code, err)
    else:
        assert (code, bool(_LOST_LINE.fullmatch(err))) == (LOST, True), (act, code, err)


def proof(place: LocalWorld, name: str, point: str, act: str, chance: random.Random) -> None:
    zombie = stop_at(place, name, point, chance)
    try:
        if point == "after Lease.finish":
            after_the_end(zombie, act)
        elif point == "before Lease.finish" and act == "cancel":
            too_late(zombie)
        elif point in OUTSIDE:
            outside_a_transaction(zombie, act)
        else:
            inside_a_transaction(zombie, act)
    except BaseException as error:
        error.add_note(f"{act} of one stopped {point}")
        raise
    place.no_late_write()


def too_late(zombie: Zombie) -> None:
    """A cancel behind the last item: completed is what it is, unless its lease had run out before."""
    done_to(zombie, "cancel")
    cancelled = zombie.place.status(zombie.name) == "cancelled"
    zombie.running.life.goes_on()
    code = zombie.running.life.code()
    assert (code, zombie.place.status(zombie.name)) == (
        (CANCELLED, "cancelled") if cancelled else (0, "completed")
    )


def every_point(place: LocalWorld, turns: int, acts: tuple[str, ...], chance: random.Random) -> int:
    number = 0
    for turn in range(turns):
        for point in POINTS:
            for act in acts:
                proof(place, f"zombie {turn}-{number}", point, act, chance)
                number += 1
        place.is_sound()
    return number


@pytest.mark.parametrize("act", ACTS)
def test_a_script_that_went_to_sleep_between_items_finds_its_job_gone(place: LocalWorld, act: str) -> None:
    # E-1 E-2 E-3 E-4 E-7 E-8
    proof(place, "zombie 0-0", "after sqlite.commit", act, random.Random(1))
    place.is_sound()


@pytest.mark.slow
def test_a_script_that_sleeps_in_a_transaction_holds_the_store_and_one_is_told(place: LocalWorld) -> None:
    zombie = stop_at(place, "zombie 0-0", "before sqlite.commit", random.Random(1))
    before = place.everything(zombie.name)
    ran = place.jobdash("force-fail", zombie.known_as, "--yes")
    assert ran.code == 1
    assert "is busy: another program has been writing for 5 s." in ran.told
    assert place.everything(zombie.name) == before
    inside_a_transaction(zombie, "force-fail")  # asked again, and it gets through
    place.is_sound()


@pytest.mark.slow
def test_a_script_that_went_to_sleep_anywhere_finds_its_job_gone(place: LocalWorld) -> None:
    every_point(place, 1, ACTS, random.Random(25))


@pytest.mark.marathon
def test_a_script_that_went_to_sleep_anywhere_finds_its_job_gone_25_times(place: LocalWorld) -> None:
    print(every_point(place, 25, ACTS, random.Random()), "zombies")
