"""A store that goes under a running dashboard: reported within a second, and never written."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from shared.slices import rest_slow
from shared.store_files import delete, move
from tui_kit import account, dashboard, jobs, make_store

from jobdash.demo.emulator import EmulatorServer
from jobdash.errors import StoreError
from jobdash.operations.job_lookup import Browser, Scope, Sort

WORDS = "was deleted, moved or replaced"


def replace(path: Path) -> None:
    make_store(path.with_name("other.db"), jobs("pending"))
    path.with_name("other.db").replace(path)


def delete_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


@pytest.mark.parametrize("gone", [delete, move, replace, delete_folder])
@pytest.mark.parametrize("where", ["table", "job", "dialog"])
@pytest.mark.slow
async def test_it_is_reported_within_a_second_and_nothing_is_written(
    path: Path, server: EmulatorServer, gone: Callable[[Path], None], where: str
) -> None:
    async with dashboard(path, [account("openai", server)], rows=jobs("in_progress", "failed")) as dash:
        await dash.until(lambda: dash.app.runtime.accounts)
        dash.select("job-001")
        if where == "job":
            await dash.press("enter")
        elif where == "dialog":
            await dash.press("f")
            await dash.until_dialog()
        gone(path)
        began = time.monotonic()
        await dash.until(lambda: WORDS in dash.app.main._banner.plain)
        assert time.monotonic() - began < 1.0
        assert dash.app.context.read_only is not None
        if where == "dialog":
            await dash.press("y")
            await dash.until_table()
            await dash.until(lambda: not dash.app.runs.active)
        else:
            await dash.press("f")
            assert WORDS in dash.toast
        assert "failed here" not in " ".join(dash.toasts)
        if gone is replace:
            with Browser(path) as browser:
                assert [row.name for row in browser.page(Scope(), Sort(), None, 9)] == ["job-001"]
                assert browser.events() == []


@pytest.mark.parametrize("gone", rest_slow([delete, move, replace], [replace]))
async def test_a_yes_in_the_same_moment_is_not_done(path: Path, gone: Callable[[Path], None]) -> None:
    async with dashboard(path, rows=jobs("in_progress")) as dash:
        await dash.press("f")
        await dash.until_dialog()
        gone(path)
        await dash.press("y")
        await dash.until(lambda: WORDS in dash.line("banner") or any(WORDS in t for t in dash.toasts))
        await dash.until(lambda: not dash.app.runs.active)
        # Whoever meets it first, the plan, the write, the look at the file or a connection: one reason.
        others = ("the store was closed", "There is no store")
        assert not any(other in toast for toast in dash.toasts for other in others), dash.toasts
        assert not any("failed here" in toast for toast in dash.toasts)


async def test_another_connection_is_not_opened_to_another_store(path: Path) -> None:
    async with dashboard(path, rows=jobs("in_progress"), working=False) as dash:
        replace(path)
        with pytest.raises(StoreError, match=WORDS):
            dash.app.context.open_browser()
        await dash.until(lambda: WORDS in dash.line("banner"))
