"""Looking around: moving, tabs, sorting, marking, filtering, pausing, copying, by keys and by mouse."""

from __future__ import annotations

from pathlib import Path

import pytest
from tui_kit import HOUR, add, change, dashboard, job, jobs, now_ms

from jobdash.domain.status import Tab
from jobdash.operations.job_lookup import SORT_ORDERS
from jobdash.tui.widgets.job_table import JobTable

MIXED = ("in_progress", "pending", "completed", "failed", "cancelled", "expired", "cancelling", "validating")


async def test_moving_by_line_page_and_end(path: Path) -> None:
    rows = [job(number) for number in range(1, 201)]
    async with dashboard(path, rows=rows, working=False, size=(100, 24)) as dash:
        assert dash.current == "job-200"
        for keys, name in (
            (("down",), "job-199"),
            (("j", "j"), "job-197"),
            (("k",), "job-198"),
            (("up",), "job-199"),
            (("end",), "job-001"),
            (("g",), "job-200"),
            (("G",), "job-001"),
            (("home",), "job-200"),
        ):
            await dash.press(*keys)
            assert dash.current == name, keys
        height = dash.table.size.height
        await dash.press("pagedown")
        assert dash.table.cursor == height - 1
        await dash.press("pagedown", "pageup", "pageup")
        assert dash.current == "job-200"


async def test_moving_past_the_ends_stays(path: Path) -> None:
    async with dashboard(path, rows=jobs("pending", "pending"), working=False) as dash:
        await dash.press("up", "up", "pageup")
        assert dash.current == "job-002"
        await dash.press("down", "down", "pagedown", "down")
        assert dash.current == "job-001"


async def test_tabs_show_their_jobs_and_counts(path: Path) -> None:
    running = {Tab.ALL: 8, Tab.RUNNING: 2}
    async with dashboard(path, rows=jobs(*MIXED), working=False) as dash:
        for key, tab in enumerate(Tab):
            shown = running.get(tab, 1)
            await dash.press("1", str(key))
            assert dash.app.main.view.model.scope.tab is tab
            assert len(dash.names) == shown == dash.count(tab)
            assert f"{tab.capitalize()} {shown}" in dash.line("tabs")


async def test_sorting_walks_through_all_orders_and_turns_round(path: Path) -> None:
    rows = [
        job(1, "completed", name="b", failed=3, succeeded=97, account="zoo"),
        job(2, "completed", name="C", failed=0, account="ape"),
        job(3, "in_progress", name="a", failed=7, succeeded=1, total=50, account="mid"),
    ]
    async with dashboard(path, rows=rows, working=False) as dash:
        seen = {}
        for order in [*list(SORT_ORDERS)[1:], "created"]:
            await dash.press("s")
            assert dash.app.main.view.model.sort.order is order
            assert f"sort {order}" in dash.filter_line
            seen[order] = list(dash.names)
            await dash.press("S")
            assert dash.names == seen[order][::-1], order
            await dash.press("S")
        assert seen["name"] == ["a", "b", "C"]
        assert seen["account"] == ["C", "a", "b"]
        assert seen["failed"] == ["a", "b", "C"]
        assert seen["total"][-1] == "a"
        assert seen["progress"][-1] == "a"
        assert seen["created"] == ["a", "C", "b"]


async def test_marking_one_and_all_and_clearing(path: Path) -> None:
    async with dashboard(path, rows=jobs(*MIXED), working=False) as dash:
        await dash.press("space")
        assert dash.marked == {"job-008"}
        assert dash.current == "job-007"
        await dash.press("k", "space")
        assert dash.marked == set()
        await dash.press("2", "a")
        assert dash.marked == {"job-002"}
        assert "1 marked" in dash.filter_line
        await dash.press("0", "a")
        assert len(dash.marked) == len(MIXED)
        await dash.press("a")
        assert "No other job here" in dash.toast
        await dash.press("escape")
        assert dash.marked == set()


