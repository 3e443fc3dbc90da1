"""Emoji of several characters are kept whole; what is invisible elsewhere is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich._unicode_data import load
from rich.cells import cell_len

from jobdash.domain.emoji import whole_until
from jobdash.domain.text import clean

WHOLE = (
    "❤️", "⚙️", "☁️", "✔️", "1️⃣", "#️⃣", "*️⃣", "⌚️", "🇩🇪", "🇺🇳", "🏳️‍🌈", "👨‍👩‍👧‍👦", "👍🏽",
    "👩🏽‍🚒", "❤️‍🔥", "👁️‍🗨️",
    "🧑‍💻", "©️", "ℹ️", "‼️", "〰️", "㊗️", "🅰️", "✊🏿",
)  # fmt: skip
DECEIVING = (
    "\ufe0f", "\u200d", "a\ufe0f", "1\ufe0f", "a\u200db", "❤\u200d", "\u200d❤", "❤\u200da",
    "❤\ufe0e", "❤\ufe0f\ufe0f",
    "\U000e0067", "🏴\U000e0067", "a\U000e0067\U000e007f", "☇\ufe0f", "1\ufe0f\u200d\u20e3", "🇩\u200d🇪",
)  # fmt: skip
ANY = st.lists(
    st.sampled_from([*WHOLE, *DECEIVING, *"aé夜 1#❤⚙👨👩🇩🇪🏽\u20e3", "\ufe0f", "\u200d", "\U000e0067"]),
    max_size=12,
).map("".join)


@pytest.mark.parametrize("emoji", WHOLE)
def test_an_emoji_is_whole(emoji: str) -> None:
    drawn = emoji.replace("\u200d", "")  # no joiner reaches a terminal: what is joined is drawn side by side
    assert clean(emoji) == drawn
    assert clean(f"a {emoji}{emoji} b") == f"a {drawn}{drawn} b"


@pytest.mark.parametrize("text", DECEIVING)
def test_what_is_invisible_elsewhere_is_shown(text: str) -> None:
    assert "\N{REPLACEMENT CHARACTER}" in clean(text)


@pytest.mark.parametrize("emoji", WHOLE)
@pytest.mark.parametrize("limit", range(2, 16))
def test_a_cut_divides_none(emoji: str, limit: int) -> None:
    cut = clean(f"ab{emoji}{emoji}cd", limit)
    assert len(cut) <= limit
    drawn = emoji.replace("\u200d", "")
    assert cut.removesuffix("…").removesuffix("d").removesuffix("c") in {
        "",
        "a",
        "ab",
        f"ab{drawn}",
        f"ab{drawn}{drawn}",
    }


@given(ANY, st.integers(1, 60))
def test_the_gate_holds_for_every_mixture(text: str, limit: int) -> None:
    cleaned = clean(text, limit)
    assert len(cleaned) <= max(limit, 1)
    assert clean(cleaned, limit) == cleaned


@given(ANY)
def test_a_cut_is_never_later(text: str) -> None:
    for end in range(len(text) + 1):
        assert 0 <= whole_until(text, end) <= end


def test_all_that_become_wide_are_known() -> None:
    for char in load("latest").narrow_to_wide - set("#*0123456789"):
        assert clean(f"{char}\ufe0f") == f"{char}\ufe0f"
        assert cell_len(f"{char}\ufe0f") == 2
