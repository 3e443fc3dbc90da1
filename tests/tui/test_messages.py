"""Messages and other texts while something runs, and the room they have to fit."""

from __future__ import annotations

from pathlib import Path

import pytest
from shared.slices import rest_slow
from textual.widgets import Button, Checkbox
from tui_kit import Dash, account, change, dashboard, job, jobs

from jobdash.config.settings import UiSettings, load
from jobdash.domain.plan import Action, ActionOutcome, ActionResult, Choices
from jobdash.operations.job_lookup import Sort
from jobdash.operations.planning import plan_jobs
from jobdash.tui.action_runs import ActionRun
from jobdash.tui.messages import Synced, SyncSummary
from jobdash.tui.render import header_footer
from jobdash.tui.render.symbols import UNICODE
from jobdash.tui.screens.progress import ProgressScreen
from jobdash.tui.widgets.line import Line
from jobdash.tui.widgets.text_views import LinesView, Notes

OPENAI = account("openai")


@pytest.mark.parametrize("size", rest_slow([(120, 36), (80, 24), (60, 16), (200, 50)], [(80, 24), (200, 50)]))
@pytest.mark.parametrize("number", [3, 100])
async def test_headers_stand_over_their_columns(path: Path, size: tuple[int, int], number: int) -> None:
    """Whether the scroll bar is shown or not, from the start and after a resize."""
    rows = [job(n, "in_progress") for n in range(1, number + 1)]
    async with dashboard(path, [OPENAI], rows=rows, working=False, size=size) as dash:

        def check() -> bool:
            header = header_footer.header_spans(dash.table.plan, dash.app.main.view.model.sort, UNICODE)
            wanted = "".join(span.text for span in header).rstrip()
            return (
                dash.table.plan.width == dash.table.scrollable_content_region.width
                and dash.line("header") == wanted
            )

        await dash.until(check)
        await dash.pilot.resize_terminal(100, 30)
        await dash.until(lambda: dash.app.size.width == 100)
        await dash.until(check)


@pytest.mark.parametrize("size", rest_slow([(120, 36), (80, 24), (60, 15)], [(60, 15)]))
async def test_the_counts_of_a_run_are_never_cut(path: Path, size: tuple[int, int]) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("pending", "pending"), working=False, size=size) as dash:
        run = ActionRun(plan_jobs(Action.CANCEL, dash.table.visible_rows, dash.app.context.situation()))
        row = dash.table.visible_rows[0]
        run.outcomes = [ActionOutcome(row, ActionResult.FAILED, "500")] * 1_234
        run.outcomes += [ActionOutcome(row, ActionResult.SKIPPED, "done", stopped=True)] * 1_000
        run.outcomes += [ActionOutcome(row, ActionResult.SKIPPED, "already completed")] * 4_418
        run.end()
        dash.app.push_screen(ProgressScreen(run, dash.app.context))
        counts = ("Failed to cancel: 1,234", "Skipped (not pending): 4,418", "Not sent (stopped): 1,000")
        await dash.until(lambda: all(words in dash.screen for words in counts))


async def test_a_hidden_run_is_shown_and_brought_back(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("completed", "completed"), working=False) as dash:
        plan = plan_jobs(Action.REMOVE, dash.table.visible_rows, dash.app.context.situation())
        run = dash.app.start_run(plan)
        assert not any("running" in one.title for one in dash.app.get_system_commands(dash.app.screen))
        run.hidden = True
        await dash.until(lambda: "removing 0/2" in dash.line("accounts"))
        titles = {one.title: one for one in dash.app.get_system_commands(dash.app.screen)}
        titles["Show what is running"].callback()
        await dash.until(lambda: isinstance(dash.app.screen, ProgressScreen))
        await dash.until_dialog()
        await dash.press("escape")
        await dash.until_table()
        await dash.until(lambda: "removing 0/2" in dash.line("accounts"))
        place = dash.line("accounts").index("removing")
        await dash.pilot.click("#accounts", offset=(place + 2, 0))
        await dash.until(lambda: isinstance(dash.app.screen, ProgressScreen))
        run.end()
        await dash.until(lambda: "removing" not in dash.app.main.query_one("#accounts", Line).plain)


async def test_no_account_speaks_in_front_of_a_dialog(path: Path) -> None:
    async with dashboard(path, [account("openai")], rows=[job(1)], working=False) as dash:
        await dash.press("c")
        await dash.until_dialog()
        dash.app.post_message(Synced(SyncSummary("openai", fetched=("nightly fetched: 3 ok",))))
        await dash.settle()
        assert dash.toasts == []
        await dash.press("escape")
        await dash.until_table()
        await dash.until(lambda: dash.toasts == ["nightly fetched: 3 ok"])


