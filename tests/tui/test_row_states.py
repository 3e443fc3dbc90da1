"""What is shown when there is little to show or something is wrong: empty, offline, read-only, upgraded."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tui_kit import HOUR, account, change, dashboard, jobs, make_store, now_ms

from jobdash.config.accounts import UnusableAccount
from jobdash.config.faulty_table import FaultyTable
from jobdash.config.settings import UiSettings
from jobdash.demo.emulator import BatchScript, Delay, Emulator, EmulatorServer, ErrorAnswer, FaultRule
from jobdash.domain.account import Account
from jobdash.domain.status import Tab
from jobdash.tui.messages import AccountWaiting, SyncProgress

OPENAI = account("openai")


def polled(path: Path, error: str | None, **facts: object) -> None:
    """Write the result of the last poll of the account."""
    values = {"asked_at": now_ms(), "ok_at": None, "first_sync_done": 0, "next_poll_at": 0, **facts}
    change(
        path,
        "INSERT INTO account (name, provider, asked_at, ok_at, error, error_kind, next_poll_at, discovered,"
        " first_sync_done) VALUES ('openai', 'openai', ?, ?, ?, 'X', ?, 0, ?)",
        *(values["asked_at"], values["ok_at"], error, values["next_poll_at"], values["first_sync_done"]),
    )


async def test_no_account(path: Path) -> None:
    async with dashboard(path, rows=[], working=False, size=(80, 24)) as dash:
        await dash.until(lambda: "No account yet" in dash.screen)
        for words in ("export OPENAI_API_KEY", "GEMINI_API_KEY", "jobdash demo", "jobdash doctor"):
            assert words in dash.screen
        assert "config.toml" in dash.screen.replace("\n", "")
        await dash.press("f5", "c", "enter", "space", "y", "C")
        assert "No account to ask" in dash.toasts


async def test_an_account_without_a_provider_stays_on_a_banner(path: Path) -> None:
    unusable = (UnusableAccount("lab", "bedrock", "no provider 'bedrock' is installed"),)
    async with dashboard(path, [OPENAI], rows=jobs("pending"), working=False, unusable=unusable) as dash:
        await dash.until(lambda: "account lab is not used: no provider 'bedrock'" in dash.line("banner"))
        dash.app.action_doctor()
        await dash.until(lambda: "not used: no provider 'bedrock' is installed" in dash.screen)


@pytest.mark.parametrize("size", [(80, 24), (120, 32)])
async def test_an_account_with_a_mistake_fails_in_the_first_line_and_needs_attention(
    path: Path, size: tuple[int, int]
) -> None:
    reason = "max_requests has to be a whole number above 0"
    unusable = (UnusableAccount("lab", "openai", reason),)
    async with dashboard(
        path, [OPENAI], rows=jobs("completed"), working=False, size=size, unusable=unusable
    ) as dash:
        await dash.until(lambda: "8 ⚠ 1 needs attention" in dash.line("accounts"))
        assert f"lab ✗ {reason}"[: size[0] - 68] in dash.line("accounts")
        assert "openai …" in dash.line("accounts")
        await dash.press("8")
        await dash.until(lambda: "account lab" in dash.screen and reason[:30] in dash.screen)
        # What is dismissed stays so, though the store knows no such account.
        dash.app.with_store = _no_store  # type: ignore[method-assign]
        await dash.press("z")
        await dash.until(lambda: "Nothing needs your attention" in dash.screen)


async def test_a_table_of_settings_with_a_mistake_stays_on_a_banner_and_needs_attention(path: Path) -> None:
    faulty = (FaultyTable("notify", "on: finnished is not known"),)
    async with dashboard(path, [OPENAI], rows=jobs("completed"), working=False, faulty=faulty) as dash:
        await dash.until(lambda: "[notify] is not used: on: finnished is not known" in dash.line("banner"))
        await dash.until(lambda: "8 ⚠ 1 needs attention" in dash.line("accounts"))
        await dash.press("8")
        await dash.until(lambda: "1 setting" in dash.screen and "[notify]" in dash.screen)
        assert "not used: on: finnished" in dash.screen
        dash.app.with_store = _no_store  # type: ignore[method-assign]
        await dash.press("z")
        await dash.until(lambda: "Nothing needs your attention" in dash.screen)


async def _no_store(_act: object) -> None:
    return None


async def test_only_accounts_with_a_mistake_say_so_in_the_empty_table(path: Path) -> None:
    unusable = (UnusableAccount("lab", "openai", "enabled has to be true or false"),)
    async with dashboard(path, rows=[], working=False, unusable=unusable) as dash:
        await dash.until(lambda: "No account could be asked" in dash.screen)
        assert "lab: enabled has to be true or false" in dash.screen


async def test_several_accounts_with_mistakes_are_named_on_the_banner(path: Path) -> None:
    unusable = (
        UnusableAccount("lab", "openai", "max_requests has to be a whole number above 0"),
        UnusableAccount("work", "openai", "profile 'grok' is not known"),
    )
    async with dashboard(path, rows=jobs("pending"), working=False, size=(80, 24), unusable=unusable) as dash:
        await dash.until(lambda: "2 accounts are not used: lab, work; 8 says why" in dash.line("banner"))


async def test_a_variable_that_is_missing_beside_another_is_named(path: Path) -> None:
    words = "AZURE_OPENAI_API_KEY is set and AZURE_OPENAI_ENDPOINT is not"
    async with dashboard(path, rows=[], working=False, half_set=(words,)) as dash:
        await dash.until(lambda: "No account yet" in dash.screen and words in dash.screen)
        dash.app.action_doctor()
        await dash.until(lambda: f"warning {words}" in " ".join(dash.screen.split()))


async def test_first_sync_counts_up(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=[], working=False) as dash:
        await dash.until(lambda: "Asking openai for the first time" in dash.screen)
        for seen in (100, 1_200):
            dash.app.post_message(SyncProgress("openai", seen))
            await dash.settle()
            assert f"openai … {seen:,} found" in dash.line("accounts")
            assert f"{seen:,} found so far" in dash.screen


async def test_no_batch_yet(path: Path) -> None:
    make_store(path)
    polled(path, None, ok_at=now_ms(), first_sync_done=1)
    async with dashboard(path, [OPENAI], working=False) as dash:
        await dash.until(lambda: "No batch yet" in dash.screen)
        assert "openai ✓" in dash.line("accounts")


async def test_all_accounts_rejected(path: Path) -> None:
    make_store(path)
    polled(path, "key rejected (401)")
    async with dashboard(path, [OPENAI], working=False) as dash:
        await dash.until(lambda: "No account could be asked" in dash.screen)
        assert "openai ✗ key rejected (401)" in dash.line("accounts")


@pytest.mark.parametrize("rows", [(), ("completed",)])
async def test_why_a_key_is_refused_stands_beside_the_account(path: Path, rows: tuple[str, ...]) -> None:
    make_store(path, jobs(*rows))
    polled(path, "key rejected (403): Country, region, or territory not supported")
    async with dashboard(path, [OPENAI], working=False) as dash:
        words = "openai ✗ key rejected (403): Country, region, or territory not supported"
        assert words in dash.line("accounts")
    async with dashboard(path, [OPENAI], working=False, size=(72, 24)) as dash:
        assert "openai ✗ key rejected (403): C" in dash.line("accounts")


async def test_why_a_key_is_refused_stands_below_an_unfinished_job_of_the_account(path: Path) -> None:
    make_store(path, jobs("completed", "pending"))
    polled(path, "key rejected (403): Country, region, or territory not supported")
    async with dashboard(path, [OPENAI], working=False, size=(100, 24)) as dash:
        words = "openai: key rejected (403): Country, region, or territory not supported"
        await dash.until(lambda: words in dash.line("summary"))
        await dash.press("down")
        await dash.until(lambda: "key rejected" not in dash.line("summary"))


async def test_an_empty_tab_shows_where_the_jobs_are(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("completed"), working=False) as dash:
        await dash.press("2")
        assert "No job is pending now" in dash.screen
        assert "0 shows all 1 job" in dash.screen
        await dash.press("0")
        assert "No job is" not in dash.screen


async def test_without_network_the_last_known_state_with_its_age(path: Path) -> None:
    make_store(path, jobs("completed", "pending"))
    polled(
        path, "no connection within 10 s: [Errno -2] unknown", ok_at=now_ms() - 3 * HOUR, first_sync_done=1
    )
    async with dashboard(path, [OPENAI], working=False, size=(80, 24)) as dash:
        assert dash.names == ["job-002", "job-001"]
        assert "openai ✗ no connection within 10 s · as of 3h ago" in dash.line("accounts")


async def test_an_account_that_waits_shows_it(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("pending"), working=False) as dash:
        dash.app.post_message(AccountWaiting("openai", now_ms() + 20_500))
        await dash.until(lambda: "openai waiting 20s" in dash.line("accounts"))
        dash.app.post_message(AccountWaiting("openai", None))
        await dash.until(lambda: "waiting" not in dash.line("accounts"))


async def test_many_accounts_are_cut_and_never_overflow(path: Path) -> None:
    names = [f"account-number-{number}" for number in range(12)]
    async with dashboard(
        path, [account(name) for name in names], rows=jobs("pending"), working=False, size=(80, 24)
    ) as dash:
        assert dash.line("accounts").endswith("1 job")
        assert len(dash.line("accounts")) <= 80


async def test_a_store_upgraded_by_a_newer_jobdash(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("pending"), working=False) as dash:
        change(path, "UPDATE alembic_version SET version_num = '9999'")
        await dash.until(lambda: "upgraded by a newer jobdash; restart" in dash.line("banner"))
        await dash.press("c")
        assert "upgraded by a newer jobdash" in dash.toast
        assert not dash.app.screen.is_modal


async def test_a_store_that_cannot_be_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_store(path, jobs("pending"))
    monkeypatch.setattr(
        "jobdash.store.bootstrap.read_only_reason", lambda _path: "jobdash.db is not writable"
    )
    async with dashboard(path, [OPENAI]) as dash:
        assert "jobdash.db is not writable" in dash.line("banner")
        await dash.press("c")
        assert "Nothing can be changed: jobdash.db is not writable" in dash.toast
        await dash.press("f5")
        assert "Not asked: jobdash.db is not writable" in dash.toast
        assert dash.names == ["job-001"]


async def test_a_store_that_cannot_be_read_any_more_is_a_banner_and_no_crash(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("pending", "pending"), working=False) as dash:
        change(path, "ALTER TABLE job RENAME COLUMN raw_status TO other_status")
        await dash.press("1", "s", "0", "end", "slash", "x", "escape")
        await dash.until(lambda: "cannot be used" in dash.line("banner"))
        assert dash.app.is_running


async def test_a_rejected_key_stands_beside_a_working_one(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    """A-2, A-7"""
    emulator.openai.add_batch(BatchScript(name="one"))
    emulator.faults.add(FaultRule(effect=ErrorAnswer(401), key="sk-bad"))
    accounts = [account("good", server, emulator.openai.key), account("work", server, "sk-bad")]
    async with dashboard(path, accounts) as dash:
        await dash.until(lambda: "work ✗ key rejected (401)" in dash.line("accounts"), 20)
        await dash.until(lambda: dash.names == ["one"], 20)
        await dash.until(lambda: "good ✓" in dash.line("accounts"))


async def test_a_hanging_account_keeps_keyboard_and_the_others_alive(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    """D-6"""
    emulator.openai.add_batch(BatchScript(name="one"))
    emulator.faults.add(FaultRule(effect=Delay(60.0), key="sk-slow"))
    accounts: list[Account] = [
        account("slow", server, "sk-slow"),
        account("quick", server, emulator.openai.key),
    ]
    async with dashboard(path, accounts) as dash:
        await dash.until(lambda: dash.names == ["one"], 20)
        await dash.until(lambda: "quick ✓" in dash.line("accounts"))
        assert "slow …" in dash.line("accounts")
        began = time.monotonic()
        for key in ("down", "2", "1", "0", "space", "space", "s", "S"):
            await dash.press(key)
        assert time.monotonic() - began < 2.0
        await dash.press("c")
        await dash.until_dialog()
        await dash.press("y")
        await dash.until(lambda: dash.count(Tab.CANCELLING) + dash.count(Tab.CANCELLED) == 1)


async def test_an_unknown_theme_and_other_bad_settings_are_survived(path: Path) -> None:
    settings = UiSettings(theme="nonsense", sort="sideways", columns=("name", "nonsense"), ascii=False)
    async with dashboard(path, rows=jobs("pending"), working=False, ui=settings) as dash:
        assert dash.app.theme == "jobdash-dark"
        assert dash.names == ["job-001"]


async def test_warnings_of_the_settings_are_reported(path: Path) -> None:
    async with dashboard(
        path, rows=jobs("pending"), working=False, warnings=("[x] is not known [/]",)
    ) as dash:
        await dash.until(lambda: "[x] is not known [/]" in dash.screen)


async def test_keys_can_be_rebound_by_their_ids(path: Path) -> None:
    async with dashboard(
        path, [OPENAI], rows=jobs("pending"), working=False, keys={"job.cancel": "ctrl+k"}
    ) as dash:
        await dash.press("c")
        assert not dash.app.screen.is_modal
        await dash.press("ctrl+k")
        await dash.until_dialog()
        await dash.press("escape")
        await dash.until_table()
        assert "^k Cancel" in dash.line("keys") or "ctrl+k Cancel" in dash.line("keys")


def health(path: Path, name: str, error: str | None) -> None:
    change(
        path,
        "INSERT INTO account (name, provider, asked_at, ok_at, error, error_kind, next_poll_at, discovered,"
        " first_sync_done) VALUES (?, 'openai', ?, ?, ?, 'AuthRejected', 0, 0, 1)",
        *(name, now_ms(), now_ms(), error),
    )


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (120, ["broken ✗ key rejected (401)", "zz ✗ quota used up", "openai ✓", "team-a ✓"]),
        pytest.param(80, ["broken ✗ key rejected (401)", "zz ✗ quota used up"], marks=pytest.mark.slow),
        pytest.param(60, ["broken ✗", "zz ✗"], marks=pytest.mark.slow),
        (43, ["broken ✗"]),
    ],
)
async def test_accounts_that_fail_come_first_and_the_others_are_counted(
    path: Path, width: int, shown: list[str]
) -> None:
    make_store(path, jobs("completed"))
    names = ["openai", "team-a", "team-b", "research-lab", "production", "broken", "staging", "zz"]
    for name in names:
        health(path, name, {"broken": "key rejected (401)", "zz": "quota used up: pay"}.get(name))
    accounts = [replace(OPENAI, name=name) for name in names]
    async with dashboard(path, accounts, working=False, size=(width, 24)) as dash:
        await dash.until(lambda: re.search("8 ⚠ 2( need attention)? ", dash.line("accounts")))
        line = dash.line("accounts")
        places = [line.find(words) for words in shown]
        assert -1 not in places, line
        assert places == sorted(places), line
        left = len(names) + 1 - sum(line.count(f"{name} ") for name in [*names, "local"])
        assert f"+{left}" in line
        assert (f"+{left} ✗" in line) == (len([words for words in shown if "✗" in words]) < 2)
