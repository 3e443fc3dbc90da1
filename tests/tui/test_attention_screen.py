"""The jobs that need attention: counted in the dashboard, listed with reasons, and taken out by a look."""

from __future__ import annotations

import asyncio
import re
from contextlib import closing
from pathlib import Path

import pytest
from tui_kit import account, change, dashboard, job, make_store, now_ms

from jobdash.demo.emulator import Emulator, EmulatorServer
from jobdash.domain.time import HOUR, MINUTE
from jobdash.operations.job_lookup import Browser
from jobdash.tui.screens.attention import AttentionList, AttentionScreen
from jobdash.tui.screens.doctor import DoctorScreen
from jobdash.tui.screens.job import JobScreen

OPENAI = account("openai")


def fill(path: Path) -> None:
    """Make a store with two jobs that need attention, and two that need none."""
    now = now_ms()
    rows = [
        job(1, "failed", finished_at=now - HOUR, error="a bad line"),
        job(2, "completed", finished_at=now - MINUTE, succeeded=7, failed=3, total=10),
        job(3, "completed", finished_at=now - MINUTE, succeeded=10, failed=0, total=10),
        job(4, "in_progress"),
    ]
    make_store(path, rows)
    change(path, "UPDATE job SET raw_status = raw_status || '!'")  # they changed just now


async def test_a_narrow_terminal_has_room_for_both_numbers(path: Path) -> None:
    fill(path)
    async with dashboard(path, [OPENAI], size=(34, 10)) as dash:
        await dash.until(lambda: "8 ⚠ 2 · 4 jobs" in dash.line("accounts"))


@pytest.mark.parametrize("size", [(120, 32), (80, 24)])
async def test_a_job_leaves_when_it_is_looked_at_or_dismissed(path: Path, size: tuple[int, int]) -> None:
    fill(path)
    async with dashboard(path, [OPENAI], size=size) as dash:
        await dash.until(lambda: "8 ⚠ 2 need attention" in dash.screen)
        await dash.press("8")
        await dash.until(lambda: isinstance(dash.app.screen, AttentionScreen))
        await dash.until(lambda: "partial, 3 failed" in dash.screen)
        assert "failed: a bad line" in dash.screen
        assert "2 jobs" in dash.screen
        await dash.press("down", "z")
        await dash.until(lambda: "1 job " in dash.screen)
        assert "a bad line" not in dash.screen
        await dash.press("enter")
        await dash.until(lambda: isinstance(dash.app.screen, JobScreen))
        await dash.press("escape")
        await dash.until(lambda: "Nothing needs your attention" in dash.screen)
        await dash.press("escape")
        await dash.until_table()
        await dash.until(lambda: "attention" not in dash.screen)
    async with dashboard(path, [OPENAI], size=size) as dash:
        await dash.until(lambda: dash.app.main.attention.due(10**9))
        assert "attention" not in dash.screen


async def test_the_keys_of_the_tabs_lead_back_to_the_table(path: Path) -> None:
    fill(path)
    async with dashboard(path, [OPENAI]) as dash:
        await dash.until(lambda: "need attention" in dash.screen)
        await dash.press("8")
        await dash.until(lambda: "partial, 3 failed" in dash.screen)
        await dash.press("5")
        await dash.until_table()
        await dash.until(lambda: len(dash.names) == 1)


async def test_all_can_be_dismissed_at_once(path: Path) -> None:
    fill(path)
    async with dashboard(path, [OPENAI]) as dash:
        await dash.until(lambda: "8 ⚠ 2 need attention" in dash.screen)
        await dash.press("8")
        await dash.until(lambda: "partial, 3 failed" in dash.screen)
        assert "NAME" in dash.screen
        await dash.press("Z")
        await dash.until_dialog()
        await dash.press("n")
        await dash.until(lambda: "partial, 3 failed" in dash.screen)
        await dash.press("Z")
        await dash.until_dialog()
        await dash.press("y")
        await dash.until(lambda: "Nothing needs your attention" in dash.screen)


@pytest.mark.slow
async def test_an_account_that_fails_is_a_line_until_it_is_dismissed_or_fails_otherwise(
    path: Path, emulator: Emulator, server: EmulatorServer
) -> None:
    emulator.keys = frozenset({"sk-another"})
    make_store(path)
    async with dashboard(path, [account("work", server)]) as dash:
        await dash.until(lambda: "8 ⚠ 1 needs attention" in dash.screen)
        await dash.press("8")
        await dash.until(lambda: "1 account · 0 jobs" in dash.screen)
        assert re.search(r"account work +openai +\d+s +key rejected \(401\)", dash.screen)
        await dash.press("enter")
        await dash.until(lambda: isinstance(dash.app.screen, DoctorScreen))
        await dash.press("escape", "z")
        await dash.until(lambda: "Nothing needs your attention" in dash.screen)
        await dash.press("escape")
        await dash.until(lambda: "attention" not in dash.screen)
        change(path, "UPDATE account SET error = 'key rejected (403): this region'")
        await dash.until(lambda: "8 ⚠ 1 needs attention" in dash.screen)


