"""kill -9 while what is left of a batch is sent again: nothing is lost, nothing is sent twice."""

from __future__ import annotations

import pytest
from kit.child_processes import ForkServer
from kit.facts import nothing_is_lost, store_is_sound
from kit.kill_points import killed
from kit.world import CREATE, HOUR, MINUTE, UPLOAD, World

from jobdash.demo.emulator import BatchFailure
from jobdash.domain.job import JobRow

FAILURES = 3
COLLECTED = ("before set_collected", "after set_collected")
NOT_BEGUN = ("before begin_submit", "commit begin_submit")
NOT_CREATED = ("after begin_submit", "request upload", "answer upload")
UNKNOWN = ("request create",)
CREATED = ("answer create", "before close_submit", "commit close_submit", "after close_submit")
POINTS = (*COLLECTED, *NOT_BEGUN, *NOT_CREATED, *UNKNOWN, *CREATED)
LISTING_LAG = 11 * MINUTE


def children(world: World, parent: JobRow) -> list[JobRow]:
    return [row for row in world.rows() if row.id != parent.id]


def retry(world: World, fork_server: ForkServer, batch: str) -> dict[str, object]:
    return fork_server.begin(world.task("retry", remote_id=batch)).finish()


def proof(world: World, fork_server: ForkServer, point: str) -> None:
    batch = world.add(age=3 * HOUR, running=60.0, failures=(BatchFailure(FAILURES),))
    world.next_start()
    when, what = point.split()
    place = point
    if when in {"request", "answer"}:
        place = " ".join((when, *{"upload": UPLOAD, "create": CREATE}[what]["openai"]))
    killed(world, fork_server, place, "retry", "openai", remote_id=batch)
    store_is_sound(world.path)

    world.next_start()
    for _ in range(2):
        world.clock.advance(LISTING_LAG)
        world.next_start()
    assert world.open_intents() == []
    parent = world.row(batch)
    assert parent.remote_id == batch
    made = len(world.batches()["openai"]) - 1
    assert made == (1 if point in CREATED else 0)
    left = children(world, parent)
    assert len(left) == (0 if point in (*COLLECTED, *NOT_BEGUN) else 1)
    assert all(world.job(child).parent == parent.public_id for child in left)

    again = retry(world, fork_server, batch)
    if point in (*NOT_CREATED, *UNKNOWN):  # it may have been sent: never again before a person says so
        (child,) = left
        assert (again["result"], len(world.batches()["openai"])) == ("skipped", 1)
        assert child.public_id in str(again["reason"])
        ran = fork_server.jobdash("force-fail", child.public_id, "--yes", env=world.environment())
        assert ran.code == 0, ran.told
        again = retry(world, fork_server, batch)
    assert len(world.batches()["openai"]) - 1 == 1, again
    if point in CREATED:  # the child is there: linked both ways, and nothing is sent a second time
        assert world.faults.sent(*CREATE["openai"]) == 1
        (child,) = left
        assert world.job(parent).superseded_by == child.public_id
        assert child.total == FAILURES
    else:
        linked = world.job(world.row(batch)).superseded_by
        assert linked in {child.public_id for child in children(world, parent)}
    store_is_sound(world.path)
    nothing_is_lost(world)


@pytest.mark.parametrize("point", ["commit begin_submit", "answer upload", "answer create"])
def test_a_killed_retry_is_repaired(world: World, fork_server: ForkServer, point: str) -> None:
    proof(world, fork_server, point)


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_retry_killed_anywhere_is_repaired(world: World, fork_server: ForkServer, point: str) -> None:
    proof(world, fork_server, point)


@pytest.mark.marathon
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("turn", range(10))
def test_ten_retries_killed_anywhere_are_repaired(
    world: World, fork_server: ForkServer, point: str, turn: int
) -> None:
    del turn
    proof(world, fork_server, point)
