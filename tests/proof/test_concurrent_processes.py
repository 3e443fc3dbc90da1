"""Two processes at the same place in the same moment: one of them goes on."""

from __future__ import annotations

import pytest
from kit.child_processes import ForkServer
from kit.facts import nothing_is_lost, store_is_sound
from kit.kill_points import killed, meet
from kit.world import CANCEL, CREATE, HOUR, MINUTE, World

from jobdash.demo.emulator import BatchFailure
from jobdash.domain.status import Status

LIST = ("GET", "/v1/batches")
QUESTION = ("GET", "/v1/batches/*")


@pytest.fixture(autouse=True)
def _sound(world: World):
    yield
    store_is_sound(world.path)
    nothing_is_lost(world)


def test_one_of_them_polls(world: World, fork_server: ForkServer) -> None:
    world.add()
    done = meet(world, fork_server, "before claim_poll", "poll")
    assert sorted(each["polled"] for each in done) == [False, True]
    assert world.faults.sent(*LIST) == 1


def test_one_of_them_asks_what_became_of_a_cancel(world: World, fork_server: ForkServer) -> None:
    batch = world.add()
    world.next_start()
    killed(world, fork_server, "after begin_cancel", "cancel", "openai", remote_id=batch)
    meet(world, fork_server, "before take_over", "sync")
    assert world.faults.sent(*QUESTION) == 1
    assert world.events("reconcile") == 1
    assert world.row(batch).status is Status.IN_PROGRESS


def test_one_of_them_cancels(world: World, fork_server: ForkServer) -> None:
    # C-11
    batch = world.add()
    world.next_start()
    done = meet(world, fork_server, "before begin_cancel", "cancel", remote_id=batch)
    assert sorted((each["result"], each["reason"]) for each in done) == [
        ("done", ""),
        ("skipped", "already asked 0s ago"),
    ]
    assert world.faults.sent(*CANCEL["openai"]) == 1


def test_one_of_them_cancels_and_deletes(world: World, fork_server: ForkServer) -> None:
    # C-11 E-2
    batch = world.add()
    world.next_start()
    first = {"cancel_first": True}
    done = meet(world, fork_server, "before begin_waiting_removal", "remove", remote_id=batch, choices=first)
    assert sorted(each["result"] for each in done) == ["done", "skipped"]
    assert world.faults.sent(*CANCEL["openai"]) == 1
    world.clock.advance(2 * MINUTE)
    meet(world, fork_server, "before hide", "sync")
    assert world.row(batch).removed_at is not None
    assert (world.events("remove"), world.open_intents()) == (1, [])


def test_one_of_them_removes(world: World, fork_server: ForkServer) -> None:
    # B-8
    batch = world.add(age=HOUR, running=MINUTE)
    world.next_start()
    done = meet(world, fork_server, "before hide", "remove", remote_id=batch)
    assert sorted((each["result"], each["reason"]) for each in done) == [
        ("done", "record removed"),
        ("skipped", "was removed meanwhile"),
    ]
    assert world.events("remove") == 1


def test_both_may_clean_up_and_all_of_it_goes_once(world: World, fork_server: ForkServer) -> None:
    # B-9 B-14
    batch = world.add(age=HOUR, running=MINUTE, failures=(BatchFailure(3),))
    world.next_start()
    meet(world, fork_server, "before begin_delete", "remove", remote_id=batch, choices={"remote": True})
    row = world.row(batch)
    assert (row.removed_at is not None, row.left_behind) == (True, None)
    assert world.files("openai") == set()
    assert len(world.journal.applied("DELETE", "/v1/files/*")) == 3
    assert (world.events("remove"), world.open_intents()) == (1, [])


def test_both_may_submit_the_same_file(world: World, fork_server: ForkServer) -> None:
    """Two wishes are two batches, as a shell would have it."""
    world.next_start()
    file = world.folder / "lines.jsonl"
    file.write_text(
        '{"custom_id": "1", "method": "POST", "url": "/v1/responses", "body": {"model": "gpt-x"}}\n', "utf-8"
    )
    done = meet(world, fork_server, "before begin_submit", "submit", file=str(file))
    assert [each["end"] for each in done] == ["CREATED", "CREATED"]
    assert world.faults.sent(*CREATE["openai"]) == 2
    assert len(world.rows()) == len(world.batches()["openai"]) == 2


def test_a_sync_between_a_creation_and_its_answer_makes_no_double(
    world: World, fork_server: ForkServer
) -> None:
    world.next_start()
    file = world.folder / "lines.jsonl"
    file.write_text(
        '{"custom_id": "1", "method": "POST", "url": "/v1/responses", "body": {"model": "gpt-x"}}\n', "utf-8"
    )
    life = fork_server.begin(world.task("submit", file=str(file), gate="before close_submit"))
    life.wait("gate")
    world.next_start()
    life.release()
    assert life.finish()["end"] == "CREATED"
    assert len(world.rows()) == 1
    assert world.open_intents() == []


def test_a_sync_between_a_cancel_and_its_answer_changes_nothing(
    world: World, fork_server: ForkServer
) -> None:
    batch = world.add()
    world.next_start()
    life = fork_server.begin(world.task("cancel", remote_id=batch, gate="before close_cancel"))
    life.wait("gate")
    report = world.next_start()
    assert (report.reconciled, world.open_intents()) == ([], ["cancel"])
    life.release()
    assert life.finish()["result"] == "done"
    assert (world.row(batch).status, world.open_intents()) == (Status.CANCELLING, [])


def test_an_undo_and_the_removal_it_takes_back(world: World, fork_server: ForkServer) -> None:
    """Taken back in the moment in which a sync was about to carry it out: it stays."""
    batch = world.add()
    world.next_start()
    done = fork_server.begin(world.task("remove", remote_id=batch, choices={"cancel_first": True})).finish()
    assert done["result"] == "done"
    world.clock.advance(2 * MINUTE)
    life = fork_server.begin(world.task("sync", gate="before hide"))
    life.wait("gate")
    world.undo()
    life.release()
    life.finish()
    row = world.row(batch)
    assert (row.removed_at, row.removing, world.open_intents()) == (None, None, [])
    assert row.status is Status.CANCELLED


def test_a_force_failed_job_whose_cancel_was_accepted_is_not_asked_again(
    world: World, fork_server: ForkServer
) -> None:
    # C-11
    batch = world.add()
    world.next_start()
    fork_server.begin(world.task("force-fail", remote_id=batch)).finish()
    again = fork_server.begin(world.task("cancel", remote_id=batch)).finish()
    assert (again["result"], again["reason"]) == ("skipped", "already asked 0s ago")
    assert world.faults.sent(*CANCEL["openai"]) == 1
