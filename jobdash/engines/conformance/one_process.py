"""The checks of an engine with one worker at a time."""

from __future__ import annotations

import threading
import time

from jobdash.engines.base import Engine
from jobdash.engines.conformance.deliveries import (
    DEADLINE_S,
    Check,
    Deliveries,
    MakeEngine,
    NotConforming,
    keys_of,
    started,
)

_SOON_S = 5.0
"""More than any engine needs for what it does at once."""


def delivers_every_key(make: MakeEngine) -> None:
    """Each key that is dispatched is delivered, once."""
    keys = keys_of("k3f9x2ab", 6)
    with started(make) as (engine, deliveries):
        engine.dispatch(keys)
        deliveries.wait_for_keys(keys)
        deliveries.stays(lambda: max(deliveries.keys.values()) == 1, "a key was delivered twice")


def delivers_nothing_else(make: MakeEngine) -> None:
    """Without a dispatch nothing is delivered; an empty one is no error."""
    with started(make) as (engine, deliveries):
        engine.dispatch([])
        deliveries.stays(lambda: not deliveries.keys, "nothing was dispatched")


def the_same_key_is_one(make: MakeEngine) -> None:
    """A key that is dispatched again while it waits or runs is delivered once."""
    (key,) = keys_of("k3f9x2ab", 1)
    with started(make) as (engine, deliveries):
        deliveries.open.clear()
        engine.dispatch([key])
        engine.dispatch([key])
        deliveries.wait_for(lambda: bool(deliveries.keys), "the key has to be delivered")
        engine.dispatch([key])
        deliveries.stays(lambda: deliveries.keys[key] == 1, "it runs, and was delivered again")


def a_done_key_may_come_again(make: MakeEngine) -> None:
    """A key that is dispatched after its end is delivered again: the store found it due."""
    (key,) = keys_of("k3f9x2ab", 1)
    with started(make) as (engine, deliveries):
        for times in (1, 2, 3):
            engine.dispatch([key])
            deliveries.wait_for(
                lambda times=times: deliveries.keys[key] == times and not deliveries.running,  # type: ignore[misc]
                f"the key has to be delivered for the {times}. time",
            )
            _let_end(engine, deliveries)


def _hold(engine: Engine, deliveries: Deliveries, key: str) -> None:
    """Have the call of a key run until calls are not held up any more."""
    deliveries.open.clear()
    engine.dispatch([key])
    deliveries.wait_for(lambda: deliveries.running == 1, "the key has to be delivered")


def _let_end(engine: Engine, deliveries: Deliveries) -> None:
    """Wait until an engine has noted that its calls returned: another key of its own is done then, too."""
    mark = f"zzzzzzzz.0.{sum(deliveries.keys.values())}.0"
    engine.dispatch([mark])
    deliveries.wait_for_keys([mark])


def keeps_to_its_concurrency(make: MakeEngine) -> None:
    """No more calls run at once than are wanted, and as many as that do."""
    keys = keys_of("k3f9x2ab", 8)
    with started(make, concurrency=3) as (engine, deliveries):
        deliveries.open.clear()
        engine.dispatch(keys)
        deliveries.wait_for(lambda: deliveries.running == 3, "three calls have to run at once")
        deliveries.stays(lambda: deliveries.running <= 3, "more calls run than were wanted")
        deliveries.open.set()
        deliveries.wait_for_keys(keys)
        if deliveries.most != 3:
            raise NotConforming(f"{deliveries.most} calls ran at once")


def keys_of_many_jobs_are_kept_apart(make: MakeEngine) -> None:
    """Keys that begin alike are different ones."""
    keys = [*keys_of("k3f9x2ab", 2), "k3f9x2ab.1.0.0", "k3f9x2ab.0.0.1", "k3f9x2ab.0.10.0", "k3f9x2a.0.0.0"]
    with started(make) as (engine, deliveries):
        engine.dispatch(keys)
        deliveries.wait_for_keys(keys)
        deliveries.stays(lambda: max(deliveries.keys.values()) == 1, "a key was delivered twice")


def takes_many_keys(make: MakeEngine) -> None:
    """Some hundred keys in one dispatch are all delivered."""
    keys = keys_of("k3f9x2ab", 200)
    with started(make, concurrency=8) as (engine, deliveries):
        engine.dispatch(keys)
        deliveries.wait_for_keys(keys)


