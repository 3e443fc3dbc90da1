"""``[notify]``: of what a person is notified, and how."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from jobdash.domain.account import Secret
from jobdash.domain.filter.conditions import Conditions
from jobdash.domain.filter.language import parse
from jobdash.domain.notification import NotificationKind
from jobdash.errors import FilterError

NOTIFY_SETTINGS = (
    "on", "accounts", "filter", "bell", "desktop", "command", "webhook", "webhook_secret_env",
)  # fmt: skip
"""What ``[notify]`` can hold; see `NotifySettings`."""
DESKTOP = ("auto", "9", "777", "99")
_HTTP = re.compile(r"https?://[^\s/]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """``[notify]``"""

    on: frozenset[NotificationKind] = frozenset(NotificationKind)
    accounts: frozenset[str] = frozenset()
    """The accounts whose jobs it is for; empty: all."""
    filter: Conditions = field(default_factory=partial(Conditions, ""))
    """The jobs it is for."""
    bell: bool = False
    desktop: str = ""
    """Which escape sequence the terminal is sent, one of `DESKTOP`; empty: none."""
    command: tuple[str, ...] = ()
    """A program and its arguments; it reads the notification as JSON."""
    webhook: str = ""
    webhook_secret: Secret | None = None
    """The key of the signature; None: it is not signed."""

    @property
    def enabled(self) -> bool:
        """Whether there is any way to notify a person."""
        return bool(self.bell or self.desktop or self.command or self.webhook)


def read_notify(values: Mapping[str, Any], env: Mapping[str, str]) -> NotifySettings:
    """Read the table; raises ValueError with a sentence for a wrong value."""
    kinds = _texts(values, "on", tuple(NotificationKind))
    for kind in kinds:
        if kind not in set(NotificationKind):
            raise ValueError(f"on: {kind} is not known; there are {', '.join(NotificationKind)}")
    bell = values.get("bell", False)
    if not isinstance(bell, bool):
        raise ValueError("bell has to be true or false")  # noqa: TRY004 - a wrong value of a file
    desktop = values.get("desktop", False)
    if isinstance(desktop, bool):
        desktop = "auto" if desktop else ""
    elif str(desktop) not in DESKTOP:
        raise ValueError(f"desktop has to be true, false, or one of {', '.join(DESKTOP)}")
    command = _texts(values, "command", ())
    if "command" in values and not (command and command[0].strip()):
        raise ValueError('command has to begin with a program, like ["notify-send", "jobdash"]')
    webhook = _text(values, "webhook")
    if webhook and not _HTTP.match(webhook):
        raise ValueError("webhook has to be an address like https://example.org/hook")
    return NotifySettings(
        frozenset(NotificationKind(kind) for kind in kinds),
        frozenset(_texts(values, "accounts", ())),
        _filter(_text(values, "filter")),
        bell,
        str(desktop),
        command,
        webhook,
        _secret(_text(values, "webhook_secret_env"), env),
    )


def _text(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key, "")
    if not isinstance(value, str):
        raise ValueError(f"{key} has to be a text")  # noqa: TRY004 - a wrong value of a file
    return value.strip()


def _texts(values: Mapping[str, Any], key: str, default: tuple[str, ...]) -> tuple[str, ...]:
    value = values.get(key, default)
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise ValueError(f'{key} has to be a list of texts like ["one", "two"]')
    return tuple(value)


def _filter(text: str) -> Conditions:
    try:
        return parse(text)
    except FilterError as error:
        raise ValueError(f"filter: {error}") from None


def _secret(variable: str, env: Mapping[str, str]) -> Secret | None:
    if not variable:
        return None
    value = env.get(variable, "").strip()
    if not value:
        raise ValueError(f"webhook_secret_env: {variable} is not set")
    return Secret(value)
