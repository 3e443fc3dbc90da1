"""Checks that every engine has to pass, ours and a third party's alike.

In the tests of a package that registers an engine, with pytest::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_conformance(check, make):
        check(make)

where ``make`` returns a new engine over the same empty queue, of a worker with the given name. A check raises
`NotConforming`. Engines are used one after another: one process runs one at a time.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from jobdash.engines.base import Engine

MakeEngine = Callable[[str], Engine]
Check = Callable[[MakeEngine], None]
_DEADLINE_S = 30.0
_QUIET_S = 1.5
"""How long nothing is delivered before that counts as never."""


class NotConforming(AssertionError):
    """An engine does something else than the Protocol promises."""


class _Deliveries:
    """Counts the keys that an engine delivers; each call may be held up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.keys: Counter[str] = Counter()
        self.running = 0
        self.most = 0
        """How many calls ran at once."""
        self.open = threading.Event()
        self.open.set()

    def handle(self, key: str) -> None:
        with self._lock:
            self.keys[key] += 1
            self.running += 1
            self.most = max(self.most, self.running)
        self.open.wait(_DEADLINE_S)
        with self._lock:
            self.running -= 1

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + _DEADLINE_S
        while not condition():
            if time.monotonic() > until:
                raise NotConforming(f"{what}; delivered: {dict(self.keys)}")
            time.sleep(0.01)

    def wait_for_keys(self, keys: Sequence[str]) -> None:
        self.wait_for(
            lambda: set(keys) <= set(self.keys) and not self.running, f"{keys} have to be delivered"
        )

    def stays(self, condition: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + _QUIET_S
        while time.monotonic() < until:
            if not condition():
                raise NotConforming(f"{what}; delivered: {dict(self.keys)}")
            time.sleep(0.01)


@contextmanager
def _started(
    make: MakeEngine, name: str = "worker-1", concurrency: int = 4
) -> Iterator[tuple[Engine, _Deliveries]]:
    engine, deliveries = make(name), _Deliveries()
    engine.start(deliveries.handle, concurrency)
    try:
        yield engine, deliveries
    finally:
        deliveries.open.set()
        engine.stop(_DEADLINE_S)


def keys_of(job: str, number: int) -> list[str]:
    """Return the keys of a job's parts, as the store makes them."""
    return [f"{job}.0.{part}.0" for part in range(number)]


def delivers_every_key(make: MakeEngine) -> None:
    """Each key that is dispatched is delivered, once."""
    keys = keys_of("k3f9x2ab", 6)
    with _started(make) as (engine, deliveries):
        engine.dispatch(keys)
        deliveries.wait_for_keys(keys)
        deliveries.stays(lambda: max(deliveries.keys.values()) == 1, "a key was delivered twice")


def delivers_nothing_else(make: MakeEngine) -> None:
    """Without a dispatch nothing is delivered; an empty one is no error."""
    with _started(make) as (engine, deliveries):
        engine.dispatch([])
        deliveries.stays(lambda: not deliveries.keys, "nothing was dispatched")


def the_same_key_is_one(make: MakeEngine) -> None:
    """A key that is dispatched again while it waits or runs is delivered once."""
    (key,) = keys_of("k3f9x2ab", 1)
    with _started(make) as (engine, deliveries):
        deliveries.open.clear()
        engine.dispatch([key])
        engine.dispatch([key])
        deliveries.wait_for(lambda: bool(deliveries.keys), "the key has to be delivered")
        engine.dispatch([key])
        deliveries.stays(lambda: deliveries.keys[key] == 1, "it runs, and was delivered again")


def a_done_key_may_come_again(make: MakeEngine) -> None:
    """A key that is dispatched behind its end is delivered again: the store found it due."""
    (key,) = keys_of("k3f9x2ab", 1)
    with _started(make) as (engine, deliveries):
        for times in (1, 2, 3):
            engine.dispatch([key])
            deliveries.wait_for(
                lambda times=times: deliveries.keys[key] == times and not deliveries.running,  # type: ignore[misc]
                f"the key has to be delivered for the {times}. time",
            )
            _let_end(engine, deliveries)


def _let_end(engine: Engine, deliveries: _Deliveries) -> None:
    """Wait until an engine has noted that its calls returned: another key of its own is done then, too."""
    mark = f"zzzzzzzz.0.{sum(deliveries.keys.values())}.0"
    engine.dispatch([mark])
    deliveries.wait_for_keys([mark])


def keeps_to_its_concurrency(make: MakeEngine) -> None:
    """No more calls run at once than are wanted, and as many as that do."""
    keys = keys_of("k3f9x2ab", 8)
    with _started(make, concurrency=3) as (engine, deliveries):
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
    with _started(make) as (engine, deliveries):
        engine.dispatch(keys)
        deliveries.wait_for_keys(keys)
        deliveries.stays(lambda: max(deliveries.keys.values()) == 1, "a key was delivered twice")


def takes_many_keys(make: MakeEngine) -> None:
    """Some hundred keys in one dispatch are all delivered."""
    keys = keys_of("k3f9x2ab", 200)
    with _started(make, concurrency=8) as (engine, deliveries):
        engine.dispatch(keys)
        deliveries.wait_for_keys(keys)


def stop_waits_for_calls(make: MakeEngine) -> None:
    """``stop`` returns when the calls under way have returned."""
    (key,) = keys_of("k3f9x2ab", 1)
    engine, deliveries = make("worker-1"), _Deliveries()
    engine.start(deliveries.handle, 2)
    deliveries.open.clear()
    engine.dispatch([key])
    deliveries.wait_for(lambda: deliveries.running == 1, "the key has to be delivered")
    stopping = threading.Thread(target=engine.stop, args=(_DEADLINE_S,))
    stopping.start()
    deliveries.open.set()
    stopping.join(_DEADLINE_S)
    if deliveries.running or stopping.is_alive():
        raise NotConforming("stop() has to wait for what runs, and to return")


def delivers_nothing_behind_stop(make: MakeEngine) -> None:
    """What still waits when a worker stops is not delivered to it any more."""
    keys = keys_of("k3f9x2ab", 20)
    engine, deliveries = make("worker-1"), _Deliveries()
    engine.start(deliveries.handle, 1)
    engine.dispatch(keys)
    deliveries.wait_for(lambda: bool(deliveries.keys), "a key has to be delivered")
    engine.stop(_DEADLINE_S)
    before = sum(deliveries.keys.values())
    deliveries.stays(lambda: sum(deliveries.keys.values()) == before, "it has stopped")


def another_worker_takes_what_waits(make: MakeEngine) -> None:
    """What a worker left waiting is delivered to the next, by itself or when it is dispatched again."""
    keys = keys_of("k3f9x2ab", 6)
    engine, first = make("worker-1"), _Deliveries()
    engine.start(first.handle, 1)
    engine.dispatch(keys)
    first.wait_for(lambda: bool(first.keys), "a key has to be delivered")
    engine.stop(_DEADLINE_S)
    left = [key for key in keys if key not in first.keys]
    with _started(make, "worker-2") as (engine, second):
        engine.dispatch(left)
        second.wait_for_keys(left)


def a_restart_is_the_same_worker(make: MakeEngine) -> None:
    """An engine can be started under the name of one that has stopped."""
    for number in range(2):
        (key,) = keys_of(f"k3f9x2a{number}", 1)
        with _started(make) as (engine, deliveries):
            engine.dispatch([key])
            deliveries.wait_for_keys([key])


def forgets_what_waits_of_a_job(make: MakeEngine) -> None:
    """Waiting keys of a forgotten job are dropped; those of others are not."""
    over, other = keys_of("k3f9x2ab", 4), keys_of("m9cdh3zk", 2)
    with _started(make, concurrency=1) as (engine, deliveries):
        deliveries.open.clear()
        engine.dispatch(keys_of("aaaaaaaa", 1))
        deliveries.wait_for(lambda: deliveries.running == 1, "a key has to be delivered")
        engine.dispatch([*over, *other])
        engine.forget(["k3f9x2ab"])
        deliveries.open.set()
        deliveries.wait_for_keys(other)
        deliveries.stays(lambda: not set(over) & set(deliveries.keys), "a forgotten key was delivered")


def forgets_unknown_jobs(make: MakeEngine) -> None:
    """To forget what was never dispatched, or nothing, is no error."""
    with _started(make) as (engine, _):
        engine.forget(["zzzzzzzz"])
        engine.forget([])


def a_forgotten_job_may_come_back(make: MakeEngine) -> None:
    """Keys of a job that was forgotten and is due again, as after a retry, are delivered."""
    (key,) = keys_of("k3f9x2ab", 1)
    with _started(make) as (engine, deliveries):
        engine.dispatch([key])
        deliveries.wait_for_keys([key])
        engine.forget(["k3f9x2ab"])

        # Again and again, as what is due is: the engine may not have noted yet that its call has returned.
        def came_back() -> bool:
            engine.dispatch([key])
            return deliveries.keys[key] >= 2

        deliveries.wait_for(came_back, "the key is due again")


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
)
