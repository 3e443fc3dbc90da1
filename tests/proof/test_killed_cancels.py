"""kill -9 while a cancel is under way: the next start knows what to make of it, and sends none again."""

from __future__ import annotations

import pytest
from kit.child_processes import ForkServer
from kit.facts import nothing_is_lost, store_is_sound
from kit.kill_points import killed, start_together
from kit.world import CANCEL, MINUTE, PROFILE_CANCEL, World
from shared.slices import turns

from jobdash.domain.status import Status
from jobdash.operations.actions.reconcile import INTERRUPTED

NEVER_SENT = ("before begin_cancel", "commit begin_cancel")
NOT_APPLIED = ("after begin_cancel", "request")
APPLIED = ("answer", "before close_cancel", "commit close_cancel", "after close_cancel")
CANCELS = CANCEL | PROFILE_CANCEL
NO_WORD = ("gemini", "together")
"""These have no word for a cancel under way."""
POINTS = (*NEVER_SENT, *NOT_APPLIED, *APPLIED)


def die(world: World, fork_server: ForkServer, account: str, point: str) -> str:
    """Cancel a running batch in a process that is killed at a point; return the batch's id."""
    batch = world.add(account)
    world.next_start(account)
    place = f"{point} {' '.join(CANCELS[account])}" if point in {"request", "answer"} else point
    killed(world, fork_server, place, "cancel", account, remote_id=batch)
    return batch


def right_after_the_death(world: World, batch: str, point: str) -> None:
    """What is on the disk before anybody has repaired anything."""
    row, intents = world.row(batch), world.open_intents()
    if point in NEVER_SENT:
        assert (row.status, intents) == (Status.IN_PROGRESS, [])
    else:
        closed = point == "after close_cancel"
        assert (row.status, intents) == (Status.CANCELLING, [] if closed else ["cancel"])


def repaired(world: World, account: str, batch: str, point: str) -> None:
    """What the next start has made of it."""
    row = world.row(batch)
    assert world.open_intents() == []
    untouched = point in NEVER_SENT or point == "after close_cancel"
    assert world.events("reconcile") == (0 if untouched else 1)
    if point in NEVER_SENT:
        assert (row.status, row.cancel_requested_at) == (Status.IN_PROGRESS, None)
    elif account in NO_WORD and not untouched:  # nobody can tell
        assert (row.status, row.cancel_doubt) == (Status.CANCELLING, True)
    elif point in APPLIED:
        assert (row.status, row.cancel_doubt) == (Status.CANCELLING, False)
    else:
        assert (row.status, row.cancel_requested_at) == (Status.IN_PROGRESS, None)


def in_the_end(world: World, account: str, batch: str, point: str) -> None:
    """The job ends as its provider says, whatever was thought of it in between."""
    if point == "request":
        world.arrives_late(account, batch)
    for _ in range(2):
        world.clock.advance(MINUTE)
        world.next_start(account)
    cancelled = point in (*APPLIED, "request")
    assert (world.row(batch).status is Status.CANCELLED) is cancelled
    assert world.row(batch).remote_status == world.word(batch, account)
    assert world.open_intents() == []
    assert world.faults.sent(*CANCELS[account]) == int(cancelled)
    store_is_sound(world.path)
    nothing_is_lost(world)


def proof(world: World, fork_server: ForkServer, account: str, point: str, *, together: bool = False) -> None:
    batch = die(world, fork_server, account, point)
    store_is_sound(world.path)
    right_after_the_death(world, batch, point)
    if together:
        start_together(world, fork_server, account)
    else:
        world.next_start(account)
    repaired(world, account, batch, point)
    in_the_end(world, account, batch, point)


@pytest.mark.parametrize(
    ("account", "point"),
    [
        ("openai", "commit close_cancel"),
        ("gemini", "request"),
        ("anthropic", "answer"),
        ("mistral", "commit close_cancel"),
    ],
)
def test_a_killed_cancel_is_repaired(world: World, fork_server: ForkServer, account: str, point: str) -> None:
    # A-9 C-8 C-11
    proof(world, fork_server, account, point)


@pytest.mark.slow
@pytest.mark.parametrize("account", list(CANCEL))
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("turn", turns(5))
def test_a_cancel_killed_anywhere_is_repaired(
    world: World, fork_server: ForkServer, account: str, point: str, turn: int
) -> None:
    # A-9 C-8 C-11; several times at each provider, every other time by two starters at once
    proof(world, fork_server, account, point, together=bool(turn % 2))


@pytest.mark.slow
@pytest.mark.parametrize("account", list(PROFILE_CANCEL))
@pytest.mark.parametrize("point", POINTS)
def test_a_cancel_killed_at_a_server_like_openai_is_repaired(
    world: World, fork_server: ForkServer, account: str, point: str
) -> None:
    proof(world, fork_server, account, point)


@pytest.mark.marathon
@pytest.mark.parametrize("account", list(PROFILE_CANCEL))
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("turn", range(5))
def test_a_cancel_killed_anywhere_at_a_server_like_openai_is_repaired(
    world: World, fork_server: ForkServer, account: str, point: str, turn: int
) -> None:
    proof(world, fork_server, account, point, together=bool(turn % 2))


def test_a_person_hears_of_it_and_may_ask_again(world: World, fork_server: ForkServer) -> None:
    # C-8
    batch = die(world, fork_server, "openai", "after begin_cancel")
    (told,) = world.next_start().reconciled
    assert told.notice == INTERRUPTED
    assert fork_server.begin(world.task("cancel", remote_id=batch)).finish()["result"] == "done"
    assert world.row(batch).status is Status.CANCELLING


def test_in_doubt_it_may_be_asked_again_at_once(world: World, fork_server: ForkServer) -> None:
    # C-8
    batch = die(world, fork_server, "gemini", "after begin_cancel")
    (told,) = world.next_start("gemini").reconciled
    assert told.notice == INTERRUPTED
    again = fork_server.begin(world.task("cancel", "gemini", remote_id=batch)).finish()
    assert again["result"] == "done"
    assert not world.row(batch).cancel_doubt


def test_a_process_that_cannot_be_looked_for_is_given_until_its_deadline(
    world: World, fork_server: ForkServer
) -> None:
    batch = die(world, fork_server, "openai", "after begin_cancel")
    world.owned_elsewhere()
    world.next_start()
    assert (world.row(batch).status, world.open_intents()) == (Status.CANCELLING, ["cancel"])
    world.clock.advance(5 * MINUTE + 60)
    world.next_start()
    assert world.open_intents() == ["cancel"]
    world.clock.advance(1)
    world.next_start()
    assert (world.row(batch).status, world.open_intents()) == (Status.IN_PROGRESS, [])
