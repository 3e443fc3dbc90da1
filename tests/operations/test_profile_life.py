"""The life of a batch at each server with OpenAI's API: submitted, cancelled, fetched, cleaned up."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from operations_kit import World, made_accounts

from jobdash.demo.emulator import PROFILES, BatchFailure, BatchPlan, Reset, Switches, Timing
from jobdash.domain.account import Account, Secret
from jobdash.domain.filter.language import parse
from jobdash.domain.plan import Action, ActionResult, DecisionKind
from jobdash.domain.status import Status
from jobdash.operations.job_lookup import Browser, Scope
from jobdash.operations.planning import plan_jobs
from jobdash.operations.results.collect import collect
from jobdash.operations.results.fetch_request import FetchRequest
from jobdash.operations.submission.outcome import SubmitEnd, SubmitOutcome
from jobdash.operations.submission.request import order
from jobdash.operations.submission.submit import submit
from jobdash.providers.openai.info import INFO
from jobdash.store.bootstrap import open_for_worker

PLAN = BatchPlan(timing=Timing(validating=5, running=100, finalizing=5, cancelling=10))


@pytest.fixture(params=PROFILES)
async def account(world: World, request: pytest.FixtureRequest) -> Account:
    """An account at a profile's emulator, the only one."""
    name = request.param
    side = world.emulator.side(name)
    side.plan = PLAN
    address = world.server.profile_base_url(name)
    found = Account(name, "openai", "PROFILE_KEY", Secret(side.key), address, profile=name)
    await world.with_accounts((found,))
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "nightly eval.jsonl"
    line = {"method": "POST", "url": "/v1/chat/completions", "body": {"model": "m", "messages": []}}
    path.write_text("".join(json.dumps({"custom_id": f"r{number}"} | line) + "\n" for number in range(4)))
    return path


async def submitted(world: World, account: Account, path: Path) -> SubmitOutcome:
    wanted = order(path, account)
    return await submit(wanted, world.accounts[account.name], world.work, sleep=world.sleep)


async def test_a_batch_is_submitted_finished_and_fetched(
    world: World, account: Account, file: Path, tmp_path: Path
) -> None:
    world.emulator.side(account.name).plan = replace(PLAN, failures=(BatchFailure(1),))
    done = await submitted(world, account, file)
    assert done.end is SubmitEnd.CREATED, done.reason
    assert done.row is not None
    remote_id = done.row.remote_id or ""
    world.pass_time(60)
    assert (await world.sync(account.name))[account.name].error is None
    row = world.row(remote_id)
    assert (row.name, row.model, row.status) == ("nightly eval", "m", Status.IN_PROGRESS)
    assert (row.done is None) == (account.name == "together")
    assert row.percent == (50 if account.name == "together" else None)

    world.pass_time(600)
    await world.sync(account.name)
    assert world.row(remote_id).status is Status.COMPLETED
    request = FetchRequest(tmp_path / "results", lambda: Browser(world.config.database, world.ms), world.work)
    fetched = await collect(world.row(remote_id), request)
    assert fetched.result is ActionResult.DONE, fetched.reason
    assert fetched.counts is not None
    assert (fetched.counts.ok, fetched.counts.error, fetched.counts.missing) == (3, 1, 0)

    outcome = await world.one(Action.REMOVE, remote_id, remote=True, record=False)
    assert outcome.result is ActionResult.DONE, outcome.reason
    deleted = [call for call in world.emulator.journal if call.method == "DELETE"]
    assert {call.status for call in deleted} == {200}
    assert len(deleted) == (1 if account.name == "openrouter" else 3)


