"""Builds every picture of this folder from the real program: ``python screenshots/build.py [name …]``.

The world is the demo's, with a clock that stands still, so that the same code gives the same pictures. SVG as
Textual exports it, with an installed monospaced font in place of the web font it names; PNG drawn from
that by Chromium.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from own_scripts import add_function_job, add_scripts
from rich.cells import cell_len
from textual.pilot import Pilot

from jobdash.config.settings import Config, UiSettings
from jobdash.demo.emulator import Emulator, EmulatorServer, ManualClock
from jobdash.demo.environment import demo_account
from jobdash.demo.samples import KEYS, seed_emulator
from jobdash.operations.job_lookup import open_browser
from jobdash.tui.app import JobdashApp
from jobdash.tui.context import DashboardContext

FOLDER = Path(__file__).resolve().parent
NOON = 1_795_175_000.0
"""2026-11-20, in the morning."""
FONT = "DejaVu Sans Mono"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DEADLINE_S = 30.0
WAIT = "wait"
"""Among keys: until what the one before it began is over, and its toast gone."""
WAIT_S = 7.0
JOBS, NEED_ATTENTION = 56, 16
"""Of the demo, after its first sync."""


@dataclass(frozen=True)
class Shot:
    """One picture: the keys that lead to it, the terminal's size, the theme."""

    name: str
    keys: tuple[str, ...] = ()
    size: tuple[int, int] = (120, 36)
    theme: str = "jobdash-dark"
    workers: bool = False
    """There is a job of a function, too."""


def typed(text: str) -> tuple[str, ...]:
    """Return the keys of a text."""
    names = {" ": "space", ":": "colon", "-": "minus", ">": "greater_than_sign"}
    return tuple(names.get(char, char) for char in text)


SHOTS = (
    Shot("main-dark", ("down", "down", "down", "space", "space", "up", "up")),
    Shot("main-light", ("down", "down", "down", "space", "space", "up", "up"), theme="jobdash-light"),
    Shot("main-80x24", ("down", "down"), (80, 24)),
    Shot("main-80x24-light", ("down", "down"), (80, 24), "jobdash-light"),
    Shot("main-wide", ("down", "down"), (200, 50)),
    Shot("filter", ("slash", *typed("status:running older:10m"))),
    Shot("cancel-one", ("down", "down", "down", "c")),
    Shot("cancel-all", ("C",)),
    Shot("cancel-all-light", ("C",), theme="jobdash-light"),
    Shot("cancel-and-delete", ("6", "0", "down", "down", "down", "X"), (100, 34)),
    Shot("job", ("slash", *typed("caption"), "enter", "enter", "e")),
    Shot("script", ("slash", *typed("thumbnails"), "enter", "enter")),
    Shot("script-light", ("slash", *typed("thumbnails"), "enter", "enter"), (80, 24), "jobdash-light"),
    Shot("script-cancelled", ("slash", *typed("import"), "enter", "enter", "o", "o")),
    Shot("retry", ("slash", *typed("import"), "enter", "r")),
    Shot("workers", ("slash", *typed("render"), "enter", "enter"), workers=True),
    Shot("attention", ("8",)),
    Shot("items", ("slash", *typed("caption"), "enter", "d", WAIT, "enter", WAIT, "down", "down")),
    Shot("submit", ("n", WAIT, *typed("nightly.jsonl"), "enter", WAIT)),
    Shot("help", ("question_mark",)),
)


