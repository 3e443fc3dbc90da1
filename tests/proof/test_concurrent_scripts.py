"""Eight processes on one store: scripts, a person with commands, dashboards that look all the time."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from itertools import count

import pytest
from kit.local_world import LocalWorld, Running

SCRIPTS, DASHBOARDS = 5, 2
"""With the person at the commands: eight."""
ITEMS, ITEM_S, FAILS = 200, 0.003, 23
UNKEYED = SCRIPTS - 1
ENDS = {0, 75, 130}
COMMANDS = (("cancel",), ("force-fail",), ("remove", "--cancel"), ("retry",))


class Crowd:
    """Everybody at once, until the time is over."""

    def __init__(self, place: LocalWorld, chance: random.Random) -> None:
        self._place = place
        self._chance = chance
        self._running: dict[int, Running] = {}
        self.runs = 0
        self.calls: Counter[str] = Counter()

    def stay(self, seconds: float) -> None:
        over = time.monotonic() + seconds
        dashboards = [self._place.dashboard() for _ in range(DASHBOARDS)]
        for turn in count():
            for number in range(SCRIPTS):
                self._keep_running(number)
            self._person(COMMANDS[turn % len(COMMANDS)])
            if time.monotonic() > over and self._every_command_was_used():
                break
        for running in self._running.values():
            self._ended(running, running.life.code())
        for end in [dashboard.end() for dashboard in dashboards]:
            assert (end["errors"], end["left"]) == ([], 0)
            assert end["looks"] > 10

    def _every_command_was_used(self) -> bool:
        return all(self.calls[words[0]] for words in COMMANDS)

    def _keep_running(self, number: int) -> None:
        """Look whether a script has ended, and start it again then."""
        running = self._running.get(number)
        if running is not None:
            code = running.life.ends_within(0.001)
            if code is None:
                return
            self._ended(running, code)
        self.runs += 1
        keyed = number != UNKEYED
        self._running[number] = self._place.start(
            f"script {number // 2}", ITEMS, item_s=ITEM_S, fails=FAILS if keyed else 0, keyed=keyed
        )

    @staticmethod
    def _ended(running: Running, code: int) -> None:
        told = running.err.splitlines()
        assert code in ENDS, (code, told)
        assert len(told) <= 2, told
        for line in told:
            fine = line.startswith("jobdash: another run of") or line.endswith((", exiting", "not processed"))
            assert fine, told

    def _person(self, words: tuple[str, ...]) -> None:
        """What somebody does to one job that is just there."""
        listed = self._call("list", "--json", "--limit", "20")
        wanted = {"retry": {"failed", "cancelled"}}.get(words[0], {"in_progress", "cancelling"})
        jobs = [job["id"] for job in json.loads(listed)["jobs"] if job["status"] in wanted]
        if jobs:
            self._call(words[0], self._chance.choice(jobs), *words[1:], "--yes")

    def _call(self, *args: str) -> str:
        ran = self._place.jobdash(*args)
        for word in ("locked", "busy", "Traceback"):
            assert word not in ran.told, ran.told
        # 1: it was too late for that; 3: somebody has removed it.
        assert ran.code in {0, 1, 3}, (args, ran.code, ran.told)
        if ran.code == 0:
            self.calls[args[0]] += 1
        return ran.out


def crowd(place: LocalWorld, seconds: float, seed: int | None) -> Crowd:
    made = Crowd(place, random.Random(seed))
    made.stay(seconds)
    place.is_sound()  # with the tally counted
    for job_id, status, keyed in place.sql(
        "SELECT id, status, (SELECT keyed FROM attempt WHERE job_id = job.id LIMIT 1) FROM job"
    ):
        assert status in {"completed", "failed", "cancelled", "pending"}, "no process runs it any more"
        if keyed:
            place.counts_are_the_rows(job_id)
    assert place.sql("SELECT count(*) FROM job WHERE owner IS NOT NULL OR lease_until IS NOT NULL") == [(0,)]
    return made


@pytest.mark.slow
def test_eight_processes_get_along(place: LocalWorld) -> None:
    # C-11 E-9 F-1
    crowd(place, 5.0, 8)


@pytest.mark.marathon
def test_eight_processes_get_along_for_long(place: LocalWorld) -> None:
    made = crowd(place, 30.0, None)
    print(f"{made.runs} runs of scripts, {dict(made.calls)}")
