"""Every provider: two accounts of each at once, one cancel over all of them, results from every end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from operations_kit import ALL_KEYS, HOUR, World, made_accounts

from jobdash.demo.emulator import BatchFailure, BatchPlan, BatchScript, Ending, Timing
from jobdash.domain.account import Account, Secret
from jobdash.domain.plan import Action, ActionResult
from jobdash.domain.status import Status
from jobdash.operations.execution import execute
from jobdash.operations.job_lookup import Browser
from jobdash.operations.providers import has_results
from jobdash.operations.results.collect import collect
from jobdash.operations.results.fetch_request import FetchRequest
from jobdash.providers.registry import BUNDLED

SECOND = "-second"
ENDS = {"completes": Status.COMPLETED, "expires": Status.EXPIRED, "cancelled": Status.CANCELLED}


def add(world: World, account: Account, **script: object) -> str:
    assert account.api_key is not None
    side = getattr(world.emulator, account.provider)
    return str(side.add_batch(BatchScript(**script), key=account.api_key.reveal()))  # type: ignore[arg-type]


@pytest.fixture
async def accounts(world: World) -> dict[str, Account]:
    """Two of each provider, by name."""
    first = [account for account in made_accounts(world.server, ALL_KEYS) if account.name in BUNDLED]
    second = [
        replace(account, name=f"{account.name}{SECOND}", api_key=Secret(f"second-key-of-{account.name}"))
        for account in first
    ]
    found = (*first, *second)
    await world.with_accounts(found)
    return {account.name: account for account in found}


async def test_one_cancel_over_all_of_them_has_one_summary(
    world: World, accounts: dict[str, Account]
) -> None:
    plan = BatchPlan(timing=Timing(running=HOUR, cancelling=30))
    made = {name: add(world, account, total=10, plan=plan) for name, account in accounts.items()}
    reports = await world.sync(*accounts)
    assert {name: (report.new, report.error) for name, report in reports.items()} == dict.fromkeys(
        accounts, (1, None)
    )
    rows = [world.row(remote_id) for remote_id in made.values()]
    assert {row.account: row.remote_id for row in rows} == made

    summary = await execute(world.plan(Action.CANCEL, rows), world.work, lambda _outcome: None)

    assert summary.count(ActionResult.DONE) == len(accounts) == 8
    assert {world.row(remote_id).status for remote_id in made.values()} == {Status.CANCELLING}
    world.pass_time(60)
    await world.sync(*accounts)
    assert {world.row(remote_id).status for remote_id in made.values()} == {Status.CANCELLED}


@pytest.mark.parametrize("provider", ["anthropic", "mistral"])
@pytest.mark.parametrize("end", ENDS)
async def test_results_come_from_every_end_and_the_rest_is_missing(
    world: World, accounts: dict[str, Account], tmp_path: Path, provider: str, end: str
) -> None:
    timing = Timing(validating=0, running=100, finalizing=0, cancelling=10, expires_after=200)
    ending = Ending.EXPIRES if end == "expires" else Ending.COMPLETES
    reached = 6 if end == "expires" else None
    plan = BatchPlan(timing=timing, ending=ending, reached=reached, failures=(BatchFailure(1),))
    remote_id = add(world, accounts[provider], total=10, plan=plan)
    if end == "cancelled":
        world.pass_time(60)
        await world.sync(provider)
        assert (await world.one(Action.CANCEL, remote_id)).result is ActionResult.DONE
    world.pass_time(300)
    await world.sync(provider)
    row = world.row(remote_id)
    assert (row.status, row.total) == (ENDS[end], 10)

    request = FetchRequest(tmp_path / "results", lambda: Browser(world.config.database, world.ms), world.work)
    fetched = await collect(row, request)

    assert fetched.result is ActionResult.DONE, fetched.reason
    assert fetched.counts is not None
    whole = 9 if end == "completes" else 6
    assert fetched.counts.ok == whole
    assert fetched.counts.error + fetched.counts.missing == 10 - whole
    assert fetched.file is not None
    lines = [json.loads(line) for line in fetched.file.read_text().splitlines()]
    assert sum(line["error"] is None for line in lines) == whole


@pytest.mark.parametrize("provider", ["anthropic", "mistral"])
async def test_a_clean_up_deletes_the_batch_at_its_provider(
    world: World, accounts: dict[str, Account], provider: str
) -> None:
    remote_id = add(world, accounts[provider], total=3, created_at=world.clock.now() - HOUR)
    await world.sync(provider)

    outcome = await world.one(Action.REMOVE, remote_id, remote=True, record=False)

    assert outcome.result is ActionResult.DONE
    job = world.browser.job(world.row(remote_id).id)
    assert job is not None
    assert (job.files, has_results(job)) == ({}, False)
    assert "output" in job.deleted
    assert f"batch {remote_id}" in outcome.reason
    assert getattr(world.emulator, provider).account(ALL_KEYS[provider]).batches.get(remote_id) is None
    files = sum(entry.method == "DELETE" and "/files/" in entry.path for entry in world.emulator.journal)
    assert files == (2 if provider == "mistral" else 0)
