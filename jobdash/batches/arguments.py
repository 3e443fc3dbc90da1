"""The arguments of the functions: all are checked before anything is opened or sent."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from jobdash.batches.models import Batch
from jobdash.config.settings import Config
from jobdash.domain.account import Account
from jobdash.domain.items import RETRYABLE
from jobdash.errors import ConfigError, UsageError

_LONGEST_S = 1e9
"""Seconds of a timeout: some thirty years."""
_LONGEST_SHOWN = 60


def check(**arguments: Any) -> None:
    """Raise UsageError for an argument that cannot be one, by its name."""
    for name, value in arguments.items():
        _CHECKS[name](name, value)


def _must_be(name: str, words: str, value: object) -> UsageError:
    shown = repr(value)
    if len(shown) > _LONGEST_SHOWN:
        shown = f"{shown[:_LONGEST_SHOWN]}…"
    return UsageError(f"{name}= has to be {words}, not {shown}")


def _text(name: str, value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise _must_be(name, "a text", value)


def _filter(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise _must_be(name, "a text, as 'tag:nightly status:failed'", value)


def _truth(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise _must_be(name, "True or False", value)


def _path(name: str, value: object) -> None:
    if value is not None and (not isinstance(value, str | Path) or not str(value).strip()):
        raise _must_be(name, "a path", value)


def _limit(name: str, value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, Integral) or value < 0):
        raise _must_be(name, "a whole number from 0 on, or None for all", value)


def _timeout(name: str, value: object) -> None:
    # What is no number at all (nan) is in no range.
    if value is not None and (
        isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= _LONGEST_S
    ):
        raise _must_be(name, "a number of seconds, or None to wait for ever", value)


def _only(name: str, value: object) -> None:
    words = f"one or more of {', '.join(RETRYABLE)}, as a list"
    if isinstance(value, str) or not isinstance(value, Iterable) or not (parts := tuple(value)):
        raise _must_be(name, words, value)
    if wrong := [part for part in parts if part not in RETRYABLE]:
        raise UsageError(f"only={wrong[0]!r} is not one of {', '.join(RETRYABLE)}")


def _batch(_name: str, value: object) -> None:
    if not isinstance(value, str | Batch):
        raise UsageError(f"a batch has to be a Batch or a text that names it, not {type(value).__name__}")


def _batches(name: str, value: Iterable[object]) -> None:
    for each in value:
        _batch(name, each)


def _requests(_name: str, value: object) -> None:
    if not isinstance(value, str | Path | Iterable):
        raise UsageError(f"requests have to be a list of dicts, or a file; not {type(value).__name__}")


def _tags(name: str, tags: object) -> None:
    """Raise UsageError for a tag that is no text, or that ``--tag key=value`` and a filter could not name."""
    if tags is None:
        return
    if not isinstance(tags, Mapping):
        raise _must_be(name, "a dict of texts", tags)
    for key, value in tags.items():
        if not (isinstance(key, str) and isinstance(value, str)):
            raise UsageError(f"tag {key!r}: {value!r} has to be two texts")
        if not key or "=" in key or not value:
            raise UsageError(f"tag {key!r}: {value!r} has to be a key without = and a value")


_CHECKS: dict[str, Callable[[str, Any], None]] = {
    "account": _text,
    "again": _truth,
    "batch": _batch,
    "batches": _batches,
    "config": _path,
    "database": _path,
    "endpoint": _text,
    "filter": _filter,
    "input": lambda _name, value: _path("requests", value),
    "limit": _limit,
    "merged": _truth,
    "model": _text,
    "name": _text,
    "only": _only,
    "partial": _truth,
    "reason": _text,
    "requests": _requests,
    "sync": _truth,
    "tags": _tags,
    "timeout": _timeout,
}


@contextmanager
def on_disk(requests: str | Path | Iterable[Mapping[str, Any]]) -> Iterator[tuple[Path, str | None]]:
    """Yield the file of requests, and what to call it where it was made here."""
    if isinstance(requests, str | Path):
        yield Path(requests), None
        return
    with tempfile.TemporaryDirectory(prefix="jobdash-") as folder:
        path = Path(folder) / "requests.jsonl"
        with path.open("w", encoding="ascii") as file:
            for number, request in enumerate(requests, 1):
                if not isinstance(request, Mapping):
                    raise UsageError(f"request {number} is of type {type(request).__name__}, not a dict")
                try:
                    file.write(json.dumps(request, allow_nan=False) + "\n")
                except (TypeError, ValueError) as error:
                    raise UsageError(f"request {number} cannot be written as JSON: {error}") from None
        yield path, "requests"


def chosen_account(config: Config, name: str | None) -> Account:
    """Return the account that is named, or meant without a name; raises UsageError and ConfigError."""
    wanted = config.name_in_store(name) if name else config.default_account
    found = [account for account in config.accounts if wanted is None or account.name == wanted]
    if len(found) == 1:
        return found[0]
    if wanted in config.unusable_words:
        raise ConfigError(config.unusable_words[wanted])
    names = ", ".join(account.name for account in config.accounts) or "none"
    if wanted is None and found:
        raise UsageError(f"account= has to say which: {names}; or default_account in the config")
    raise ConfigError(f"no account {wanted!r}; there are {names}" if wanted else "no account is configured")