async def test_filter_as_one_types_then_kept_then_cleared(path: Path) -> None:
    async with dashboard(path, rows=jobs(*MIXED), working=False) as dash:
        await dash.press("slash")
        await dash.type("status:failed")
        await dash.until(lambda: dash.names == ["job-004"])
        assert "1 of 8" in dash.filter_line
        await dash.press("enter")
        assert isinstance(dash.app.focused, JobTable)
        assert "status:failed" in dash.filter_line
        await dash.press("escape")
        await dash.until(lambda: len(dash.names) == len(MIXED))


async def test_filter_goes_with_escape_and_stays_with_down(path: Path) -> None:
    async with dashboard(path, rows=jobs(*MIXED), working=False) as dash:
        await dash.press("slash")
        await dash.type("job-003")
        await dash.press("down")
        await dash.until(lambda: dash.names == ["job-003"])
        assert isinstance(dash.app.focused, JobTable)
        await dash.press("slash", "escape")
        await dash.until(lambda: len(dash.names) == len(MIXED))


async def test_a_mistake_is_reported_and_the_last_good_result_stays(path: Path) -> None:
    async with dashboard(path, rows=jobs(*MIXED), working=False, size=(80, 24)) as dash:
        await dash.press("slash")
        await dash.type("job failed>")
        await dash.until(lambda: dash.app.main.view.bar.mistake)
        await dash.until(lambda: len(dash.names) == len(MIXED))
        assert "failed> wants a value" in dash.filter_line
        await dash.type("x")
        assert "failed> wants a number" in dash.filter_line
        assert len(dash.names) == len(MIXED)
        await dash.press("backspace", "0", "enter")
        await dash.until(lambda: "0 of 8" in dash.filter_line)


async def test_an_unknown_field_names_the_fields_and_is_not_an_empty_result(path: Path) -> None:
    async with dashboard(path, rows=jobs(*MIXED), working=False) as dash:
        await dash.press("slash")
        await dash.type("foo:bar")
        await dash.until(lambda: "no field 'foo'" in dash.filter_line)
        await dash.settle()
        assert "No job matches" not in dash.screen
        assert "there are id, name, account" in dash.screen


async def test_nothing_matches(path: Path) -> None:
    async with dashboard(path, rows=jobs(*MIXED), working=False) as dash:
        await dash.press("slash")
        await dash.type("zebra")
        await dash.until(lambda: "No job matches this filter" in dash.screen)
        await dash.press("escape")
        await dash.until(lambda: len(dash.names) == len(MIXED))


async def test_a_filter_follows_changes_of_others(path: Path) -> None:
    async with dashboard(path, rows=jobs(*MIXED), working=False) as dash:
        await dash.press("slash")
        await dash.type("status:completed")
        await dash.press("enter")
        await dash.until(lambda: dash.names == ["job-003"])
        change(path, "UPDATE job SET remote_status = 'completed' WHERE name = 'job-001'")
        await dash.until(lambda: set(dash.names) == {"job-003", "job-001"})
        change(path, "UPDATE job SET remote_status = 'failed' WHERE name = 'job-003'")
        await dash.until(lambda: dash.names == ["job-001"])


async def test_pause_counts_what_is_held_back(path: Path) -> None:
    async with dashboard(path, rows=jobs(*MIXED), working=False) as dash:
        await dash.press("p")
        for number in (1, 2, 3):
            change(path, "UPDATE job SET remote_status = 'failed', failed = ? WHERE name = 'job-001'", number)
            await dash.until(lambda n=number: f"‖ paused, {n} change" in dash.line("accounts"))  # type: ignore[misc]
        assert dash.statuses()["job-001"] == "in_progress"
        await dash.press("p")
        await dash.until(lambda: dash.statuses()["job-001"] == "failed")
        assert "‖" not in dash.line("accounts")


async def test_copying_both_ids(path: Path) -> None:
    async with dashboard(path, rows=jobs("pending"), working=False) as dash:
        row = dash.table.current
        assert row is not None
        await dash.press("y")
        assert dash.app.clipboard == row.remote_id
        await dash.press("Y")
        assert dash.app.clipboard == row.public_id
        assert row.public_id in dash.toast


