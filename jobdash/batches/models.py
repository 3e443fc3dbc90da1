"""The frozen objects of the Python interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from jobdash.domain.describe.job_text import shown_status
from jobdash.domain.job import JobDetails
from jobdash.domain.money import MICROS
from jobdash.errors import JobdashError, ProviderError


class BatchFailed(JobdashError):
    """A batch could not be submitted, cancelled or fetched; ``batch`` is what is known of it."""

    def __init__(self, message: str, batch: Batch | None = None) -> None:
        super().__init__(message)
        self.batch = batch


class NotCurrent(JobdashError):
    """An account could not be asked, so that nothing is known of its batches as they are now.

    ``batches`` are what was asked for, as it is known from before; ``errors`` say why, by account.
    """

    def __init__(self, batches: Sequence[Batch], errors: Mapping[str, Exception]) -> None:
        super().__init__(f"what is known is from before: {_reasons(errors)}")
        self.batches = tuple(batches)
        self.errors = dict(errors)


class WaitTimeout(JobdashError, TimeoutError):
    """The time of a wait has run out.

    ``batches`` are those that were waited for, as they are known; ``errors``, by account, say why one could
    not be asked, where one could not.
    """

    def __init__(self, message: str, batches: Sequence[Batch], errors: Mapping[str, Exception]) -> None:
        super().__init__(f"{message}; {_reasons(errors)}" if errors else message)
        self.batches = tuple(batches)
        self.errors = dict(errors)


def _reasons(errors: Mapping[str, Exception]) -> str:
    return "; ".join(f"{account} could not be asked: {_words(error)}" for account, error in errors.items())


def _words(error: Exception) -> str:
    return error.full_text if isinstance(error, ProviderError) else str(error)


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as the store knows it; None is unknown, never 0. Times are in UTC."""

    id: str
    remote_id: str | None
    """The provider's id; None until a submit is confirmed."""
    name: str
    account: str
    provider: str
    status: str
    """``pending``, ``validating``, ``in_progress``, ``finalizing``, ``cancelling``, or how it ended."""
    shown_status: str
    """The word that the dashboard shows, such as ``partial``."""
    finished: bool
    """Whether it has ended."""
    model: str | None
    endpoint: str | None
    total: int | None
    succeeded: int | None
    failed: int | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None
    expires_at: datetime | None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None
    """Dollars so far, at the prices of its creation."""
    cost_is_upper_bound: bool = False
    """No batch price is known for all of it: it cost so much at most."""
    parent: str | None = None
    """The id of the batch that it was sent again from."""
    children: tuple[str, ...] = ()
    """The ids of the batches by which it was sent again."""
    tags: Mapping[str, str] = field(default_factory=dict)
    seen_at: datetime | None = field(default=None, compare=False)
    """When its provider last said how it is; None where it never did."""

    def __hash__(self) -> int:
        """Hash by the id; two that are equal have the same."""
        return hash(self.id)


def batch_of(job: JobDetails, now: int) -> Batch:
    """Return a job of the store as a batch."""
    row = job.row
    return Batch(
        id=row.public_id,
        remote_id=row.remote_id,
        name=row.name,
        account=row.account,
        provider=row.provider,
        status=str(row.status),
        shown_status=shown_status(row, now),
        finished=row.terminal or row.gone or row.removed_at is not None,
        model=row.model,
        endpoint=row.endpoint,
        total=row.total,
        succeeded=row.succeeded,
        failed=row.failed,
        error=row.error,
        created_at=_time(row.created_at),
        finished_at=None if row.finished_at is None else _time(row.finished_at),
        expires_at=None if row.expires_at is None else _time(row.expires_at),
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cost=None if row.cost is None else row.cost / MICROS,
        cost_is_upper_bound=bool(row.cost_is_upper_bound),
        parent=job.parent,
        children=job.children,
        tags=dict(job.tags),
        seen_at=None if job.seen_at is None else _time(job.seen_at),
    )


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one request of a batch."""

    key: str
    outcome: str
    """``ok``, ``error``, ``cut_off`` (an answer, and not a whole one) or ``missing``."""
    request: Any
    """The request as it was sent; None where the input is not known here."""
    response: Any
    """The provider's answer; None unless there is one."""
    error: Mapping[str, Any] | None
    """``code`` and ``message``; None unless it failed."""
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None

    def __hash__(self) -> int:
        """Hash by the key; two that are equal have the same."""
        return hash(self.key)
