"""What is written for a change: its own cells, and together with what stands there the whole screen."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyte
import pytest
from shared.slices import rest_slow
from textual.geometry import Region
from textual.widget import Widget
from tui_kit import Dash, account, change, dashboard, exact_only, job, jobs, now_ms

from jobdash.tui.terminal import exact_updates
from jobdash.tui.terminal.exact_updates import ExactCompositor

OPENAI = account("openai")
WORDS = ("in_progress", "completed", "failed", "pending", "cancelled", "cancelling") * 8


def _whole(dash: Dash) -> str:
    update = dash.app.screen._compositor.render_update(full=True)
    assert update is not None
    return str(update.render_segments(dash.app.console))


def _compositor(dash: Dash) -> ExactCompositor:
    compositor = dash.app.main._compositor
    assert isinstance(compositor, ExactCompositor)
    return compositor


def _partial(dash: Dash, *widgets: Widget) -> str:
    compositor = _compositor(dash)
    compositor.update_widgets(set(widgets))
    update = compositor.render_partial_update()
    return "" if update is None else update.render_segments(dash.app.console)


def _shown(*written: str) -> Sequence[str]:
    screen = pyte.Screen(120, 36)
    stream = pyte.Stream(screen)
    for text in written:
        stream.feed(text.replace("\n", "\r\n"))
    return [*screen.display]


@exact_only
@pytest.mark.parametrize("moves", [(1, 2, 3, 9, 4), (20, 21, 0)])
async def test_partial_updates_add_up_to_the_whole_screen(path: Path, moves: tuple[int, ...]) -> None:
    """F-1: nothing of an older picture is left, and nothing new is missing."""
    async with dashboard(path, [OPENAI], rows=jobs(*WORDS), working=False, size=(120, 36)) as dash:
        await dash.until(lambda: "job-048" in dash.screen)
        written = [_whole(dash)]
        lines = [dash.app.main.query_one(f"#{name}") for name in ("title", "summary", "keys")]
        for line in moves:
            dash.table.go(line)
            written.append(_partial(dash, dash.table, *lines))
        assert _shown(*written) == _shown(_whole(dash))


@exact_only
async def test_a_change_of_some_cells_writes_those_cells(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=jobs(*WORDS), working=False, size=(120, 36)) as dash:
        await dash.until(lambda: "job-048" in dash.screen)
        _partial(dash, dash.table)
        start = dash.table.plan.clock_start
        dash.table.refresh(Region(start, 5, dash.table.plan.width - start, 1))
        age = _partial(dash, dash.table)
        dash.table.refresh(Region(0, 5, dash.table.plan.width, 1))
        line = _partial(dash, dash.table)
    assert "job-" in line
    assert "job-" not in age
    assert len(age) * 4 < len(line)


@exact_only
async def test_widgets_that_have_not_changed_are_not_asked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with dashboard(path, [OPENAI], rows=jobs(*WORDS), working=False, size=(120, 36)) as dash:
        await dash.until(lambda: "job-048" in dash.screen)
        _partial(dash, dash.table)
        asked: list[str | None] = []
        render_lines = Widget.render_lines

        def watched(widget: Widget, crop: Region) -> object:
            asked.append(widget.id)
            return render_lines(widget, crop)

        monkeypatch.setattr(Widget, "render_lines", watched)
        monkeypatch.setattr("jobdash.tui.render.styles.StyledWidget.render_lines", watched)
        dash.table.refresh(Region(0, 5, dash.table.plan.width, 1))
        _partial(dash, dash.table)
        at_once = list(asked)  # on a slow machine, polls follow before it ends
    assert at_once == ["table"]


@exact_only
async def test_what_time_changes_between_a_look_and_its_drawing_is_drawn_by_the_next(path: Path) -> None:
    """A lease that runs out in between: only the age was to be written, and the status must not be lost."""
    rows = [job(1, provider="local", account="local", created_at=now_ms() - 60_500)]
    async with dashboard(path, [OPENAI], rows=rows, working=False, size=(120, 36)) as dash:
        await dash.until(lambda: "job-001" in dash.screen)
        change(path, "UPDATE job SET lease_until = ?", now_ms() + 150_000)
        await dash.until(lambda: dash.table.current and dash.table.current.lease_until)
        table, start = dash.table, now_ms()
        _partial(dash, table)
        written = [_whole(dash)]
        for look, drawn in ((61_000, 200_000), (201_000, 202_000)):
            table._clock = lambda after=look: start + after
            table.draw_changes()
            table._clock = lambda after=drawn: start + after
            written.append(_partial(dash, table))
        assert "stalled" in "\n".join(_shown(*written))


@pytest.mark.parametrize("exact", rest_slow([True, False], [True]))
async def test_every_screen_is_whole_with_exact_and_with_stock_updates(
    path: Path, monkeypatch: pytest.MonkeyPatch, *, exact: bool
) -> None:
    """What was written since the start adds up to what the screen is."""
    monkeypatch.setattr(exact_updates, "EXACT", exact)
    written: list[str] = []
    async with dashboard(path, [OPENAI], rows=jobs(*WORDS), working=False, size=(120, 36)) as dash:
        await dash.until(lambda: "job-048" in dash.screen)
        written.append(_whole(dash))

        def display(_screen: object, renderable: Any) -> None:
            if renderable is not None:
                written.append(renderable.render_segments(dash.app.console))

        dash.app._display = display  # type: ignore[method-assign]
        for keys in (
            ("down", "j", "pagedown", "space", "up"),
            ("slash", *"failed>0", "escape", "4", "0", "s"),
            ("l",),
            ("escape", "enter"),
            ("2", "3", "escape", "question_mark"),
            ("escape", "x"),
        ):
            await dash.press(*keys)
            await dash.settle()
            assert isinstance(dash.app.main._compositor, ExactCompositor) is exact
            # A poll may have asked for a line to be drawn that is not written yet.
            await dash.until(lambda: _shown(*written) == _shown(_whole(dash)))


def test_other_versions_of_textual_draw_by_themselves() -> None:
    assert exact_updates.EXACT is (version("textual") in exact_updates.TESTED_WITH)
