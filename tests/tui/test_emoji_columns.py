"""Emoji of disputed width: whole in the table, and what stands behind them where it belongs."""

from __future__ import annotations

from pathlib import Path

import pyte
import pytest
from rich.cells import cell_len
from test_terminal import terminal
from tui_kit import dashboard, job, make_store

from jobdash.tui.terminal.driver import anchored

EMOJI = ("❤️", "⚙️", "1️⃣", "🇩🇪", "👨👩👧👦", "🏳️🌈", "👍🏽", "☁️☁️", "夜", "plain")


def test_text_of_undisputed_width_is_as_it_was() -> None:
    for data in ("", "plain", "夜 é ━━", "\x1b[3;4Hab\x1b[1mc\n"):
        assert anchored(data) is data


def test_behind_an_emoji_the_column_is_named() -> None:
    assert anchored("\x1b[3;5Ha❤️b") == "\x1b[3;5Ha  \x1b[6G❤️\x1b[8Gb"
    assert anchored("\x1b[3;5H\x1b[1m🇩🇪🇫🇷\x1b[0mx") == (
        "\x1b[3;5H\x1b[1m  \x1b[5G🇩🇪\x1b[7G  \x1b[7G🇫🇷\x1b[9G\x1b[0mx"
    )
    assert anchored("no place ❤️ known") == "no place ❤️ known"


@pytest.mark.parametrize("emoji", EMOJI)
def test_a_terminal_that_reckons_otherwise_stays_aligned(emoji: str) -> None:
    """pyte takes a variation selector, a joiner and a letter of a flag for what no terminal agrees on."""
    screen = pyte.Screen(40, 3)
    stream = pyte.Stream(screen)
    stream.feed("\x1b[2;1H" + "x" * 40)
    stream.feed(anchored(f"\x1b[2;1H {emoji} up |"))
    assert screen.buffer[1][cell_len(f" {emoji} up ")].data == "|"
    assert screen.buffer[1][cell_len(f" {emoji} ")].data == "u"
    assert emoji[0] in screen.display[1]


async def test_they_are_whole_in_every_list(path: Path) -> None:
    rows = [job(number, name=f"{emoji} up") for number, emoji in enumerate(EMOJI, start=1)]
    async with dashboard(path, rows=rows, working=False) as dash:
        lines = dash.screen.splitlines()
        for emoji in EMOJI:
            (line,) = [line for line in lines if f" {emoji} up" in line and "●" in line]
            assert cell_len(line[: line.index("●")]) == cell_len(lines[5][: lines[5].index("STATUS")])
        await dash.press("enter")
        await dash.until(lambda: f" {EMOJI[-1]} up" in dash.screen)


@pytest.mark.slow
def test_the_real_program_on_a_terminal_that_reckons_otherwise(tmp_path: Path) -> None:
    path = make_store(tmp_path / "d" / "j.db", [job(n, name=f"{e} up") for n, e in enumerate(EMOJI, start=1)])
    (tmp_path / "c.toml").touch()
    env = {"HOME": str(tmp_path), "JOBDASH_DATABASE": str(path), "JOBDASH_CONFIG": str(tmp_path / "c.toml")}
    with terminal(["-m", "jobdash"], env) as running:
        running.shows("STATUS", "plain up")
        head = next(line for line in running.screen.display if "STATUS" in line).index("STATUS")
        for keys in ("", "j" * 9, "k" * 9):
            running.send(keys)
            running.read(0.3)
            rows = [
                y
                for y in range(5, 30)
                if "openai" in running.screen.display[y] and "●" in running.screen.display[y]
            ]
            assert len(rows) >= len(EMOJI)
            for y in rows:
                assert running.screen.buffer[y][head].data == "●", running.text
        for emoji in ("❤️", "⚙️", "👍🏽"):
            assert emoji.encode() in running.raw
        running.send("q")
        running.ended(8)
