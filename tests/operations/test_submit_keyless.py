"""Submit where a batch carries nothing of ours: found by its time and number of requests, never guessed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from operations_kit import ALL_KEYS, HOUR, World, anthropic_requests, made_accounts

from jobdash.demo.emulator import BatchPlan, ErrorAnswer, Reset, Switches, Timing
from jobdash.domain.plan import Action, ActionResult
from jobdash.domain.status import Status
from jobdash.operations.submission.outcome import SubmitEnd, SubmitOutcome
from jobdash.operations.submission.request import order
from jobdash.operations.submission.submit import submit
from jobdash.store.owner import current_owner
from jobdash.store.records import Actor, NewJob
from jobdash.store.writer import Writer

BATCHES = "/v1/messages/batches"
NOTHING = json.dumps({"data": [], "has_more": False})


@pytest.fixture(autouse=True)
async def _accounts(world: World) -> None:
    await world.with_accounts(made_accounts(world.server, ALL_KEYS))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return anthropic_requests(tmp_path / "nightly eval.jsonl")


async def submitted(world: World, path: Path, **wishes: object) -> SubmitOutcome:
    found = world.config.account("anthropic")
    assert found is not None
    wanted = order(path, found, **wishes)  # type: ignore[arg-type]
    return await submit(wanted, world.accounts["anthropic"], world.work, sleep=world.sleep)


async def test_what_the_provider_does_not_keep_is_kept_here(world: World, file: Path) -> None:
    done = await submitted(world, file, tags={"team": "search"})

    assert (done.end, done.row and done.row.remote_id is not None) == (SubmitEnd.CREATED, True)
    assert (await world.sync("anthropic"))["anthropic"].new == 0
    assert done.row is not None
    job = world.browser.job(done.row.id)
    assert job is not None
    assert (job.row.name, job.row.model, job.row.total) == ("nightly eval", "claude-x", 3)
    assert (job.tags["team"], job.row.done, job.row.progress) == ("search", None, None)
    assert world.calls("POST", "/v1/files") == 0


async def test_a_lost_answer_is_made_good_by_the_one_batch_it_can_be(world: World, file: Path) -> None:
    world.add("anthropic", total=3, age=HOUR)
    world.add("anthropic", total=4, age=0)
    world.fault(Reset(applied=True), BATCHES, "POST")
    world.fault(ErrorAnswer(200, NOTHING), BATCHES, "GET", times=1)  # the list lags behind

    done = await submitted(world, file)

    assert done.end is SubmitEnd.CREATED
    assert done.row is not None
    assert (done.row.name, done.row.status) == ("nightly eval", Status.IN_PROGRESS)
    assert world.calls("POST", BATCHES) == 1
    assert world.open_intents() == []
    assert (await world.sync("anthropic"))["anthropic"].seen == 3
    assert len(world.browser.by_remote(done.row.remote_id or "")) == 1


async def test_a_creation_that_never_arrived_is_unconfirmed_in_the_end(world: World, file: Path) -> None:
    world.fault(Reset(applied=False), BATCHES, "POST")

    done = await submitted(world, file)

    assert done.end is SubmitEnd.UNCONFIRMED
    assert "by its time and number of requests" in done.reason
    world.pass_time(12 * 60)
    (reconciled,) = (await world.sync("anthropic"))["anthropic"].reconciled
    assert "may or may not exist" in reconciled.notice
    assert reconciled.row is not None
    assert (reconciled.row.status, reconciled.row.raw_status) == (Status.UNKNOWN, "unconfirmed")
    assert world.calls("POST", BATCHES) == 1


async def test_of_two_batches_alike_none_is_taken(world: World, file: Path) -> None:
    other = world.add("anthropic", total=3, age=0)
    world.fault(Reset(applied=True), BATCHES, "POST")

    done = await submitted(world, file)

    assert done.end is SubmitEnd.UNCONFIRMED
    assert "which batch is its own is not known: 2 batches of as many requests" in done.reason
    assert other in done.reason
    world.pass_time(12 * 60)
    (reconciled,) = (await world.sync("anthropic"))["anthropic"].reconciled
    assert reconciled.notice == done.reason
    assert reconciled.row is not None
    assert reconciled.row.remote_id is None


async def test_a_batch_that_two_submits_may_have_made_is_neithers(world: World, file: Path) -> None:
    world.fault(Reset(applied=False), BATCHES, "POST", times=1)
    world.fault(Reset(applied=True), BATCHES, "POST", times=1)
    assert (await submitted(world, file)).end is SubmitEnd.UNCONFIRMED

    done = await submitted(world, file)

    assert done.end is SubmitEnd.UNCONFIRMED
    assert "and 1 other submit got no answer" in done.reason


async def test_a_batch_that_was_known_before_is_another_submits(world: World, file: Path) -> None:
    assert (await submitted(world, file)).end is SubmitEnd.CREATED
    world.add("anthropic", total=3, age=0)
    await world.sync("anthropic")
    world.fault(Reset(applied=True), BATCHES, "POST")

    done = await submitted(world, file)

    assert done.end is SubmitEnd.CREATED
    assert (await world.sync("anthropic"))["anthropic"].seen == 3


def killed_after_its_request(world: World) -> tuple[int, str]:
    """Leave a submit as a process killed before the answer does; return the row id and the batch it made."""
    owner = replace(current_owner(), pid=2**22 + 7)  # larger than any pid the kernel gives
    dead = Writer(world.config.database, world.ms, Actor("ann", "desk", "cli", owner))
    origin = world.server.anthropic_base_url
    new = NewJob("anthropic", "anthropic", origin, "mine", "k1", "claude-x", None, 3, digest="", tags={})
    begun = dead.begin_submit(new, deadline=world.ms() + 45 * 60_000)
    dead.close()
    assert isinstance(begun, tuple)
    world.pass_time(30)
    return begun[0].id, world.add("anthropic", total=3, age=0)


@pytest.mark.parametrize("alike", [0, 1])
async def test_the_batch_of_a_dead_process_is_found_likewise(world: World, alike: int) -> None:
    job_id, batch = killed_after_its_request(world)
    world.add_many(alike, "anthropic", total=3, age=0)
    world.pass_time(HOUR / 4)

    reconciled = (await world.sync("anthropic"))["anthropic"].reconciled

    row = world.browser.job(job_id)
    assert row is not None
    if alike:
        assert (reconciled, row.row.remote_id) == ([], None)  # the list may not have all of them yet
        world.pass_time(HOUR / 4)
        (late,) = (await world.sync("anthropic"))["anthropic"].reconciled
        assert "2 batches of as many requests" in late.notice
    else:
        assert [each.notice for each in reconciled] == [
            "submit got no answer; the batch was found by its time and its number of requests"
        ]
        assert (row.row.remote_id, row.row.name) == (batch, "mine")


async def test_a_404_of_a_young_batch_means_nothing(world: World, file: Path) -> None:
    world.emulator.anthropic.switches = Switches(not_found_for=60)
    world.emulator.anthropic.plan = BatchPlan(timing=Timing(running=HOUR))
    done = await submitted(world, file)
    assert done.row is not None
    assert done.row.remote_id is not None

    outcome = await world.one(Action.CANCEL, done.row.remote_id)

    assert (outcome.result, "404" in outcome.reason) == (ActionResult.FAILED, True)
    assert not world.row(done.row.remote_id).gone
    world.pass_time(70)
    await world.sync("anthropic")
    outcome = await world.one(Action.CANCEL, done.row.remote_id)
    assert outcome.result is ActionResult.DONE
    assert world.row(done.row.remote_id).status is Status.CANCELLING


@pytest.fixture
def interrupted(world: World) -> tuple[int, str]:
    """The row id of a submit whose process is dead, and the batch it had made, an hour ago."""
    found = killed_after_its_request(world)
    world.pass_time(HOUR)
    return found


@pytest.mark.parametrize("asked", ["the batch", "the list"])
async def test_a_batch_that_cannot_be_asked_for_now_is_found_later(
    world: World, interrupted: tuple[int, str], asked: str
) -> None:
    job_id, batch = interrupted
    path = BATCHES if asked == "the list" else f"{BATCHES}/{batch}"
    world.fault(ErrorAnswer(500), path, "GET")

    assert (await world.sync("anthropic"))["anthropic"].reconciled == []
    world.emulator.faults.clear()
    world.pass_time(HOUR)
    await world.sync("anthropic")

    row = world.browser.rows([job_id])[job_id]
    assert (row.remote_id, row.name) == (batch, "mine")
    assert world.open_intents() == []
