"""Keys that act when they arrive: no key overtakes one in front of it, and the answer is drawn at once."""

from __future__ import annotations

import asyncio
import random
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from tui_kit import Dash, account, change, dashboard, exact_only, jobs

from jobdash.tui.terminal import exact_updates
from jobdash.tui.terminal.exact_updates import ExactUpdate
from jobdash.tui.widgets.job_table import JobTable

OPENAI = account("openai")
ROWS = jobs(*("in_progress", "completed", "failed", "pending") * 10)
KEYS = ("down", "j", "k", "pagedown", "up", "end", "g", "G", "space", "4", "0", "s", "S", "a")
TYPED = ("slash", "j", "G", "g", "k", "enter", "escape", "down")


def where(dash: Dash) -> tuple[Any, ...]:
    view = dash.app.main.view
    return (
        dash.current,
        dash.marked,
        view.model.scope,
        view.model.sort,
        view.bar.text,
        type(dash.app.focused),
    )


async def end_of(path: Path, keys: list[str], *, burst: bool) -> tuple[Any, ...]:
    async with dashboard(path, [OPENAI], rows=ROWS, working=False, size=(110, 16)) as dash:
        for key in keys:
            await dash.send(key)
            if not burst:
                await dash.settle()
        await dash.settle()
        model = dash.app.main.view.model
        await dash.until(lambda: not model.scope.filtered or model.matches.answered(model.scope))
        return where(dash)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.slow
async def test_a_burst_ends_where_the_same_keys_end_one_by_one(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    keys = chance.choices(KEYS, k=12)
    if seed % 2:  # letters behind the slash are a filter's, and are no moves
        keys += [*TYPED, *chance.choices(KEYS[:8], k=3)]
    slowly = await end_of(tmp_path / "one" / "jobs.db", keys, burst=False)
    assert await end_of(tmp_path / "other" / "jobs.db", keys, burst=True) == slowly


@pytest.mark.parametrize(
    ("opens", "closes", "acts"),
    [
        ("slash", "enter", "space"),
        ("enter", "escape", "x"),
        *(
            pytest.param(opens, "escape", "space", marks=pytest.mark.slow)
            for opens in ("x", "l", "question_mark")
        ),
    ],
)
@pytest.mark.slow
async def test_no_move_overtakes_a_key_that_was_sent_to_something_in_front(
    path: Path, opens: str, closes: str, acts: str
) -> None:
    """Keys come some turns of the event loop apart, while what they close is on its way out."""
    async with dashboard(path, [OPENAI], rows=jobs(*["completed"] * 40), working=False) as dash:
        for first, second in product((0, 2, 4, 6), (0, 2)):
            dash.app.main.view.model.marks.clear()
            dash.table.go(0)
            await dash.send(opens)
            await dash.until(lambda: not isinstance(dash.app.focused, JobTable))
            await dash.settle()
            for key, turns in ((closes, first), (acts, second), ("down", 30)):
                await dash.send(key)
                for _ in range(turns):
                    await asyncio.sleep(0)
            await dash.settle()
            if acts == "x":
                screen = await dash.until_dialog()
                assert [decision.job.name for decision in screen.plan.acting] == ["job-040"]
                await dash.press("escape")
            else:
                assert dash.marked <= {"job-040"}, (first, second)
            await dash.until_table()


async def test_keys_behind_an_escape_mean_what_it_brings_back(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=ROWS, working=False) as dash:
        await dash.press("slash")
        await dash.type("job-02")
        await dash.press("enter")
        await dash.until(lambda: dash.names[0] == "job-029")
        for key in ("escape", "G"):
            await dash.send(key)
        await dash.until(lambda: dash.current == "job-001")


async def test_a_move_behind_home_starts_from_the_order_that_is_sorted_again(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=ROWS, working=False) as dash:
        await dash.press("s", "end")
        change(path, "UPDATE job SET failed = 3 WHERE name = 'job-003'")
        await dash.until(lambda: dash.table.moved)
        for key in ("home", "down"):
            await dash.send(key)
        await dash.settle()
        assert dash.names[0] == "job-003"
        assert dash.table.cursor == 1


@exact_only
async def test_the_cursor_leaves_nothing_where_no_scroll_bar_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with dashboard(path, [OPENAI], rows=ROWS[:5], working=False, size=(100, 24)) as dash:
        await dash.settle()
        updates: list[ExactUpdate] = []
        monkeypatch.setattr(dash.app, "_display", lambda _screen, update: updates.append(update))
        dash.table.action_move(1)
        ends = [piece.x + piece.strip.cell_length for piece in updates[0].pieces[:2]]
        assert ends == [100, 100]


async def test_a_key_behind_one_that_asks_moves_nothing(path: Path) -> None:
    async with dashboard(path, [OPENAI], rows=ROWS, working=False) as dash:
        for key in ("c", "down", "down"):
            await dash.send(key)
        screen = await dash.until_dialog()
        assert [decision.job.name for decision in screen.plan.acting] == ["job-040"]
        await dash.press("escape")
        await dash.until_table()
        assert dash.current == "job-040"


async def test_keys_of_ones_own_move(path: Path) -> None:
    keys = {"table.down": "ctrl+n, n", "table.up": "j"}
    async with dashboard(path, [OPENAI], rows=ROWS, working=False, keys=keys) as dash:
        await dash.press("ctrl+n", "ctrl+n", "ctrl+n", "j")
        assert dash.current == "job-038"
        await dash.press("down", "k", "n", "j")
        assert dash.current == "job-038"


@exact_only
async def test_a_move_is_drawn_when_the_key_has_been_dealt_with(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with dashboard(path, [OPENAI], rows=ROWS, working=False) as dash:
        await dash.until(lambda: "job-040" in dash.screen)
        await dash.settle()
        updates: list[ExactUpdate] = []
        monkeypatch.setattr(dash.app, "_display", lambda _screen, update: updates.append(update))
        monkeypatch.setattr(exact_updates, "monotonic", lambda: 1e9)
        dash.table.action_move(1)
        (update,) = updates
        lines = {piece.y for piece in update.pieces}
        table, title = dash.table.region.y, dash.app.main.query_one("#title").region.y
        assert {table, table + 1, title} <= lines
        dash.table.action_move(1)
        assert updates == [update]  # within the same frame: Textual's timer draws it
        await dash.until(lambda: len([update for update in updates if update]) > 1)
