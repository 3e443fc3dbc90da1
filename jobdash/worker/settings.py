"""What the environment and the configuration say to a script: the store, the lease, the progress line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from jobdash.config import settings
from jobdash.domain.text import encodable, names_a_secret, register_secret
from jobdash.domain.time import SECOND, parse_span
from jobdash.errors import ConfigError

JOB = "JOBDASH_JOB"
LEASE_MS = 30 * SECOND
_SHORTEST_LEASE_MS = 100
_SHORTEST_SECRET = 8
"""Shorter values of variables that are named like a secret are words like any other."""


class WorkerSettings(NamedTuple):
    """What a run goes by."""

    database: Path
    lease_ms: int
    """How long a worker that is not heard of keeps its job."""
    job: str | None
    """The public id of the job that a start from the dashboard means."""
    fence: int | None
    """The fence it had then: one that has changed since is not meant any more."""
    log_file: str | None
    """Where a restart from the dashboard puts the script's output."""


def read(db: str | os.PathLike[str] | None, env: Mapping[str, str] = os.environ) -> WorkerSettings:
    """Read the settings; the store is found as the commands find it.

    Raises `ConfigError` for what cannot be meant.
    """
    for name, value in env.items():
        if names_a_secret(name) and len(value) >= _SHORTEST_SECRET and not value.startswith(("/", "~")):
            register_secret(value)  # the path of a file with a key in it is none
    job, _, fence = (_writable(env.get(JOB)) or "").partition(":")
    return WorkerSettings(
        database=settings.load(database=os.fspath(db) if db is not None else None, env=env).database,
        lease_ms=_lease(env),
        job=job or None,
        fence=int(fence) if fence.isascii() and fence.isdecimal() else None,
        log_file=_writable(env.get("JOBDASH_LOG_FILE")),
    )


def _writable(text: str | None) -> str | None:
    return text if text and encodable(text) == text else None


def _lease(env: Mapping[str, str]) -> int:
    named = env.get("JOBDASH_LEASE")
    if not named:
        return LEASE_MS
    try:
        lease = parse_span(named)
    except ValueError as error:
        raise ConfigError(f"JOBDASH_LEASE: {error}") from None
    if lease < _SHORTEST_LEASE_MS:
        raise ConfigError("JOBDASH_LEASE has to be at least 0.1s")
    return lease


def progress_wanted(env: Mapping[str, str] = os.environ) -> bool:
    """Whether a progress line may be shown; ``JOBDASH_PROGRESS=0`` turns it off."""
    return env.get("JOBDASH_PROGRESS", "1").lower() not in {"0", "no", "off", "false"}
