"""A batch as its provider describes it: what adapters return and the store merges into its jobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jobdash.domain.fields import ProviderFields
from jobdash.domain.status import Status


@dataclass(frozen=True, slots=True)
class RemoteError:
    """One error a provider reports for a batch or one of its lines."""

    message: str
    code: str | None = None
    line: int | None = None
    param: str | None = None


@dataclass(frozen=True, slots=True)
class RemoteJob(ProviderFields):
    """A batch as its provider describes it, in terms common to all.

    Times are milliseconds UTC. None means "not given" and never erases what is known.
    """

    remote_id: str
    status: Status
    raw_status: str
    name: str | None
    """metadata ``name``/``job``/``description``, else the display name, else None."""
    created_at: int | None
    errors: tuple[RemoteError, ...] = ()
    usage: dict[str, Any] | None = None
    files: dict[str, str] = field(default_factory=dict)
    """By role: ``input``, ``output``, ``error`` → the provider's file id."""
    metadata: dict[str, str] = field(default_factory=dict)
    submit_key: str | None = None
    """The key that jobdash gave it when it submitted the batch."""


@dataclass(frozen=True, slots=True)
class FailedRequest:
    """One request of a batch that failed: its key, and why."""

    key: str
    error: RemoteError


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that a provider keeps; None is not given."""

    id: str
    name: str | None
    size: int | None
    """Bytes."""
    created_at: int | None
    """Milliseconds UTC, like all times."""
    expires_at: int | None
    of_batches: bool
    """It was uploaded for a batch, or made by one, as far as the provider reports."""
