"""Local jobs against a model of plain dicts: any order of steps, and every order of two actors' few steps."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from math import comb
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import postgres_kit
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from kit.local_model import TTL
from kit.local_place import Moment, Place

from jobdash.store.bootstrap import ensure_store
from jobdash.store.location import StoreLocation

STEPS_IN_A_ROW = 50
CI_STEPS = {"sqlite": 20_000, "postgresql": 2_000}
MARATHON_STEPS = {"sqlite": 1_000_000, "postgresql": 100_000}
FAST = Path("/dev/shm")


@contextmanager
def a_place(database: str) -> Iterator[Place]:
    """A real store; a file is in memory where that can be: every act waits for the disk."""
    folder = Path(tempfile.mkdtemp(dir=FAST if os.access(FAST, os.W_OK) else None))
    try:
        if database == "postgresql":
            location: StoreLocation = postgres_kit.empty_store(folder)
        else:
            location = folder / "jobs.db"
            ensure_store(location)
        place = Place(location)
        try:
            yield place
        finally:
            place.close()
    finally:
        shutil.rmtree(folder)


who = st.integers(0, 1)
names = st.sampled_from(["resize", "resize", "fetch"])
keys = st.sampled_from([f"key {number}" for number in range(6)])
outcomes = st.lists(
    st.tuples(keys, st.sampled_from(["ok", "ok", "error", "skipped"])), min_size=1, max_size=3
)
keyed = st.sampled_from([True, True, True, False])
acts = st.sampled_from(["cancel", "force-fail", "remove", "retry"])
jumps = st.sampled_from([1, TTL // 2, TTL, TTL + 1, 2 * TTL, -TTL // 2, -10 * TTL])


class AnyOrder(RuleBasedStateMachine):
    """Everything that may happen at a place, in any order."""

    place: ClassVar[Place]

    def __init__(self) -> None:
        super().__init__()
        self.place.clear()

    @rule(who=who, name=names, keyed=keyed, total=st.sampled_from([None, 3, 6]))
    def claim(self, who: int, name: str, keyed: bool, total: int | None) -> None:
        self.place.claim(who, name, keyed, total)

    @rule(name=names, keyed=keyed)
    def claim_and_die(self, name: str, keyed: bool) -> None:
        self.place.claim_and_die(name, keyed)

    @rule(who=who, outcomes=outcomes)
    def items(self, who: int, outcomes: list[tuple[str, str]]) -> None:
        if self.is_keyed(who):
            self.place.items(who, outcomes)

    @rule(who=who, ok=st.integers(0, 4), failed=st.integers(0, 2))
    def counts(self, who: int, ok: int, failed: int) -> None:
        if not self.is_keyed(who):
            self.place.counts(who, ok, failed)

    @rule(who=who, keys=st.lists(keys, min_size=1, max_size=4))
    def expect(self, who: int, keys: list[str]) -> None:
        if self.is_keyed(who):
            self.place.expect(who, keys)

    @rule(who=who, what=st.sampled_from(["renew", "renew", "count", "set", "ask"]))
    def keep(self, who: int, what: str) -> None:
        held = self.place.held[who]
        if what == "renew":
            self.place.renew(who)
        elif what == "ask":
            self.place.ask(who)
        elif what == "count" and self.is_keyed(who):
            self.place.count_total(who)
        elif what == "set" and held is not None:
            job = self.place.model.jobs[held.job_id]
            self.place.set_total(who, job["ok"] + job["failed"])

    @rule(who=who, word=st.sampled_from(["completed", "cancelled", "failed"]), asked=st.booleans())
    def finish(self, who: int, word: str, asked: bool) -> None:
        self.place.finish(who, word, asked and word == "cancelled")

    @rule(who=who, act=acts, n=st.integers(0, 3), looks=st.sampled_from([True, True, False]))
    def act(self, who: int, act: str, n: int, looks: bool) -> None:
        if looks:
            self.place.look(who)
        newest_first = sorted(self.place.model.jobs, reverse=True)
        if newest_first:
            self.place.act(who, act, newest_first[min(n // 2, len(newest_first) - 1)])

    @rule(who=who)
    def tick(self, who: int) -> None:
        self.place.close_abandoned(who)

    @rule(ms=jumps)
    def jump(self, ms: int) -> None:
        self.place.jump(ms)

    def is_keyed(self, who: int) -> bool:
        held = self.place.held[who]
        return held is not None and self.place.model.jobs[held.job_id]["keyed"] is True


def walk(database: str, steps: int, *, fixed: bool) -> int:
    """Go at least so many steps in random directions; return how many were gone.

    ``fixed``: in the same directions each time, in whichever database.
    """
    with a_place(database) as place:
        while place.steps < steps:
            before = place.steps
            run_state_machine_as_test(
                type("Walk", (AnyOrder,), {"place": place}),
                settings=settings(
                    # Hypothesis takes some 30 steps of the 50 on average.
                    max_examples=max(20, min(2_000, (steps - before) // 25)),
                    stateful_step_count=STEPS_IN_A_ROW,
                    deadline=None,
                    derandomize=fixed,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
            assert not fixed or place.steps >= steps, "the same steps again would prove nothing"
        return place.steps


@pytest.mark.slow
def test_workers_and_dashboards_do_what_the_rules_say_in_any_order(database: str) -> None:
    # E-1 E-2 E-3 E-4 E-5 E-7 C-11 C-12
    assert walk(database, CI_STEPS[database], fixed=True) >= CI_STEPS[database]


@pytest.mark.marathon
def test_workers_and_dashboards_do_what_the_rules_say_for_a_million_steps(database: str) -> None:
    steps = walk(database, MARATHON_STEPS[database], fixed=False)
    assert steps >= MARATHON_STEPS[database]
    print(f"{steps} steps")


DEPTH = 4
ITEM, FINISH, TAKEOVER = "item", "finish", "takeover"
LETTERS = (ITEM, "cancel", "force-fail", "remove", TAKEOVER, FINISH)
Letters = tuple[int, int]
"""How many transactions each of the two has had."""


def test_any_order_of_two_actors_few_transactions_does_what_the_rules_say(database: str) -> None:
    # E-1 E-2 E-3 E-5 E-7 E-10
    reached = interleave(database, 2)
    assert reached.interleavings == orders(2) == 7_776
    assert len(reached.states) == 157
    if database == "postgresql":
        assert reached.states == interleave("sqlite", 2).states


@pytest.mark.sqlite_only
@pytest.mark.slow
def test_every_order_of_two_actors_transactions_does_what_the_rules_say(database: str) -> None:
    reached = interleave(database, DEPTH)
    assert reached.interleavings == orders(DEPTH) == 117_573_120
    print(reached.transactions)  # 44,250, when it was written


@pytest.mark.postgres_only
@pytest.mark.marathon
def test_every_order_reaches_the_same_states_in_both_databases(database: str) -> None:
    reached = interleave(database, DEPTH)
    assert reached.interleavings == orders(DEPTH)
    assert reached.states == interleave("sqlite", DEPTH).states
    print(len(reached.states), reached.transactions)


class Reached(NamedTuple):
    """What became of all orders."""

    interleavings: int
    states: frozenset[object]
    """Without what a lease remembers to write less, which only that in a file does."""
    transactions: int


def orders(depth: int) -> int:
    """How many ways there are to merge any so many transactions of the one with any so many of the other."""
    return comb(2 * depth, depth) * len(LETTERS) ** (2 * depth)


def interleave(database: str, depth: int) -> Reached:
    """Go through all orders; what has been reached in two ways goes on once.

    Transactions are atomic, so that to interleave is to merge. A state is everything a statement looks at:
    all rows, who holds what, what each dashboard saw last. Fences and attempts are only ever compared with
    those in rows, so that a stale one is as good as any other.
    """
    with a_place(database) as place:
        begin_to_interleave(place)
        start = state_of(place)
        moments: dict[object, Moment] = {start: place.moment()}
        leads_to: dict[tuple[object, int, str], object] = {}
        ways: dict[Letters, Counter[object]] = {(0, 0): Counter({start: 1})}
        for used in sorted(product(range(depth + 1), repeat=2), key=sum):
            level = ways.pop(used)
            if used == (depth, depth):
                states = {state for state, _, _ in leads_to} | set(level)
                return Reached(level.total(), frozenset(map(_without_room, states)), len(leads_to))
            for who, letter in product((0, 1), LETTERS):
                if used[who] == depth:
                    continue
                then = ways.setdefault((used[0] + (who == 0), used[1] + (who == 1)), Counter())
                for state, number in level.items():
                    if (state, who, letter) not in leads_to:
                        place.back_to(moments[state])
                        step(place, who, letter)
                        leads_to[state, who, letter] = reached = state_of(place)
                        if reached not in moments:
                            moments[reached] = place.moment()
                    then[leads_to[state, who, letter]] += number
    raise AssertionError("not reached")


def begin_to_interleave(place: Place) -> None:
    """The first holds the job, the second held it before; both look at the same row."""
    place.claim(1, "resize", total=2)
    place.expect(1, ["key 0", "key 1", "key 2"])
    place.jump(TTL + 1)
    place.claim(0, "resize", total=2)
    for who in (0, 1):
        place.look(who)


def step(place: Place, who: int, letter: str) -> None:
    """One transaction of one actor; a dashboard's acts go by what it saw after its last one."""
    held = place.held[who]
    job = place.model.jobs[max(place.model.jobs) if held is None else held.job_id]
    done = job["ok"] + job["failed"]  # varies what is written, and is part of the state
    if letter == ITEM:
        outcome = ("ok", "error", "skipped")[done % 3]
        place.items(who, [(f"key {(job['ok'] + who) % 3}", outcome)])
    elif letter == FINISH:
        place.finish(who, ("completed", "failed", "cancelled")[done % 3])
    elif letter == TAKEOVER:
        place.jump(TTL + 1)
        place.claim(who, "resize", total=2)
    else:
        place.act(who, letter, max(place.model.jobs))
        place.look(who)


