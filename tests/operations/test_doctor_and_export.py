"""Refreshing errors, the doctor, the accounts of a command, and stores full of samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from operations_kit import KEYS, World, made_accounts
from shared.answering import answering, batch, page

from jobdash.demo.emulator import BatchFailure, Ending, ErrorAnswer, LineError, Phase, Switches
from jobdash.demo.generated_jobs import sample_rows
from jobdash.domain.failures import failure_groups, truncated, worth_asking
from jobdash.domain.plan import ActionResult
from jobdash.errors import AuthRejected, ConfigError, StoreError
from jobdash.operations.accounts.clients import AccountClients, duplicate_accounts
from jobdash.operations.accounts.session import ListPage
from jobdash.operations.actions.refresh_errors import Refreshed, refresh_errors
from jobdash.operations.doctor import account_facts, store_facts
from jobdash.operations.job_lookup import Browser, Scope, Sort
from jobdash.store.sample_loader import build_sample_store

FAILURES = (
    BatchFailure(9, "rate_limit_exceeded", "Slow down."),
    BatchFailure(3, "invalid_image", "No image."),
)


async def refreshed(world: World, *remote_ids: str) -> list[Refreshed]:
    return await refresh_errors([world.row(word) for word in remote_ids], world.work, lambda _done: None)


async def test_the_errors_of_a_failed_job_are_asked_for_again(world: World) -> None:
    #
    errors = (LineError("invalid_json_line", "This line is not JSON.", line=17),)
    batch = world.add(age=600.0, ending=Ending.FAILS, line_errors=errors)
    await world.sync()

    (done,) = await refreshed(world, batch)

    assert (done.result, done.reason) == (ActionResult.DONE, "This line is not JSON.")
    job = world.browser.job(done.row.id)
    assert job is not None
    assert job.errors[0]["line"] == 17


async def test_what_failed_requests_of_a_completed_job_say_is_read_from_its_results(world: World) -> None:
    #
    batch = world.add_finished(total=100, failures=FAILURES)
    await world.sync()

    (done,) = await refreshed(world, batch)

    assert (done.result, done.reason) == (ActionResult.DONE, "12 errors")
    assert world.browser.errors_summary(done.row.id) == [("rate_limit_exceeded", 9), ("invalid_image", 3)]


async def test_the_keys_of_failed_requests_are_kept_by_code_and_message(world: World) -> None:
    batch = world.add_finished(total=100, failures=FAILURES)
    await world.sync()

    (done,) = await refreshed(world, batch)
    again = await refreshed(world, batch)

    assert again[0].reason == done.reason
    failed = world.browser.failed_requests(done.row.id)
    assert failed.kept == 12
    assert len(failed.keys["rate_limit_exceeded", "Slow down."]) == 9
    job = world.browser.job(done.row.id)
    assert job is not None
    assert [group.count for group in failure_groups(job, failed)] == [9, 3]
    assert not truncated(job, failed)
    assert not worth_asking(job)
    event = world.browser.events(done.row.id, 1)[0]
    assert (event.action, event.result) == ("refresh-errors", "done")
    assert event.detail == "12 failed: 9 × rate_limit_exceeded, 3 × invalid_image"
    # A later sync, which tells nothing of single requests, takes nothing away.
    await world.sync()
    assert world.browser.errors_summary(done.row.id) == [("rate_limit_exceeded", 9), ("invalid_image", 3)]


@pytest.mark.parametrize("account", ["openai", "gemini"])
async def test_failed_requests_of_either_provider(world: World, account: str) -> None:
    batch = world.add_finished(account, total=10, failures=(BatchFailure(10, "boom", "All failed."),))
    await world.sync()

    (done,) = await refreshed(world, batch)

    assert done.result is ActionResult.DONE
    assert world.browser.failed_requests(done.row.id).kept == 10


async def test_a_refresh_that_failed_is_logged_as_well(world: World) -> None:
    batch = world.add(ending=Ending.FAILS)
    await world.sync()
    world.forget(batch)

    (done,) = await refreshed(world, batch)

    event = world.browser.events(done.row.id, 1)[0]
    assert (event.action, event.result, event.detail) == ("refresh-errors", "failed", done.reason)


async def test_refreshing_skips_what_has_no_errors_and_one_failure_stops_no_other(world: World) -> None:
    #
    running, lost, failed = world.add(), world.add(ending=Ending.FAILS), world.add(ending=Ending.FAILS)
    await world.sync()
    world.forget(lost)

    results = [done.result for done in await refreshed(world, running, lost, failed)]

    assert results == [ActionResult.SKIPPED, ActionResult.FAILED, ActionResult.DONE]


async def test_the_doctor_sees_each_account_and_never_a_key(world: World) -> None:
    keys: dict[str, str | None] = {"openai": KEYS["openai"], "work": KEYS["openai"], "gemini": None}
    await world.with_accounts(made_accounts(world.server, keys))

    facts = {each.name: each for each in await account_facts(world.config, world.accounts)}

    assert facts["openai"].error is None
    assert (facts["work"].duplicate_of, facts["gemini"].key_present) == ("openai", False)
    assert facts["gemini"].error == "no key: set GEMINI_KEY"
    assert facts["gemini"].rejected
    assert KEYS["openai"] not in repr(facts)


async def test_the_doctor_tells_a_server_error_from_a_bad_key(world: World) -> None:
    world.fault(ErrorAnswer(503, "down for maintenance"), key=KEYS["openai"])

    facts = {each.name: each for each in await account_facts(world.config, world.accounts)}

    assert "down for maintenance" in str(facts["openai"].error)
    assert not facts["openai"].rejected


async def test_the_doctor_names_unknown_words(world: World) -> None:
    world.add(age=1.0, validating=600.0, switches=Switches(words={Phase.VALIDATING: "marinating"}))
    await world.sync()

    facts = store_facts(world.config, world.browser, None)

    assert facts.unknown_words == ("marinating",)
    assert (facts.jobs, facts.unfinished) == (1, 1)
    assert facts.size > 0


async def test_an_account_opens_when_it_is_asked_and_one_that_cannot_says_so_each_time(world: World) -> None:
    accounts = made_accounts(world.server, {"openai": "sk-x", "work": None})
    opened: list[str] = []

    async with AccountClients(
        accounts,
        open_session=lambda account, wait: (opened.append(account.name), world.session(account, wait))[1],
    ) as found:
        assert opened == []
        await found["openai"].call(ListPage())
        await found["openai"].call(ListPage())
        for _ in range(2):
            with pytest.raises(AuthRejected, match="WORK_KEY"):
                await found["work"].call(ListPage())

    assert opened == ["openai", "work"]
    assert list(found) == ["openai", "work"]


async def test_a_key_that_cannot_be_one_is_a_matter_of_configuration(world: World) -> None:
    await world.with_accounts(made_accounts(world.server, {"openai": "sk-with space"}))

    with pytest.raises(ConfigError, match="OPENAI_KEY"):
        await world.accounts["openai"].call(ListPage())


def test_duplicate_accounts_are_found_by_server_and_key(world: World) -> None:
    keys: dict[str, str | None] = {
        "openai": "sk-a",
        "work": "sk-a",
        "gemini": "sk-a",
        "other": None,
        "more": None,
    }
    assert duplicate_accounts(made_accounts(world.server, keys)) == {"work": "openai"}


def test_samples_fill_a_new_store_and_never_an_old_one(tmp_path: Path) -> None:
    path = tmp_path / "many.db"

    assert build_sample_store(path, sample_rows(600, 1_800_000_000_000)) == 600

    browser = Browser(path)
    rows = browser.page(Scope(removed=True), Sort(), None, 1_000)
    assert len(rows) == 600
    assert {row.account for row in rows} == {"sample-openai", "sample-gemini", "sample-work"}
    assert len({row.status for row in rows}) == 10
    assert rows == sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True)
    browser.close()
    with pytest.raises(StoreError, match="exists already"):
        build_sample_store(path, sample_rows(1, 1_800_000_000_000))


# ── servers with OpenAI's API ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "profile", "words"),
    [
        (page(batch(1)), None, []),
        (page(), "groq", []),
        ({"data": [batch(1)]}, None, ["this server answers lists without paging"]),
        (page(*map(batch, range(8))), None, ["this server answers 8 batches where 5 are asked for"]),
        (
            page(batch(1, "PONDERING"), batch(2, "completed", request_counts=None)),
            None,
            [
                "this server has status words that are not known, and taken for unfinished: PONDERING",
                "this server does not count the requests of a batch",
            ],
        ),
        (page(batch(1, created_at="soon")), None, ["this server does not say when a batch was created"]),
        (page(batch(1)), "openrouter", ["this server has no call that cancels a batch"]),
    ],
)
async def test_the_doctor_names_what_a_server_does_in_another_way(
    world: World, answer: dict[str, object], profile: str | None, words: list[str]
) -> None:
    with answering(lambda _asked: answer) as server:
        here = replace(world.config.accounts[0], base_url=f"{server.url}/v1", profile=profile)
        await world.with_accounts((here,))
        (facts,) = await account_facts(world.config, world.accounts)
        await world.accounts.__aexit__()
    assert facts.error is None
    assert facts.profile == (profile or "")
    assert list(facts.deviations) == words


async def test_the_doctor_says_nothing_of_the_providers_themselves(world: World) -> None:
    for name in ("openai", "gemini"):
        world.add(name)
    assert [facts.deviations for facts in await account_facts(world.config, world.accounts)] == [()] * len(
        world.config.accounts
    )
