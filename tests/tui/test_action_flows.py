"""Actions end to end: a key, the dialog, the provider (emulated), the row."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tui_kit import Dash, account, change, dashboard, job

from jobdash.demo.emulator import (
    GEMINI_KEY,
    OPENAI_KEY,
    BatchPlan,
    BatchScript,
    CancelBehaviour,
    Emulator,
    EmulatorServer,
    ErrorAnswer,
    FaultRule,
    Switches,
    Timing,
)
from jobdash.demo.emulator.faults import Effect, Faults
from jobdash.domain.status import Tab
from jobdash.tui.screens.progress import ProgressScreen
from jobdash.tui.widgets.plan_list import PlanList

SLOW = Timing(validating=0, running=3600, cancelling=0.0)
LONG_CANCEL = Timing(validating=0, running=3600, cancelling=3600)


def running(name: str, timing: Timing = SLOW, **more: object) -> BatchScript:
    return BatchScript(name=name, created_at=time.time() - 60, plan=BatchPlan(timing=timing, **more))  # type: ignore[arg-type]


def ended(name: str) -> BatchScript:
    timing = Timing(validating=0, running=10, finalizing=0)
    return BatchScript(name=name, created_at=time.time() - 60, plan=BatchPlan(timing=timing))


@asynccontextmanager
async def over(
    emulator: Emulator,
    server: EmulatorServer,
    path: Path,
    *scripts: BatchScript,
    gemini: tuple[BatchScript, ...] = (),
) -> AsyncIterator[Dash]:
    """The dashboard over an emulator with these batches, once it has seen them."""
    for script in scripts:
        emulator.openai.add_batch(script)
    for script in gemini:
        emulator.gemini.add_batch(script)
    accounts = [account("openai", server, OPENAI_KEY)]
    if gemini:
        accounts.append(account("gemini", server, GEMINI_KEY, provider="gemini"))
    async with dashboard(path, accounts) as dash:
        await dash.until(lambda: dash.count(Tab.ALL) == len(scripts) + len(gemini), 20)
        await dash.until(lambda: "✓" in dash.line("accounts"))
        yield dash


async def cancelled_elsewhere(dash: Dash, emulator: Emulator) -> None:
    """Let somebody else cancel the current job, and ask for it."""
    row = dash.table.current
    assert row is not None
    assert row.remote_id is not None
    emulator.openai.cancel(row.remote_id)
    await dash.press("f5")


async def agree(dash: Dash, *keys: str) -> None:
    await dash.press(*keys)
    await dash.until_dialog()
    await dash.press("y")


async def test_cancel_asks_the_provider_and_shows_its_answer(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    """A-1, A-8, A-9, B-1, F-2, F-3"""
    async with over(emulator, server, path, running("one", LONG_CANCEL), running("two")) as dash:
        dash.select("one")
        await agree(dash, "c")
        await dash.until(lambda: dash.statuses()["one"] == "cancelling")
        assert [entry.status for entry in emulator.journal.calls("POST", "*/cancel")] == [200]
        assert dash.statuses()["two"] == "in_progress"
        await dash.until(lambda: "one: cancelling" in dash.toast)
        await dash.press("c")
        assert "already asked" in dash.toast
        assert len(emulator.journal.calls("POST", "*/cancel")) == 1


async def test_cancel_all_pending_over_two_providers(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    """A-3, A-5, A-7, A-11, B-17, C-13"""
    scripts = (running("a"), running("b"), ended("c"))
    async with over(emulator, server, path, *scripts, gemini=(running("d"), running("e"))) as dash:
        emulator.faults.add(
            FaultRule(effect=ErrorAnswer(400), method="POST", path="*batches/*:cancel", nth=1)
        )
        await agree(dash, "C")
        screen = await dash.until(
            lambda: dash.app.screen if isinstance(dash.app.screen, ProgressScreen) else None
        )
        await dash.until(lambda: screen.run.ended)
        await dash.until(lambda: len(screen.query_one(PlanList).entries) == 4)
        assert "4 / 4" in dash.line("progress-bar")
        assert "Failed to cancel: 1" in dash.screen
        await dash.press("enter")
        await dash.until_table()
        assert dash.statuses()["c"] == "completed"


async def test_a_job_that_finishes_under_the_open_dialog_is_skipped_with_the_reason(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    """B-3, C-9"""
    async with over(emulator, server, path, running("one")) as dash:
        await dash.press("c")
        await dash.until_dialog()
        change(path, "UPDATE job SET remote_status = 'completed', succeeded = 100, failed = 0")
        await dash.press("y")
        await dash.until(lambda: "one: already completed" in dash.toast)
        assert emulator.journal.calls("POST", "*/cancel") == []


async def test_a_refusal_is_shown_in_the_servers_words_and_the_job_goes_on(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    """B-7, C-8, C-10"""
    async with over(emulator, server, path, running("one")) as dash:
        body = '{"error": {"message": "no cancelling on [b]Sundays[/]", "type": "x"}}'
        emulator.faults.add(FaultRule(effect=ErrorAnswer(400, body), method="POST", path="*/cancel", times=1))
        await agree(dash, "c")
        await dash.until(lambda: "no cancelling on [b]Sundays[/]" in dash.toast)
        assert "400" in dash.toast
        await dash.until(lambda: dash.statuses()["one"] == "in_progress")
        await agree(dash, "c")
        await dash.until(lambda: dash.statuses()["one"] in {"cancelling", "cancelled"})


async def test_force_fail_and_undo(emulator: Emulator, server: EmulatorServer, path: Path) -> None:
    """E-3"""
    async with over(emulator, server, path, running("one", LONG_CANCEL)) as dash:
        await agree(dash, "f")
        await dash.until(lambda: dash.statuses()["one"] == "failed")
        await dash.until(lambda: "failed here" in dash.toast)
        assert "failed here; the provider says" in dash.line("summary")
        await agree(dash, "u")
        await dash.until(lambda: "Taken back: 1 job" in dash.toast)
        await dash.until(lambda: dash.statuses()["one"] == "cancelling")


async def test_remove_and_undo(emulator: Emulator, server: EmulatorServer, path: Path) -> None:
    """B-8, E-5, E-7"""
    async with over(emulator, server, path, ended("one"), ended("two")) as dash:
        dash.select("one")
        await agree(dash, "x")
        await dash.until(lambda: dash.names == ["two"])
        assert dash.count(Tab.ALL) == 1
        await agree(dash, "u")
        await dash.until(lambda: set(dash.names) == {"one", "two"})
        assert emulator.journal.calls("DELETE") == []


async def test_remove_with_what_the_provider_keeps(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    """A-12, B-9"""
    async with over(emulator, server, path, ended("one")) as dash:
        await dash.press("x")
        await dash.until_dialog()
        await dash.pilot.click("#choice-remote")
        await dash.until(lambda: "and error files are deleted there" in dash.screen)
        await dash.press("y")
        await dash.until(lambda: dash.count(Tab.ALL) == 0)
        assert emulator.journal.calls("DELETE", "*/files/*")


async def test_cancel_and_delete_waits_for_the_confirmation(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    """E-2, E-7"""
    async with over(
        emulator, server, path, running("one", Timing(validating=0, running=3600, cancelling=1.0))
    ) as dash:
        await agree(dash, "X")
        await dash.until(lambda: "removing" in dash.screen)
        assert "removed as soon as the provider confirms" in dash.line("summary")
        deadline = time.monotonic() + 15
        while dash.names and time.monotonic() < deadline:
            dash.app.runtime.sync_now()
            await dash.pilot.pause(0.3)
        assert dash.names == []


async def test_a_cancel_that_comes_too_late_is_reported(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    timing = Timing(validating=0, running=3600, cancelling=0.5)
    script = running("one", timing, switches=Switches(cancel=CancelBehaviour.LOSES_RACE))
    async with over(emulator, server, path, script) as dash:
        await agree(dash, "c")
        deadline = time.monotonic() + 15
        while "finished before the cancel" not in " ".join(dash.toasts) and time.monotonic() < deadline:
            dash.app.runtime.sync_now()
            await dash.pilot.pause(0.3)
        assert "one: finished before the cancel took effect" in dash.toasts
        assert "one: completed" not in dash.toasts


async def test_a_job_that_ends_elsewhere_gives_a_toast_and_a_mark_on_its_tab(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    async with over(emulator, server, path, running("one")) as dash:
        await cancelled_elsewhere(dash, emulator)
        await dash.until(lambda: "one: cancelled" in dash.toasts)
        await dash.until(lambda: "Cancelled 1•" in dash.line("tabs"))
        await dash.press("6")
        await dash.until(lambda: "•" not in dash.line("tabs"))


async def test_a_tab_whose_news_has_gone_has_none(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    async with over(emulator, server, path, running("one")) as dash:
        await cancelled_elsewhere(dash, emulator)
        await dash.until(lambda: "Cancelled 1•" in dash.line("tabs"))
        change(path, "UPDATE job SET removed_at = 1")
        await dash.until(lambda: "Cancelled 0" in dash.line("tabs"))
        assert "•" not in dash.line("tabs")


async def test_f5_asks_now(emulator: Emulator, server: EmulatorServer, path: Path) -> None:
    async with over(emulator, server, path, running("one")) as dash:
        emulator.openai.add_batch(running("two"))
        await dash.press("f5")
        assert "Asking every account" in dash.toast
        await dash.until(lambda: set(dash.names) == {"one", "two"})


class HeldCancels(Faults):
    """Holds the server up with the first cancel, until it is released."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.released = threading.Event()

    def effect_on(self, method: str, path: str, key: str) -> Effect | None:
        if path.endswith("/cancel"):
            assert self.released.wait(20)
        return super().effect_on(method, path, key)


