"""Notifications of the desktop through the terminal: escape sequences that it shows as such.

OSC 9 is known to iTerm2, WezTerm, ConEmu and Windows Terminal, OSC 777 to VTE, foot and rxvt, OSC 99 to kitty
(https://sw.kovidgoyal.net/kitty/desktop-notifications/).
"""

from __future__ import annotations

from collections.abc import Mapping

from jobdash.config.notify import NotifySettings
from jobdash.domain.notification import Notification
from jobdash.domain.text import clean

BELL = "\a"
_END = "\x1b\\"
_MOST = 200


def terminal_sequence(settings: NotifySettings, notification: Notification, env: Mapping[str, str]) -> str:
    """Return what is written to the terminal for a notification; inside tmux it is passed on."""
    sequence = ""
    if settings.desktop:
        kind = _kind(env) if settings.desktop == "auto" else settings.desktop
        sequence = _passed_on(_desktop(kind, notification), env)
    return sequence + (BELL if settings.bell else "")


def _kind(env: Mapping[str, str]) -> str:
    if "KITTY_WINDOW_ID" in env or "kitty" in env.get("TERM", ""):
        return "99"
    if env.get("TERM", "").startswith(("foot", "rxvt")) or "VTE_VERSION" in env:
        return "777"
    return "9"


def _desktop(kind: str, notification: Notification) -> str:
    # A semicolon ends a field of the sequence.
    title = clean(notification.title, _MOST).replace(";", ",")
    body = clean(notification.body, _MOST).replace(";", ",")
    if kind == "99":
        named = f"i={notification.row.public_id}"
        return f"\x1b]99;{named}:d=0:p=title;{title}{_END}\x1b]99;{named}:d=1:p=body;{body}{_END}"
    if kind == "777":
        return f"\x1b]777;notify;{title};{body}{_END}"
    return f"\x1b]9;{title} · {body}{_END}"


def _passed_on(sequence: str, env: Mapping[str, str]) -> str:
    """Wrap a sequence for tmux, which hands it to the terminal (``allow-passthrough on``)."""
    if not env.get("TMUX"):
        return sequence
    doubled = sequence.replace("\x1b", "\x1b\x1b")
    return f"\x1bPtmux;{doubled}{_END}"