def stop_waits_for_calls(make: MakeEngine) -> None:
    """``stop`` returns when the calls under way have returned."""
    (key,) = keys_of("k3f9x2ab", 1)
    engine, deliveries = make("worker-1"), Deliveries()
    engine.start(deliveries.handle, 2)
    _hold(engine, deliveries, key)
    stopping = threading.Thread(target=engine.stop, args=(DEADLINE_S,))
    stopping.start()
    try:
        deliveries.stays(stopping.is_alive, "stop() has to wait for what runs")
    finally:
        deliveries.open.set()
    stopping.join(DEADLINE_S)
    if deliveries.running or stopping.is_alive():
        raise NotConforming("stop() has to return when nothing runs any more")


def _stopped_with_keys_waiting(make: MakeEngine, keys: list[str]) -> Deliveries:
    """Start a worker with one call at once, and stop it when the first of several keys was delivered."""
    engine, deliveries = make("worker-1"), Deliveries()
    engine.start(deliveries.handle, 1)
    engine.dispatch(keys)
    deliveries.wait_for(lambda: bool(deliveries.keys), "a key has to be delivered")
    engine.stop(DEADLINE_S)
    return deliveries


def delivers_nothing_behind_stop(make: MakeEngine) -> None:
    """What still waits when a worker stops is not delivered to it any more."""
    deliveries = _stopped_with_keys_waiting(make, keys_of("k3f9x2ab", 20))
    before = sum(deliveries.keys.values())
    deliveries.stays(lambda: sum(deliveries.keys.values()) == before, "it has stopped")


def another_worker_takes_what_waits(make: MakeEngine) -> None:
    """What a worker left waiting is delivered to the next, by itself or when it is dispatched again."""
    keys = keys_of("k3f9x2ab", 6)
    first = _stopped_with_keys_waiting(make, keys)
    left = [key for key in keys if key not in first.keys]
    with started(make, "worker-2") as (engine, second):
        engine.dispatch(left)
        second.wait_for_keys(left)


def a_restart_is_the_same_worker(make: MakeEngine) -> None:
    """An engine can be started under the name of one that has stopped."""
    for number in range(2):
        (key,) = keys_of(f"k3f9x2a{number}", 1)
        with started(make) as (engine, deliveries):
            engine.dispatch([key])
            deliveries.wait_for_keys([key])


def forgets_what_waits_of_a_job(make: MakeEngine) -> None:
    """Waiting keys of a forgotten job are dropped; those of others are not."""
    over, other = keys_of("k3f9x2ab", 4), keys_of("m9cdh3zk", 2)
    with started(make, concurrency=1) as (engine, deliveries):
        _hold(engine, deliveries, "aaaaaaaa.0.0.0")
        engine.dispatch([*over, *other])
        engine.forget(["k3f9x2ab"])
        deliveries.open.set()
        deliveries.wait_for_keys(other)
        deliveries.stays(lambda: not set(over) & set(deliveries.keys), "a forgotten key was delivered")


def forgets_unknown_jobs(make: MakeEngine) -> None:
    """To forget what was never dispatched, or nothing, is no error."""
    with started(make) as (engine, _):
        engine.forget(["zzzzzzzz"])
        engine.forget([])


def a_forgotten_job_may_come_back(make: MakeEngine) -> None:
    """Keys of a job that was forgotten and is due again, as after a retry, are delivered."""
    (key,) = keys_of("k3f9x2ab", 1)
    with started(make) as (engine, deliveries):
        engine.dispatch([key])
        deliveries.wait_for_keys([key])
        engine.forget(["k3f9x2ab"])

        # Again and again, as what is due is: the engine may not have noted yet that its call has returned.
        def came_back() -> bool:
            engine.dispatch([key])
            return deliveries.keys[key] >= 2

        deliveries.wait_for(came_back, "the key is due again")


def keys_may_be_long(make: MakeEngine) -> None:
    """Keys with the largest numbers that a store keeps are delivered as they are."""
    most = 2**53
    keys = [f"k3f9x2ab.{most}.{most - number}.{most}" for number in range(2)]
    with started(make) as (engine, deliveries):
        engine.dispatch(keys)
        deliveries.wait_for_keys(keys)
        deliveries.stays(lambda: set(deliveries.keys) == set(keys), "these are not the keys dispatched")