async def test_unknown_settings_are_reported(path: Path) -> None:
    async with dashboard(
        path,
        [OPENAI],
        rows=jobs("pending"),
        working=False,
        ui=UiSettings(ascii=False, theme="jobdash-drak", sort="-age"),
        keys={"job.cancle": "ctrl+x", "job.cancel": "ctrl+t", "one.close": "w", "table.up": "up"},
    ) as dash:
        await dash.until(lambda: len(dash.toasts) >= 3)
        theme, sort, key = dash.toasts
        assert "[ui] theme jobdash-drak is not known; there are" in theme
        assert "[ui] sort -age is not known; there are created, updated" in sort
        assert "[keys] job.cancle is not known; do you mean job.cancel?" in key


async def test_a_key_that_two_actions_have_is_reported(path: Path) -> None:
    keys = {"job.cancel": "q", "one.fetch": "c,ctrl+d", "job.retry": "ctrl+r,R", "job.undo": "c"}
    async with dashboard(path, [OPENAI], rows=jobs("pending"), working=False, keys=keys) as dash:
        await dash.until(lambda: len(dash.toasts) >= 3)
        assert [toast.partition("[keys] ")[2] for toast in dash.toasts] == [
            "job.cancel: q is also the key of app.quit",
            "job.retry: ctrl+r is also the key of app.sync",
            "one.fetch: c is also the key of one.cancel",
        ]


async def test_an_order_without_a_column_stands_out(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("pending"), working=False) as dash:
        layout = dash.table.plan
        created = header_footer.sort_spans(layout, Sort("created", True), 0, UNICODE)
        updated = header_footer.sort_spans(layout, Sort("updated", True), 0, UNICODE)
        assert (created[1].tone, updated[1].tone) == ("text", "accent")


async def test_usage_is_shown_in_numbers(path: Path) -> None:
    usage = '{"input_tokens": 12000, "input_tokens_details": {"cached_tokens": 5}, "model": "x"}'
    async with dashboard(path, [OPENAI], rows=jobs("completed"), working=False) as dash:
        change(path, "UPDATE job SET usage = ?", usage)
        await dash.press("enter", "2")
        await dash.until(lambda: "input_tokens 12,000, input_tokens_details.cached_tokens 5" in lines(dash))


def lines(dash: Dash) -> str:
    """The text of the job's screen, scrolled to or not."""
    return dash.app.screen.query_one("#job-lines", LinesView).plain


@pytest.mark.parametrize("size", rest_slow([(120, 36), (80, 24), (64, 24), (60, 15)], [(64, 24)]))
async def test_no_red_label_is_cut(path: Path, size: tuple[int, int]) -> None:
    rows = jobs("pending", "completed")
    async with dashboard(path, [OPENAI], rows=rows, working=False, size=size) as dash:
        await dash.press("a", "x")
        screen = await dash.until_dialog()
        assert "✖ Remove 1 job" in dash.screen
        screen.query_one("#choice-cancel_first", Checkbox).toggle()
        await dash.until(lambda: "✖ Cancel & delete 2 jobs" in dash.screen)


async def test_nothing_chosen_is_nothing_to_do(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("completed"), working=False) as dash:
        await dash.press("x")
        screen = await dash.until_dialog()
        screen.query_one("#choice-record", Checkbox).toggle()
        await dash.settle()
        notes = screen.query_one(Notes).plain
        assert "nothing chosen" in notes
        assert "hides the record" not in notes
        assert screen.query_one("#act", Button).disabled
        screen.query_one("#choice-remote", Checkbox).toggle()
        await dash.settle()
        assert "the record stays here" in screen.query_one(Notes).plain
        assert not screen.query_one("#act", Button).disabled


async def test_the_quit_question_follows_the_run_and_ends_with_it(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=jobs("pending", "pending"), working=False) as dash:
        rows = dash.table.visible_rows
        run = ActionRun(
            plan_jobs(Action.REMOVE, rows, dash.app.context.situation(), Choices(cancel_first=True))
        )
        dash.app.runs.all.append(run)
        await dash.press("q")
        await dash.until_dialog()
        assert "0 of 2 removals sent." in dash.screen
        run.outcomes.append(ActionOutcome(rows[0], ActionResult.DONE))
        await dash.until(lambda: "1 of 2 removals sent." in dash.screen)
        run.end()
        await dash.until_exit()
        assert not run.stopping


def test_an_unknown_column_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[ui]\ncolumns = ["age", "colour"]\n')
    config = load(path, env={})
    assert config.ui.columns == ("age", "colour")
    (warning,) = config.warnings
    assert "[ui] columns: colour is not known; there are name, account" in warning
