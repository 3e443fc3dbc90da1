"""Emoji of several characters on the progress line: whole, or left out where they do not fit."""

from __future__ import annotations

import pytest

from jobdash.worker.terminal import ProgressLine, ProgressState, _fitting, line

EMOJI = ("❤️", "⚙️", "1️⃣", "🇩🇪", "👨‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽")


@pytest.mark.parametrize("emoji", EMOJI)
def test_a_name_is_whole(emoji: str) -> None:
    drawn = ProgressLine(f"{emoji} up {emoji}", "files")._name
    assert drawn == f"{emoji} up {emoji}".replace("\u200d", "")
    assert f"{drawn} ━" in line(drawn, "files", ProgressState(25, 0, 100, 0), 10.0)


@pytest.mark.parametrize("emoji", EMOJI)
@pytest.mark.parametrize("cells", range(1, 30))
def test_a_cut_divides_none(emoji: str, cells: int) -> None:
    cut = _fitting(f"{emoji}{emoji} up", cells)
    assert cut in {"", emoji, *(f"{emoji}{emoji}{rest}" for rest in ("", " ", " u", " up"))}
