"""Plan, then act: a frozen plan of one action over many jobs, and what became of each.

The same `Plan` is the dialog's text, the ``--dry-run`` output and the audit entry.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from jobdash.domain.duration import short_span
from jobdash.domain.job import CANCEL_STUCK_MS, JobRow
from jobdash.domain.status import LABELS, UNFINISHED, Status, effective

TYPED_ABOVE = 20
"""More jobs than this, and the number has to be typed."""


class Action(StrEnum):
    """What can be done to jobs."""

    CANCEL = "cancel"
    FORCE_FAIL = "force-fail"
    REMOVE = "remove"


class Verdict(StrEnum):
    """What a plan decides for one job."""

    ACT = "act"
    ALREADY = "already"
    """Nothing to do: it is so already. Never an error."""
    REFUSED = "refused"
    """This job does not accept the action; the reason names a way out."""


@dataclass(frozen=True, slots=True)
class Choices:
    """How an action is meant; the defaults are those of the plain key or command."""

    cancel_first: bool = False
    """Remove: cancel unfinished jobs and remove them when the provider confirms."""
    record: bool = True
    """Remove: hide the record (else clean up only)."""
    local_files: bool = False
    remote: bool = False
    """Remove: delete what the provider keeps."""
    force: bool = False
    """Remove: unfinished jobs too, without asking the provider; hide the record whatever stays behind."""
    reason: str | None = None
    """Force-fail and cancel: a person's own words."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One job of a plan, as it was seen when the key was pressed."""

    job: JobRow
    verdict: Verdict
    reason: str = ""

    @property
    def acts(self) -> bool:
        """Whether the plan acts on this job."""
        return self.verdict is Verdict.ACT


@dataclass(frozen=True, slots=True)
class Plan:
    """One action over jobs that will not change any more, however the store does."""

    action: Action
    decisions: tuple[Decision, ...]
    choices: Choices = field(default_factory=Choices)
    scope: str | None = None
    """For a bulk action: where its jobs come from ("in ALL accounts"); None when jobs were named."""
    hidden: frozenset[int] = frozenset()
    """Ids of marked jobs that the screen does not show now."""
    bulk: str = ""
    """One id for all events of this plan."""

    @property
    def acting(self) -> tuple[Decision, ...]:
        """The jobs the action is for, those not visible first."""
        acting = [decision for decision in self.decisions if decision.acts]
        return tuple(sorted(acting, key=lambda decision: decision.job.id not in self.hidden))

    @property
    def skipped(self) -> tuple[Decision, ...]:
        """The jobs it leaves alone, with reasons."""
        return tuple(decision for decision in self.decisions if not decision.acts)

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts in use, by name."""
        return tuple(sorted({decision.job.account for decision in self.acting}))

    @property
    def severe(self) -> bool:
        """Whether it must look different at a glance: a bulk cancel, or removal of unfinished jobs."""
        if self.action is Action.REMOVE:
            return any(decision.job.unfinished for decision in self.acting)
        return self.scope is not None

    @property
    def typed(self) -> bool:
        """Whether the number of jobs has to be typed."""
        return len(self.acting) > TYPED_ABOVE


class Result(StrEnum):
    """What became of one job."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """One job's end of an action."""

    job: JobRow
    """As planned: what it was before."""
    result: Result
    reason: str = ""
    status_after: Status | None = None
    refused: bool = False
    """A skip that the person ought to hear of (exit 1), not an "already so"."""
    stopped: bool = False
    """Not sent, because the action was stopped."""


@dataclass(frozen=True, slots=True)
class Summary:
    """All outcomes of one action."""

    plan: Plan
    outcomes: tuple[JobOutcome, ...]
    interrupted: bool = False

    def count(self, result: Result) -> int:
        """How many ended so; those not sent are counted apart."""
        return sum(1 for outcome in self.outcomes if outcome.result is result and not outcome.stopped)

    @property
    def stopped(self) -> int:
        """How many were never sent."""
        return sum(1 for outcome in self.outcomes if outcome.stopped)

    @property
    def clean(self) -> bool:
        """Whether nothing failed and nothing was refused."""
        return not any(outcome.result is Result.FAILED or outcome.refused for outcome in self.outcomes)


