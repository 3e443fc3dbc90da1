"""An error behind a dialog is reported, and ends neither the dashboard nor its quitting."""

from __future__ import annotations

import sys
import threading
import traceback
from pathlib import Path
from typing import NoReturn

import pytest
from tui_kit import account, dashboard, jobs

from jobdash.demo.emulator import EmulatorServer
from jobdash.domain.plan import Action
from jobdash.errors import StoreError
from jobdash.operations.planning import plan_jobs


async def test_an_undo_while_the_store_is_busy_is_reported_and_ends_nothing(
    path: Path, server: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object, **__: object) -> NoReturn:
        raise StoreError("The store is busy")

    async with dashboard(path, [account("openai", server)], rows=jobs("completed", "completed")) as dash:
        await dash.until(lambda: dash.app.runtime.accounts)
        await dash.press("x")
        await dash.until_dialog()
        await dash.press("y")
        await dash.until(lambda: len(dash.names) == 1)
        monkeypatch.setattr("jobdash.store.writer.Writer.undo", busy)
        await dash.press("u")
        await dash.until_dialog()
        await dash.press("y")
        await dash.until(lambda: dash.toast == "The store is busy")
        assert dash.app.is_running


async def test_a_store_closed_between_question_and_answer_ends_the_run_with_a_reason(path: Path) -> None:
    async with dashboard(path, [account("openai")], rows=jobs("in_progress"), working=False) as dash:
        dash.app.runs.ready()
        dash.app.runtime.stop()
        run = dash.app.start_run(
            plan_jobs(Action.CANCEL, dash.table.visible_rows, dash.app.context.situation())
        )
        assert run.ended
        assert "not open for writing" in str(run.error)


async def test_a_run_that_never_began_does_not_hold_up_the_exit(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobdash.tui.quit_flow._STOP_MOST_S", 0.2)
    async with dashboard(path, [account("openai")], rows=jobs("pending", "pending"), working=False) as dash:
        dash.app.start_run(plan_jobs(Action.CANCEL, dash.table.visible_rows, dash.app.context.situation()))
        await dash.send("q")
        await dash.until_dialog()
        await dash.send("y")
        await dash.until_exit()
        frames = sys._current_frames()
        held = [
            thread.name
            for thread in threading.enumerate()
            if not thread.daemon
            and thread.ident in frames
            and any(call.name == "wait" for call in traceback.extract_stack(frames[thread.ident]))
            and thread is not threading.current_thread()
        ]
        assert held == []
