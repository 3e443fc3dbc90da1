"""The settings of a run: the arguments of `jobdash.track`, the environment, and the configuration."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from jobdash.config.settings import load
from jobdash.domain.text import encodable, names_a_secret, register_secret
from jobdash.domain.time import SECOND, parse_span
from jobdash.errors import ConfigError
from jobdash.store.leases.claims import ClaimRequest
from jobdash.store.leases.continuation import AUTO
from jobdash.store.leases.work_identity import WorkIdentity
from jobdash.store.location import StoreLocation
from jobdash.store.owner import current_owner
from jobdash.worker import job_context, script
from jobdash.worker.item_encoding import DETAIL_BYTES

JOB = "JOBDASH_JOB"
LEASE_MS = 30 * SECOND
_SHORTEST_LEASE_MS = 100
_SHORTEST_SECRET = 8
"""Shorter values of variables that are named like a secret are words like any other."""


class TrackOptions(NamedTuple):
    """The arguments of `jobdash.track`, and what is known of its caller."""

    name: str
    keyed: bool
    total: int | None
    unit: str
    flush_s: float | None
    metadata: dict[str, str]
    tags: dict[str, str]
    db: str | os.PathLike[str] | None
    progress: bool
    on_a_loop: bool = False
    """It is tracked under asyncio."""
    script: str | None = None
    """The whole path of the script, for a job without a name of its own."""
    resume: str = AUTO
    work: WorkIdentity | None = None
    arguments: tuple[object, ...] = ()
    """Of the calling function."""
    keys: Callable[[], Iterable[str]] | None = None
    """Returns the keys of the run, where they can be read in advance."""
    detail_bytes: int = DETAIL_BYTES
    continue_after_cancel: bool = False
    """A cancel ends the loop or block, and the script continues after it."""
    thread: int | None = None
    """The thread of the caller."""


class TrackSettings(NamedTuple):
    """The settings of the environment and the configuration."""

    database: StoreLocation
    lease_ms: int
    """How long a worker without a heartbeat keeps its job."""
    job: str | None
    """The public id of the job that a start from the dashboard means."""
    fence: int | None
    """The fence it had then: a job whose fence has changed is another attempt's."""
    log_file: str | None
    """Where a restart from the dashboard puts the script's output."""


def read(db: str | os.PathLike[str] | None, env: Mapping[str, str] = os.environ) -> TrackSettings:
    """Read the settings; the store is found as the commands find it.

    Raises `ConfigError` for a value without a meaning.
    """
    for name, value in env.items():
        if names_a_secret(name) and len(value) >= _SHORTEST_SECRET and not value.startswith(("/", "~")):
            register_secret(value)  # the path of a file with a key in it is none
    job, _, fence = (_writable(env.get(JOB)) or "").partition(":")
    return TrackSettings(
        database=load(database=os.fspath(db) if db is not None else None, env=env).database,
        lease_ms=lease_ms(env),
        job=job or None,
        fence=int(fence) if fence.isascii() and fence.isdecimal() else None,
        log_file=_writable(env.get("JOBDASH_LOG_FILE")),
    )


def claim_request(options: TrackOptions, settings: TrackSettings) -> ClaimRequest:
    """Return the claim of a run that begins now, here."""
    work = options.work and script.numbered_work(
        options.work, options.name, job_context.current_items(), options.arguments
    )
    return ClaimRequest(
        name=options.name,
        owner=current_owner(),
        actor=script.user_at_host(),
        keyed=options.keyed,
        lease_ms=settings.lease_ms,
        total=options.total,
        unit=options.unit,
        public_id=settings.job,
        fence=settings.fence,
        argv=script.command_line(),
        cwd=script.folder(),
        log_file=settings.log_file,
        metadata=options.metadata,
        tags=options.tags,
        script=options.script,
        work=work,
        resume=options.resume,
        keys=options.keys,
    )


def _writable(text: str | None) -> str | None:
    return text if text and encodable(text) == text else None


def lease_ms(env: Mapping[str, str] = os.environ) -> int:
    """Return how long a worker without a heartbeat keeps what it holds. Raises `ConfigError`."""
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


def progress_wanted() -> bool:
    """Whether a progress line may be shown; ``JOBDASH_PROGRESS=0`` turns it off."""
    return os.environ.get("JOBDASH_PROGRESS", "1").lower() not in {"0", "no", "off", "false"}
