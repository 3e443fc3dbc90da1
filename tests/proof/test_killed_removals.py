"""kill -9 while jobs are removed: a removal is carried out exactly when its time has come."""

from __future__ import annotations

import pytest
from kit.child_processes import ForkServer
from kit.facts import nothing_is_lost, store_is_sound
from kit.kill_points import killed, start_together
from kit.world import CANCEL, HOUR, MINUTE, World
from shared.slices import turns

from jobdash.demo.emulator import BatchFailure, CancelBehaviour, Switches
from jobdash.domain.status import Status

# ── cancel & delete ────────────────────────────────────────────────────────────────────────────────────────

FIRST = {"cancel_first": True}
NOT_MEANT = ("before begin_waiting_removal", "commit begin_waiting_removal")
NOT_CANCELLED = (
    "after begin_waiting_removal",
    "before begin_cancel",
    "commit begin_cancel",
    "after begin_cancel",
    "request",
)
CANCELLED = ("answer", "before close_cancel", "commit close_cancel", "after close_cancel")
WAITING_POINTS = (*NOT_MEANT, *NOT_CANCELLED, *CANCELLED)


def cancel_and_delete(
    world: World, fork_server: ForkServer, account: str, point: str, **batch: object
) -> str:
    """Cancel & delete a running batch in a process that is killed at a point; return the batch's id."""
    remote_id = world.add(account, **batch)  # type: ignore[arg-type]
    world.next_start(account)
    place = f"{point} {' '.join(CANCEL[account])}" if point in {"request", "answer"} else point
    killed(world, fork_server, place, "remove", account, remote_id=remote_id, choices=FIRST)
    return remote_id


def waiting_proof(
    world: World, fork_server: ForkServer, account: str, point: str, *, together: bool = False
) -> None:
    batch = cancel_and_delete(world, fork_server, account, point)
    store_is_sound(world.path)
    assert (world.row(batch).removing is None) is (point in NOT_MEANT)
    if together:
        start_together(world, fork_server, account)
    else:
        world.next_start(account)
    # nothing is removed under a job that is not known to have ended
    assert world.row(batch).removed_at is None
    assert world.open_intents() == ([] if point in NOT_MEANT else ["remove"])

    world.clock.advance(2 * MINUTE)
    world.next_start(account)
    removed = point in CANCELLED
    assert (world.row(batch).removed_at is not None) is removed
    if removed:
        assert world.row(batch).remote_status is Status.CANCELLED
        assert world.row(batch).removing is None
    world.clock.advance(14 * MINUTE)
    world.next_start(account)
    assert world.open_intents() == []
    row = world.row(batch)
    assert row.removing is None
    assert (row.removed_at is not None) is removed
    assert removed or row.status in {Status.IN_PROGRESS, Status.CANCELLING}
    assert world.events("remove") == (0 if point in NOT_MEANT else 1)
    assert world.faults.sent(*CANCEL[account]) == (1 if point in (*CANCELLED, "request") else 0)
    assert world.faults.sent("DELETE", "*") == 0
    store_is_sound(world.path)
    nothing_is_lost(world)


@pytest.mark.parametrize(("account", "point"), [("openai", "answer"), ("gemini", "after begin_cancel")])
def test_a_killed_cancel_and_delete_is_repaired(
    world: World, fork_server: ForkServer, account: str, point: str
) -> None:
    # E-2
    waiting_proof(world, fork_server, account, point)


@pytest.mark.slow
@pytest.mark.parametrize("account", list(CANCEL))
@pytest.mark.parametrize("point", WAITING_POINTS)
@pytest.mark.parametrize("turn", turns(5))
def test_a_cancel_and_delete_killed_anywhere_is_repaired(
    world: World, fork_server: ForkServer, account: str, point: str, turn: int
) -> None:
    # E-2; several times at each provider, every other time by two starters at once
    waiting_proof(world, fork_server, account, point, together=bool(turn % 2))


def test_a_job_that_finished_before_its_cancel_is_not_removed(world: World, fork_server: ForkServer) -> None:
    # E-2
    batch = cancel_and_delete(
        world, fork_server, "openai", "answer", switches=Switches(cancel=CancelBehaviour.LOSES_RACE)
    )
    world.clock.advance(2 * MINUTE)
    report = world.next_start()
    assert [outcome.reason for outcome in report.removals] == ["finished before the cancel; x removes it"]
    row = world.row(batch)
    assert (row.status, row.removed_at, row.removing) == (Status.COMPLETED, None, None)
    assert world.open_intents() == []


def test_a_cancel_that_arrives_after_its_process_died_still_ends_in_the_removal(
    world: World, fork_server: ForkServer
) -> None:
    batch = cancel_and_delete(world, fork_server, "openai", "request")
    world.next_start()
    assert world.row(batch).status is Status.IN_PROGRESS
    world.arrives_late("openai", batch)
    world.clock.advance(2 * MINUTE)
    world.next_start()
    assert world.row(batch).removed_at is not None


