"""A family is one row that opens: what it shows, what its keys act on, and how it follows the store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tui_kit import Dash, account, add, add_retry, change, dashboard, job, make_store

from jobdash.config.settings import UiSettings
from jobdash.domain.status import Tab

Opened = Callable[..., AbstractAsyncContextManager[Dash]]


@pytest.fixture
def opened(path: Path) -> Opened:
    """Four jobs; job-002 was sent again as job-005, and that as job-006, which runs."""
    failed = {"succeeded": 60, "failed": 40}
    make_store(path, [job(number, "completed", **(failed if number == 2 else {})) for number in (1, 2, 3, 4)])
    add_retry(path, 2, job(5, "completed", total=40, succeeded=30, failed=10))
    add_retry(path, 5, job(6, total=10, succeeded=4))

    @asynccontextmanager
    async def open_it(**more: Any) -> AsyncIterator[Dash]:
        async with dashboard(path, [account("openai")], **({"working": False} | more)) as dash:
            yield dash

    return open_it


async def test_a_family_is_one_row_that_opens_and_closes(opened: Opened) -> None:
    async with opened() as dash:
        assert dash.names == ["job-004", "job-003", "job-002", "job-001"]
        dash.select("job-002")
        await dash.settle()
        line = next(line for line in dash.screen.splitlines() if "job-002 (3)" in line)
        assert all(word in line for word in ("⊞ job-002 (3)", "running", "94/100"))
        assert "→ opens 3 jobs: 1 running, 2 completed" in dash.line("summary")
        assert "All 6" in dash.line("tabs")
        await dash.press("right")
        assert dash.names == ["job-004", "job-003", "job-002", "job-005", "job-006", "job-001"]
        assert "⊟ job-002 (3)" in dash.screen
        assert "its rest was sent again" in dash.line("summary")
        await dash.press("right", "down", "down")
        assert dash.current == "job-006"
        await dash.press("left")
        assert (dash.current, len(dash.names)) == ("job-002", 4)
        await dash.press("left", "up", "right")
        assert (dash.current, len(dash.names)) == ("job-003", 4)


async def test_keys_that_no_member_of_a_closed_family_accepts_are_dim(opened: Opened, path: Path) -> None:
    async with opened() as dash:

        def dim() -> set[str]:
            return {hint.label for hint in dash.app.main.current_job.hints() if not hint.enabled}

        dash.select("job-002")
        await dash.settle()
        assert not dim() & {"Cancel", "Remove"}  # one of its three runs
        change(path, "UPDATE job SET remote_status='completed', succeeded=9, failed=1 WHERE id = 6")
        await dash.until(lambda: "Cancel" in dim())
        assert "Remove" not in dim()
        assert "→ opens 3 jobs: 3 completed · 1 request failed" in dash.line("summary")


async def test_a_click_on_the_sign_opens_and_closes(opened: Opened) -> None:
    async with opened() as dash:
        for number in (6, 4):
            await dash.pilot.click(dash.table, offset=(3, 2))
            await dash.settle()
            assert len(dash.names) == number
        await dash.pilot.click(dash.table, offset=(3, 1))
        await dash.settle()
        assert (dash.current, len(dash.names)) == ("job-003", 4)


async def test_signs_in_ascii(opened: Opened) -> None:
    async with opened(ui=UiSettings(ascii=True)) as dash:
        assert "+ job-002 (3)" in dash.screen
        dash.select("job-002")
        await dash.press("right")
        assert "- job-002 (3)" in dash.screen


async def test_keys_on_a_closed_family_act_on_every_member(opened: Opened) -> None:
    async with opened() as dash:
        dash.select("job-002")
        await dash.press("X")
        await dash.until_dialog()
        assert all(name in dash.screen for name in ("job-002", "job-005", "job-006"))
        await dash.press("escape")
        await dash.until_table()
        await dash.press("right", "x")
        await dash.until_dialog()
        assert "job-005" not in dash.app.screen.plan.acting[0].job.name  # type: ignore[attr-defined]
        assert len(dash.app.screen.plan.acting) == 1  # type: ignore[attr-defined]


async def test_marks_of_a_closed_family_are_those_of_its_members(opened: Opened) -> None:
    family = {"job-002", "job-005", "job-006"}
    async with opened() as dash:
        dash.select("job-002")
        await dash.press("space")
        assert (dash.marked, dash.current) == (family, "job-001")
        assert "3 marked" in dash.filter_line
        await dash.press("up", "right", "down", "space")
        assert dash.marked == family - {"job-005"}
        await dash.press("left")
        assert "◆ ⊞ job-002 (3)" in dash.screen
        await dash.press("space")
        assert dash.marked == family
        await dash.press("up", "space")
        assert dash.marked == set()
        await dash.press("a")
        assert len(dash.marked) == 6


async def test_elsewhere_every_job_has_its_own_row(opened: Opened) -> None:
    async with opened() as dash:
        dash.select("job-002")
        await dash.press("1")
        assert dash.names == ["job-006"]
        await dash.press("0")
        assert dash.current == "job-002"
        await dash.press("slash", *"job-005", "enter")
        await dash.until(lambda: dash.names == ["job-005"])
        assert "(3)" not in dash.screen
        await dash.press("escape")
        await dash.until(lambda: len(dash.names) == 4)
        assert dash.current == "job-002"
        await dash.press("s")
        assert len(dash.names) == 6
        dash.select("job-006")
        await dash.press("s")
        assert (dash.current, len(dash.names)) == ("job-002", 4)


async def test_an_open_family_follows_the_store(opened: Opened, path: Path) -> None:
    async with opened() as dash:
        dash.select("job-002")
        await dash.press("right", "down", "down")
        add_retry(path, 6, job(7))
        add(path, job(8))
        await dash.until(lambda: len(dash.names) == 8)
        assert dash.names[3:7] == ["job-002", "job-005", "job-006", "job-007"]
        assert dash.current == "job-006"
        change(path, "UPDATE job SET removed_at = 1 WHERE name = 'job-002'")
        await dash.until(lambda: "⊟ job-005 (3)" in dash.screen)
        # The next member stands for it, in its own place of the order.
        assert dash.names == ["job-008", "job-005", "job-006", "job-007", "job-004", "job-003", "job-001"]
        assert dash.current == "job-006"
        change(path, "UPDATE job SET removed_at = NULL WHERE name = 'job-002'")
        await dash.until(lambda: "⊟ job-002 (4)" in dash.screen)
        change(path, "UPDATE job SET removed_at = 1 WHERE name IN ('job-005', 'job-006', 'job-007')")
        await dash.until(lambda: dash.names == ["job-008", "job-004", "job-003", "job-002", "job-001"])
        assert not {"⊟", "("} & set("".join(dash.screen.splitlines()[5:-4]))
        assert dash.current == "job-002"


async def test_a_closed_family_shows_what_changes_in_a_member(opened: Opened, path: Path) -> None:
    async with opened() as dash:
        assert "94/100" in dash.screen
        change(path, "UPDATE job SET succeeded = 10, remote_status = 'completed' WHERE name = 'job-006'")
        await dash.until(lambda: dash.count(Tab.RUNNING) == 0)
        line = next(line for line in dash.screen.splitlines() if "job-002 (3)" in line)
        assert "100/100" in line
        assert "running" not in line


@pytest.mark.usefixtures("opened")
async def test_removing_a_whole_family_and_taking_it_back(path: Path) -> None:
    change(path, "UPDATE job SET succeeded = 10, remote_status = 'completed' WHERE name = 'job-006'")
    async with dashboard(path) as dash:
        dash.select("job-002")
        await dash.press("x")
        await dash.until_dialog()
        await dash.press("y")
        await dash.until(lambda: dash.names == ["job-004", "job-003", "job-001"])
        await dash.until(lambda: "Close" in dash.screen)
        await dash.press("escape")
        await dash.until_table()
        await dash.press("u")
        await dash.until_dialog()
        await dash.press("y")
        await dash.until(lambda: "⊞ job-002 (3)" in dash.screen)


async def test_the_screen_of_a_member_names_the_family(opened: Opened) -> None:
    async with opened() as dash:
        dash.select("job-002")
        await dash.press("enter", "2")
        await dash.until(lambda: "(this job)" in dash.screen)
        words = " ".join(dash.screen.split())
        assert "family 3 jobs" in words
        assert "running 4/10" in words
        assert "partial 40/40" in words


async def test_a_family_longer_than_the_screen_is_walked_through(path: Path) -> None:
    make_store(path, [job(number, "completed") for number in range(1, 200)])
    for number in range(200, 260):
        add_retry(path, 100, job(number))
    async with dashboard(path, working=False) as dash:
        await dash.press("end", "home")
        dash.table.go(99)
        assert dash.current == "job-100"
        await dash.press("right", "pagedown", "pagedown", "pagedown")
        assert dash.table.total == 259
        await dash.press("end")
        assert (dash.current, dash.table.cursor) == ("job-001", 258)
        await dash.press("home")
        for line in (120, 99, 258, 160, 0):
            dash.table.go(line)
            assert dash.current == (
                f"job-{199 - line:03d}"
                if line < 100
                else f"job-{200 + line - 100:03d}"
                if line < 160
                else f"job-{259 - line:03d}"
            )
        dash.table.go(150)
        await dash.press("left")
        assert (dash.current, dash.table.cursor, dash.table.total) == ("job-100", 99, 199)


async def test_the_members_of_the_last_line_come_into_sight(path: Path) -> None:
    make_store(path, [job(number, "completed") for number in range(1, 60)])
    add_retry(path, 1, job(60))
    add_retry(path, 60, job(61))
    async with dashboard(path, working=False) as dash:
        await dash.press("end", "right")
        assert dash.names[-3:] == ["job-001", "job-060", "job-061"]
        assert dash.current == "job-001"


async def test_the_first_family_comes_in_an_order_that_has_none(path: Path) -> None:
    make_store(path, [job(number, "completed") for number in (1, 2, 3)])
    async with dashboard(path, working=False, ui=UiSettings(sort="total")) as dash:
        dash.select("job-002")
        await dash.settle()
        add_retry(path, 2, job(4, total=7))
        await dash.until(lambda: sorted(dash.names) == ["job-001", "job-002", "job-003", "job-004"])
        assert dash.current == "job-002"
        await dash.press("s", "s", "s", "s")
        await dash.until(lambda: "created" in dash.screen)
