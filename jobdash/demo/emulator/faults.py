"""Fault rules: which requests they match, how often they apply, and their effects."""

from __future__ import annotations

import datetime as dt
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import format_datetime
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """This answer instead of the API's; the request is not applied."""

    status: int
    body: str | None = None
    """None is an error in the provider's form; for a 401, that of a wrong key."""
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after: int | dt.datetime | None = None
    """The Retry-After header, in seconds or as a date."""
    code: str | None = None
    """OpenAI's error code (Gemini's reason) in the provider's form: `insufficient_quota`, for instance."""

    def all_headers(self) -> dict[str, str]:
        """The headers with Retry-After."""
        if self.retry_after is None:
            return dict(self.headers)
        if isinstance(self.retry_after, dt.datetime):
            text = format_datetime(self.retry_after.astimezone(dt.UTC), usegmt=True)
        else:
            text = str(self.retry_after)
        return {"Retry-After": text, **self.headers}


@dataclass(frozen=True, slots=True)
class Delay:
    """The request is applied and answered, so many real seconds later."""

    seconds: float
    applied_first: bool = False
    """Only the answer is late."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset (TCP RST) instead of an answer: before or after the request was applied."""

    applied: bool


@dataclass(frozen=True, slots=True)
class CutBody:
    """The request is applied; its answer breaks off, short of its Content-Length."""

    keep: float = 0.5
    """The share of the body that is sent."""


@dataclass(frozen=True, slots=True)
class MalformedJson:
    """The request is applied; its answer is a complete one of half the JSON."""


@dataclass(frozen=True, slots=True)
class EmptyJson:
    """The request is applied; its answer is `{}`."""


Effect = ErrorAnswer | Delay | Reset | CutBody | MalformedJson | EmptyJson


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """Applies to requests that match `method`, `path` (shell patterns) and `key`; without `nth` and
    `probability`, all of them.
    """

    effect: Effect
    method: str = "*"
    path: str = "*"
    """Without the query; `*` matches slashes, too."""
    key: str | None = None
    """Only requests with that API key."""
    nth: int | None = None
    """Only the nth request that matches, from 1."""
    probability: float | None = None
    """By chance, decided by the emulator's seed."""
    times: int | None = None
    """At most so often."""


@dataclass(slots=True)
class _Counted:
    rule: FaultRule
    matched: int = 0
    applied_count: int = 0


class Faults:
    """The rules in force. The first one that applies to a request decides; all that match it count it."""

    def __init__(self, seed: int) -> None:
        # Chance has to be the same in every run, not unguessable.
        self._random = random.Random(seed)  # noqa: S311
        self._rules: list[_Counted] = []
        self._lock = threading.Lock()

    def add(self, *rules: FaultRule) -> None:
        """Put rules in force, after those that are."""
        with self._lock:
            self._rules.extend(_Counted(rule) for rule in rules)

    def clear(self) -> None:
        """Let everything go well again."""
        with self._lock:
            self._rules.clear()

    def effect_on(self, method: str, path: str, key: str) -> Effect | None:
        """What happens to this request, if anything."""
        effect: Effect | None = None
        with self._lock:
            for counted in self._rules:
                if not _matches(counted.rule, method, path, key):
                    continue
                counted.matched += 1
                if effect is None and self._due(counted):
                    counted.applied_count += 1
                    effect = counted.rule.effect
        return effect

    def _due(self, counted: _Counted) -> bool:
        rule = counted.rule
        if rule.times is not None and counted.applied_count >= rule.times:
            return False
        if rule.nth is not None and counted.matched != rule.nth:
            return False
        return rule.probability is None or self._random.random() < rule.probability


def _matches(rule: FaultRule, method: str, path: str, key: str) -> bool:
    return fnmatchcase(method, rule.method) and fnmatchcase(path, rule.path) and rule.key in {None, key}
