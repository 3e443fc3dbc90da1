"""Styles written as changes: a terminal shows what it shows when every style is written in full."""

from __future__ import annotations

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style

from jobdash.tui.terminal.exact_updates import Pen

COLORS = [None, "#c3c9dd", "#7a7e8d", "red", "default"]
STYLES = st.builds(
    Style,
    color=st.sampled_from(COLORS),
    bgcolor=st.sampled_from([None, "#16171f", "#36324c"]),
    bold=st.sampled_from([None, True, False]),
    dim=st.sampled_from([None, None, True]),
    italic=st.sampled_from([None, None, True]),
    underline=st.sampled_from([None, None, True]),
    reverse=st.sampled_from([None, None, True]),
)
TEXTS = st.sampled_from(["a", "bc", " ", "━"])
SEGMENTS = st.lists(st.tuples(TEXTS, st.one_of(st.none(), STYLES)), max_size=9)


def shown(written: str) -> list[tuple[object, ...]]:
    screen = pyte.Screen(30, 1)
    pyte.Stream(screen).feed(written + "|")
    return [tuple(screen.buffer[0][x]) for x in range(30)]


@settings(max_examples=300, deadline=None)
@given(SEGMENTS, SEGMENTS, st.sampled_from([ColorSystem.TRUECOLOR, ColorSystem.EIGHT_BIT]))
def test_a_terminal_shows_the_same(
    first: list[tuple[str, Style | None]], second: list[tuple[str, Style | None]], colors: ColorSystem
) -> None:
    pen = Pen(colors)
    written = "".join(
        [*(pen.write([Segment(*each) for each in part]) for part in (first, second)), pen.lift()]
    )
    full = "".join(
        style.copy().render(text, color_system=colors) if style else text for text, style in [*first, *second]
    )
    assert shown(written) == shown(full)
    assert len(written) <= len(full) + len("\x1b[0m")


def test_a_style_without_effect_is_not_reset() -> None:
    pen = Pen(ColorSystem.TRUECOLOR)
    assert pen.write([Segment("a", Style(bold=False)), Segment("b", None)]) + pen.lift() == "ab"


def test_only_what_differs_from_the_style_in_front_is_written() -> None:
    pen = Pen(ColorSystem.TRUECOLOR)
    name = Style(color="#c3c9dd", bgcolor="#16171f", bold=True)
    age = Style(color="#7a7e8d", bgcolor="#16171f")
    written = pen.write([Segment("name", name), Segment(" 3h", age), Segment(" 4h", age)])
    assert written == "\x1b[1;38;2;195;201;221;48;2;22;23;31mname\x1b[22;38;2;122;126;141m 3h 4h"
    assert (pen.lift(), pen.lift()) == ("\x1b[0m", "")


@pytest.mark.parametrize("before", [None, Style(color="red")])
def test_a_link_is_written_whole(before: Style | None) -> None:
    written = Pen(ColorSystem.TRUECOLOR).write(
        [Segment("x", before), Segment("y", Style(color="red", link="https://example.org"))]
    )
    assert written.count("https://example.org") == 1
    assert written.endswith("\x1b]8;;\x1b\\")