def state_of(place: Place) -> object:
    """What is looked at by anything that can still happen."""
    jobs = place.model.jobs
    newest = max(jobs)
    writing = {held.job_id for held in place.held if held is not None and place.model.holds(held)}

    def job(job_id: int) -> tuple[object, ...]:
        facts = jobs[job_id]
        if job_id != newest and job_id not in writing:  # of it a worker is told what it has become
            return facts["word"], facts["verdict"], facts["removed"]
        live = facts["lease"] is not None and facts["lease"] >= place.clock.now
        items = tuple((key, outcome) for key, (outcome, _) in facts["items"].items())
        return (live, items, *(facts[name] for name in _SAME))

    # A job that nobody holds or sees any more is as good as none.
    known = sorted({newest, *(held.job_id for held in place.held if held is not None)})
    held = tuple(
        held and (known.index(held.job_id), held.fence == jobs[held.job_id]["fence"], hold and hold._room)
        for held, hold in zip(place.held, place._holds, strict=True)
    )
    views = tuple(view.get(newest) == jobs[newest]["fence"] for view in place.views)
    return tuple(map(job, known)), held, views


def _without_room(state: Any) -> object:
    jobs, held, views = state
    return jobs, tuple(each and each[:2] for each in held), views


_SAME = ("word", "asked", "verdict", "removed", "owner", "total", "ok", "failed", "before")
