"""The other screens: help, log, a job's own, doctor, palette, export."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from textual.app import SystemCommand
from textual.command import CommandPalette
from textual.screen import Screen
from tui_kit import account, change, dashboard, job, jobs

from jobdash.demo.emulator import BatchScript, Delay, Emulator, EmulatorServer, ErrorAnswer, FaultRule
from jobdash.domain.remote_job import FailedRequest, RemoteError, RemoteJob
from jobdash.domain.status import Status
from jobdash.domain.time import system_clock
from jobdash.operations.person import current_actor
from jobdash.store.writer import Writer
from jobdash.tui.app import JobdashApp
from jobdash.tui.commands import COMMANDS
from jobdash.tui.screens.job import JobScreen
from jobdash.tui.widgets.text_views import LinesView

OPENAI = account("openai")


def open_writer(path: Path) -> Writer:
    return Writer(path, system_clock, current_actor("cli"))


def event(path: Path, detail: str, action: str = "cancel") -> None:
    change(
        path,
        "INSERT INTO event (at, actor, face, action, job_id, job_public_id, job_name, account, result,"
        " detail) VALUES (1, 'ann@desk', 'tui', ?, 1, 'x', 'job-001', 'openai', 'failed', ?)",
        *(action, detail),
    )


async def test_help_names_every_key_and_word(path: Path) -> None:
    """B-15"""
    async with dashboard(path, [OPENAI], rows=jobs("pending"), working=False) as dash:
        await dash.press("question_mark")
        view = await dash.until(lambda: dash.app.screen.query_one(LinesView))
        await dash.until(lambda: view.plain)
        for command in COMMANDS:
            if command.group is not None:
                assert (command.help or command.label) in view.plain.replace("\n", " "), command.id
        for word in ("cancelling", "force-fail", "status:failed,expired", "0 … 7"):
            assert word in view.plain
        await dash.press("escape")
        await dash.until_table()


async def test_the_log_grows_while_one_looks(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("pending"), working=False) as dash:
        await dash.press("l")
        await dash.until(lambda: "No action yet" in dash.screen)
        event(path, "no answer")
        await dash.until(lambda: "no answer" in dash.screen)
        assert "ann@desk (tui)" in dash.screen
        await dash.press("l")
        await dash.until(lambda: dash.app.screen is dash.app.main)


@pytest.mark.parametrize(
    ("width", "cut"), [(120, "a-job-with-a-very-long-…  cancelled"), (80, "a-job-with-…  cancelled")]
)
async def test_results_stand_in_one_column_of_the_log_and_have_a_word_once(
    path: Path, width: int, cut: str
) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("pending"), working=False, size=(width, 24)) as dash:
        event(path, "no answer")
        for name, detail in (("a-job-with-a-very-long-name", "cancelled at 268 of 400"), ("b", "")):
            event(path, detail, "end")
            change(path, "UPDATE event SET result = 'cancelled', job_name = ? WHERE detail = ?", name, detail)
        await dash.press("l")
        await dash.until(lambda: "cancelled at 268" in dash.screen)
        lines = [line for line in dash.screen.splitlines() if "ann@desk" in line]
        results = [
            line.find(word) for line, word in zip(lines, ("cancelled", "cancelled", "failed"), strict=True)
        ]
        assert len(set(results)) == 1
        assert cut in dash.screen
        assert "cancelled: " not in dash.screen


async def test_a_jobs_own_screen_follows_it(path: Path) -> None:
    """C-1, C-4, C-7, C-13"""
    async with dashboard(path, [OPENAI], rows=jobs("in_progress"), working=False) as dash:
        await dash.press("enter")
        await dash.until(lambda: "40 / 100  40%" in dash.line("job-progress"))
        assert "c Cancel" in dash.line("keys")
        change(path, "UPDATE job SET remote_status = 'cancelled', succeeded = 25, failed = 0")
        await dash.until(lambda: "cancelled" in dash.line("job-head"))
        assert "c Cancel" not in dash.line("keys")
        await dash.press("1")
        await dash.until(lambda: "25 of 100 done, 75 not processed" in dash.screen)
        await dash.press("3")
        event(path, "asked by hand")
        await dash.until(lambda: "asked by hand" in dash.screen)
        await dash.press("2")
        assert "provider says" in dash.screen
        change(path, "UPDATE job SET removed_at = 1")
        await dash.until(lambda: "removed from the table" in dash.line("job-summary"))
        await dash.press("escape")
        await dash.until(lambda: dash.app.screen is dash.app.main)


async def test_a_batch_without_a_name_has_its_id_once(path: Path) -> None:
    rows = [
        job(1, "completed", name="batch_x", remote_id="batch_x"),
        job(2, name="named", remote_id="batch_y"),
    ]
    async with dashboard(path, [OPENAI], rows=rows, working=False) as dash:
        dash.select("batch_x")
        await dash.until(lambda: "batch_x · gpt-x" in dash.line("title"))
        dash.select("named")
        await dash.until(lambda: "named · batch_y · gpt-x" in dash.line("title"))


async def test_which_requests_failed_stands_on_a_jobs_own_screen(path: Path) -> None:
    async with dashboard(
        path, [OPENAI], rows=[job(1, "completed", succeeded=97, failed=3)], working=False
    ) as dash:
        await dash.press("enter")
        await dash.until(lambda: "e asks for it" in dash.screen)
        await dash.press("4")
        await dash.until(lambda: "d fetches them" in dash.screen)
        await dash.press("1")
        errors = [RemoteError("Too long.", "too_long"), RemoteError("Too long.", "too_long")]
        failed = [FailedRequest(f"row-{n}", error) for n, error in enumerate([*errors, RemoteError("No.")])]
        remote = RemoteJob("batch_1", Status.COMPLETED, "completed", None, None)
        with open_writer(path) as writer:
            writer.set_errors(1, remote, failed)
        await dash.until(lambda: "2 × too_long" in dash.screen)
        # The summary above the page may be drawn first.
        await dash.until(lambda: "row-0, row-1" in dash.screen)
        assert "1 × error" in dash.screen
        assert "row-2" in dash.screen
        await dash.press("4")
        await dash.until(lambda: "refresh-errors" not in dash.screen and "row-2" in dash.screen)
        await dash.press("3")
        await dash.until(lambda: "refresh-errors" in dash.screen)
        assert "3 failed: 2 × too_long, 1 × No." in dash.screen


async def test_a_job_can_be_acted_on_from_its_own_screen(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("in_progress", "pending"), working=False) as dash:
        await dash.press("down", "enter", "c")
        screen = await dash.until_dialog()
        assert [decision.job.name for decision in screen.plan.acting] == ["job-001"]
        await dash.press("escape")
        await dash.until_table()
        assert isinstance(dash.app.screen, JobScreen)
        await dash.press("x")
        await dash.until(lambda: "still running" in dash.toast)
        await dash.press("y")
        assert dash.app.clipboard.startswith("batch_")


def commands(app: JobdashApp, screen: Screen[object]) -> list[SystemCommand]:
    return list(app.get_system_commands(screen))


def titles(app: JobdashApp, screen: Screen[object]) -> set[str]:
    return {command.title for command in commands(app, screen)}


async def test_the_palette_has_what_has_no_key(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("failed", "completed"), working=False) as dash:
        wanted = {"Doctor", "Theme", "Help", "Quit", "Refresh errors", "Clean up at the provider"}
        assert titles(dash.app, dash.app.screen) == {*wanted, "Export as CSV", "Submit"}
        await dash.press("ctrl+p")
        await dash.until(lambda: CommandPalette.is_open(dash.app))
        await dash.press("escape")
        await dash.until_table()
        await dash.press("enter")
        await dash.until(lambda: isinstance(dash.app.screen, JobScreen))
        assert titles(dash.app, dash.app.screen) == wanted
        await dash.press("escape", "x")
        await dash.until_dialog()
        await dash.press("ctrl+p")
        assert not CommandPalette.is_open(dash.app)
        assert titles(dash.app, dash.app.screen) == set()


async def test_clean_up_at_the_provider_keeps_the_record(path: Path) -> None:
    """A-12"""
    async with dashboard(path, [OPENAI], rows=jobs("completed"), working=False) as dash:
        command = next(c for c in commands(dash.app, dash.app.screen) if c.title.startswith("Clean"))
        command.callback()
        screen = await dash.until_dialog()
        assert "Clean up 1 job?" in str(screen.query_one("#dialog").border_title)
        assert not screen.plan.choices.record


def read_table(folder: Path) -> tuple[str, list[dict[str, str]]]:
    (file,) = folder.glob("jobdash-*.csv")
    with file.open(encoding="utf-8", newline="") as opened:
        return str(file), list(csv.DictReader(opened))


async def test_export_writes_what_is_shown(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [job(1, "failed", name="=cmd()\x1b[1m"), job(2, "completed"), job(3, "failed", total=None)]
    async with dashboard(path, [OPENAI], rows=rows, working=False) as dash:
        await dash.press("5")
        command = next(c for c in commands(dash.app, dash.app.screen) if c.title.startswith("Export"))
        command.callback()
        await dash.until(lambda: dash.toasts)
        assert dash.toast.startswith("2 jobs in ")
    file, table = read_table(tmp_path)
    assert file in dash.toast
    assert [line["name"] for line in table] == ["job-003", "'=cmd()␛[1m"]
    assert table[0]["total"] == ""


async def test_doctor_looks_at_store_and_accounts(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    emulator.openai.add_batch(BatchScript(name="one"))
    emulator.faults.add(FaultRule(effect=ErrorAnswer(401), key="sk-bad-key"))
    emulator.faults.add(FaultRule(effect=Delay(60.0), key="sk-slow-key"))
    accounts = [
        account("good", server, emulator.openai.key),
        account("work", server, "sk-bad-key"),
        account("slow", server, "sk-slow-key"),
    ]
    async with dashboard(path, accounts) as dash:
        await dash.until(lambda: "good ✓" in dash.line("accounts"), 20)
        dash.app.action_doctor()
        await dash.until(lambda: "key rejected (401)" in dash.screen, 20)
        await dash.until(lambda: "✓ answers" in dash.screen)
        assert "… asking" in dash.screen
        assert "key TEST_KEY is set" in dash.screen
        assert "sk-" not in dash.screen
        assert "can be written" in dash.screen
        await dash.press("escape")
        await dash.until(lambda: dash.app.screen is dash.app.main)
