"""Costs in the dashboard: the column, the details, the sums of marks and filter, the dialog of a cancel."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tui_kit import Dash, account, change, dashboard, job

from jobdash.config.settings import UiSettings
from jobdash.demo.emulator import OPENAI_KEY, BatchPlan, BatchScript, Emulator, EmulatorServer, Timing
from jobdash.domain.cost import ListPrice


def set_cost(path: Path, name: str, micros: int | None, bound: int = 0) -> None:
    change(
        path,
        "UPDATE job SET cost = ?, cost_is_upper_bound = ?, input_tokens = 900, output_tokens = 100,"
        " cached_tokens = 300 WHERE name = ?",
        micros,
        bound,
        name,
    )


async def known(dash: Dash, path: Path) -> None:
    """Let three jobs have a cost of $3.50, one of at most $1,200, and none."""
    set_cost(path, "job-001", 3_500_000)
    set_cost(path, "job-002", 1_200_000_000, 1)
    await dash.until(lambda: [row.cost for row in dash.table.visible_rows].count(None) < len(dash.names) - 1)


ROWS = [job(number, "completed") for number in (1, 2, 3)]


async def test_a_key_shows_the_column_and_hides_it_again(path: Path) -> None:
    async with dashboard(path, rows=ROWS, working=False) as dash:
        await known(dash, path)
        assert "COST" not in dash.line("header")
        await dash.press("$")
        assert dash.line("header").rstrip().endswith("COST")
        await dash.until(lambda: "$3.50" in dash.screen)
        assert "≤$1.2k" in dash.screen
        await dash.press("$")
        assert "COST" not in dash.line("header")


async def test_the_column_is_there_when_the_settings_name_it_and_sorts(path: Path) -> None:
    ui = UiSettings(ascii=False, columns=("account", "cost"), sort="cost")
    async with dashboard(path, rows=ROWS, working=False, ui=ui) as dash:
        await known(dash, path)
        assert "COST" in dash.line("header")
        await dash.press("S", "S")
        assert dash.names == ["job-002", "job-001", "job-003"]
        await dash.press("$")
        assert "COST" not in dash.line("header")


async def test_a_narrow_terminal_cuts_no_digit_and_ascii_has_its_own_sign(path: Path) -> None:
    ui = UiSettings(ascii=True, columns=("cost",))
    async with dashboard(path, rows=ROWS, working=False, ui=ui, size=(60, 20)) as dash:
        await known(dash, path)
        await dash.until(lambda: "<=$1.2k" in dash.screen)
        assert "$3.50" in dash.screen


async def test_the_detail_line_and_the_job_itself_say_what_it_cost(path: Path) -> None:
    async with dashboard(path, rows=ROWS, working=False) as dash:
        await known(dash, path)
        dash.select("job-002")
        await dash.until(lambda: "≤ $1,200.00" in dash.line("title"))
        await dash.press("enter")
        await dash.until(lambda: "no batch price is known" in dash.screen)
        assert "900 in (300 cached) · 100 out" in dash.screen


async def test_marked_jobs_are_summed_and_what_is_unknown_is_seen(path: Path) -> None:
    async with dashboard(path, rows=ROWS, working=False) as dash:
        await known(dash, path)
        dash.select("job-001")
        await dash.press("space")
        await dash.until(lambda: "1 marked · $3.50" in dash.filter_line)
        await dash.press("a")
        await dash.until(lambda: "3 marked · ≤ $1,203.50+" in dash.filter_line)
        await dash.press("escape")
        await dash.until(lambda: "$" not in dash.filter_line)


async def test_in_a_narrow_terminal_the_sum_goes_before_the_counts(path: Path) -> None:
    async with dashboard(path, rows=ROWS, working=False, size=(70, 20)) as dash:
        await known(dash, path)
        await dash.press("slash")
        await dash.type("name:job")
        await dash.until(lambda: dash.app.main.view.model.cost)
        await dash.press("enter", "a")
        await dash.until(lambda: "3 of 3 · 3 marked" in dash.filter_line)
        await dash.settle()
        assert "$" not in dash.filter_line


async def test_the_jobs_that_pass_a_filter_are_summed_and_followed(path: Path) -> None:
    async with dashboard(path, rows=ROWS, working=False) as dash:
        await known(dash, path)
        await dash.press("slash")
        await dash.type("cost<2")
        await dash.until(lambda: "0 of 3" in dash.filter_line)
        await dash.press(*["backspace"] * 6)
        await dash.type("name:job")
        await dash.until(lambda: "3 of 3 · ≤ $1,203.50+" in dash.filter_line)
        set_cost(path, "job-003", 500_000)
        await dash.until(lambda: "3 of 3 · ≤ $1,204.00 " in f"{dash.filter_line} ")
        await dash.press("escape")
        await dash.until(lambda: "$" not in dash.filter_line)


async def test_the_dialog_of_a_cancel_says_what_is_billed_in_any_case(path: Path) -> None:
    rows = [job(number, "in_progress") for number in (1, 2)]
    async with dashboard(path, [account("openai")], rows=rows, working=False) as dash:
        await known(dash, path)
        dash.select("job-001")
        await dash.press("space", "c")
        await dash.until_dialog()
        assert "finished so far: about $3.50, billed in any case" in dash.screen


async def test_a_batch_that_ends_has_its_cost_after_the_sync(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    plan = BatchPlan(timing=Timing(validating=0, running=10, finalizing=0))
    emulator.openai.add_batch(
        BatchScript(name="nightly", model="m", total=20, created_at=time.time() - 60, plan=plan)
    )
    settings: dict[str, Any] = {"prices": {"m": ListPrice(10, 100)}}
    async with dashboard(path, [account("openai", server, OPENAI_KEY)], **settings) as dash:
        await dash.until(lambda: "$0.06" in dash.line("title"), 20)
