"""``n``: a file is chosen, checked and submitted in a form."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from shared.slices import rest_slow
from textual.widgets import Button, Input, Select
from tui_kit import Dash, account, dashboard, make_store

from jobdash.demo.emulator import (
    GEMINI_KEY,
    OPENAI_KEY,
    BatchPlan,
    Emulator,
    EmulatorServer,
    FaultRule,
    Timing,
)
from jobdash.demo.emulator.faults import Delay, ErrorAnswer
from jobdash.domain.status import Tab
from jobdash.tui.screens.confirm import ChoiceBox
from jobdash.tui.screens.submit import FileTree, SubmitScreen
from jobdash.tui.widgets.text_views import LinesView


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    (folder / "more").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def write(path: Path, number: int = 3, *, gemini: bool = False) -> Path:
    body = {"method": "POST", "url": "/v1/responses", "body": {"model": "gpt-x"}}
    lines = [
        {"key": f"r{n}", "request": {"contents": []}} if gemini else {"custom_id": f"r{n}"} | body
        for n in range(number)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@asynccontextmanager
async def form(
    server: EmulatorServer, path: Path, **settings: object
) -> AsyncIterator[tuple[Dash, SubmitScreen]]:
    """The dashboard over an empty store, with the form open."""
    accounts = [
        account("openai", server, OPENAI_KEY, **settings),
        account("gemini", server, GEMINI_KEY, provider="gemini"),
    ]
    make_store(path)
    async with dashboard(path, accounts) as dash:
        await dash.until(lambda: dash.line("accounts").count("✓") == 3, 20)
        await dash.press("n")
        screen = await dash.until_dialog()
        assert isinstance(screen, SubmitScreen)
        yield dash, screen


def found(screen: SubmitScreen) -> str:
    """What the check says."""
    return screen.query_one("#check", LinesView).plain


def may_submit(screen: SubmitScreen) -> bool:
    return not screen.query_one("#act", Button).disabled


async def type_path(dash: Dash, screen: SubmitScreen, path: Path | str) -> None:
    screen.query_one("#file", Input).value = str(path)
    screen.query_one("#file", Input).focus()
    await dash.settle()
    await dash.press("enter")
    await dash.until(lambda: screen.result is not None)


async def test_a_file_is_checked_and_submitted_and_its_row_appears(
    emulator: Emulator, server: EmulatorServer, path: Path, here: Path
) -> None:
    write(here / "nightly.jsonl")
    async with form(server, path) as (dash, screen):
        assert not may_submit(screen)
        screen.query_one("#tags", Input).value = "team=search run=42"
        await type_path(dash, screen, "nightly.jsonl")
        assert "3 requests, " in found(screen)
        assert "tokens (characters ÷ 4)" in found(screen)
        assert may_submit(screen)
        await dash.press("enter")  # the button has the focus
        await dash.until_table()
        await dash.until(lambda: dash.names == ["nightly"])
        await dash.until(lambda: "nightly submitted: batch_" in dash.toast)
        row = dash.table.current
        assert row is not None
        details = dash.app.context.browser.job(row.id)
        assert details is not None
        assert (details.tags["team"], details.tags["run"]) == ("search", "42")
    assert len(emulator.journal.calls("POST", "/v1/batches")) == 1


async def test_wrong_lines_are_shown_with_their_numbers_and_nothing_can_be_submitted(
    emulator: Emulator, server: EmulatorServer, path: Path, here: Path
) -> None:
    file = here / "broken.jsonl"
    file.write_text("\n".join(["nonsense"] * 60))
    async with form(server, path) as (dash, screen):
        await type_path(dash, screen, file)
        assert "at least 50 wrong lines" in " ".join(found(screen).split())
        for number in (1, 50):
            assert f"line {number}: not JSON" in found(screen)
        assert "line 51" not in found(screen)
        assert not may_submit(screen)
        await dash.press("ctrl+s")
        assert dash.app.screen is screen
        write(file)
        await type_path(dash, screen, file)
        assert may_submit(screen)
        screen.query_one("#name", Input).value = "another"  # what was checked is out of date
        await dash.settle()
        assert not may_submit(screen)
        await dash.press("escape")
        await dash.until_table()
    assert emulator.journal.calls("POST") == []


async def test_the_tree_shows_folders_and_jsonl_files_alone_and_enter_chooses_one(
    server: EmulatorServer, path: Path, here: Path
) -> None:
    write(here / "one.jsonl")
    (here / "notes.txt").write_text("x")
    (here / ".hidden.jsonl").write_text("x")
    (here / "evil\x1b[31m.jsonl").write_text("x")
    async with form(server, path) as (dash, screen):
        tree = screen.query_one(FileTree)
        await dash.until(lambda: len(tree.root.children) == 3)
        shown = [
            tree.render_label(node, screen.rich_style, screen.rich_style).plain for node in tree.root.children
        ]
        assert [label.strip() for label in shown] == ["+ more", "evil␛[31m.jsonl", "one.jsonl"]
        tree.focus()
        await dash.press("down", "down", "down", "enter")
        await dash.until(lambda: screen.result is not None)
        assert screen.query_one("#file", Input).value == str(here / "one.jsonl")
        assert may_submit(screen)


async def test_what_was_found_is_wrapped_again_in_another_width(
    server: EmulatorServer, path: Path, here: Path
) -> None:
    write(here / "nightly.jsonl")
    async with form(server, path, max_requests=1) as (dash, screen):
        await type_path(dash, screen, "nightly.jsonl")
        wide = found(screen)
        await dash.pilot.resize_terminal(60, 36)
        await dash.until(lambda: found(screen) != wide)
        assert all(len(line) < 60 for line in found(screen).splitlines())
        await dash.pilot.resize_terminal(120, 36)
        await dash.until(lambda: found(screen) == wide)


async def test_a_file_over_a_limit_is_offered_to_be_split_and_its_parts_wait_for_room(
    emulator: Emulator, server: EmulatorServer, path: Path, here: Path
) -> None:
    write(here / "nightly.jsonl")
    async with form(server, path, max_requests=1, enqueued_limit=40) as (dash, screen):
        await type_path(dash, screen, "nightly.jsonl")
        assert "a batch takes 1 requests" in found(screen)
        assert not may_submit(screen)
        screen.query_one("#split", ChoiceBox).value = True
        await dash.until(lambda: may_submit(screen))
        assert "3 requests" in found(screen)
        assert "in 3 parts" in found(screen)
        assert "2 batches wait here until there is room" in found(screen)
        await dash.press("ctrl+s")
        await dash.until(lambda: "nightly: 1 of 3 parts sent, 2 queued here" in dash.toast)
        await dash.until(lambda: "⊞ nightly (3)" in dash.screen)
        await dash.press("right")
        assert dash.names == ["nightly (1/3)", "nightly (2/3)", "nightly (3/3)"]
        dash.select("nightly (3/3)")
        await dash.until(lambda: "sent when there is room" in dash.line("summary"))
        await dash.press("c")
        await dash.until_dialog()
        assert "1 job never sent: cancelled at once" in dash.screen
        await dash.press("y")
        await dash.until(lambda: dash.statuses()["nightly (3/3)"] == "cancelled")
    assert len(emulator.journal.calls("POST", "/v1/batches")) == 1
    assert emulator.journal.calls("POST", "*/cancel") == []


@pytest.mark.slow
async def test_the_dashboard_sends_what_waits_when_there_is_room(
    emulator: Emulator, server: EmulatorServer, path: Path, here: Path
) -> None:
    emulator.openai.plan = BatchPlan(timing=Timing(validating=0, running=0.2, finalizing=0))
    write(here / "nightly.jsonl", 2)
    async with form(server, path, max_requests=1, enqueued_limit=30) as (dash, screen):
        screen.query_one("#split", ChoiceBox).value = True
        await type_path(dash, screen, "nightly.jsonl")
        await dash.until(lambda: may_submit(screen))
        await dash.press("ctrl+s")
        await dash.until(lambda: "1 of 2 parts sent, 1 queued here" in dash.toast)
        (first,) = emulator.openai.account(OPENAI_KEY).batches.page(10).batches
        await dash.until(lambda: emulator.openai.snapshot(first.id, key=OPENAI_KEY).phase.terminal)
        await dash.press("f5")
        await dash.until(lambda: len(emulator.journal.calls("POST", "/v1/batches")) == 2, 20)


async def test_a_model_is_asked_for_where_the_provider_wants_one(
    emulator: Emulator, server: EmulatorServer, path: Path, here: Path
) -> None:
    write(here / "poems.jsonl", gemini=True)
    async with form(server, path) as (dash, screen):
        assert not screen.query_one("#model-field").display
        screen.query_one("#account", Select).value = "gemini"
        await dash.until(lambda: screen.query_one("#model-field").display)
        assert not screen.query_one("#endpoint-field").display
        await type_path(dash, screen, "poems.jsonl")
        assert "wants --model" in found(screen)
        screen.query_one("#model", Input).value = "gemini-x-flash"
        await type_path(dash, screen, "poems.jsonl")
        await dash.press("ctrl+s")
        await dash.until(lambda: "poems submitted: batches/" in dash.toast)


async def test_the_identical_file_is_said_to_have_been_sent(
    server: EmulatorServer, path: Path, here: Path
) -> None:
    write(here / "nightly.jsonl")
    async with form(server, path) as (dash, screen):
        await type_path(dash, screen, "nightly.jsonl")
        await dash.press("ctrl+s")
        await dash.until(lambda: "nightly submitted" in dash.toast)
        await dash.press("n")
        again = await dash.until_dialog()
        await type_path(dash, again, "nightly.jsonl")
        assert "the identical file was sent" in found(again)
        assert str(again.query_one("#act", Button).label) == "Submit all the same"
        await dash.until(lambda: again.focused is again.query_one("#keep", Button))
        await dash.press("enter")
        await dash.until_table()
        assert dash.names == ["nightly"], "a second Enter has not sent it again"


async def test_a_refused_submit_is_a_toast_and_a_failed_row(
    emulator: Emulator, server: EmulatorServer, path: Path, here: Path
) -> None:
    write(here / "nightly.jsonl")
    emulator.faults.add(
        FaultRule(effect=ErrorAnswer(400, '{"error": {"message": "no"}}'), method="POST", path="/v1/batches")
    )
    async with form(server, path) as (dash, screen):
        await type_path(dash, screen, "nightly.jsonl")
        await dash.press("ctrl+s")
        await dash.until(lambda: "nightly was not submitted: refused (400): no" in dash.toast)
        await dash.until(lambda: dash.statuses() == {"nightly": "failed"})


@pytest.mark.slow
async def test_quitting_while_a_file_is_submitted_asks_first(
    emulator: Emulator, server: EmulatorServer, path: Path, here: Path
) -> None:
    write(here / "nightly.jsonl")
    emulator.faults.add(FaultRule(effect=Delay(3.0), method="POST", path="/v1/files"))
    async with form(server, path) as (dash, screen):
        await type_path(dash, screen, "nightly.jsonl")
        await dash.press("ctrl+s")
        await dash.until(lambda: dash.count(Tab.PENDING) == 1)
        await dash.press("q")
        await dash.until_dialog()
        assert "nightly is being submitted" in dash.screen
        await dash.press("escape")
        await dash.until(lambda: "nightly submitted" in dash.toast)


@pytest.mark.parametrize("size", rest_slow([(120, 36), (80, 24), (60, 16), (40, 12)], [(80, 24), (40, 12)]))
async def test_the_buttons_are_in_sight_in_any_terminal(
    path: Path, here: Path, size: tuple[int, int]
) -> None:
    make_store(path)
    async with dashboard(path, [account("openai")], size=size, working=False) as dash:
        await dash.press("n")
        screen = await dash.until_dialog()
        for button in screen.query(Button):
            assert screen.region.contains_region(button.region), button
