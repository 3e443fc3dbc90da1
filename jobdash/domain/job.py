"""Frozen views of a job: the line of a table, and everything known of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from jobdash.domain.fields import ProviderFields
from jobdash.domain.provider_info import LOCAL
from jobdash.domain.status import (
    FORCE_FAILED,
    QUEUED_HERE,
    TERMINAL,
    UNCONFIRMED,
    UNFINISHED,
    Completeness,
    Status,
    outcome_of,
)

if TYPE_CHECKING:
    from jobdash.domain.results import ResultCounts

CANCEL_STUCK_MS = 15 * 60 * 1000
"""A cancel asked longer ago than this may be asked again."""
_RUNNING = frozenset({Status.IN_PROGRESS, Status.FINALIZING, Status.UNKNOWN})
UNDO_MS = 24 * 60 * 60 * 1000
"""How long an own removal or force-fail can be taken back."""


@dataclass(frozen=True, slots=True)
class JobRow(ProviderFields):
    """What one line of the table needs. Times are milliseconds UTC; None is unknown, never 0."""

    id: int
    public_id: str
    provider: str
    account: str
    remote_id: str | None
    name: str
    status: Status
    remote_status: Status
    raw_status: str
    verdict: str | None
    created_at: int
    updated_at: int
    cancel_requested_at: int | None
    removed_at: int | None
    gone_at: int | None
    error: str | None
    left_behind: str | None
    lease_until: int | None
    removing: int | None
    cancel_doubt: bool
    """A cancel got no answer: it may or may not have been applied, and may be asked again at once."""
    fence: int
    revision: int
    done_before: int | None = None
    """Local jobs: what earlier attempts had done when the present one began."""
    origin: str = ""
    """The provider's server that has the job; empty where that is not known."""
    fetched_at: int | None = None
    """When its results were last fetched to this computer."""
    results_ok: int | None = None
    """Of the fetched results of a batch, how many are whole answers; likewise what follows."""
    results_error: int | None = None
    results_cut_off: int | None = None
    results_missing: int | None = None
    results_expire_at: int | None = None
    """When its provider deletes the results."""
    cost: int | None = None
    """What it cost, in millionths of a dollar."""
    cost_is_upper_bound: bool | None = None
    """Whether it cost so much at most; None where the cost is not known."""
    family: str | None = None
    """The public id of the first member of its family: of the parts of its file, or of the batch and its
    retries. None for a job in none."""
    family_id: int | None = None
    """The row id of the first member of its family; None for a job in none."""
    folded: bool = False
    """Another member stands for it where a family is one row."""
    parent_id: int | None = None
    """The row id of the batch that it was sent again from."""
    superseded_by: int | None = None
    """The row id of the batch that does what it left undone."""
    kept_succeeded: int | None = None
    """Of a retry: how many requests of its family had an answer, and were not sent again."""
    kept_failed: int | None = None
    """Of a retry: how many requests of its family had an error, and were not sent again."""
    function: str | None = None
    """``module:name`` of the function that workers run over its items; None for every other job."""
    fetch_error: str | None = None
    """Why its account's ``auto_fetch`` could not fetch its results; None where it has not failed."""

    @property
    def local(self) -> bool:
        """Whether a person's own script runs it."""
        return self.provider == LOCAL

    @property
    def queued_here(self) -> bool:
        """Whether it waits on this computer, and was never sent."""
        waits = self.raw_status == QUEUED_HERE and self.remote_id is None
        return waits and self.remote_status is Status.PENDING

    @property
    def unconfirmed(self) -> bool:
        """Whether its submit got no answer, and nothing shows what came of it: it may exist, or not."""
        return self.remote_id is None and self.raw_status == UNCONFIRMED

    @property
    def unfinished(self) -> bool:
        """Whether the effective status may still change."""
        return self.status in UNFINISHED

    @property
    def terminal(self) -> bool:
        """Whether the effective status is final."""
        return self.status in TERMINAL

    @property
    def gone(self) -> bool:
        """Whether the provider lost an unfinished job."""
        return self.gone_at is not None and self.unfinished

    @property
    def force_failed(self) -> bool:
        """Whether a person declared it failed here."""
        return self.verdict == FORCE_FAILED

    @property
    def outcome(self) -> Completeness | None:
        """How well a completed job went."""
        return outcome_of(self.status, self.succeeded, self.failed)

    @property
    def collected(self) -> ResultCounts | None:
        """The counts of a batch's results that were fetched; None when none were."""
        if self.results_ok is None:
            return None
        from jobdash.domain.results import ResultCounts  # a list of jobs does without

        return ResultCounts(
            ok=self.results_ok,
            error=self.results_error or 0,
            cut_off=self.results_cut_off or 0,
            missing=self.results_missing,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cached_tokens=self.cached_tokens,
        )

    @property
    def tokens(self) -> int | None:
        """Tokens read and written; None when neither is known."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        return (self.input_tokens or 0) + (self.output_tokens or 0)

    @property
    def results(self) -> dict[str, int | None] | None:
        """The counts of a batch's results that were fetched, by outcome; None when none were."""
        if self.results_ok is None:
            return None
        return {
            "ok": self.results_ok,
            "error": self.results_error or 0,
            "cut_off": self.results_cut_off or 0,
            "missing": self.results_missing,
        }

    @property
    def done(self) -> int | None:
        """Requests that have an answer, good or bad; None when that is unknown."""
        if self.succeeded is None and self.failed is None:
            return None
        return (self.succeeded or 0) + (self.failed or 0)

    @property
    def remaining(self) -> int | None:
        """Requests nothing is known of yet; None when the total or the counts are unknown."""
        if self.total is None or self.done is None:
            return None
        return max(0, self.total - self.done - (self.cancelled or 0) - (self.expired or 0))

    @property
    def progress(self) -> int | None:
        """The part of the total that is done, in ten-thousandths; None when either is unknown."""
        return 10_000 * self.done // self.total if self.total and self.done is not None else None

    def stuck_cancelling(self, now: int) -> bool:
        """Whether a cancel was asked more than 15 minutes before ``now`` and nothing came of it."""
        asked = self.cancel_requested_at
        return self.status is Status.CANCELLING and asked is not None and now - asked > CANCEL_STUCK_MS

    @property
    def lost_race(self) -> bool:
        """Whether its provider completed it although a cancel had been asked for."""
        return self.remote_status is Status.COMPLETED and self.cancel_requested_at is not None

    def stalled(self, now: int) -> bool:
        """Whether a local job's worker did not renew its lease."""
        return self.status is Status.IN_PROGRESS and self.lease_until is not None and self.lease_until < now

    def worker_gone(self, now: int) -> bool:
        """Whether a local job is asked to stop, and its worker did not renew its lease."""
        if not self.local or self.status is not Status.CANCELLING:
            return False
        return self.lease_until is None or self.lease_until < now

    @property
    def unrecorded(self) -> int:
        """How many items of a local job that is completed have no outcome: `with item:` was left out."""
        return (self.remaining or 0) if self.local and self.status is Status.COMPLETED else 0

    @property
    def waits_for_script(self) -> bool:
        """Whether a script's job was retried, and has no worker yet."""
        return self.local and self.function is None and self.status is Status.PENDING

    @property
    def waits_for_worker(self) -> bool:
        """Whether no worker runs a function's job, which has not ended."""
        return self.function is not None and self.status is Status.PENDING

    def starting(self, now: int) -> bool:
        """Whether the script of a job that waits for it was started a moment ago, and has not begun yet."""
        return self.waits_for_script and self.lease_until is not None and self.lease_until >= now

    def left_ms(self, now: int) -> int | None:
        """Return the milliseconds a running job needs at its present rate; None when that is unknown."""
        if self.status not in _RUNNING or self.gone or self.done is None or self.remaining is None:
            return None
        if self.stalled(now):
            return None
        done = self.done - (self.done_before or 0)
        elapsed = now - (self.started_at or self.created_at)
        return int(elapsed / done * self.remaining) if elapsed > 0 and done > 0 else None

    def window_part(self, now: int) -> float | None:
        """Return how much of its window an unfinished batch has used, of 1.

        None where its provider counts requests or says a part itself, and where the window is not known.
        """
        if self.terminal or self.gone or self.expires_at is None or (self.done, self.percent) != (None, None):
            return None
        window = self.expires_at - self.created_at
        return min(1.0, max(0.0, (now - self.created_at) / window)) if window > 0 else None