def test_a_job_removed_by_force_while_its_removal_waits_is_removed_once(
    world: World, fork_server: ForkServer
) -> None:
    # B-12 E-7
    batch = cancel_and_delete(world, fork_server, "openai", "after close_cancel")
    forced = fork_server.begin(world.task("remove", remote_id=batch, choices={"force": True})).finish()
    assert forced["result"] == "done"
    assert world.open_intents() == []
    world.clock.advance(2 * MINUTE)
    assert world.next_start().removals == []
    assert world.events("remove") == 1


@pytest.mark.parametrize(
    "point",
    ["before end_waiting_removal", "commit end_waiting_removal", "before hide", "commit hide", "after hide"],
)
@pytest.mark.slow
def test_a_sync_killed_while_it_carries_out_a_removal_leaves_it_to_the_next(
    world: World, fork_server: ForkServer, point: str
) -> None:
    given_up = "end_waiting" in point
    switches = Switches(cancel=CancelBehaviour.STICKS if given_up else CancelBehaviour.WORKS)
    batch = cancel_and_delete(world, fork_server, "openai", "after close_cancel", switches=switches)
    world.clock.advance(16 * MINUTE)
    killed(world, fork_server, point, "sync", "openai")
    store_is_sound(world.path)
    world.next_start()
    row = world.row(batch)
    assert (row.removed_at is None) is given_up
    assert (row.removing, world.open_intents(), world.events("remove")) == (None, [], 1)


# ── removal with clean-up ──────────────────────────────────────────────────────────────────────────────────

CLEAN = {"remote": True}
FIRST_FILE = {"openai": ("DELETE", "/v1/files/*"), "gemini": ("DELETE", "*/files/*")}
DELETED = {"openai": 3, "gemini": 2}
"""Input, output and errors; at Gemini a cancelled batch's input, and the batch itself."""
REMOVED = ("after hide",)
ONE_DELETE = (
    "before begin_delete",
    "commit begin_delete",
    "after begin_delete",
    "request",
    "answer",
    "before close_intent",
    "commit close_intent",
    "after close_intent",
)
AROUND = (
    "before upsert",
    "after upsert",
    "after begin_delete 2",
    "commit close_intent 2",
    "before set_left_behind",
    "after set_left_behind",
    "before hide",
    "commit hide",
    *REMOVED,
)
TURNS = [
    *((point, turn) for point in ONE_DELETE for turn in range(2)),
    *((point, 1) for point in AROUND),
    *(pytest.param(point, turn, marks=pytest.mark.marathon) for point in ONE_DELETE for turn in range(2, 5)),
]

OPEN = (
    "after begin_delete",
    "request",
    "answer",
    "before close_intent",
    "commit close_intent",
    "after begin_delete 2",
    "commit close_intent 2",
)


def seeded(world: World, account: str) -> str:
    """A batch that has ended, with files; return its id."""
    if account == "openai":
        return world.add(age=2 * HOUR, running=MINUTE, failures=(BatchFailure(3),))
    batch = world.add(account)
    world.arrives_late(account, batch)
    world.clock.advance(2 * MINUTE)
    return batch


def removal_proof(
    world: World, fork_server: ForkServer, account: str, point: str, *, together: bool = False
) -> None:
    batch = seeded(world, account)
    world.next_start(account)
    place = f"{point} {' '.join(FIRST_FILE[account])}" if point in {"request", "answer"} else point
    killed(world, fork_server, place, "remove", account, remote_id=batch, choices=CLEAN)
    store_is_sound(world.path)
    assert world.open_intents() == (["delete"] if point in OPEN else [])
    asked = world.faults.sent("DELETE", "*")

    if together:
        start_together(world, fork_server, account)
    else:
        world.next_start(account)
    assert world.open_intents() == []
    assert world.faults.sent("DELETE", "*") == asked  # a sync deletes nothing
    assert (world.row(batch).removed_at is not None) is (point in REMOVED)

    if point not in REMOVED:
        done = fork_server.begin(world.task("remove", account, remote_id=batch, choices=CLEAN)).finish()
        assert done["result"] == "done", done
    row = world.row(batch)
    assert (row.removed_at is not None, row.left_behind) == (True, None)
    assert world.files(account) == set()
    assert world.batches()["gemini"] == set()
    assert len(world.journal.applied("DELETE", "*")) == DELETED[account]
    assert world.events("remove") == 1
    store_is_sound(world.path)
    nothing_is_lost(world)


@pytest.mark.parametrize(("account", "point"), [("openai", "answer"), ("gemini", "commit hide")])
def test_a_killed_removal_can_be_done_again(
    world: World, fork_server: ForkServer, account: str, point: str
) -> None:
    # B-9 B-14
    removal_proof(world, fork_server, account, point)


@pytest.mark.slow
@pytest.mark.parametrize("account", list(DELETED))
@pytest.mark.parametrize(("point", "turn"), TURNS)
def test_a_removal_killed_anywhere_can_be_done_again(
    world: World, fork_server: ForkServer, account: str, point: str, turn: int
) -> None:
    # A-12 B-9 B-14; around a request several times at each provider, every other time by two starters at once
    removal_proof(world, fork_server, account, point, together=bool(turn % 2))