async def test_without_a_store_to_write_nothing_is_dismissed(path: Path) -> None:
    fill(path)
    async with dashboard(path, [OPENAI], working=False) as dash:
        await dash.press("8")
        await dash.until(lambda: "partial, 3 failed" in dash.screen)
        await dash.press("z")
        assert "not open for writing" in dash.toast
        assert "partial, 3 failed" in dash.screen


async def test_a_dismissed_job_that_changes_stays_away_and_a_filter_follows(path: Path) -> None:
    make_store(path, [job(1, "failed", finished_at=None, error="a bad line"), job(2)])
    change(path, "UPDATE job SET raw_status = raw_status || '!'")
    async with dashboard(path, [OPENAI]) as dash:
        await dash.press("slash", *"attention:failed", "enter")
        await dash.until(lambda: dash.names == ["job-001"])
        await dash.press("8")
        await dash.until(lambda: "failed: a bad line" in dash.screen)
        await dash.press("z")
        await dash.until(lambda: "Nothing needs your attention" in dash.screen)
        model, now = dash.app.main.attention, asyncio.get_running_loop().time()
        change(path, "UPDATE job SET fetched_at = 1, error = 'a bad line, explained'")
        await dash.until(lambda: model.due(now + 5, watched=True))
        await dash.until(lambda: not model.due(now + 5, watched=True))
        assert "Nothing needs your attention" in dash.screen
        await dash.press("escape")
        await dash.until(lambda: dash.names == [])


async def test_the_screen_reads_only_what_has_changed(path: Path) -> None:
    fill(path)
    async with dashboard(path, [OPENAI]) as dash:
        await dash.press("8")
        await dash.until(lambda: "2 jobs" in dash.screen)
        model, now = dash.app.main.attention, asyncio.get_running_loop().time()
        await dash.until(lambda: not model.due(now + 20, watched=True))
        change(path, "UPDATE job SET failed = 2, succeeded = 8 WHERE id = 3")
        await dash.until(lambda: "partial, 2 failed" in dash.screen)


def test_the_job_that_stands_still_longest_is_found_among_thousands_that_run(path: Path) -> None:
    now = now_ms()
    moving = [job(number, created_at=now - HOUR, updated_at=now) for number in range(2, 2_010)]
    make_store(path, [job(1, created_at=now - 5 * HOUR, updated_at=now - 4 * HOUR), *moving])
    with closing(Browser(path)) as browser:
        (found,) = browser.needing_attention().values()
    assert (found.row.name, found.words) == ("job-001", "no progress for 4h")


async def test_a_submit_without_an_answer_names_the_batches_it_may_be_on_its_page(path: Path) -> None:
    other = job(1, "completed", remote_id="msgbatch_2", total=3, succeeded=3)
    make_store(path, [job(0, "unknown", total=3), other])
    change(path, "UPDATE job SET submit_key = 'k', remote_id = NULL, raw_status = 'unconfirmed' WHERE id = 1")
    change(
        path,
        "INSERT INTO intent (kind, account, job_id, owner, actor, opened_at, deadline)"
        " SELECT 'submit', account, id, '', '', created_at, created_at + 3600000 FROM job WHERE id = 1",
    )
    async with dashboard(path, [OPENAI]) as dash:
        await dash.press("8")
        await dash.until(lambda: "its submit is not confirmed" in dash.screen)
        await dash.press("enter")
        await dash.until(lambda: isinstance(dash.app.screen, JobScreen))
        await dash.until(lambda: "jobdash adopt" in dash.screen and "msgbatch_2" in dash.screen)


@pytest.mark.parametrize("size", [(120, 32), (80, 24)])
async def test_a_reason_that_is_cut_ends_in_an_ellipsis_beside_a_scroll_bar_too(
    path: Path, size: tuple[int, int]
) -> None:
    failed = {"finished_at": now_ms() - HOUR, "error": "a-long-word" * 15}
    make_store(path, [job(number, "failed", **failed) for number in range(1, 61)])
    change(path, "UPDATE job SET raw_status = raw_status || '!'")
    async with dashboard(path, [OPENAI], size=size) as dash:
        await dash.press("8")
        await dash.until(lambda: dash.app.screen.query_one(AttentionList).show_vertical_scrollbar)
        await dash.until(lambda: "failed: a-long" in dash.screen)
        lines = [line for line in dash.screen.splitlines() if "failed: a-long" in line]
        assert {line[-2] for line in lines} == {"…"}  # the scroll bar has the last cell