def a_long_call_holds_up_no_other(make: MakeEngine) -> None:
    """While one call takes its time, other keys are delivered."""
    long, *others = keys_of("k3f9x2ab", 6)
    engine, returned, release = make("worker-1"), Deliveries(), threading.Event()

    def handle(key: str) -> None:
        if key == long:
            release.wait(DEADLINE_S)
        returned.handle(key)

    engine.start(handle, 2)
    try:
        engine.dispatch([long])
        engine.dispatch(others)
        returned.wait_for_keys(others)
        if long in returned.keys:
            raise NotConforming("a call did not take its time")
        release.set()
        returned.wait_for_keys([long])
    finally:
        release.set()
        engine.stop(DEADLINE_S)


def is_quick_behind_a_quiet_time(make: MakeEngine) -> None:
    """A key that comes while nothing is to be done is delivered soon: polls do not become rarer."""
    first, second = keys_of("k3f9x2ab", 2)
    with started(make) as (engine, deliveries):
        engine.dispatch([first])
        deliveries.wait_for_keys([first])
        deliveries.stays(lambda: sum(deliveries.keys.values()) == 1, "nothing was dispatched")
        engine.dispatch([second])
        deliveries.wait_for_keys([second], _SOON_S)


def stop_has_no_more_patience_than_it_is_given(make: MakeEngine) -> None:
    """``stop`` returns although a call does not."""
    (key,) = keys_of("k3f9x2ab", 1)
    engine, deliveries = make("worker-1"), Deliveries()
    engine.start(deliveries.handle, 1)
    try:
        _hold(engine, deliveries, key)
        begun = time.monotonic()
        engine.stop(1.0)
        if time.monotonic() - begun > 1.0 + _SOON_S:
            raise NotConforming(f"stop(1.0) took {time.monotonic() - begun:.1f} s")
    finally:
        deliveries.open.set()
    deliveries.wait_for(lambda: not deliveries.running, "the call has to return")


def forgets_no_job_that_begins_alike(make: MakeEngine) -> None:
    """A job is forgotten by its whole id."""
    alike = [*keys_of("k3f9x2ab", 1), *keys_of("k3f9x2", 1), *keys_of("k_f9x2a", 1)]
    with started(make, concurrency=1) as (engine, deliveries):
        _hold(engine, deliveries, "aaaaaaaa.0.0.0")
        engine.dispatch([*alike, *keys_of("k3f9x2a", 1)])
        engine.forget(["k3f9x2a", "%", ""])
        deliveries.open.set()
        deliveries.wait_for_keys(alike)
        deliveries.stays(lambda: "k3f9x2a.0.0.0" not in deliveries.keys, "a forgotten key was delivered")


def forget_leaves_what_runs_alone(make: MakeEngine) -> None:
    """A call under way ends normally although its job is forgotten, and the worker goes on after it."""
    (key,), (other,) = keys_of("k3f9x2ab", 1), keys_of("m9cdh3zk", 1)
    with started(make, concurrency=1) as (engine, deliveries):
        _hold(engine, deliveries, key)
        engine.forget(["k3f9x2ab"])
        deliveries.open.set()
        engine.dispatch([other])
        deliveries.wait_for_keys([other])
        deliveries.stays(lambda: deliveries.keys[key] == 1, "a forgotten key was delivered again")


def forgets_many_jobs(make: MakeEngine) -> None:
    """Some hundred jobs may be forgotten at once, and a job with some hundred keys."""
    (key,) = keys_of("m9cdh3zk", 1)
    with started(make, concurrency=1) as (engine, deliveries):
        _hold(engine, deliveries, key)
        over = keys_of("k3f9x2ab", 120)
        engine.dispatch(over)
        engine.forget([f"z{number:07}" for number in range(300)] + ["k3f9x2ab"])
        deliveries.open.set()
        deliveries.stays(lambda: not set(over) & set(deliveries.keys), "a forgotten key was delivered")


CHECKS: tuple[Check, ...] = (
    delivers_every_key,
    delivers_nothing_else,
    the_same_key_is_one,
    a_done_key_may_come_again,
    keeps_to_its_concurrency,
    keys_of_many_jobs_are_kept_apart,
    takes_many_keys,
    stop_waits_for_calls,
    delivers_nothing_behind_stop,
    another_worker_takes_what_waits,
    a_restart_is_the_same_worker,
    forgets_what_waits_of_a_job,
    forgets_unknown_jobs,
    a_forgotten_job_may_come_back,
    keys_may_be_long,
    a_long_call_holds_up_no_other,
    is_quick_behind_a_quiet_time,
    stop_has_no_more_patience_than_it_is_given,
    forgets_no_job_that_begins_alike,
    forget_leaves_what_runs_alone,
    forgets_many_jobs,
)
