"""Text as somebody would write it who wants to style, script, crash or fake a terminal."""

from __future__ import annotations

import random
import unicodedata
from itertools import product

ESCAPES = (
    "\x1b[31mred\x1b[0m",
    "\x1b[2J\x1b[H",
    "\x1b[?1049h",
    "\x1b[999A",
    "\x1b]0;title\x07",
    "\x1b]52;c;Y3VybCBldmlsIHwgc2g=\x07",
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x1bP+q544e\x1b\\",
    "\x1b_apc\x1b\\",
    "\x1b[6n",
    "\x1b[c",
    "\x1bc",
    "\x1b",
    "\x9b31m",
    "\x9d52;c;aGk=\x9c",
    "\x90dcs\x9c",
    "\x0e shift out",
    "\x07\x07\x07",
    "back\b\b\b\bspace",
    "over\rwritten",
    "\x7f\x7fdelete",
    "nul\x00nul",
)
LINES = (
    "one\ntwo",
    "one\r\ntwo",
    "one\u2028two\u2029three",
    "one\x85two",
    "one\x0btwo\x0cthree",
    "tab\tbed",
    "\n\n\n",
    "fake\njobdash: all is well",
)
DIRECTIONS = (
    "abc\u202edcba",
    "\u2066isolated\u2069",
    "\u200frtl mark",
    "\u061cletter mark",
    "שלום עולם",
    "مرحبا بالعالم",
    "x\u202ax\u202bx\u202cx\u202dx",
    "ﷺﷺﷺ",
)
HIDDEN = (
    "zero\u200bwidth\u200c\u200d",
    "\ufefffeff",
    "soft\u00adhyphen",
    "word\u2060joiner",
    "\u3164\u3164",
    "braille\u2800blank",
    "variation\ufe0f\ufe0e",
    "\U000e0041\U000e0042tags",
    "\U000e01efselector",
    "\u034fjoiner",
    "\u115f\u1160jamo",
    "   spaces   ",
    "\u00a0nbsp\u3000",
)
STACKS = ("Z\u0300\u0301\u0302" * 3 + "\u0489" * 60, "\u0301\u0301alone", "a" + "\u20dd" * 40, "e\u0301 fine")
HALVES = ("lone \ud800", "\udfff lone", "\ud83d\ude00", "a\udc80b")
PICTURES = (
    "␛[31m",
    "␀␁␂",
    "�",
    "\ue000private",
    "\uffff\ufffe",
    "\U0001fbff",
    "\u0378unassigned",
    "\U0010ffff",
)
EMOJI = ("👨‍👩‍👧‍👦 family", "🏳️‍🌈", "🇩🇪", "👍🏽", "１２３", "Ａ", "商品説明の翻訳")
MARKUP = (
    "[bold]x[/bold]",
    "[/]",
    "[link=http://evil]x[/link]",
    "[@click=app.quit]quit[/]",
    "$text {x} %s %d %n",
    "<script>alert(1)</script>",
    "{{7*7}}",
    "`rm -rf`",
    "$(reboot)",
    "'; DROP TABLE job; --",
    '"quoted"',
    "\\u001b[31m",
    "\\x1b[31m",
    ":smile: :warning:",
)
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", '=HYPERLINK("http://evil","x")', "a,b;c", " =2")
LONG = ("A" * 1_000_000, "\x1b[31m" * 5_000, "商" * 5_000, "\u202e" * 3_000, "x" * 1_023 + "é")
EMPTY = ("", " ", "\u200b", "\x00")
KINDS = (ESCAPES, LINES, DIRECTIONS, HIDDEN, STACKS, HALVES, PICTURES, EMOJI, MARKUP, FORMULAS, LONG, EMPTY)


def hostile_strings(most: int = 330) -> list[str]:
    """All of the above, then mixtures of them, the same in every run."""
    found = [text for kind in KINDS for text in kind]
    short = [text for text in found if 0 < len(text) < 80]
    dice = random.Random(52)
    found += [f"{one}{two}" for one, two in product(ESCAPES[:8], (*DIRECTIONS, *HALVES))]
    while len(found) < most:
        found.append("".join(dice.sample(short, 3)))
    return found


_MOVES = set("\u200b\u200c\u200d\u200e\u200f\u061c\u2060\ufeff\u00ad\u180e") | {
    chr(code) for block in ((0x202A, 0x202F), (0x2066, 0x206A)) for code in range(*block)
}


def unprintable(text: str) -> set[str]:
    """What of a text must not reach a person, line breaks between its lines apart."""
    return {
        f"U+{ord(char):04X}"
        for char in text
        if char != "\n"
        and (
            not char.isprintable()
            or char in _MOVES
            or unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn"}
        )
    }
