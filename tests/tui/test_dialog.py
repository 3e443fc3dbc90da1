"""The dialogs: their texts, their keys, and their layout on a small terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from shared.slices import rest_slow
from textual import events
from textual.widget import Widget
from textual.widgets import Button, Checkbox, Input
from tui_kit import Dash, account, change, dashboard, job, jobs

from jobdash.domain.plan import Action, Plan
from jobdash.tui.action_runs import ActionRun
from jobdash.tui.screens.confirm import ConfirmScreen
from jobdash.tui.screens.dialog import AskScreen
from jobdash.tui.widgets.plan_list import PlanList
from jobdash.tui.widgets.text_views import Notes

OPENAI = account("openai")


def scroll_down(widget: Widget) -> events.MouseScrollDown:
    """One notch of the wheel."""
    return events.MouseScrollDown(widget, 1, 1, 0, 1, 0, False, False, False)


def caught(dash: Dash) -> list[Plan]:
    """Catch plans that were agreed to, in place of carrying them out."""
    plans: list[Plan] = []

    def start(plan: Plan) -> ActionRun:
        plans.append(plan)
        run = ActionRun(plan)
        run.end()
        return run

    dash.app.start_run = start  # type: ignore[method-assign]
    return plans


def title(screen: ConfirmScreen) -> str:
    return str(screen.query_one("#dialog").border_title).strip()


def button(screen: ConfirmScreen, name: str) -> Button:
    return screen.query_one(f"#{name}", Button)


@pytest.mark.parametrize(
    ("key", "status", "words", "safe", "red"),
    [
        ("c", "in_progress", "Cancel 1 unfinished job?", "Keep running", "✖ Cancel 1 job"),
        ("f", "pending", "Force-fail 1 unfinished job?", "Don't fail", "✖ Force-fail 1 job"),
        ("x", "completed", "Remove 1 job?", "Keep the job", "✖ Remove 1 job"),
        ("X", "pending", "Cancel & delete 1 unfinished job?", "Keep the job", "✖ Cancel & delete 1 job"),
    ],
)
async def test_every_action_asks_first(
    path: Path, key: str, status: str, words: str, safe: str, red: str
) -> None:
    """F-2, B-10"""
    async with dashboard(path, [OPENAI], rows=jobs(status), working=False) as dash:
        plans = caught(dash)
        await dash.press(key)
        screen = await dash.until_dialog()
        assert title(screen) == words
        assert str(button(screen, "keep").label) == safe
        assert str(button(screen, "act").label) == red
        assert button(screen, "act").variant == "error"
        assert dash.app.focused is button(screen, "keep")
        await dash.press("y")
        await dash.until_table()
        assert [decision.job.name for decision in plans[0].acting] == ["job-001"]


@pytest.mark.parametrize("no", rest_slow(["escape", "n", "enter"], ["escape", "enter"]))
async def test_declining_changes_nothing(path: Path, no: str) -> None:
    """C-3"""
    async with dashboard(path, [OPENAI], rows=jobs("in_progress"), working=False) as dash:
        plans = caught(dash)
        await dash.press("c")
        await dash.until_dialog()
        await dash.press(no)
        await dash.until_table()
        assert plans == []
        assert dash.toasts == []


async def test_the_red_button_by_arrow_and_enter(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("in_progress"), working=False) as dash:
        plans = caught(dash)
        await dash.press("c")
        await dash.until_dialog()
        await dash.press("right", "enter")
        await dash.until_table()
        assert len(plans) == 1


async def test_many_quick_presses_open_one_dialog(path: Path) -> None:
    """C-11"""
    async with dashboard(path, [OPENAI], rows=jobs("in_progress", "pending"), working=False) as dash:
        plans = caught(dash)
        for key in "cccCfXxcc":
            await dash.send(key)
        await dash.until_dialog()
        assert sum(screen.is_modal for screen in dash.app.screen_stack) == 1
        await dash.press("y")
        await dash.until_table()
        assert len(plans) == 1
        assert plans[0].action is Action.CANCEL


async def test_keys_that_arrive_before_the_dialog_is_drawn_are_dropped(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("in_progress"), working=False) as dash:
        plans = caught(dash)
        for key in ("c", "y", "enter", "y"):
            await dash.send(key)
        screen = await dash.until_dialog()
        assert isinstance(screen, ConfirmScreen)
        assert plans == []


@pytest.mark.parametrize(
    ("key", "status", "reason"),
    [
        ("c", "completed", "already completed"),
        ("c", "cancelled", "already cancelled"),
        ("c", "cancelling", "already asked"),
        ("f", "failed", "already failed"),
        ("x", "in_progress", "still running; cancel & delete it (X)"),
        ("C", "completed", "Nothing to cancel"),
    ],
)
async def test_a_key_the_job_does_not_accept_shows_why(
    path: Path, key: str, status: str, reason: str
) -> None:
    """A-6, B-2, B-3, B-4, B-12, C-12, E-6"""
    async with dashboard(path, [OPENAI], rows=jobs(status), working=False) as dash:
        await dash.press(key)
        await dash.until(lambda: dash.toasts)
        assert reason in dash.toast
        assert not dash.app.screen.is_modal


async def test_cancel_all_counts_by_status_and_ignores_marks(path: Path) -> None:
    """A-4, A-10, A-12, C-13"""
    rows = jobs("pending", "validating", "in_progress", "in_progress", "completed", "cancelling")
    async with dashboard(path, [OPENAI], rows=rows, working=False) as dash:
        plans = caught(dash)
        await dash.press("space", "C")
        screen = await dash.until_dialog()
        assert title(screen) == "Cancel 4 unfinished jobs in ALL accounts?"
        assert screen.query_one("#dialog").has_class("severe")
        notes = screen.query_one(Notes).plain
        assert "Marks: ignored" in notes
        assert "1 pending · 1 validating · 2 running" in notes
        assert "cannot be undone" in notes
        await dash.press("y")
        await dash.until(lambda: plans)
        assert len(plans[0].acting) == 4
        assert dash.marked == {"job-006"}


async def test_cancel_all_is_for_tab_and_filter(path: Path) -> None:
    rows = jobs("pending", "pending", "in_progress")
    async with dashboard(path, [OPENAI], rows=rows, working=False) as dash:
        await dash.press("2", "C")
        screen = await dash.until_dialog()
        assert title(screen) == "Cancel 2 unfinished jobs in tab pending?"
        await dash.press("escape")
        await dash.until_table()
        await dash.press("0", "slash")
        await dash.type("job-003")
        await dash.press("enter")
        await dash.until(lambda: len(dash.names) == 1)
        await dash.press("C")
        screen = await dash.until_dialog()
        assert title(screen) == "Cancel 1 unfinished job in filter job-003?"


async def test_more_than_twenty_want_the_number_typed(path: Path) -> None:
    rows = [job(number, "pending") for number in range(1, 22)]
    async with dashboard(path, [OPENAI], rows=rows, working=False) as dash:
        plans = caught(dash)
        await dash.press("C")
        screen = await dash.until_dialog()
        number = screen.query_one("#number", Input)
        assert dash.app.focused is number
        assert button(screen, "act").disabled
        await dash.press("y", "x", "2")
        assert number.value == "2"
        assert dash.app.screen is screen
        assert button(screen, "act").disabled
        await dash.press("1")
        assert not button(screen, "act").disabled
        await dash.press("0")
        assert button(screen, "act").disabled
        assert "that is not 21" in dash.screen
        await dash.press("enter")
        assert plans == []
        await dash.press("backspace")
        assert "that is not" not in dash.screen
        assert "Type 21, then Enter" in dash.screen
        await dash.press("enter")
        await dash.until(lambda: plans)
        assert len(plans[0].acting) == 21


async def test_n_changes_nothing_while_a_number_is_typed_too(path: Path) -> None:
    rows = [job(number, "pending") for number in range(1, 22)]
    async with dashboard(path, [OPENAI], rows=rows, working=False) as dash:
        plans = caught(dash)
        await dash.press("C")
        await dash.until_dialog()
        await dash.press("2", "n")
        await dash.until_table()
        assert plans == []


async def test_twenty_do_not(path: Path) -> None:
    rows = [job(number, "pending") for number in range(1, 21)]
    async with dashboard(path, [OPENAI], rows=rows, working=False) as dash:
        await dash.press("C")
        screen = await dash.until_dialog()
        assert not screen.query_one("#typed").display
        assert dash.app.focused is button(screen, "keep")


async def test_marked_jobs_that_are_not_visible_come_first(path: Path) -> None:
    rows = jobs("in_progress", "pending", "in_progress")
    async with dashboard(path, [OPENAI], rows=rows, working=False) as dash:
        dash.select("job-002")
        await dash.press("space", "1", "a", "c")
        screen = await dash.until_dialog()
        entries = screen.query_one("#plan", PlanList).entries
        assert [entry.job.name if entry.job else entry.words for entry in entries] == [
            "marked, not visible here",
            "job-002",
            "visible",
            "job-001",
            "job-003",
        ]


async def test_choices_of_a_removal_plan_again(path: Path) -> None:
    """A-12, B-9, E-5"""
    rows = jobs("completed", "in_progress", "failed")
    async with dashboard(path, [OPENAI], rows=rows, working=False) as dash:
        plans = caught(dash)
        await dash.press("a", "x")
        screen = await dash.until_dialog()
        boxes = {box.id: box for box in screen.query(Checkbox)}
        assert {name: box.value for name, box in boxes.items()} == {
            "choice-cancel_first": False,
            "choice-record": True,
            "choice-remote": False,
        }
        assert title(screen) == "Remove 2 jobs?"
        assert not screen.query_one("#dialog").has_class("severe")
        assert "Skipped: job-002: still running" in screen.query_one(Notes).plain
        boxes["choice-cancel_first"].toggle()
        await dash.settle()
        assert title(screen) == "Cancel & delete 3 jobs?"
        assert screen.query_one("#dialog").has_class("severe")
        assert len(screen.query_one("#plan", PlanList).entries) == 3
        boxes["choice-cancel_first"].toggle()
        boxes["choice-remote"].toggle()
        boxes["choice-record"].toggle()
        await dash.settle()
        assert title(screen) == "Clean up 2 jobs?"
        assert "cannot be undone" in screen.query_one(Notes).plain
        await dash.press("y")
        await dash.until(lambda: plans)
        assert plans[0].choices.remote
        assert not plans[0].choices.record


async def test_a_choice_that_leaves_nothing_to_do_turns_the_red_button_off(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("in_progress"), working=False) as dash:
        plans = caught(dash)
        await dash.press("X")
        screen = await dash.until_dialog()
        screen.query_one("#choice-cancel_first", Checkbox).toggle()
        await dash.settle()
        assert button(screen, "act").disabled
        await dash.press("y")
        assert dash.app.screen is screen
        assert plans == []


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (60, 16), (40, 10)])
@pytest.mark.parametrize("key", ["C", "X", "x", "f", "c"])
@pytest.mark.slow
async def test_the_buttons_are_always_in_sight(path: Path, size: tuple[int, int], key: str) -> None:
    statuses = ("pending", "validating", "in_progress", "completed", "failed", "cancelled", "expired")
    rows = [job(number, statuses[number % 7], succeeded=number * 1000) for number in range(1, 90)]
    async with dashboard(path, [OPENAI], rows=rows, working=False, size=size) as dash:
        await dash.press("a", key)
        screen = await dash.until_dialog()
        for name in ("keep", "act"):
            shown = button(screen, name).region
            assert shown.area
            assert screen.region.contains_region(shown), name
            assert str(button(screen, name).label)[:6].strip(" ✖") in dash.screen
        assert screen.region.contains_region(screen.query_one("#typed").region)


async def test_the_plan_is_frozen_while_the_dialog_is_open(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("pending", "in_progress"), working=False) as dash:
        plans = caught(dash)
        await dash.press("C")
        screen = await dash.until_dialog()
        change(path, "UPDATE job SET remote_status = 'completed' WHERE name = 'job-001'")
        await dash.until(lambda: dash.app.main.view.model.counts.by_tab["completed"] == 1)  # type: ignore[index]
        assert title(screen) == "Cancel 2 unfinished jobs in ALL accounts?"
        await dash.press("y")
        await dash.until(lambda: plans)
        assert len(plans[0].acting) == 2


async def test_no_dialog_while_nothing_can_be_written(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("pending"), working=False) as dash:
        dash.app.stop_writing("the disk is full")
        for key in ("c", "C", "f", "X", "u"):
            await dash.press(key)
            assert dash.toasts.pop() == "Nothing can be changed: the disk is full"
        assert "the disk is full" in dash.line("banner")
        assert not dash.app.screen.is_modal


async def test_undo_with_nothing_to_take_back(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("pending"), working=False) as dash:
        await dash.press("u")
        await dash.until(lambda: dash.toasts)
        assert "Nothing can be taken back: no removal of yours" in dash.toast


async def test_a_question_fits_and_answers(path: Path) -> None:
    async with dashboard(path, rows=jobs("pending"), working=False, size=(40, 10)) as dash:
        answers: list[bool | None] = []
        names = [f"name {number} [/]" for number in range(30)]
        for key, answer in (("y", True), ("n", None), ("escape", None), ("enter", None)):
            dash.app.push_screen(AskScreen("Undo?", "Take [b]it[/] back", names, "No", "Yes"), answers.append)
            await dash.until_dialog()
            await dash.press(key)
            await dash.until_table()
            assert answers[-1] is answer


@pytest.mark.parametrize(
    ("size", "rows"),
    rest_slow([((120, 36), 10), ((80, 24), 5), ((60, 15), 3)], [((60, 15), 3)], several=True),
)
async def test_every_job_of_the_plan_can_be_seen(path: Path, size: tuple[int, int], rows: int) -> None:
    pending = [job(number, "pending") for number in range(1, 125)]
    async with dashboard(path, [OPENAI], rows=pending, working=False, size=size) as dash:
        await dash.press("C")
        screen = await dash.until_dialog()
        plan = screen.query_one("#plan", PlanList)
        await dash.until(lambda: f"1–{rows} of 124" in dash.screen)
        assert plan.show_vertical_scrollbar
        assert "job-124" in dash.screen
        await dash.press("pagedown")
        assert f"{rows}–{2 * rows - 1} of 124" in dash.screen
        await dash.press("end")
        assert f"{125 - rows}–124 of 124" in dash.screen
        assert "job-001" in dash.screen
        await dash.press("pageup", "home")
        assert f"1–{rows} of 124" in dash.screen
        screen.query_one("#keep", Button).focus()
        await dash.press("pagedown")
        assert round(plan.scroll_y) == rows - 1
        await dash.press("home")
        plan.post_message(scroll_down(plan))
        await dash.until(lambda: plan.scroll_y > 0)


async def test_words_of_a_plan_that_are_cut_end_in_an_ellipsis_beside_a_scroll_bar_too(path: Path) -> None:
    counts = {"total": 2_000_000, "succeeded": 1_234_567, "failed": 123_456}
    running = [job(number, "in_progress", name="n" * 40, **counts) for number in range(1, 31)]
    async with dashboard(path, [OPENAI], rows=running, working=False, size=(60, 24)) as dash:
        await dash.press(*(["space", "down"] * 30), "c")
        screen = await dash.until_dialog()
        plan = screen.query_one("#plan", PlanList)
        await dash.until(lambda: plan.show_vertical_scrollbar)
        right = plan.region.right
        lines = dash.screen.splitlines()[plan.region.y : plan.region.bottom]
        assert {line[right - 2] for line in lines} == {"…"}


async def test_a_short_plan_shows_nothing_of_scrolling(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("pending", "pending"), working=False) as dash:
        await dash.press("C")
        await dash.until_dialog()
        assert "PgDn" not in dash.screen


@pytest.mark.parametrize("size", rest_slow([(80, 24), (60, 15), (120, 36)], [(60, 15)]))
async def test_the_help_fits(path: Path, size: tuple[int, int]) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("pending"), working=False, size=size) as dash:
        await dash.press("question_mark")
        await dash.until(lambda: dash.app.screen.is_modal)
        await dash.until(lambda: "Cancel the marked" in dash.screen)
        assert dash.app.screen.region.contains_region(dash.app.screen.query_one("#dialog").region)
        await dash.press("end")
        await dash.until(lambda: "sorts again" in dash.screen)  # its last words


async def test_a_toast_is_drawn_once_while_a_dialog_is_open(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("pending"), working=False) as dash:
        dash.app.notify("told only once")
        await dash.until(lambda: "told only once" in dash.screen)
        await dash.press("c")
        await dash.until_dialog()
        await dash.until(lambda: dash.screen.count("told only once") == 1)
        await dash.press("escape")
        await dash.until_table()
        await dash.until(lambda: "told only once" in dash.screen)


@pytest.mark.parametrize("key", ["C", "a"])
async def test_a_filter_with_a_mistake_is_no_scope(path: Path, key: str) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("pending", "in_progress"), working=False) as dash:
        await dash.press("slash")
        await dash.type("status:run")
        await dash.press("enter", key)
        await dash.until(lambda: dash.toasts)
        assert dash.toast.startswith("The filter has a mistake: ")
        assert not dash.app.screen.is_modal
        assert not dash.marked
        await dash.press("escape", key)
        assert len(dash.toasts) == 1


async def test_a_filter_with_a_mistake_exports_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.parent.mkdir(exist_ok=True)
    monkeypatch.chdir(path.parent)
    async with dashboard(path, [OPENAI], rows=jobs("pending", "failed"), working=False) as dash:
        await dash.press("slash")
        await dash.type("status:run")
        await dash.press("enter")
        commands = {one.title: one for one in dash.app.get_system_commands(dash.app.screen)}
        commands["Export as CSV"].callback()
        await dash.until(lambda: dash.toasts)
        assert dash.toast.startswith("The filter has a mistake: ")
        assert not list(path.parent.glob("*.csv"))


async def test_a_filter_that_was_just_typed_is_the_scope_of_a_key_behind_it(path: Path) -> None:
    """A-12: keys come in one burst, and the filter's own message has not been read yet."""
    rows = jobs("in_progress", "in_progress", "pending")
    async with dashboard(path, [OPENAI], rows=rows, working=False) as dash:
        view = dash.app.main.view
        view.bar.entry.value = "job-002"
        dash.app.main.action_cancel_all()
        await dash.until(lambda: "Cancel 1 unfinished job in filter job-002?" in dash.screen)


@pytest.mark.parametrize("open_first", [False, True])
async def test_keys_of_one_burst_reach_the_filter_and_then_the_table(path: Path, open_first: bool) -> None:
    """A-12: what follows Enter acts on the job the filter found, and is no part of the filter."""
    rows = jobs("in_progress", "in_progress", "pending")
    async with dashboard(path, [OPENAI], rows=rows, working=False) as dash:
        if open_first:
            await dash.press("slash")
        for key in (*([] if open_first else ["slash"]), *"job-002", "enter", *"fff"):
            await dash.send(key)
        screen = await dash.until_dialog()
        assert [decision.job.name for decision in screen.plan.acting] == ["job-002"]
        assert dash.app.main.view.bar.text == "job-002"
        await dash.press("escape")
        await dash.until_table()
        assert dash.names == ["job-002"]