async def test_where_no_job_is_there_is_nothing_to_copy(path: Path) -> None:
    async with dashboard(path, rows=[], working=False) as dash:
        await dash.press("y", "Y")
        assert dash.toasts == ["No job here"] * 2


async def test_a_job_without_a_provider_id_has_nothing_to_copy(path: Path) -> None:
    async with dashboard(path, rows=[job(1, "pending", remote_id=None)], working=False) as dash:
        await dash.press("y")
        assert "no id to copy" in dash.toast


@pytest.mark.parametrize("keys", ["enter", "l", "doctor"])
async def test_the_footer_of_every_screen_can_be_clicked(path: Path, keys: str) -> None:
    async with dashboard(path, rows=jobs("in_progress"), working=False) as dash:
        if keys == "doctor":
            dash.app.action_doctor()
        else:
            await dash.press(keys)
        await dash.until(lambda: dash.app.screen is not dash.app.main and "Close" in dash.screen)

        await dash.pilot.click("#keys", offset=(dash.line("keys").index("Close"), 0))

        await dash.until(lambda: dash.app.screen is dash.app.main)


async def test_the_doctor_is_asked_again_by_a_click(path: Path) -> None:
    async with dashboard(path, rows=jobs("in_progress"), working=False) as dash:
        dash.app.action_doctor()
        await dash.until(lambda: "Ask again" in dash.screen and "1 jobs" in dash.screen)
        add(path, job(2))

        await dash.pilot.click("#keys", offset=(dash.line("keys").index("Ask"), 0))

        await dash.until(lambda: "2 jobs" in dash.screen)


async def test_the_mouse_reaches_rows_tabs_headers_and_keys(path: Path) -> None:
    async with dashboard(path, rows=jobs(*MIXED), working=False) as dash:
        await dash.pilot.click("#table", offset=(10, 3))
        assert dash.table.cursor == 3
        tabs = dash.line("tabs")
        await dash.pilot.click("#tabs", offset=(tabs.index("Failed") + 1, 0))
        await dash.until(lambda: dash.names == ["job-004"])
        await dash.pilot.click("#tabs", offset=(tabs.index("All"), 0))
        header = dash.line("header")
        await dash.pilot.click("#header", offset=(header.index("NAME") + 1, 0))
        await dash.until(lambda: dash.app.main.view.model.sort.order == "name")
        await dash.pilot.click("#header", offset=(header.index("NAME") + 1, 0))
        await dash.until(lambda: dash.names[0] == "job-008")
        await dash.pilot.click("#keys", offset=(dash.line("keys").index("Help"), 0))
        await dash.until(lambda: dash.app.screen.is_modal)


async def test_a_double_click_opens_a_job(path: Path) -> None:
    async with dashboard(path, rows=jobs(*MIXED), working=False) as dash:
        await dash.pilot.double_click("#table", offset=(10, 2))
        await dash.until(lambda: dash.app.screen is not dash.app.main)
        await dash.until(lambda: "job-006" in dash.screen)


async def test_the_wheel_scrolls_and_a_new_job_does_not_scroll_back(path: Path) -> None:
    rows = [job(number) for number in range(1, 101)]
    async with dashboard(path, rows=rows, working=False, size=(100, 20)) as dash:
        for _ in range(5):
            dash.table.scroll_relative(y=3, animate=False, immediate=True)
            await dash.settle()
        top = dash.names[0]
        assert top != "job-100"
        add(path, job(101, created_at=now_ms() + HOUR))
        await dash.until(lambda: dash.count(Tab.ALL) == 101)
        await dash.settle()
        assert dash.names[0] == top


async def test_live_change_of_another_process_is_drawn_within_half_a_second(path: Path) -> None:
    """F-1"""
    async with dashboard(path, rows=jobs("in_progress", "pending"), working=False) as dash:
        change(path, "UPDATE job SET remote_status = 'completed', succeeded = 100 WHERE name = 'job-001'")
        await dash.until(lambda: "100/100" in dash.screen and "completed" in dash.screen, 0.5)
        assert dash.count(Tab.COMPLETED) == 1