async def test_a_cancel_is_confirmed_by_the_server_or_refused_before_it_is_sent(
    world: World, account: Account, file: Path
) -> None:
    done = await submitted(world, account, file)
    assert done.row is not None
    remote_id = done.row.remote_id or ""
    world.pass_time(30)
    await world.sync(account.name)
    outcome = await world.one(Action.CANCEL, remote_id)
    if account.name == "openrouter":
        # Planned so, though its address tells nothing.
        assert (outcome.result, outcome.refused) == (ActionResult.SKIPPED, True)
        assert outcome.reason == "OpenRouter has no call that cancels a batch"
        assert world.calls("POST", "*/cancel") == 0
        row = world.row(remote_id)
        assert (row.status, row.cancel_requested_at) == (Status.IN_PROGRESS, None)
        return
    assert outcome.result is ActionResult.DONE, outcome.reason
    assert world.row(remote_id).status is Status.CANCELLING
    world.pass_time(60)
    await world.sync(account.name)
    assert world.row(remote_id).status is Status.CANCELLED


async def test_a_creation_without_an_answer_is_found_and_never_sent_again(
    world: World, account: Account, file: Path
) -> None:
    world.fault(Reset(applied=True), "*/v1/batches", "POST")
    done = await submitted(world, account, file)
    assert done.end is SubmitEnd.CREATED, done.reason
    assert world.calls("POST", "*/v1/batches") == 1
    await world.sync(account.name)
    assert len(world.browser.by_remote((done.row and done.row.remote_id) or "")) == 1


async def test_a_late_cancel_changes_nothing(world: World, account: Account, file: Path) -> None:
    world.emulator.side(account.name).switches = Switches(cancel_refusal=500)
    done = await submitted(world, account, file)
    assert done.row is not None
    remote_id = done.row.remote_id or ""
    world.pass_time(30)
    await world.sync(account.name)
    world.pass_time(600)
    outcome = await world.one(Action.CANCEL, remote_id)
    assert outcome.result is not ActionResult.DONE
    await world.sync(account.name)
    assert world.row(remote_id).status is Status.COMPLETED


async def test_a_server_known_by_its_address_is_not_planned_to_cancel(world: World) -> None:
    remote_id = world.add()
    await world.sync()
    here = replace(world.row(remote_id), origin="https://openrouter.ai/api/v1")
    there = replace(world.row(remote_id), origin=made_accounts(world.server)[0].base_url or "")
    situation = replace(world.work.situation(), servers={})
    plan = plan_jobs(Action.CANCEL, (here, there), situation)
    assert [(each.verdict, each.reason) for each in plan.decisions] == [
        (DecisionKind.REFUSED, "OpenRouter has no call that cancels a batch"),
        (DecisionKind.ACT, ""),
    ]
    assert INFO.at(here.origin, None).capabilities.deletes_records


async def test_a_plan_and_a_filter_know_a_profile_at_any_address(
    world: World, account: Account, file: Path
) -> None:
    done = await submitted(world, account, file)
    assert done.row is not None
    assert done.row.profile == account.name
    world.pass_time(600)
    await world.sync(account.name)
    # Not in the store of an older version: the next sync writes it, and nothing has happened to the job.
    with closing(open_for_worker(world.config.database)) as store:
        store.execute("UPDATE job SET profile = NULL")
    assert (await world.sync(account.name))[account.name].changed == 0
    row = world.row(done.row.remote_id or "")
    assert row.profile == account.name
    for words, found in ((f"profile:{account.name}", 1), ("profile:vllm", 0), ("profile!=vllm", 1)):
        assert world.browser.count(Scope(conditions=parse(words))) == found, words
    title = INFO.at("", account.name).title
    assert list(plan_jobs(Action.REMOVE, (row,), world.work.situation()).services()) == [title]


async def test_a_profile_that_an_account_does_not_name_any_more_is_none(
    world: World, account: Account, file: Path
) -> None:
    done = await submitted(world, account, file)
    assert done.row is not None
    remote_id = done.row.remote_id or ""
    await world.with_accounts((replace(account, profile=None),))
    report = (await world.sync(account.name))[account.name]
    # Azure's own header is not sent any more, and nothing is learned.
    assert (report.error is not None) == (account.name == "azure")
    assert world.row(remote_id).profile == ("azure" if report.error else None)