INPUT = "input"
"""Among the roles of files: the requests. All others are results."""
BATCH = "batch"
"""Among the roles of files: the batch itself, where the provider can delete it."""


class JobDetails(NamedTuple):
    """Everything known of one job."""

    row: JobRow
    cancel_reason: str | None
    verdict_reason: str | None
    attempt: int
    parent: str | None
    children: tuple[str, ...]
    superseded_by: str | None
    tags: dict[str, str]
    usage: dict[str, Any] | None
    errors: tuple[dict[str, Any], ...]
    files: dict[str, str]
    """What its provider keeps of it, by role; without what was deleted from here."""
    seen_at: int | None
    submit_key: str | None
    estimated_tokens: int | None
    """The input tokens it was expected to take, by the length of its file."""
    results_folder: str | None
    """Where the fetched results of a batch are."""
    fetched_on: str | None
    """The host that its fetched files are on; None in a store that only one host uses."""
    metadata: dict[str, Any] | None
    deleted: tuple[str, ...]
    """What was deleted at its provider from here: the roles of files, and `BATCH`."""
    parts: dict[str, int] | None
    """Of a function's job: how many parts are ``done``, with a worker (``running``), and ``waiting``."""
    attention: tuple[str, ...]
    """Why a person should look at it now: each an `AttentionReason`, the gravest first."""
    candidates: tuple[str, ...] = ()
    """Where it is unconfirmed: the provider's ids of the batches that it may be."""
    host: str | None = None
    """The computer on which its script ran last, or on which a worker began it; None for a batch."""

    @property
    def results_deleted(self) -> bool:
        """Whether its results were deleted at its provider from here, or the batch that names them."""
        roles = set(self.deleted) - {INPUT}
        return BATCH in roles or (bool(roles) and "output" not in self.files)

    @property
    def status_reason(self) -> str | None:
        """A person's reason for the status: of the force-fail, or of the cancel."""
        if self.row.force_failed:
            return self.verdict_reason
        if self.row.status in {Status.CANCELLING, Status.CANCELLED}:
            return self.cancel_reason
        return None


class Event(NamedTuple):
    """One line of the log: who did what, to which job, when, with which result."""

    id: int
    at: int
    actor: str
    face: str
    action: str
    job_public_id: str | None
    job_name: str | None
    account: str | None
    result: str
    detail: str
    bulk: str | None


class AccountHealth(NamedTuple):
    """The result of an account's last poll; times in milliseconds UTC."""

    name: str
    provider: str
    asked_at: int | None
    ok_at: int | None
    error: str | None
    error_kind: str | None
    next_poll_at: int
    retry_after_until: int | None
    discovered: int
    first_sync_done: bool
    claimed_until: int | None = None
    """Until when a process may be polling it now; None when none is."""
    failing_since: int | None = None
    """Since when it fails."""
    reviewed_error: str | None = None
    """The error that a person has dismissed."""
    fingerprint: str | None = None
    """What tells its key from others, without telling anything of it."""
    polled_by: str | None = None
    """Who registered its key, or polled it last: ``user@host``."""
