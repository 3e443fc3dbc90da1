"""Sync: discovery, where it stops, what it asks singly, and what an account's failure does not do."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import replace
from typing import Any

import pytest
from operations_kit import HOUR, KEYS, World, made_accounts
from shared.other_program import other_program, refuse

from jobdash.demo.emulator import Ending, ErrorAnswer, ListBehaviour, Phase, Reset, Switches
from jobdash.domain.account import Account, Secret
from jobdash.domain.plan import Action
from jobdash.domain.status import Status
from jobdash.domain.time import HOUR as HOUR_MS
from jobdash.errors import StoreError
from jobdash.operations.accounts.clients import duplicate_accounts
from jobdash.operations.accounts.session import AccountSession
from jobdash.operations.polling.sync import CLAIM_MS, Sync
from jobdash.operations.polling.sync_accounts import rejected
from jobdash.store.records import ActionRequest
from jobdash.store.writer import Writer


async def test_every_account_is_asked_and_what_is_new_is_written(world: World) -> None:
    world.add_many(3)
    world.add_many(2, "gemini")
    world.add("work", name="crm")

    reports = await world.sync(*KEYS)

    assert {name: report.new for name, report in reports.items()} == {"openai": 3, "gemini": 2, "work": 1}
    assert world.browser.counts().total == 6
    assert all(health.first_sync_done and health.ok_at == world.ms() for health in world.browser.accounts())


async def test_a_quiet_account_costs_one_or_two_list_calls(world: World) -> None:
    for number in range(450):
        world.add_finished(age=2 * HOUR + number)
    await world.sync()
    world.emulator.journal.clear()

    report = (await world.sync())["openai"]

    assert (report.new, report.changed) == (0, 0)
    assert world.calls("GET", "/v1/batches") <= 2
    assert world.calls() <= 2


async def test_a_change_deep_in_the_list_is_asked_singly(world: World) -> None:
    old = world.add(age=20 * HOUR, running=math.inf)
    for number in range(300):
        world.add_finished(age=2 * HOUR + number)
    await world.sync()
    world.pass_time(3 * HOUR)
    world.emulator.openai.cancel(old)
    world.pass_time(60)

    report = (await world.sync())["openai"]

    assert [row.remote_id for row in report.finished] == [old]
    assert world.row(old).status is Status.CANCELLED
    assert world.calls("GET", f"/v1/batches/{old}") == 1


async def test_a_first_sync_reads_a_month_and_full_reads_all(world: World) -> None:
    for day in range(60):
        for _ in range(10):
            world.add_finished(age=(day + 1) * 24 * HOUR)

    first = (await world.sync())["openai"]

    assert 300 <= first.seen <= 500
    assert (await world.sync(full=True))["openai"].seen == 600


async def test_a_list_without_order_is_read_whole_every_hour_only(world: World) -> None:
    for number in range(120):
        world.add_finished("gemini", age=2 * HOUR + number)
    await world.sync()
    world.emulator.journal.clear()

    await world.sync()
    assert world.calls("GET", "*/batches") == 1
    world.pass_time(HOUR)
    world.emulator.journal.clear()
    await world.sync()
    assert world.calls("GET", "*/batches") == 3


async def test_a_list_that_repeats_itself_ends_with_an_error_after_what_was_readable(world: World) -> None:
    world.emulator.openai.listing = ListBehaviour(repeat_page=True)
    world.add_many(5)

    report = (await world.sync())["openai"]

    assert report.new == 5
    assert "repeats itself" in str(report.error)
    assert world.calls("GET", "/v1/batches") <= 3


async def test_a_server_that_promises_no_more_and_knows_no_cursor_has_a_list_that_ends(world: World) -> None:
    batches = [{"id": f"batch_{number}", "status": "in_progress", "created_at": 1} for number in range(2)]
    world.fault(ErrorAnswer(200, json.dumps({"object": "list", "data": batches})), "/v1/batches")

    reports = [(await world.sync("openai"))["openai"] for _ in range(2)]

    assert [(report.error, report.seen, report.new) for report in reports] == [(None, 2, 2), (None, 2, 0)]


async def test_an_empty_list_may_be_null(world: World) -> None:
    world.fault(ErrorAnswer(200, '{"object": "list", "data": null, "has_more": false}'), "/v1/batches")

    assert (await world.sync("openai"))["openai"].error is None


async def test_one_failing_account_hides_no_other(world: World) -> None:
    world.add_many(2)
    world.add_many(2, "gemini")
    world.fault(ErrorAnswer(500), "/v1/batches")

    reports = await world.sync()

    assert reports["gemini"].new == 2
    assert reports["openai"].error is not None
    health = {each.name: each for each in world.browser.accounts()}
    assert health["openai"].error is not None
    assert health["gemini"].error is None


async def test_a_missing_key_is_the_accounts_error_and_nobodys_crash(world: World) -> None:
    world.add()
    await world.with_accounts(made_accounts(world.server, {"openai": "sk-emulated-openai", "work": None}))

    reports = await world.sync("openai", "work")

    assert reports["openai"].error is None
    assert rejected(reports["work"])
    health = {each.name: each for each in world.browser.accounts()}
    assert health["work"].error == "no key: set WORK_KEY"


async def test_two_names_for_one_key_are_asked_once(world: World) -> None:
    world.add()
    await with_two_names(world)

    reports = await world.syncs.run()

    assert [report.account for report in reports] == ["openai"]


async def with_two_names(world: World) -> None:
    keys: dict[str, str | None] = {"openai": KEYS["openai"], "again": KEYS["openai"]}
    await world.with_accounts(made_accounts(world.server, keys))


async def test_what_waits_under_the_other_name_of_a_key_is_looked_after(world: World) -> None:
    await with_two_names(world)
    unlisted, removed, interrupted = world.add(age=20 * HOUR, running=math.inf), world.add(), world.add()
    await world.syncs.run(["again"])
    assert {world.row(batch).account for batch in (unlisted, removed, interrupted)} == {"again"}
    await world.one(Action.REMOVE, removed, cancel_first=True)
    row = world.row(interrupted)
    await world.store.write(
        lambda writer: writer.begin_cancel(ActionRequest(row.id, row.fence), deadline=world.ms())
    )
    for number in range(300):
        world.add_finished(age=2 * HOUR + number)
    await world.syncs.run()
    world.pass_time(20 * 60)
    world.emulator.openai.cancel(unlisted)
    world.pass_time(60)

    (report,) = await world.syncs.run()

    assert report.account == "openai"
    assert world.row(removed).removed_at is not None
    assert world.row(unlisted).status is Status.CANCELLED
    assert [done.row.id for done in report.reconciled if done.row] == [row.id]
    assert world.open_intents() == []
    assert world.row(unlisted).account == "again", "a name that is there keeps its jobs"


async def test_a_key_whose_client_cannot_be_made_is_told_under_both_names(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_two_names(world)
    monkeypatch.setenv("ALL_PROXY", "ftp://h")

    await world.syncs.run()

    told = {
        health.name: "its client cannot be made" in str(health.error) for health in world.browser.accounts()
    }
    assert told == {"openai": True, "again": True}


@pytest.mark.parametrize(
    ("url", "key"),
    [(None, "sk-1"), ("https://api.openai.com/v1/", "sk-1"), ("HTTPS://API.OpenAI.com:443/v1", " sk-1\n")],
)
def test_a_key_is_the_same_however_its_server_is_written(url: str | None, key: str) -> None:
    first = Account("openai", "openai", "A", Secret("sk-1"), "https://api.openai.com/v1")
    other = Account("work", "openai", "B", Secret(key), url)

    assert duplicate_accounts([first, other]) == {"work": "openai"}
    assert duplicate_accounts([first, replace(other, base_url="https://elsewhere/v1")]) == {}


async def test_retry_after_moves_the_next_poll(world: World) -> None:
    world.add()
    world.fault(ErrorAnswer(429, retry_after=120), "/v1/batches")

    report = (await world.sync())["openai"]

    (health,) = [each for each in world.browser.accounts() if each.name == "openai"]
    assert report.error is not None
    assert health.asked_at is not None
    assert health.next_poll_at == health.retry_after_until
    assert health.next_poll_at - health.asked_at >= 120_000
    assert health.error == "too many requests (429)"


async def test_a_job_is_gone_after_two_404s_five_minutes_apart(world: World) -> None:
    lost, kept = world.add(running=math.inf), world.add(running=math.inf)
    await world.sync()
    world.forget(lost)
    world.pass_time(60)
    await world.sync(full=True)
    assert world.row(lost).gone_at is None
    world.pass_time(4 * 60)
    assert (await world.sync(full=True))["openai"].gone == []
    world.pass_time(60)

    report = (await world.sync(full=True))["openai"]

    assert [row.remote_id for row in report.gone] == [lost]
    assert world.row(lost).gone
    assert not world.row(kept).gone


async def test_a_key_that_sees_none_of_the_known_jobs_marks_nothing_gone(world: World) -> None:
    batches = world.add_many(3, running=math.inf)
    await world.sync()
    await world.with_accounts(made_accounts(world.server, {"openai": "sk-of-somebody-else"}))
    for _ in range(3):
        world.pass_time(10 * 60)
        report = (await world.sync(full=True))["openai"]

    assert "sees none of the known jobs" in str(report.error)
    assert not rejected(report), "the key is good, and waiting is not in vain"
    assert not any(world.row(batch).gone for batch in batches)


async def test_a_renamed_account_adopts_its_jobs(world: World) -> None:
    batch = world.add("work")
    await world.sync()
    await world.with_accounts(made_accounts(world.server, {"office": KEYS["work"]}))

    report = (await world.sync("office"))["office"]

    assert report.new == 0
    assert world.row(batch).account == "office"


async def test_an_unknown_word_is_kept_and_taken_for_unfinished(world: World) -> None:
    batch = world.add(age=1.0, validating=600.0, switches=Switches(words={Phase.VALIDATING: "marinating"}))

    await world.sync()

    row = world.row(batch)
    assert (row.status, row.raw_status, row.unfinished) == (Status.UNKNOWN, "marinating", True)


@pytest.mark.parametrize("said", [{"status": None}, {}])
async def test_a_batch_without_a_status_hides_no_other(world: World, said: dict[str, None]) -> None:
    sound = {"id": "batch_1", "status": "completed", "created_at": 1}
    page = {"object": "list", "data": [sound, {"id": "batch_2", **said}], "has_more": False}
    world.fault(ErrorAnswer(200, json.dumps(page)), "/v1/batches")

    report = (await world.sync("openai"))["openai"]

    assert (report.error, report.new) == (None, 2)
    row = world.row("batch_2")
    assert (row.status, row.raw_status, row.unfinished) == (Status.UNKNOWN, "", True)


async def test_a_gemini_batch_without_a_state_is_recorded(world: World) -> None:
    page = {"operations": [{"name": "batches/a1", "metadata": {}}]}
    world.fault(ErrorAnswer(200, json.dumps(page)), "*/batches")

    assert (await world.sync("gemini"))["gemini"].error is None
    assert world.row("batches/a1").status is Status.UNKNOWN


async def test_a_known_job_may_lose_its_status(world: World) -> None:
    batch = world.add()
    await world.sync()
    page = {"data": [{"id": batch}], "has_more": False}
    world.fault(ErrorAnswer(200, json.dumps(page)), "/v1/batches")

    await world.sync()

    assert (world.row(batch).status, world.row(batch).raw_status) == (Status.UNKNOWN, "")


async def test_counts_nobody_told_are_unknown_and_not_zero(world: World) -> None:
    batch = world.add(switches=Switches(null_counts=True))

    await world.sync()

    assert (world.row(batch).total, world.row(batch).failed) == (None, None)


async def test_a_batch_without_a_name_is_called_by_its_id(world: World) -> None:
    named, nameless = world.add(name="nightly"), world.add()

    await world.sync()

    assert [world.row(named).name, world.row(nameless).name] == ["nightly", nameless]


async def test_errors_of_a_failed_validation_come_with_the_list(world: World) -> None:
    batch = world.add(age=600.0, ending=Ending.FAILS)

    await world.sync()

    assert world.row(batch).status is Status.FAILED


async def test_what_ends_is_told_once(world: World) -> None:
    batch = world.add(running=60.0)
    await world.sync()
    world.pass_time(600)

    finished = [[row.remote_id for row in (await world.sync())["openai"].finished] for _ in range(2)]

    assert finished == [[batch], []]
    assert [event.action for event in world.events(batch)] == ["finished"]


async def test_an_account_that_is_not_due_is_left_alone(world: World) -> None:
    world.add()
    await world.sync()
    account = world.config.accounts[0]

    assert await world.syncs.if_due(account) is None
    world.pass_time(60)
    assert await world.syncs.if_due(account) is not None


async def test_a_removed_job_with_an_open_cancel_is_still_asked(world: World) -> None:
    batch = world.add(cancelling=5.0)
    await world.sync()
    await world.one(Action.CANCEL, batch)
    await world.one(Action.REMOVE, batch, force=True)
    world.pass_time(60)

    await world.sync()

    assert world.row(batch).removed_at is not None


async def test_a_strange_key_marks_nothing_gone_although_its_own_jobs_are_known_by_then(world: World) -> None:
    slow, quick = world.add(age=12 * HOUR, running=math.inf), world.add(running=math.inf)
    await world.sync()
    world.add_finished("work")
    await world.with_accounts(made_accounts(world.server, {"openai": KEYS["work"]}))
    for minutes in (0.3, 0.3, 6, 6, 20, 20):
        world.pass_time(minutes * 60)
        report = (await world.sync("openai"))["openai"]
        assert "sees none of the known jobs" in str(report.error)
    assert not any(world.row(batch).gone for batch in (slow, quick))

    await world.with_accounts(made_accounts(world.server, {"openai": KEYS["openai"]}))
    world.forget(slow)
    for _ in range(2):
        world.pass_time(20 * 60)
        assert (await world.sync("openai"))["openai"].error is None
    assert (world.row(slow).gone, world.row(quick).gone) == (True, False)


async def test_one_job_that_cannot_be_asked_holds_up_no_other_nor_what_waits(world: World) -> None:
    #
    odd = world.add(age=15 * HOUR, running=math.inf)
    other = world.add(age=15 * HOUR, running=math.inf, cancelling=120.0)
    for number in range(300):
        world.add_finished(age=2 * HOUR + number)
    await world.sync()
    await world.one(Action.REMOVE, other, cancel_first=True)
    world.fault(ErrorAnswer(400, "no such id"), path=f"/v1/batches/{odd}", method="GET")
    world.pass_time(130)

    report = (await world.sync())["openai"]

    assert [(row.remote_id, "no such id" in error.detail) for row, error in report.not_asked] == [(odd, True)]
    assert world.row(other).removed_at is not None


async def test_a_job_that_never_answers_leaves_its_account_well(world: World) -> None:
    odd = world.add(age=15 * HOUR, running=math.inf)
    world.add_finished()
    await world.sync()
    page = {"object": "list", "data": [], "has_more": False}
    world.fault(ErrorAnswer(200, json.dumps(page)), path="/v1/batches")
    world.fault(ErrorAnswer(500, "boom"), path=f"/v1/batches/{odd}", method="GET")
    world.pass_time(HOUR)

    report = (await world.sync(full=True))["openai"]

    (health,) = world.browser.accounts()
    assert [row.remote_id for row, _error in report.not_asked] == [odd]
    assert (report.error, health.error, health.first_sync_done) == (None, None, True)
    assert health.ok_at == health.asked_at


@pytest.mark.parametrize("status", [404, 405, 500])
async def test_a_list_that_cannot_be_read_holds_up_no_job_and_nothing_that_waits(
    world: World, status: int
) -> None:
    ended, removed, interrupted = world.add(), world.add(), world.add()
    await world.sync()
    await world.one(Action.REMOVE, removed, cancel_first=True)
    row = world.row(interrupted)
    await world.store.write(
        lambda writer: writer.begin_cancel(ActionRequest(row.id, row.fence), deadline=world.ms())
    )
    world.emulator.openai.cancel(ended)
    world.fault(ErrorAnswer(status), path="/v1/batches")
    world.pass_time(20 * 60)

    report = (await world.sync())["openai"]

    assert f"({status})" in str(report.error)
    assert world.row(ended).status is Status.CANCELLED
    assert world.row(removed).removed_at is not None
    assert [done.row.id for done in report.reconciled if done.row] == [row.id]
    assert f"({status})" in str(world.browser.accounts()[0].error)


async def test_a_list_that_cannot_be_read_says_nothing_of_whose_key_it_is(world: World) -> None:
    batch = world.add()
    await world.sync()
    world.forget(batch)
    world.fault(ErrorAnswer(404, "no lists here"), path="/v1/batches")
    for _ in range(3):
        world.pass_time(10 * 60)
        report = (await world.sync(full=True))["openai"]

    assert "no lists here" in str(report.error) + getattr(report.error, "detail", "")
    assert not world.row(batch).gone


@pytest.mark.parametrize(
    "answer", [ErrorAnswer(401), ErrorAnswer(429, code="insufficient_quota"), ErrorAnswer(429), Reset(False)]
)
async def test_an_account_that_lets_nobody_in_is_asked_no_more(
    world: World, answer: ErrorAnswer | Reset
) -> None:
    world.add()
    await world.sync()
    world.pass_time(20 * 60)
    world.fault(answer, path="/v1/batches")

    report = (await world.sync())["openai"]

    assert report.error is not None
    assert world.calls("GET", "/v1/batches/*") == 0


async def test_a_server_that_fails_at_everything_is_not_asked_for_every_job(world: World) -> None:
    world.add_many(20)
    await world.sync()
    world.pass_time(20 * 60)
    world.fault(ErrorAnswer(500), path="/v1/batches*")

    assert len((await world.sync())["openai"].not_asked) == 3


async def test_questions_that_nobody_answers_are_a_matter_of_the_account(world: World) -> None:
    for number in range(20):
        world.add(age=10 * HOUR + number, running=math.inf)
    for number in range(300):
        world.add_finished(age=HOUR + number)
    await world.sync(full=True)
    world.pass_time(20 * 60)
    world.fault(ErrorAnswer(500), path="/v1/batches/*")

    report = (await world.sync())["openai"]

    assert len(report.not_asked) == 10
    assert report.error is not None


async def test_many_slow_jobs_do_not_keep_a_young_one_from_being_asked(world: World) -> None:
    old = [world.add(age=10 * HOUR + number, running=math.inf) for number in range(205)]
    young = world.add(age=2 * HOUR, running=10 * HOUR)
    for number in range(300):
        world.add_finished(age=HOUR + number)
    await world.sync(full=True)
    for batch in old:
        row = world.row(batch)
        await world.store.write(
            lambda writer, row=row: writer.force_fail(ActionRequest(row.id, row.fence))  # type: ignore[misc]
        )
    world.pass_time(100)
    await world.sync()
    world.emulator.openai.cancel(young)
    world.pass_time(100)

    await world.sync()

    assert world.row(young).status is Status.CANCELLED


@pytest.mark.parametrize(
    "proxy", ["socks5://ann:hunter22@127.0.0.1:1", "ftp://ann:hunter22@h", "://ann:hunter22"]
)
async def test_a_client_that_cannot_be_made_is_its_accounts_error(
    world: World, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    world.add("openai")
    monkeypatch.setenv("ALL_PROXY", proxy)

    report = (await world.sync("openai"))["openai"]

    assert "its client cannot be made" in str(report.error)
    assert "hunter22" not in f"{report} {world.browser.accounts()}"


async def test_a_sync_that_takes_its_time_keeps_others_away(world: World) -> None:
    for number in range(350):
        world.add_finished(age=2 * HOUR + number)
    account = world.accounts["openai"]
    call = account.call
    claimed: list[bool] = []

    async def slow(request: Any, **how: Any) -> Any:
        world.pass_time(50)
        now = world.ms()
        claimed.append(
            await world.store.write(
                lambda writer: writer.claim_poll("openai", "openai", now, now + CLAIM_MS, HOUR_MS)
            )
        )
        return await call(request, **how)

    account.call = slow  # type: ignore[method-assign]
    await world.sync()

    assert len(claimed) == 4
    assert not any(claimed)


async def test_a_request_that_waits_out_429s_keeps_others_away(world: World) -> None:
    world.add()
    world.fault(ErrorAnswer(429, retry_after=60), path="/v1/batches", times=2)
    asleep, again = asyncio.Event(), asyncio.Event()
    claimed: list[bool] = []

    def claim(writer: Writer) -> bool:
        return writer.claim_poll("openai", "openai", world.ms(), world.ms() + CLAIM_MS, HOUR_MS)

    async def until_next_time(_seconds: float) -> None:
        asleep.set()
        await again.wait()
        again.clear()

    async def pause(seconds: float) -> None:
        world.pass_time(seconds)
        asleep.clear()
        again.set()
        await asleep.wait()
        claimed.append(await world.store.write(claim))

    assert await world.store.write(claim)
    account = world.config.accounts[0]
    async with AccountSession(account, clock=world.ms, sleep=pause, jitter=lambda _longest: 0.0) as session:
        report = await Sync(account, session, world.browser, world.work, sleep=until_next_time).run()

    assert (report.error, report.new) == (None, 1)
    assert claimed == [False, False]


def refuse_jobs(world: World, when: str) -> None:
    """Let the store refuse some new jobs."""
    with other_program(world.config.database) as program:
        refuse(program, world.config.database, f"INSERT ON job WHEN {when}")


async def test_what_cannot_be_written_of_one_account_hides_no_other(world: World) -> None:
    for account in ("openai", "work"):
        world.add(account)
    refuse_jobs(world, "NEW.account = 'work'")

    reports = await world.sync()

    assert "no room" in str(reports["work"].error)
    assert not rejected(reports["work"])
    assert (reports["openai"].error, reports["openai"].new) == (None, 1)


async def test_a_store_that_takes_no_accounts_jobs_is_raised(world: World) -> None:
    for account in ("openai", "work"):
        world.add(account)
    refuse_jobs(world, "true")

    with pytest.raises(StoreError, match="no room"):
        await world.sync()
