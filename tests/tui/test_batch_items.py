"""The items of a fetched batch on its screen: found, filtered, read whole, and never in the way of keys."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tui_kit import Dash, account, change, dashboard

from jobdash.demo.emulator import (
    OPENAI_KEY,
    BatchFailure,
    BatchPlan,
    BatchScript,
    Emulator,
    EmulatorServer,
    Timing,
)
from jobdash.domain.status import Tab
from jobdash.operations.results.input_copies import input_copy
from jobdash.tui.screens.item import ItemScreen
from jobdash.tui.screens.job import JobScreen
from jobdash.tui.widgets.item_list import ItemList
from jobdash.tui.widgets.text_views import LinesView

ENDED = Timing(validating=0, running=10, finalizing=0)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@asynccontextmanager
async def opened(
    emulator: Emulator,
    server: EmulatorServer,
    path: Path,
    *,
    fetched: bool = True,
    total: int = 40,
    **plan: Any,
) -> AsyncIterator[Dash]:
    """The dashboard on the screen of a batch that has ended."""
    plans = BatchPlan(timing=ENDED, **plan)
    emulator.openai.add_batch(
        BatchScript(name="nightly", total=total, created_at=time.time() - 60, plan=plans)
    )
    async with dashboard(path, [account("openai", server, OPENAI_KEY)]) as dash:
        await dash.until(lambda: dash.count(Tab.ALL) == 1, 20)
        await dash.until(lambda: "✓" in dash.line("accounts"))
        if fetched:
            await dash.press("d")
            await dash.until(lambda: "fetched: " in dash.line("summary"), 20)
        await dash.press("enter")
        await dash.until(lambda: isinstance(dash.app.screen, JobScreen))
        yield dash


def keys(dash: Dash) -> list[str]:
    """The keys of the requests on the screen."""
    view = dash.app.screen.query_one("#items", ItemList)
    found = (view.window.item(index) for index in range(view.top, view.top + view.size.height))
    return [item.key for item in found if item is not None]


def side(dash: Dash, name: str) -> str:
    return dash.app.screen.query_one(f"#{name}-lines", LinesView).plain


async def test_fetched_results_are_items_by_outcome(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    async with opened(emulator, server, path, failures=(BatchFailure(3),), cut_off=5) as dash:
        await dash.until(lambda: "all 40" in dash.line("item-filter"))
        assert "✔ ok 32   ◐ cut off 5   ✖ error 3   ◌ missing 0" in dash.line("item-filter")
        assert keys(dash)[:2] == ["request-1", "request-2"]
        await dash.press("o", "o", "o")
        await dash.until(lambda: len(keys(dash)) == 3)
        assert "Rate limit" in dash.screen or "rate_limit" in dash.screen
        await dash.press("o")
        await dash.until(lambda: "No request is without an answer" in dash.screen)
        await dash.press("enter")
        await dash.settle()
        assert isinstance(dash.app.screen, JobScreen), "there is nothing to open"
        await dash.press("o", "end")
        await dash.until(lambda: keys(dash)[-1] == "request-40")


async def test_a_text_narrows_them_as_it_is_typed(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    async with opened(emulator, server, path, failures=(BatchFailure(3),)) as dash:
        await dash.until(lambda: "all 40" in dash.line("item-filter"))
        await dash.press("slash")
        await dash.type("request-3")
        await dash.until(lambda: keys(dash) == ["request-3", *(f"request-{n}" for n in range(30, 40))])
        await dash.press("enter")
        assert "/ request-3" in dash.line("item-filter")
        await dash.press("down", "enter")
        await dash.until(lambda: isinstance(dash.app.screen, ItemScreen))
        await dash.until(lambda: '"request-30"' in side(dash, "answer"))
        await dash.press("escape", "slash", *["backspace"] * 9)
        await dash.type("nobody")
        await dash.until(lambda: "Nothing with this text" in dash.screen)
        await dash.press("escape")
        await dash.until(lambda: "all 40" in dash.line("item-filter"))


async def test_request_and_answer_stand_side_by_side(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    async with opened(emulator, server, path, total=5) as dash:
        await dash.until(lambda: "all 5" in dash.line("item-filter"))
        await dash.press("down", "enter")
        await dash.until(lambda: '"request-2"' in side(dash, "answer"))
        assert "no copy of the batch's input file is here" in " ".join(side(dash, "request").split())
        assert "tokens in" in dash.line("item-head")
        await dash.press("y")
        assert json.loads(dash.app.clipboard)["key"] == "request-2"
        assert "Copied the answer" in dash.toast
        await dash.press("right")
        await dash.until(lambda: '"request-3"' in side(dash, "answer"))
        await dash.press("left", "left", "left")
        await dash.until(lambda: '"request-1"' in side(dash, "answer"))
        await dash.press("tab", "y")
        assert "There is no request here to copy" in dash.toast
        await dash.press("escape")
        assert isinstance(dash.app.screen, JobScreen)
        await dash.press("escape")
        await dash.until_table()


async def test_the_request_is_shown_where_its_file_is_known(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    async with opened(emulator, server, path, total=3) as dash:
        await dash.until(lambda: "all 3" in dash.line("item-filter"))
        await dash.press("escape")
        await dash.until_table()
        # As if it had been submitted from here: a copy of its file lies beside the store.
        change(path, "UPDATE job SET submit_key = 'key-1'")
        copy = input_copy(path, "key-1")
        copy.parent.mkdir()
        lines = (
            {"custom_id": f"request-{n}", "body": {"input": "[b]\u202e\x1b " + "x" * 300}} for n in (1, 2, 3)
        )
        copy.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        await dash.press("enter")
        await dash.until(lambda: "all 3" in dash.line("item-filter"))
        await dash.press("end", "enter")
        await dash.until(lambda: '"custom_id": "request-3"' in side(dash, "request"))
        assert '"request-3"' in side(dash, "answer")
        assert "[b]" in dash.screen
        assert not {"\u202e", "\x1b"} & set(dash.screen)
        await dash.press("tab", "y")
        assert json.loads(dash.app.clipboard)["body"]["input"].startswith("[b]\u202e")


async def test_a_terminal_that_cannot_be_handed_on_is_no_error(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    async with opened(emulator, server, path, total=2) as dash:
        await dash.until(lambda: "all 2" in dash.line("item-filter"))
        await dash.press("enter")
        await dash.until(lambda: '"request-1"' in side(dash, "answer"))
        await dash.press("o")
        await dash.until(lambda: "This terminal cannot be handed to a pager" in dash.toast)


async def test_errors_are_grouped_from_the_fetched_results(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    failures = (BatchFailure(3), BatchFailure(2, "invalid_image", "The image cannot be read"))
    async with opened(emulator, server, path, failures=failures) as dash:
        await dash.until(lambda: "all 40" in dash.line("item-filter"))
        await dash.press("1")
        await dash.until(lambda: "3 × rate_limit_exceeded" in dash.screen)
        assert "2 × invalid_image" in dash.screen
        assert "The image cannot be read" in dash.screen
        assert "e asks which" not in dash.screen


async def test_before_it_is_fetched_it_says_what_the_provider_counts_and_d_fetches(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    async with opened(emulator, server, path, fetched=False, failures=(BatchFailure(3),)) as dash:
        await dash.press("4")
        await dash.until(lambda: "Its results are not here" in dash.screen)
        assert "37 ok, 3 failed of 40 requests, as its provider counts" in dash.screen
        await dash.press("d")
        await dash.until(lambda: "all 40" in dash.line("item-filter"), 20)
        await dash.until(lambda: keys(dash)[:1] == ["request-1"])


async def test_results_that_somebody_deleted_are_said_to_be_gone(
    emulator: Emulator, server: EmulatorServer, path: Path, here: Path
) -> None:
    async with opened(emulator, server, path) as dash:
        await dash.until(lambda: "all 40" in dash.line("item-filter"))
        await dash.press("escape")
        await dash.until_table()
        shutil.rmtree(here)
        await dash.press("enter")
        await dash.until(lambda: "are not in" in dash.screen)
        assert "d fetches them" in dash.screen
