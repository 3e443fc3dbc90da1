"""Emoji of several characters: which invisible ones belong to them, and where a text can be cut."""

from __future__ import annotations

import re
from functools import cache
from unicodedata import category, east_asian_width

EMOJI_STYLE = "\ufe0f"
"""Variation selector 16: the character before it is drawn as an emoji."""
JOINER = "\u200d"
"""Zero width joiner: the emoji on its sides are drawn as one."""
_KEYCAP = "\u20e3"
_KEYS = frozenset("#*0123456789")
_TONES = range(0x1F3FB, 0x1F400)
_REGIONS = range(0x1F1E6, 0x1F200)
_CONNECTING = re.compile(f"[{EMOJI_STYLE}{JOINER}]")
_LONGEST = 40
"""Characters of one emoji that are examined when a text is cut."""
_NARROW = (
    "A9 AE 203C 2049 2122 2139 2194-2199 21A9-21AA 2328 23CF 23ED-23EF 23F1-23F2 23F8-23FA 24C2 25AA-25AB "
    "25B6 25C0 25FB-25FC 2600-2604 260E 2611 2618 261D 2620 2622-2623 2626 262A 262E-262F 2638-263A 2640 "
    "2642 265F-2660 2663 2665-2666 2668 267B 267E 2692 2694-2697 2699 269B-269C 26A0 26A7 26B0-26B1 26C8 "
    "26CF 26D1 26D3 26E9 26F0-26F1 26F4 26F7-26F9 2702 2708-2709 270C-270D 270F 2712 2714 2716 271D 2721 "
    "2733-2734 2744 2747 2763-2764 27A1 2934-2935 2B05-2B07 3030 303D 3297 3299 1F170-1F171 1F17E-1F17F "
    "1F202 1F237 1F321 1F324-1F32C 1F336 1F37D 1F396-1F397 1F399-1F39B 1F39E-1F39F 1F3CB-1F3CE "
    "1F3D4-1F3DF 1F3F3 1F3F5 1F3F7 1F43F 1F441 1F4FD 1F549-1F54A 1F56F-1F570 1F573-1F579 1F587 "
    "1F58A-1F58D 1F590 1F5A5 1F5A8 1F5B1-1F5B2 1F5BC 1F5C2-1F5C4 1F5D1-1F5D3 1F5DC-1F5DE 1F5E1 1F5E3 "
    "1F5E8 1F5EF 1F5F3 1F5FA 1F6CB 1F6CD-1F6CF 1F6E0-1F6E5 1F6E9 1F6F0 1F6F3 "
)
"""Code points that become an emoji by `EMOJI_STYLE` (Unicode's emoji-variation-sequences.txt)."""


@cache
def _narrow() -> frozenset[int]:
    found: set[int] = set()
    for part in _NARROW.split():
        first, _, last = part.partition("-")
        found.update(range(int(first, 16), int(last or first, 16) + 1))
    return frozenset(found)


def _pictograph(char: str) -> bool:
    """Whether a character is an emoji, by itself or with `EMOJI_STYLE`."""
    return ord(char) in _narrow() or (east_asian_width(char) == "W" and category(char) == "So")


def connecting(text: str) -> frozenset[int]:
    """Return the places of selectors and joiners that belong to an emoji; any other is there to deceive."""
    if _CONNECTING.search(text) is None:
        return frozenset()
    places: set[int] = set()
    for match in _CONNECTING.finditer(text):
        at = match.start()
        if (text[at] == EMOJI_STYLE and _styled(text, at)) or (text[at] == JOINER and _joins(text, at)):
            places.add(at)
    return frozenset(places)


def _styled(text: str, at: int) -> bool:
    before = text[at - 1 : at]
    if before in _KEYS:
        return text[at + 1 : at + 2] == _KEYCAP
    return bool(before) and _pictograph(before)


def _joins(text: str, at: int) -> bool:
    first = at - 1
    if first > 0 and (text[first] == EMOJI_STYLE or ord(text[first]) in _TONES):
        first -= 1
    if first < 0 or at + 1 >= len(text):
        return False
    return _pictograph(text[first]) and _pictograph(text[at + 1])


def whole_until(text: str, end: int) -> int:
    """Return ``end``, or where the emoji begins that a cut there would divide."""
    cut = end
    while 0 < cut < len(text) and end - cut < _LONGEST and _divides(text, cut):
        cut -= 1
    return cut if end - cut < _LONGEST else end


def _divides(text: str, cut: int) -> bool:
    char, before = text[cut], text[cut - 1]
    if char in {EMOJI_STYLE, JOINER, _KEYCAP} or before == JOINER or ord(char) in _TONES:
        return True
    if ord(char) not in _REGIONS or ord(before) not in _REGIONS:
        return False
    start = cut
    while start and ord(text[start - 1]) in _REGIONS:
        start -= 1
    return (cut - start) % 2 == 1  # two letters are a flag
