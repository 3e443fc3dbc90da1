"""``d`` on batches: results on disk, in the detail line and in a toast, while the screen goes on."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tui_kit import Dash, account, dashboard

from jobdash.demo.emulator import (
    OPENAI_KEY,
    BatchFailure,
    BatchPlan,
    BatchScript,
    Emulator,
    EmulatorServer,
    Ending,
    FaultRule,
    Phase,
    Switches,
    Timing,
)
from jobdash.demo.emulator.batch import Role
from jobdash.demo.emulator.faults import Delay, ErrorAnswer
from jobdash.domain.status import Tab

ENDED = Timing(validating=0, running=10, finalizing=0)
SLOW = Timing(validating=0, running=3600)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def folders(here: Path) -> list[Path]:
    return list(here.iterdir())


def batch(name: str, timing: Timing = ENDED, **plan: Any) -> BatchScript:
    plans = BatchPlan(timing=timing, **plan)
    return BatchScript(name=name, total=20, created_at=time.time() - 60, plan=plans)


@asynccontextmanager
async def over(
    emulator: Emulator, server: EmulatorServer, path: Path, *scripts: BatchScript, **settings: Any
) -> AsyncIterator[Dash]:
    """The dashboard over an emulator with these batches, once it has seen them."""
    for script in scripts:
        emulator.openai.add_batch(script)
    async with dashboard(path, [account("openai", server, OPENAI_KEY, **settings)]) as dash:
        await dash.until(lambda: dash.count(Tab.ALL) == len(scripts), 20)
        await dash.until(lambda: "✓" in dash.line("accounts"))
        yield dash


async def test_a_batch_is_fetched_and_its_detail_line_says_what_it_came_to(
    emulator: Emulator, server: EmulatorServer, path: Path, here: Path
) -> None:  # D-4 D-6
    script = batch("nightly", failures=(BatchFailure(3),), cut_off=4)
    async with over(emulator, server, path, script) as dash:
        await dash.press("d")
        await dash.until(lambda: "nightly: 13 ok · 4 cut off · 3 errors in " in dash.toast)
        await dash.until(lambda: "fetched: 13 ok · 4 cut off · 3 errors" in dash.screen)
        await dash.press("d")
        await dash.until(lambda: "already here" in dash.toast)
    (folder,) = folders(here)
    assert len((folder / "results.jsonl").read_text().splitlines()) == 20


async def test_keys_work_while_results_arrive(
    emulator: Emulator, server: EmulatorServer, path: Path, here: Path
) -> None:  # D-6
    emulator.faults.add(FaultRule(effect=Delay(1.0), path="*/content"))
    async with over(emulator, server, path, batch("one"), batch("two")) as dash:
        first = dash.table.current
        await dash.press("d")
        await dash.until(lambda: "fetching: 0.0 MB" in dash.screen)
        await dash.press("j")
        assert dash.table.current != first
        await dash.until(lambda: "20 ok" in dash.toast)
        assert "fetching" not in dash.screen
    assert len(folders(here)) == 1


async def test_several_are_fetched_and_one_that_fails_says_why(
    emulator: Emulator, server: EmulatorServer, path: Path, here: Path
) -> None:
    async with over(emulator, server, path, batch("one"), batch("two")) as dash:
        (newest,) = emulator.openai.account(OPENAI_KEY).batches.page(1).batches
        output = emulator.openai.result_file(newest, Role.OUTPUT)
        emulator.faults.add(FaultRule(effect=ErrorAnswer(404), path=f"*/{output}/content"))
        await dash.press("a", "d")
        await dash.until(lambda: "Fetched: 1 · Failed: 1 · Skipped: 0" in dash.toast)
        assert "results were deleted at the provider" in dash.toast
        assert "✓" in dash.line("accounts")
    assert len(folders(here)) == 1


async def test_a_batch_that_runs_has_nothing_to_fetch_yet(
    emulator: Emulator, server: EmulatorServer, path: Path, here: Path
) -> None:
    async with over(emulator, server, path, batch("one", SLOW)) as dash:
        await dash.press("d")
        await dash.until(lambda: "no results before a batch has ended" in dash.toast)
    assert folders(here) == []


async def test_an_account_that_says_so_is_fetched_by_itself_when_a_batch_ends(
    emulator: Emulator, server: EmulatorServer, path: Path, here: Path
) -> None:
    moving = batch("nightly", Timing(validating=0, running=62, finalizing=0))
    async with over(emulator, server, path, moving, auto_fetch=True) as dash:
        assert folders(path.parent) != []
        await dash.until(lambda: emulator_says_ended(emulator, dash), 20)
        await dash.press("f5")
        await dash.until(lambda: "nightly fetched: 20 ok, in " in " ".join(dash.toasts), 20)
        await dash.until(lambda: "fetched: 20 ok" in dash.screen)
    (folder,) = folders(path.parent / "results")
    assert (folder / "results.jsonl").exists()
    assert folders(here) == []


async def test_without_being_asked_nothing_is_fetched_and_the_end_of_the_results_is_shown(
    emulator: Emulator, server: EmulatorServer, path: Path, here: Path
) -> None:
    moving = batch(
        "nightly",
        Timing(validating=0, running=62, finalizing=0),
        switches=Switches(results_kept=3 * 86400 + 60),
    )
    async with over(emulator, server, path, moving) as dash:
        await dash.until(lambda: emulator_says_ended(emulator, dash), 20)
        await dash.press("f5")
        await dash.until(lambda: "results gone in 3d" in dash.screen, 20)
    assert not (path.parent / "results").exists()
    assert folders(here) == []


def emulator_says_ended(emulator: Emulator, dash: Dash) -> bool:
    row = dash.table.current
    assert row is not None
    assert row.remote_id is not None
    return emulator.openai.snapshot(row.remote_id).phase is Phase.COMPLETED


async def test_a_batch_that_ended_early_says_what_it_has_and_what_a_key_fetches(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:  # D-3
    expired = Timing(validating=0, running=10, expires_after=30)
    script = batch("digest", expired, ending=Ending.EXPIRES, reached=1)
    async with over(emulator, server, path, script) as dash:
        await dash.until(lambda: "1 of 20 done, 19 expired · d fetches 1" in dash.screen)


async def test_a_removal_can_take_the_fetched_files_along(
    emulator: Emulator, server: EmulatorServer, path: Path, here: Path
) -> None:  # B-9
    async with over(emulator, server, path, batch("nightly")) as dash:
        screen = await removal_dialog(dash)
        assert not screen.query("#choice-local_files")
        await dash.press("escape")
        await dash.until_table()
        await dash.press("d")
        await dash.until(lambda: "fetched: 20 ok" in dash.screen)
        screen = await removal_dialog(dash)
        screen.query_one("#choice-local_files").value = True
        await dash.settle()
        await dash.press("y")
        await dash.until(lambda: dash.count(Tab.ALL) == 0)
    assert folders(here) == []


async def removal_dialog(dash: Dash) -> Any:
    await dash.press("x")
    return await dash.until_dialog()
