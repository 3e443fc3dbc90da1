"""What has to be in sight: each order in turn, the detail lines, a whole command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from shared.local_kit import begin
from shared.slices import rest_slow
from textual.widgets._toast import Toast
from tui_kit import Dash, add, change, dashboard, job, jobs, make_store

from jobdash.domain.status import Tab
from jobdash.operations.job_lookup import SORT_ORDERS


@pytest.mark.slow
async def test_s_goes_on_although_rows_move_all_the_time(path: Path) -> None:
    async with dashboard(path, rows=jobs(*["in_progress"] * 4), working=False) as dash:
        seen = []
        for number in range(2 * len(SORT_ORDERS)):
            await dash.press("s")
            seen.append(dash.app.main.view.model.sort.order)
            change(
                path, "UPDATE job SET succeeded = (id * 7 + ?) % 90, failed = (id * ?) % 5", number, number
            )
            change(path, "UPDATE job SET updated_at = updated_at + (id * ?) % 7", number)
            await dash.until(
                lambda: dash.app.main.view.model.counts.revision == dash.app.context.browser.revision()
            )
        assert seen == [*list(SORT_ORDERS)[1:], *list(SORT_ORDERS), "created"]


async def test_the_help_explains_what_moved_means(path: Path) -> None:
    async with dashboard(path, rows=jobs("pending"), working=False, size=(120, 100)) as dash:
        await dash.press("question_mark")
        await dash.until(lambda: "3 moved" in dash.screen)
        assert "Home sorts again" in dash.screen


async def test_the_doctor_shows_who_owns_what(path: Path) -> None:
    async with dashboard(path, rows=jobs("pending"), working=False) as dash:
        dash.app.action_doctor()
        await dash.until(lambda: f"{path}: " in dash.screen.replace("\n", ""))
        assert "mode 0600" in dash.screen
        assert "mode 0700" in dash.screen


def toast_rows(dash: Dash) -> set[int]:
    return {y for toast in dash.app.screen.query(Toast) for y in toast.region.line_range}


@pytest.mark.parametrize("size", [(120, 36), (80, 24), (60, 15), (200, 50)])
@pytest.mark.parametrize("number", [1, 3, 12])
@pytest.mark.slow
async def test_a_toast_covers_neither_the_detail_lines_nor_the_keys(
    path: Path, size: tuple[int, int], number: int
) -> None:
    async with dashboard(path, rows=jobs("failed", "in_progress"), working=False, size=size) as dash:
        lines = {name: dash.app.main.query_one(f"#{name}").region.y for name in ("title", "summary", "keys")}
        before = dash.screen.splitlines()
        for each in range(number):
            dash.app.notify(f"toast {each} " + "long words " * (each % 3 * 20))
        await dash.until(lambda: toast_rows(dash))
        after = dash.screen.splitlines()
        assert "long" in dash.screen or "toast" in dash.screen
        assert all(before[y] == after[y] for y in lines.values()), dash.screen


@pytest.mark.parametrize("size", [(80, 24), pytest.param((120, 32), marks=pytest.mark.slow)])
@pytest.mark.parametrize("screen", rest_slow(["main", "job", "script", "log"], ["main", "job"]))
async def test_many_toasts_leave_the_first_lines_the_detail_lines_and_the_keys_free(
    path: Path, size: tuple[int, int], screen: str
) -> None:
    rows = jobs("failed", *["in_progress"] * 60)
    async with dashboard(path, rows=rows, working=False, size=size) as dash:
        top = {"main": 4, "job": 6, "script": 6, "log": 1}[screen]
        bottom = 4 if screen == "main" else 1
        if screen == "script":
            begin(path, total=4).ends("failed", "a disk is full")
            await dash.until(lambda: "resize" in dash.names)
        if screen != "main":
            await dash.press("l" if screen == "log" else "enter")
            drawn = "No action yet" if screen == "log" else "Details"
            await dash.until(lambda: "Close" in dash.screen and drawn in dash.screen)
        if screen == "main":  # which appears a moment later
            await dash.until(lambda: "need attention" in dash.screen)
        before = dash.screen.splitlines()

        for each in range(12):
            dash.app.notify(f"toast {each} " + "long words " * (each % 3 * 20))
        await dash.until(lambda: "toast 11" in dash.screen)

        await dash.until(lambda: dash.screen.splitlines()[:top] == before[:top])
        assert dash.screen.splitlines()[-bottom:] == before[-bottom:], dash.screen
        assert "toast 11" in dash.screen


async def test_the_mark_of_a_tab_goes_with_what_it_was_for(path: Path) -> None:
    rows = jobs("in_progress", "in_progress", "failed")
    async with dashboard(path, rows=rows, working=False) as dash:
        unseen = dash.app.context.symbols.unseen

        def marked() -> bool:
            failed = dash.app.main.view.model.counts.by_tab[Tab.FAILED]
            return f"Failed {failed}{unseen}" in dash.line("tabs")

        change(path, "UPDATE job SET verdict = 'force_failed', verdict_at = 1 WHERE name < 'job-003'")
        await dash.until(lambda: "Failed 3" in dash.line("tabs"))
        for row in dash.app.context.browser.rows([1, 2]).values():
            dash.app.main.view.model.mark_tab(row)
        assert marked()
        change(path, "UPDATE job SET verdict = NULL, verdict_at = NULL WHERE name = 'job-001'")
        await dash.until(lambda: "Failed 2" in dash.line("tabs"))
        assert marked()
        change(path, "UPDATE job SET verdict = NULL, verdict_at = NULL WHERE name = 'job-002'")
        await dash.until(lambda: "Failed 1" in dash.line("tabs"))
        assert not marked()
        assert unseen not in dash.line("tabs")


async def test_the_mark_goes_with_a_removal_too(path: Path) -> None:
    async with dashboard(path, rows=jobs("failed", "failed"), working=False) as dash:
        (row,) = dash.app.context.browser.rows([1]).values()
        dash.app.main.view.model.mark_tab(row)
        assert dash.app.context.symbols.unseen in dash.line("tabs")
        change(path, "UPDATE job SET removed_at = 1 WHERE id = 1")
        await dash.until(lambda: "Failed 1" in dash.line("tabs"))
        assert dash.app.context.symbols.unseen not in dash.line("tabs")
        add(path, job(9, "failed"))


@pytest.mark.parametrize("size", rest_slow([(120, 36), (80, 24)], [(80, 24)]))
async def test_the_retry_dialog_shows_the_whole_command(path: Path, size: tuple[int, int]) -> None:
    run = begin(make_store(path), total=10)
    run.expects(10)
    run.did("ok", "error")
    run.ends("failed")
    words = [
        sys.executable,
        "work.py",
        *(f"--option-{n}=value-{n}" for n in range(150)),
        "--last",
        "rm -rf /",
    ]
    change(path, "UPDATE attempt SET argv = ?, cwd = ?", json.dumps(words), str(path.parent))
    async with dashboard(path, size=size) as dash:
        await dash.until(lambda: dash.app.runs._ready)
        await dash.press("r")
        await dash.until_dialog()
        notes = dash.app.screen.query_one("#notes").plain
        assert all(word in notes for word in words[:-1])
        seen = dash.screen
        for _ in range(40):
            if "rm -rf /" in seen:
                break
            await dash.press("pagedown")
            seen += dash.screen
        assert "--option-149=value-149" in seen.replace("\n", "")
        assert "rm -rf /" in seen
        await dash.press("escape")


async def test_a_job_that_comes_back_into_a_snapshot_is_counted_and_found_by_home(path: Path) -> None:
    async with dashboard(path, rows=jobs(*["completed"] * 5), working=False) as dash:
        await dash.press("s", "j")
        assert dash.app.main.view.model.sort.order == "updated"
        gone = dash.names[0]
        change(path, "UPDATE job SET removed_at = 1 WHERE name = ?", gone)
        await dash.until(lambda: gone not in dash.names)
        change(path, "UPDATE job SET removed_at = NULL WHERE name = ?", gone)
        await dash.until(lambda: "1 moved" in dash.screen)
        assert gone not in dash.names
        await dash.press("home")
        await dash.until(lambda: dash.names[0] == gone)
        assert len(dash.names) == 5
        assert "moved" not in dash.screen


async def test_the_cursor_moves_over_rows_in_sight_without_asking_the_store(path: Path) -> None:
    """The store may be a server: no key waits for it."""
    rows = [job(number, "failed", failed=number, error=f"broken {number}") for number in range(1, 13)]
    asked: list[str] = []
    async with dashboard(path, rows=rows, working=False) as dash:
        known = dash.app.main.current_job._background._known
        await dash.until(lambda: len(known) == len(rows))
        dash.app.context.browser._connection.set_trace_callback(asked.append)
        for number in range(11, 0, -1):
            await dash.press("down")
            assert f"{number} failed" in dash.line("summary")
        await dash.press("up", "home", "end")
        assert [sql for sql in asked if "job" in sql] == []


async def test_errors_of_scripts_that_run_are_not_read_again_at_each_change(path: Path) -> None:
    """They change all the time: that under the cursor is asked for, and the others when it comes to them."""
    store = make_store(path)
    runs = [begin(store, f"resize-{number}", total=10) for number in range(6)]
    for run in runs:
        run.expects(10)
        run.did("error")
    asked: list[str] = []
    async with dashboard(path, working=False) as dash:
        known = dash.app.main.current_job._background._known
        await dash.until(lambda: len(known) == len(runs))
        dash.app.context.browser._connection.set_trace_callback(asked.append)
        for run in runs:
            run.did("error", first=1)
        await dash.until(lambda: dash.screen.count("2/10") == len(runs))
        before = len(asked)
        await dash.until(lambda: len(asked) > before)  # another poll, which would read ahead
        errors = [sql for sql in asked if "GROUP BY error_type" in sql]
        assert len({sql.split("job_id = ")[1].split()[0] for sql in errors}) <= 1
