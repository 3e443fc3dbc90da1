"""The glyphs of the dashboard, and their replacements on a terminal that has only ASCII."""

from __future__ import annotations

import locale
import os
from collections.abc import Mapping
from typing import NamedTuple

from jobdash.domain.items import ItemStatus
from jobdash.domain.status import Status


class Symbols(NamedTuple):
    """Glyphs of one cell each, found in the common terminal fonts; each has a word beside it."""

    status: dict[Status, str]
    items: dict[ItemStatus, str]
    cursor: str = "▸"
    mark: str = "◆"
    bar: str = "━"
    half: str = "╸"
    track: str = "━"
    dashes: str = "┄"
    dashes_gone: str = "┅"
    """The part of a window that has gone, where nothing is counted."""
    rule: str = "─"
    ok: str = "✓"
    bad: str = "✗"
    act: str = "✖"
    warning: str = "⚠"
    down: str = "↓"
    up: str = "↑"
    dot: str = "·"
    none: str = "—"
    prompt: str = "▏"
    paused: str = "‖"
    more: str = "…"
    to: str = "–"
    at_most: str = "≤"
    gone: str = "?"
    unseen: str = "•"
    opens: str = "⊞"
    """In front of a row that can be opened; `closes` where it is open."""
    closes: str = "⊟"
    ascii: bool = False


UNICODE = Symbols(
    status={
        Status.PENDING: "○",
        Status.VALIDATING: "◔",
        Status.IN_PROGRESS: "●",
        Status.FINALIZING: "◕",
        Status.CANCELLING: "◐",
        Status.COMPLETED: "✔",
        Status.FAILED: "✖",
        Status.EXPIRED: "◷",
        Status.CANCELLED: "⊘",
        Status.UNKNOWN: "?",
    },
    items={
        ItemStatus.OK: "✔",
        ItemStatus.ERROR: "✖",
        ItemStatus.SKIPPED: "↷",
        ItemStatus.WAITING: "◌",
        ItemStatus.CUT_OFF: "◐",
        ItemStatus.MISSING: "◌",
    },
)

ASCII = Symbols(
    status={
        Status.PENDING: "o",
        Status.VALIDATING: "v",
        Status.IN_PROGRESS: ">",
        Status.FINALIZING: "f",
        Status.CANCELLING: "~",
        Status.COMPLETED: "+",
        Status.FAILED: "x",
        Status.EXPIRED: "e",
        Status.CANCELLED: "-",
        Status.UNKNOWN: "?",
    },
    items={
        ItemStatus.OK: "+",
        ItemStatus.ERROR: "x",
        ItemStatus.SKIPPED: "/",
        ItemStatus.WAITING: ".",
        ItemStatus.CUT_OFF: "~",
        ItemStatus.MISSING: ".",
    },
    cursor=">",
    mark="*",
    bar="=",
    half="=",
    track="-",
    dashes=".",
    dashes_gone=":",
    rule="-",
    ok="ok",
    bad="!!",
    act="x",
    warning="!",
    down="v",
    up="^",
    dot="|",
    none="-",
    prompt=":",
    paused="||",
    more="..",
    to="-",
    at_most="<=",
    unseen="*",
    opens="+",
    closes="-",
    ascii=True,
)


PLAIN_TRACK = "─"
"""The empty part of a bar where no colour distinguishes it from the filled part."""


def choose(ascii_only: bool | None, env: Mapping[str, str] = os.environ) -> Symbols:
    """Return the symbols for a setting (None: what the locale can show) and for NO_COLOR."""
    if not_utf8(env) if ascii_only is None else ascii_only:
        return ASCII
    return UNICODE._replace(track=PLAIN_TRACK) if "NO_COLOR" in env else UNICODE


def not_utf8(env: Mapping[str, str]) -> bool:
    """Whether the locale is one without UTF-8.

    Python turns the C locale into C.UTF-8 for itself (PEP 538), by setting LC_CTYPE; LANG still has the
    original value.
    """
    if env.get("LC_ALL") in {"C", "POSIX"}:  # in Python's UTF-8 mode the next line would return UTF-8
        return True
    if "utf" not in locale.getpreferredencoding(False).lower():
        return True
    coerced = env.get("LC_CTYPE", "") in {"", "C.UTF-8", "C.utf8", "UTF-8"} and not env.get("LC_ALL")
    return coerced and env.get("LANG", "") in {"C", "POSIX"}
