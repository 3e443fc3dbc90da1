"""Cleaning of text from outside: what is shown of it, how much is kept, and no secrets."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from jobdash.domain.emoji import EMOJI_STYLE, connecting, whole_until

SCREEN_LIMIT = 2_000
"""Characters of one text that are shown anywhere; a longer one is cut before it is examined."""

NAME_BYTES = 1024
ERROR_BYTES = 16 * 1024
_CUT = "… (cut)"

_SPACES = frozenset("\t\n\v\f\r\x85\u2028\u2029")
# Printable for Python, but drawn as nothing, so that two names could look alike or a line be moved.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {
    chr(code) for block in ((0xFE00, 0xFE10), (0x180B, 0x1810), (0xE0100, 0xE01F0)) for code in range(*block)
}
_MARKS_A_LETTER = 2
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_ASCII_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def ascii_lower(text: str) -> str:
    """Return a text with its ASCII letters small, and no others: as the store's ``lower`` does."""
    return text.translate(_ASCII_LOWER)


def clean(text: str, limit: int = SCREEN_LIMIT) -> str:
    """Return one line of printable text for a terminal, a log, or a table.

    White space of every kind becomes one plain space each; a control character becomes its picture (``␛``);
    what is invisible, directional, unassigned or half a character becomes ``\N{REPLACEMENT CHARACTER}``; more
    than two marks stacked on one letter are dropped. What makes a character an emoji stays; emoji that a
    joiner connects are drawn side by side. Longer than ``limit`` characters is cut with ``…``, before an
    emoji that would be divided.
    """
    if len(text) > limit:
        text = text[: whole_until(text, limit - 1)] + "…"
    if text.isascii() and text.isprintable():
        return text
    connected = connecting(text)
    out: list[str] = []
    marks = 0
    for place, char in enumerate(text):
        if place in connected:
            # A joiner moves what follows it in one terminal and not in the other: the parts are drawn.
            out += [char] if char == EMOJI_STYLE else []
            continue
        if unicodedata.category(char) in {"Mn", "Me"} and char not in _INVISIBLE:
            marks += 1
            if marks <= _MARKS_A_LETTER and out:
                out.append(char)
            continue
        marks = 0
        shown = _shown(char)
        if shown != _REPLACEMENT or not out or out[-1] != _REPLACEMENT:
            out.append(shown)
    return "".join(out)


def _shown(char: str) -> str:
    if char in _SPACES or unicodedata.category(char) == "Zs":
        return " "
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if char in _INVISIBLE or not char.isprintable():
        return _REPLACEMENT
    return char


def quantity(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 job``, ``1,204 finished items``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def short_count(count: int) -> str:
    """Return a number in at most four cells: ``999``, ``12k``, ``1.2M``."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if count >= size:
            tenths = count * 10 // size
            return f"{tenths // 10}.{tenths % 10}{unit}" if tenths < 100 else f"{count // size}{unit}"
    return str(count)


def visible(*texts: str | None) -> str:
    """Return the first of some texts in which more than white space is; empty where there is none."""
    return next((text for text in texts if text and not text.isspace()), "")


def encodable(text: str) -> str:
    """Return ``text`` with ``?`` for each half of a character, which no file and no database can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def bounded(text: str, limit: int) -> str:
    """Return ``text`` in at most ``limit`` bytes of UTF-8, with a mark where it was cut."""
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) <= limit:
        return text
    room = limit - len(_CUT.encode())
    return raw[:room].decode("utf-8", "ignore") + _CUT


_UNSAFE_IN_FILE_NAME = r"[^\w.\-]+"


def file_name(text: str, limit: int = 80) -> str:
    """Return a harmless file name made from ``text``: no separators, no leading dot, never empty."""
    flat = re.sub(_UNSAFE_IN_FILE_NAME, "-", clean(text, limit)).strip("-.")
    return flat or "job"


HIDDEN = "[secret]"
"""The replacement of a key."""
_HEADERS = r"x-goog-api-key|api-key|authorization"
_NAME_OF_A_KEY = (
    r"(?i)(?:api|access|private|secret|auth)[-_ ]?(?:key|token)$|authorization$|secret$|password$|passwd$"
    r"|credentials?$|^token$|(?:refresh|session|bearer|bot|hf|hub|github|gitlab|slack)[-_ ]?token$"
)
_SHORTEST_TOKEN = 16
"""What is called token and is shorter may well be a word of a text."""
_known: frozenset[str] = frozenset()


def register_secret(value: str) -> None:
    """Remember a key of this process: `redact` takes it out wherever it occurs, whatever its shape."""
    global _known  # noqa: PLW0603  replaced whole, so that another thread never reads it half changed
    if len(value) >= 6:
        _known |= {value}


def redact_known(text: str) -> str:
    """Return ``text`` without the keys of this process; all else is exact."""
    for value in _known:
        text = text.replace(value, HIDDEN)
    return text


@cache
def _secret_shapes() -> tuple[re.Pattern[str], ...]:
    """Return the patterns of keys; compiled for the first text, as many a command shows none."""
    return (
        # sk-…, rk-… and pk-…, also half masked; but not sk-learn, nor the sk-SK of translations: masked,
        # or as long as no word is, or with a figure in it.
        re.compile(
            r"\b(?:sk(?!-(?i:sk)(?![\w*\-]))|rk|pk)"
            r"-(?=[\w.\-]{0,200}\*|(?=[\w\-]{0,200}\d)[\w\-]{7}|[\w\-]{8})[\w*.\-]{3,}"
        ),
        re.compile(r"\bAIza[\w*\-]{3,}"),  # Google API keys
        re.compile(r"\bya29\.[\w*.\-]{3,}"),  # Google access tokens
        re.compile(
            rf"(?i)((?:{_HEADERS})[\"']?\s*[:=]\s*(?:b?[\"'])?+(?:(?:basic|bearer)\s+)?+)[^\s\"',;&]+"
        ),
        re.compile(
            r"(?i)(\bbearer\s+)(?=[^\s\"',;]{0,200}(?:[\d*]|\.\w)|[^\s\"',;]{8})[^\s\"',;]{4,}"
        ),  # not: bearer of
        re.compile(r"(?i)([?&](?:key|api_key|access_token)=)[^\s&\"'#]+"),
    )


def redact(text: str) -> str:
    """Return ``text`` without keys: those of this process and whatever is shaped like one."""
    text = redact_known(text)
    for shape in _secret_shapes():
        text = shape.sub(_hide, text)
    return text


def names_a_secret(name: str) -> bool:
    """Whether what goes by this name (of an option, a header, a field) is likely to be a key."""
    return re.search(_NAME_OF_A_KEY, name) is not None


def is_secret(name: str, value: str) -> bool:
    """Whether a text that goes by a name is to be hidden for it."""
    return names_a_secret(name) and (name.lower() != "token" or len(value) >= _SHORTEST_TOKEN)


def _hide(match: re.Match[str]) -> str:
    return (match.group(1) if match.re.groups else "") + HIDDEN
