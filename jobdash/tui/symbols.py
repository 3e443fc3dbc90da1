"""The glyphs of the dashboard, and what stands for them where the terminal has only ASCII."""

from __future__ import annotations

import locale
from dataclasses import dataclass, field

from jobdash.domain.status import Status


@dataclass(frozen=True, slots=True)
class Symbols:
    """One cell each, and in the common terminal fonts; a word always stands beside them."""

    status: dict[Status, str]
    cursor: str = "▸"
    mark: str = "◆"
    bar: str = "━"
    half: str = "╸"
    track: str = "━"
    dashes: str = "┄"
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
    gone: str = "?"
    news: str = "•"
    ascii: bool = field(default=False)


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
    }
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
    cursor=">",
    mark="*",
    bar="=",
    half="=",
    track="-",
    dashes=".",
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
    news="*",
    ascii=True,
)


def choose(ascii_only: bool | None) -> Symbols:
    """Return the symbols for a setting; None means what the locale can show."""
    if ascii_only is None:
        ascii_only = "utf" not in locale.getpreferredencoding(False).lower()
    return ASCII if ascii_only else UNICODE
