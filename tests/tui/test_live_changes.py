"""Cursor, marks and scroll belong to jobs: whatever comes, goes, is sorted or filtered, they stay."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tui_kit import Dash, add, change, dashboard, job, now_ms

from jobdash.domain.status import Tab

MANY = [job(number, "completed", failed=number % 7) for number in range(1, 121)]


async def caught_up(dash: Dash, number: int) -> None:
    await dash.until(lambda: dash.count(Tab.ALL) == number)
    await dash.settle()


@pytest.mark.parametrize("order", [0, 2, 3])
@pytest.mark.slow
async def test_cursor_line_and_marks_stay_through_insertions_and_removals(path: Path, order: int) -> None:
    async with dashboard(path, rows=MANY, working=False, size=(110, 24)) as dash:
        await dash.press(*["s"] * order, "pagedown", "pagedown", "down", "space")
        name, marked = dash.current, dash.marked
        line = dash.names.index(name)
        number = len(MANY)
        for step in range(6):
            add(path, job(200 + step, "completed", created_at=now_ms() + step))
            number += 1
            await caught_up(dash, number)
            assert (dash.current, dash.names.index(dash.current)) == (name, line), step
            assert dash.marked == marked
        for gone in (205, 204, 120, 119, 1, 2):
            change(path, "UPDATE job SET removed_at = 1 WHERE name = ?", f"job-{gone:03d}")
            number -= 1
            await caught_up(dash, number)
            assert dash.current == name, gone
            assert dash.names.index(name) == line, gone


async def test_when_the_current_job_goes_the_next_one_takes_its_line(path: Path) -> None:
    async with dashboard(path, rows=MANY[:30], working=False) as dash:
        await dash.press("down", "down", "down")
        assert dash.current == "job-027"
        change(path, "UPDATE job SET removed_at = 1 WHERE name = 'job-027'")
        await caught_up(dash, 29)
        assert dash.current == "job-026"
        assert dash.table.cursor == 3


async def test_the_last_job_goes(path: Path) -> None:
    async with dashboard(path, rows=MANY[:3], working=False) as dash:
        await dash.press("end")
        change(path, "UPDATE job SET removed_at = 1 WHERE name = 'job-001'")
        await caught_up(dash, 2)
        assert dash.current == "job-002"
        change(path, "UPDATE job SET removed_at = 1")
        await caught_up(dash, 0)
        assert dash.current == ""
        await dash.press("c", "space", "enter", "y", "down", "end")
        add(path, job(9))
        await caught_up(dash, 1)
        assert dash.current == "job-009"


async def test_on_the_first_row_new_jobs_appear_above_and_the_cursor_stays(path: Path) -> None:
    async with dashboard(path, rows=MANY[:10], working=False) as dash:
        await dash.press("down", "up")
        add(path, job(300, created_at=now_ms()))
        await caught_up(dash, 11)
        assert dash.current == "job-010"
        assert dash.names[0] == "job-300"


async def test_an_untouched_table_shows_the_newest(path: Path) -> None:
    async with dashboard(path, rows=MANY[:10], working=False) as dash:
        add(path, job(300, created_at=now_ms()))
        await caught_up(dash, 11)
        assert dash.current == "job-300"


async def test_sorting_and_tabs_keep_the_job_and_its_line(path: Path) -> None:
    async with dashboard(path, rows=MANY, working=False, size=(110, 24)) as dash:
        await dash.press("pagedown", "pagedown", "up", "up")
        name = dash.current
        line = dash.names.index(name)
        for key in ("S", "s", "s", "S", "s", "s", "s", "s", "s", "4", "0"):
            await dash.press(key)
            assert dash.current == name, key
            top = round(dash.table.scroll_y)
            last = dash.table.window.total - dash.table.size.height
            assert dash.names.index(name) == line or top in {0, last}, key
        await dash.press("5")
        assert dash.current == ""


async def test_a_filter_keeps_the_job_through_refresh(path: Path) -> None:
    async with dashboard(path, rows=MANY, working=False, size=(110, 24)) as dash:
        await dash.press("slash")
        await dash.type("failed>2")
        await dash.press("enter")
        await dash.until(lambda: "of 120" in dash.filter_line)
        await dash.press("pagedown", "pagedown", "down")
        name = dash.current
        for step in range(4):
            add(path, job(200 + step, "completed", failed=5, created_at=now_ms()))
            await caught_up(dash, len(MANY) + step + 1)
            assert dash.current == name
        await dash.press("escape")
        await dash.until(lambda: dash.table.window.total == len(MANY) + 4)
        await dash.settle()
        assert dash.current == name


async def test_marks_of_removed_jobs_go(path: Path) -> None:
    async with dashboard(path, rows=MANY[:5], working=False) as dash:
        await dash.press("a")
        change(path, "UPDATE job SET removed_at = 1 WHERE name IN ('job-001', 'job-003')")
        await caught_up(dash, 3)
        assert dash.marked == {"job-002", "job-004", "job-005"}
        assert "3 marked" in dash.filter_line


async def test_an_order_that_changes_by_itself_is_a_snapshot_until_sorted_again(path: Path) -> None:
    rows = [
        job(number, "in_progress", succeeded=number, updated_at=now_ms() - 10**6) for number in range(1, 6)
    ]
    async with dashboard(path, rows=rows, working=False) as dash:
        await dash.press("s", "s", "s", "s", "s", "s")
        assert dash.names[0] == "job-005"
        change(path, "UPDATE job SET succeeded = 99 WHERE name = 'job-001'")
        await dash.until(lambda: "99/100" in dash.screen)
        assert dash.names[-1] == "job-001"
        assert "1 moved" in dash.filter_line
        await dash.press("home")
        await dash.until(lambda: dash.names[0] == "job-001")
        assert "moved" not in dash.filter_line
        assert dash.current == "job-001"


@pytest.mark.parametrize(
    "seed", [0, 2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, *range(3, 12)))]
)
@pytest.mark.slow
async def test_the_screen_equals_the_store_after_any_mixture(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with dashboard(path, rows=MANY[:60], working=False, size=(110, 20)) as dash:
        alive, fresh = 60, 500
        for _ in range(40):
            act = chance.choice(("key", "key", "key", "add", "remove", "change"))
            if act == "key":
                await dash.press(
                    chance.choice(
                        ("down", "up", "pagedown", "pageup", "end", "home", "s", "S", "4", "0", "space")
                    )
                )
            elif act == "add":
                add(
                    path,
                    job(fresh, "completed", failed=fresh % 7, created_at=now_ms() - chance.randrange(10**9)),
                )
                fresh += 1
                alive += 1
            elif act == "remove":
                change(
                    path,
                    "UPDATE job SET removed_at = 1 WHERE id = (SELECT id FROM job WHERE removed_at IS NULL"
                    " ORDER BY (id * ?) % 101 LIMIT 1)",
                    chance.randrange(1, 100),
                )
                alive -= 1
            else:
                change(
                    path, "UPDATE job SET failed = (failed + 1) % 7 WHERE id % 13 = ?", chance.randrange(13)
                )
            before = dash.current
            await caught_up(dash, alive)
            if act in {"add", "change"} and dash.table.touched:
                assert dash.current == before
        await dash.press("s", "s", "end", "home")
        view = dash.app.main.view
        model = view.model.browser.page(view.model.scope, view.model.sort, None, 1000)
        assert dash.names == [row.name for row in model][: len(dash.names)]
        await dash.press("end")
        assert dash.names == [row.name for row in model][-len(dash.names) :]