async def until(pilot: Pilot[None], condition: object) -> None:
    """Wait until a condition holds; fail when it never does."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise TimeoutError("the screen never came to rest")
        await pilot.pause(0.05)


async def shoot(shot: Shot, folder: Path) -> str:
    """Run the dashboard over a fresh demo and return the picture as SVG."""
    clock = ManualClock(NOON)
    emulator = Emulator(clock=clock)
    seed_emulator(emulator, NOON)
    with EmulatorServer(emulator) as server:
        accounts = tuple(demo_account(name, key, server) for name, key in KEYS.items())
        database = folder / f"{shot.name}.db"
        config = Config(
            folder / "config.toml", False, database, accounts, ui=UiSettings(theme=shot.theme, ascii=False)
        )
        now = int(NOON * 1000)
        opened = open_browser(database, lambda: now)
        add_scripts(database, now)
        if shot.workers:
            add_function_job(database, now)
        context = DashboardContext.of(config, opened.browser, None, lambda: now, demo=True)
        app = JobdashApp(context)
        async with app.run_test(size=shot.size, notifications=True) as pilot:
            await until(pilot, lambda: app.main.view.model.counts.total == JOBS + shot.workers)
            await until(pilot, lambda: all(h.first_sync_done for h in context.browser.accounts()))
            # Read again some seconds after the sync: a picture made before it would show fewer.
            await until(pilot, lambda: len(app.main.attention.found) == NEED_ATTENTION)
            await pilot.pause(0.6)
            for key in shot.keys:
                await (pilot.pause(WAIT_S) if key == WAIT else pilot.press(key))
            await pilot.pause(1.0)
            return app.export_screenshot(title="jobdash")


def portable(svg: str) -> str:
    """Return an SVG that needs no web font and names no loopback port."""
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    svg = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8080", svg)
    # Textual names its classes after a random number: equal pictures are to be equal files.
    svg = re.sub(r"terminal-\d+", "terminal", svg)
    return svg.replace("Fira Code", FONT)


def in_columns(svg: str) -> str:
    """Return an SVG whose wide letters take two cells each; Rich's export gives them the room of one."""
    return re.sub(
        r'<text class="([^"]+)" x="([\d.]+)" (y="[^"]+") textLength="([\d.]+)" ([^>]*)>([^<]*)</text>',
        _runs,
        svg,
    )


def _runs(found: re.Match[str]) -> str:
    style, x, y, length, rest, words = found.groups()
    text = html.unescape(words)
    if cell_len(text) == len(text):
        return found[0]
    cell, at, pieces = float(length) / len(text), float(x), []
    for run in re.findall(r"[\u1100-\uffff]+|[^\u1100-\uffff]+", text):
        width = cell_len(run) * cell
        told = html.escape(run).replace("\xa0", "&#160;")
        pieces.append(f'<text class="{style}" x="{at:g}" {y} textLength="{width:g}" {rest}>{told}</text>')
        at += width
    return "".join(pieces)


def draw(svg: Path, png: Path) -> None:
    """Draw a picture with a browser: it keeps every column in its place, whatever the font."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise SystemExit(f"none of {', '.join(BROWSERS)} is installed: it draws the PNG")
    width, height = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg.read_text(encoding="utf-8"))[0]
    size = f"{math.ceil(float(width))},{math.ceil(float(height))}"
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={size}")
    subprocess.run(
        [browser, *options, "--default-background-color=00000000", f"--screenshot={png}", svg.as_uri()],
        check=True,
        capture_output=True,
    )


def request(number: int) -> str:
    """Return a line of an input file."""
    body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": f"Sum up report {number}."}]}
    line = {"custom_id": f"report-{number:03}", "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(line) + "\n"


def build(names: Iterable[str]) -> None:
    """Build the pictures named, or all."""
    os.environ.pop("NO_COLOR", None)
    os.environ["TZ"] = "UTC"
    time.tzset()
    wanted = set(names) or {shot.name for shot in SHOTS}
    for shot in SHOTS:
        if shot.name not in wanted:
            continue
        with tempfile.TemporaryDirectory() as place:
            here = Path(place) / "batches"
            here.mkdir()
            (here / "nightly.jsonl").write_text("".join(map(request, range(1, 241))), encoding="utf-8")
            with contextlib.chdir(here):
                svg = in_columns(portable(asyncio.run(shoot(shot, Path(place)))))
        (FOLDER / f"{shot.name}.svg").write_text(svg, encoding="utf-8")
        draw(FOLDER / f"{shot.name}.svg", FOLDER / f"{shot.name}.png")
        print(shot.name)


if __name__ == "__main__":
    build(sys.argv[1:])
