"""A submit without an answer whose batch cannot be told from others: a person says which it is."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from operations_kit import ALL_KEYS, World, anthropic_requests, made_accounts

from jobdash.demo.emulator import ErrorAnswer, Reset
from jobdash.domain.attention import AttentionReason
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, DecisionKind
from jobdash.domain.status import Status
from jobdash.operations.actions.adopt import adopt, disown
from jobdash.operations.attention import jobs_needing_attention
from jobdash.operations.doctor import store_facts
from jobdash.operations.planning import plan_jobs
from jobdash.operations.submission.request import order
from jobdash.operations.submission.submit import submit

BATCHES = "/v1/messages/batches"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return anthropic_requests(tmp_path / "nightly eval.jsonl")


async def send(world: World, path: Path) -> JobRow:
    account = world.config.account("anthropic")
    assert account is not None
    done = await submit(order(path, account), world.accounts["anthropic"], world.work, sleep=world.sleep)
    assert done.row is not None
    return done.row


@pytest.fixture
async def doubtful(world: World, file: Path) -> JobRow:
    """A job that may be one of two batches."""
    await world.with_accounts(made_accounts(world.server, ALL_KEYS))
    world.add("anthropic", total=3, age=0)
    world.fault(Reset(applied=True), BATCHES, "POST")
    row = await send(world, file)
    world.emulator.faults.clear()
    world.pass_time(12 * 60)
    await world.sync("anthropic")
    row = world.browser.rows([row.id])[row.id]
    assert row.unconfirmed
    return row


def candidates(world: World, row: JobRow) -> tuple[str, ...]:
    job = world.browser.job(row.id)
    assert job is not None
    return job.candidates


async def test_it_needs_attention_and_names_the_batches_it_may_be(world: World, doubtful: JobRow) -> None:
    world.add("anthropic", total=4, age=0)
    await world.sync("anthropic")

    found = candidates(world, doubtful)

    assert len(found) == 2
    (attention,) = [each for each in jobs_needing_attention(world.browser) if each.row.id == doubtful.id]
    assert attention.reasons == (AttentionReason.UNCONFIRMED,)
    assert f"jobdash adopt {doubtful.public_id}" in attention.words
    for action in (Action.CANCEL, Action.RETRY):
        (decision,) = world.plan(action, [doubtful]).decisions
        assert decision.verdict is DecisionKind.REFUSED
        assert f"jobdash adopt {doubtful.public_id}" in decision.reason


async def test_the_word_for_it_is_none_of_its_provider(world: World, doubtful: JobRow) -> None:
    assert doubtful.status is Status.UNKNOWN
    assert store_facts(world.config, world.browser, None).unknown_words == ()


async def test_the_batch_that_a_person_names_is_its_own(world: World, doubtful: JobRow) -> None:
    mine, other = candidates(world, doubtful)

    done = await adopt(doubtful, mine, world.work)

    assert (done.refusal, done.row.remote_id, done.row.name) == ("", mine, "nightly eval")
    assert done.row.status is Status.COMPLETED
    (row,) = world.browser.by_remote(mine)
    assert row.id == doubtful.id
    assert len(world.browser.by_remote(other)) == 1
    assert candidates(world, doubtful) == ()
    assert next(event.action for event in world.browser.events(doubtful.id)) == "adopt"
    await world.sync("anthropic")
    assert len(world.browser.by_remote(mine)) == 1
    assert world.calls("POST", BATCHES) == 1  # nothing is sent for it
    again = await adopt(doubtful, other, world.work)
    assert again.refusal == f"nothing is to be said of its submit: it is {mine}"


async def test_a_batch_that_cannot_be_its_own_is_refused(
    world: World, doubtful: JobRow, file: Path, tmp_path: Path
) -> None:
    larger = world.add("anthropic", total=4, age=0)
    assert "has 4 requests, and 3 were sent" in (await adopt(doubtful, larger, world.work)).refusal
    assert "knows no batch msgbatch_x" in (await adopt(doubtful, "msgbatch_x", world.work)).refusal
    elsewhere = tmp_path / "later.jsonl"
    await asyncio.to_thread(shutil.copy, file, elsewhere)
    world.pass_time(3600)
    sent = await send(world, elsewhere)
    assert sent.remote_id is not None
    refusal = (await adopt(doubtful, sent.remote_id, world.work)).refusal
    assert f"is the batch of another submit, {sent.public_id}" in refusal
    world.fault(ErrorAnswer(500), f"{BATCHES}/*", "GET")
    assert "could not be asked for" in (await adopt(doubtful, larger, world.work)).refusal
    assert world.browser.rows([doubtful.id])[doubtful.id].unconfirmed


async def test_none_of_them_lets_it_be_sent_again(world: World, doubtful: JobRow) -> None:
    done = await disown(doubtful, world.work)

    assert (done.refusal, done.row.status, done.row.raw_status) == ("", Status.FAILED, "not submitted")
    assert world.calls("POST", BATCHES) == 1
    assert plan_jobs(Action.RETRY, [done.row], world.work.situation(), browser=world.browser).acting
    assert (await disown(doubtful, world.work)).refusal.startswith("nothing is to be said of its submit")
