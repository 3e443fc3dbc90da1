"""What lies behind another screen draws nothing, and is right when it is seen again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tui_kit import Dash, account, change, dashboard, exact_only, jobs

from jobdash.tui.terminal.exact_updates import ExactUpdate

OPENAI = account("openai")


def written(dash: Dash, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    updates: list[Any] = []
    display = dash.app._display

    def watched(screen: Any, update: Any) -> None:
        if update is not None:
            updates.append(update)
        display(screen, update)

    monkeypatch.setattr(dash.app, "_display", watched)
    return updates


@exact_only
@pytest.mark.parametrize("key", ["enter", "l"])
async def test_a_change_behind_an_opaque_screen_writes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """F-1"""
    async with dashboard(path, [OPENAI], rows=jobs("pending", "in_progress"), working=False) as dash:
        await dash.press(key)
        drawn = {"enter": "provider's id", "l": "No action yet"}[key]
        await dash.until(lambda: drawn in dash.screen)
        await dash.settle()
        updates = written(dash, monkeypatch)
        change(path, "UPDATE job SET remote_status = 'completed' WHERE name = 'job-001'")
        await dash.until(lambda: dash.app.main.view.model.counts.by_tab["completed"] == 1)
        await dash.settle()
        assert not updates
        await dash.press("escape")
        await dash.until(lambda: "✔ completed" in dash.screen)


@exact_only
async def test_a_change_of_the_job_writes_its_own_cells(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("in_progress"), working=False) as dash:
        await dash.press("enter")
        await dash.until(lambda: "40 / 100" in dash.line("job-progress"))
        updates = written(dash, monkeypatch)
        change(path, "UPDATE job SET succeeded = 41")
        await dash.until(lambda: updates and "41 / 100" in dash.screen)
        assert all(isinstance(update, ExactUpdate) for update in updates)


async def test_a_terminal_that_became_wider_behind_a_screen_is_filled(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("in_progress"), working=False, size=(80, 24)) as dash:
        await dash.press("l")
        await dash.until(lambda: "No action yet" in dash.screen)
        await dash.pilot.resize_terminal(120, 36)
        await dash.press("escape")
        await dash.until(lambda: "1 ● Running 1" in dash.line("tabs"))
        assert "X Cancel & delete" in dash.line("keys")
        assert dash.table.plan.width >= 118