@dataclass(frozen=True, slots=True)
class Situation:
    """What a decision needs to know besides the job."""

    now: int
    """Milliseconds UTC."""
    accounts: frozenset[str]
    """The accounts configured now."""
    named: bool = True
    """The job was named, marked or under the cursor, not swept up by a scope."""
    instead: str = "cancel & delete it, or force"
    """What removes an unfinished job, as the face at hand offers it."""


def decide(action: Action, job: JobRow, situation: Situation, choices: Choices) -> Decision:
    """Return whether ``action`` is for this job, and if not, why."""
    if job.removed_at is not None:
        ago = short_span(situation.now - job.removed_at)
        return Decision(job, Verdict.ALREADY, f"removed {ago} ago; jobdash undo {job.public_id}")
    verdict, reason = _DECIDERS[action](job, situation, choices)
    return Decision(job, verdict, reason)


def _cancel(job: JobRow, situation: Situation, choices: Choices) -> tuple[Verdict, str]:
    del choices
    if job.gone:
        return Verdict.REFUSED, "gone at its provider; force-fail or remove it"
    abandoned = job.force_failed and situation.named and job.remote_status in UNFINISHED
    if job.terminal and not abandoned:
        return Verdict.ALREADY, f"already {LABELS[job.status]}"
    # Force-failing asks for a cancel as well: under the verdict the same holds as without it.
    shown = effective(job.remote_status, job.cancel_requested_at, None) if abandoned else job.status
    if shown is Status.CANCELLING and not (situation.named and may_ask_again(job, situation.now)):
        asked = job.cancel_requested_at
        ago = f"asked {short_span(situation.now - asked)} ago" if asked is not None else "cancelling"
        return Verdict.ALREADY, f"already {ago}"
    if job.account not in situation.accounts:
        return Verdict.REFUSED, f"account {job.account} is not configured any more"
    if job.remote_id is None:
        return Verdict.REFUSED, "its submit is not confirmed yet"
    return Verdict.ACT, ""


def may_ask_again(job: JobRow, now: int) -> bool:
    """Whether a cancelling job may be asked once more: nobody answered, or too long ago."""
    asked = job.cancel_requested_at
    return job.cancel_doubt or (asked is not None and now - asked > CANCEL_STUCK_MS)


def _force_fail(job: JobRow, situation: Situation, choices: Choices) -> tuple[Verdict, str]:
    del situation, choices
    if job.terminal:
        return Verdict.ALREADY, f"already {LABELS[job.status]}"
    return Verdict.ACT, ""


def _remove(job: JobRow, situation: Situation, choices: Choices) -> tuple[Verdict, str]:
    if not (choices.record or choices.remote or choices.local_files):
        return Verdict.REFUSED, "nothing chosen"
    configured = job.account in situation.accounts
    if choices.remote and not configured:
        return Verdict.REFUSED, f"account {job.account} is not configured any more; remove the record only"
    if job.terminal or job.gone or choices.force:
        return Verdict.ACT, ""
    if not choices.record:
        return Verdict.REFUSED, "still unfinished; what the provider keeps is in use"
    if job.removing is not None:
        return Verdict.ALREADY, "already waiting for the provider to confirm its cancel"
    if not choices.cancel_first:
        return Verdict.REFUSED, f"still {LABELS[job.status]}; {situation.instead}"
    if not configured:
        return Verdict.REFUSED, f"account {job.account} is not configured any more; force-fail it first"
    if job.remote_id is None:
        return Verdict.REFUSED, "its submit is not confirmed yet; force-fail it first"
    return Verdict.ACT, ""


_DECIDERS = {Action.CANCEL: _cancel, Action.FORCE_FAIL: _force_fail, Action.REMOVE: _remove}


def status_counts(decisions: tuple[Decision, ...]) -> list[tuple[str, int]]:
    """Return ``[("pending", 3), ("running", 5)]`` in the order of a job's life."""
    counts = Counter(decision.job.status for decision in decisions)
    return [(LABELS[status], counts[status]) for status in Status if counts[status]]
