"""Leaving: at once, after asking, by ctrl+c, with calls that hang; and the last words."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tui_kit import Dash, account, dashboard, jobs

from jobdash.domain.plan import Action
from jobdash.operations.planning import plan_jobs
from jobdash.tui.action_runs import ActionRun
from jobdash.tui.messages import AccountWaiting, StoreFailed, StoreReady, Synced, SyncSummary
from jobdash.tui.quit_flow import last_words

OPENAI = account("openai")


async def test_q_quits(path: Path) -> None:
    async with dashboard(
        path, [OPENAI], rows=jobs("pending", "in_progress", "completed"), working=False
    ) as dash:
        await dash.send("q")
        await dash.until_exit()
        assert dash.app.last_words == "2 jobs go on at their providers; see them with: jobdash list"


async def test_ctrl_c_twice_quits_and_once_shows_a_hint(path: Path) -> None:
    async with dashboard(path, rows=jobs("pending"), working=False) as dash:
        await dash.press("ctrl+c")
        assert dash.toast == "ctrl+c again quits"
        assert dash.app.is_running
        await dash.send("ctrl+c")
        await dash.until_exit()


@pytest.mark.parametrize("before", [("slash",), ("c",), ("question_mark",), ("l",), ("enter",), ("ctrl+p",)])
@pytest.mark.slow
async def test_ctrl_c_twice_quits_from_everywhere(path: Path, before: tuple[str, ...]) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("pending"), working=False) as dash:
        await dash.press(*before)
        await dash.press("ctrl+c")
        await dash.send("ctrl+c")
        await dash.until_exit()


async def test_two_slow_ctrl_c_do_not_quit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobdash.tui.quit_flow.TWICE_WITHIN_S", -1.0)
    async with dashboard(path, rows=jobs("pending"), working=False) as dash:
        await dash.press("ctrl+c", "ctrl+c", "ctrl+c")
        assert dash.app.is_running


async def test_the_demo_prints_nothing(path: Path) -> None:
    async with dashboard(path, rows=jobs("pending"), working=False, demo=True) as dash:
        await dash.send("q")
        await dash.until_exit()
        assert dash.app.last_words == ""


@asynccontextmanager
async def asked_while_a_run_is_under_way(path: Path) -> AsyncIterator[tuple[Dash, ActionRun]]:
    """A dashboard that was asked to quit while a bulk cancel runs, and asks back."""
    async with dashboard(path, [OPENAI], rows=jobs("pending", "pending"), working=False) as dash:
        run = ActionRun(plan_jobs(Action.CANCEL, dash.table.visible_rows, dash.app.context.situation()))
        dash.app.runs.all.append(run)
        await dash.press("q")
        await dash.until_dialog()
        yield dash, run


async def test_a_bulk_run_is_asked_about(path: Path) -> None:
    """C-5"""
    async with asked_while_a_run_is_under_way(path) as (dash, run):
        assert "0 of 2 cancels sent." in dash.screen
        await dash.press("escape")
        await dash.until_table()
        assert dash.app.is_running
        assert not run.stopping
        await dash.press("q")
        await dash.until_dialog()
        await dash.press("y")
        await dash.until(lambda: run.stopping)
        run.end()
        await dash.until_exit()


async def test_q_again_leaves_at_once(path: Path) -> None:
    async with asked_while_a_run_is_under_way(path) as (dash, _):
        began = time.monotonic()
        await dash.send("q")
        await dash.until_exit()
        assert time.monotonic() - began < 2.0


def test_last_words_count_right() -> None:
    assert last_words(0, 0) == []
    assert last_words(0, 0, queued=2) == [
        "2 batches wait here to be sent; jobdash watch sends what there is room for"
    ]
    assert last_words(1, 1) == [
        "1 job goes on at its provider; see them with: jobdash list",
        "1 removal goes on when the provider confirms",
    ]
    assert last_words(1_200, 3)[1] == "3 removals go on when the provider confirms"


async def test_what_a_thread_still_posts_while_the_screens_are_closed_is_dropped(path: Path) -> None:
    summary = SyncSummary("openai", finished=(), notices=("one more thing",))
    async with dashboard(path, rows=jobs("pending"), working=False) as dash:
        app = dash.app
        close_screens = app._close_all

        async def close_and_post() -> None:
            await close_screens()
            for message in (Synced(summary), StoreReady(), StoreFailed("gone"), AccountWaiting("openai", 1)):
                app.post_message(message)

        app._close_all = close_and_post  # type: ignore[method-assign]
    assert app._exception is None