async def test_a_bulk_run_can_be_hidden_and_goes_on(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    async with over(emulator, server, path, *(running(f"n{n}") for n in range(4))) as dash:
        cancels = emulator.faults = HeldCancels(0)
        await agree(dash, "a", "c")
        await dash.until(lambda: isinstance(dash.app.screen, ProgressScreen))
        await dash.until_dialog()
        await dash.press("escape")
        await dash.until_table()
        cancels.released.set()
        await dash.until(lambda: any("Cancel" in toast and "Failed" in toast for toast in dash.toasts))
        assert dash.marked == set()


async def test_stop_sends_no_more(emulator: Emulator, server: EmulatorServer, path: Path) -> None:
    async with over(emulator, server, path, *(running(f"n{n:02}") for n in range(80))) as dash:
        emulator.latency = 1.0
        await dash.press("C")
        await dash.until_dialog()
        await dash.press("8", "0", "enter")
        screen = await dash.until(
            lambda: dash.app.screen if isinstance(dash.app.screen, ProgressScreen) else None
        )
        await dash.until_dialog()
        await dash.press("s")
        await dash.until(lambda: screen.run.ended)
        await dash.until(lambda: "Not sent (stopped)" in dash.screen)
        assert len(emulator.journal.calls("POST", "*/cancel")) < 80


async def test_refresh_errors_of_the_failed_jobs_shown(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    """A-13"""
    from jobdash.demo.emulator import Ending, LineError

    plan = BatchPlan(
        ending=Ending.FAILS, timing=Timing(validating=0), line_errors=(LineError("bad", "line is bad", 3),)
    )
    async with over(
        emulator, server, path, BatchScript(name="one", created_at=time.time() - 60, plan=plan)
    ) as dash:
        change(path, "UPDATE job SET errors = NULL, error = NULL")
        dash.app.flows.ask_errors(dash.app.main.view.model.failed_jobs())
        await dash.until(lambda: "line is bad" in dash.toast)


async def test_every_key_shows_that_a_person_is_present(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    async with over(emulator, server, path, running("one"), running("two")) as dash:
        worker = dash.app.runtime.accounts["openai"]
        for key in ("down", "j", "2", "1", "pagedown", "question_mark", "escape", "slash", "n", "escape"):
            worker._active_at = None
            await dash.press(key)
            assert worker._active_at is not None, key


@pytest.mark.slow
async def test_while_keys_are_pressed_batches_made_elsewhere_are_found(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    async with over(emulator, server, path, ended("one")) as dash:
        emulator.openai.add_batch(running("two"))
        now = round(time.time() * 1000)
        change(path, "UPDATE account SET asked_at = ?, next_poll_at = ?", now - 70_000, now + 900_000)
        await dash.press("down")
        await dash.until(lambda: set(dash.names) == {"one", "two"}, 20)


@pytest.mark.parametrize(("key", "acts"), [("c", False), ("x", True)])
async def test_a_job_at_another_server_is_refused_in_the_plan_with_both_names(
    path: Path, key: str, acts: bool
) -> None:
    row = job(1, "in_progress" if key == "c" else "completed", origin="https://old.example/v1")
    async with dashboard(path, [account("openai")], rows=[row], working=False) as dash:
        await dash.press(key)
        both = "openai is now at https://api.openai.com/v1, and this job is at https://old.example/v1"
        if acts:  # the record can go
            await dash.until_dialog()
            assert "Remove" in dash.screen
        else:
            await dash.until(lambda: both in " ".join(dash.toast.split()))
