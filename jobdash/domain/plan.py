"""Plan, then act: a frozen plan of one action over many jobs, and their outcomes.

The same `Plan` is the dialog's text, the ``--dry-run`` output and the audit entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from jobdash.domain.items import CUT_OFF, RETRIED, ScriptProcess
from jobdash.domain.job import JobRow
from jobdash.domain.provider_info import ProviderInfo
from jobdash.domain.remainder import Remainder
from jobdash.domain.status import Status

TYPED_ABOVE = 20
"""More jobs than this, and the number has to be typed."""


class Action(StrEnum):
    """What can be done to jobs."""

    CANCEL = "cancel"
    FORCE_FAIL = "force-fail"
    RETRY = "retry"
    REMOVE = "remove"


class DecisionKind(StrEnum):
    """What a plan decides for one job."""

    ACT = "act"
    ALREADY = "already"
    """Nothing to do: it is so already. Never an error."""
    REFUSED = "refused"
    """This job does not accept the action; the reason names a way out."""


@dataclass(frozen=True, slots=True)
class Choices:
    """The options of an action; the defaults are those of the plain key or command."""

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
    stop_process: bool = False
    """Force-fail, and removal of unfinished jobs: end the script's process here as well."""
    only: tuple[str, ...] = RETRIED
    """Retry: which parts, of `jobdash.domain.items.RETRYABLE`."""
    input: Path | None = None
    """Retry: a person's own file of all requests of a batch, of which it has been made."""
    restart: bool = False
    """Retry: start the script again, as it was started last."""

    @property
    def cut_off(self) -> bool:
        """Retry: whether it is for answers that were cut off, too."""
        return CUT_OFF in self.only

    def choosing(self, choice: str, chosen: bool) -> Choices:
        """Return these choices with one of them, named as its attribute, made otherwise."""
        if choice == "cut_off":
            rest = tuple(part for part in self.only if part != CUT_OFF)
            return replace(self, only=(*rest, CUT_OFF) if chosen else rest)
        changed: dict[str, Any] = {choice: chosen}
        return replace(self, **changed)


class Decision(NamedTuple):
    """One job of a plan, as it was seen when the key was pressed."""

    job: JobRow
    verdict: DecisionKind
    reason: str = ""

    @property
    def acts(self) -> bool:
        """Whether the plan acts on this job."""
        return self.verdict is DecisionKind.ACT


@dataclass(frozen=True, slots=True)
class Plan:
    """One action over jobs, frozen: it does not follow the store."""

    action: Action
    decisions: tuple[Decision, ...]
    choices: Choices = field(default_factory=Choices)
    scope: str | None = None
    """For a bulk action: where its jobs come from ("in ALL accounts"); None when jobs were named."""
    hidden: frozenset[int] = frozenset()
    """Ids of marked jobs that the screen does not show now."""
    bulk: str = ""
    """One id for all events of this plan."""
    at: int = 0
    """When it was made, milliseconds UTC."""
    workers: Mapping[int, ScriptProcess] = field(default_factory=dict)
    """By id of a local job, what is known here of its script."""
    providers: Mapping[str, ProviderInfo] = field(default_factory=dict)
    """By name, the providers of its jobs, as far as they are installed."""
    remainders: Mapping[int, Remainder] = field(default_factory=dict)
    """By id of a batch, what is left of it and its retries: of a retry alone."""
    limited: frozenset[str] = frozenset()
    """The accounts with a limit of enqueued tokens: what has no room there waits here."""
    out_of_reach: Mapping[int, str] = field(default_factory=dict)
    """By id of a batch, why its provider cannot be asked about it from here."""
    no_cancel: Mapping[int, str] = field(default_factory=dict)
    """By id of a batch, why its provider cannot be asked to cancel it."""
    results_left: Mapping[int, bool | None] = field(default_factory=dict)
    """By id of a batch, whether its provider has results of it; None where nothing is counted. Of a removal
    alone, and where it was looked up."""

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
    def pending(self) -> int:
        """Of a cancel: how many of its jobs could be cancelled by their status, refused ones too."""
        return len(self.acting) + sum(
            each.verdict is DecisionKind.REFUSED and may_be_cancelled(each.job) for each in self.skipped
        )

    @property
    def dead(self) -> frozenset[int]:
        """Ids of local jobs whose worker was provably dead when the plan was made."""
        return frozenset(job_id for job_id, worker in self.workers.items() if worker.dead)

    @property
    def lost(self) -> frozenset[int]:
        """Ids of the jobs it acts on that count as running, and have no worker any more."""
        dead = self.dead
        return frozenset(
            each.job.id
            for each in self.acting
            if each.job.unfinished
            and each.job.status is not Status.PENDING
            and (each.job.stalled(self.at) or each.job.worker_gone(self.at) or each.job.id in dead)
        )

    @property
    def stoppable(self) -> tuple[ScriptProcess, ...]:
        """The scripts of its unfinished jobs that run here and could be ended for real."""
        found = (self.workers.get(decision.job.id) for decision in self.acting if decision.job.unfinished)
        return tuple(worker for worker in found if worker is not None and worker.alive)

    @property
    def can_stop(self) -> bool:
        """Whether a script's process runs here that could be ended for real."""
        return self.action in {Action.FORCE_FAIL, Action.REMOVE} and bool(self.stoppable)

    @property
    def can_restart(self) -> bool:
        """Whether a script could be started again from here."""
        if self.action is not Action.RETRY:
            return False
        found = (self.workers.get(decision.job.id) for decision in self.acting)
        return any(worker is not None and worker.cannot_start is None for worker in found)

    @property
    def can_send_cut_off(self) -> bool:
        """Whether answers of its batches were cut off, whose requests could be sent again."""
        return any((left := self.remainders.get(each.job.id)) and left.cut_off for each in self.acting)

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts in use, by name."""
        return tuple(sorted({decision.job.account for decision in self.acting}))

    def services(
        self, included: Callable[[JobRow], bool] = lambda _job: True
    ) -> dict[str, ProviderInfo | None]:
        """Return what is known of the servers of its jobs, by title; None where a provider is missing."""
        found: dict[str, ProviderInfo | None] = {}
        jobs = (decision.job for decision in self.acting if included(decision.job))
        for name, origin, profile in {(job.provider, job.origin, job.profile) for job in jobs}:
            info = self.providers.get(name)
            here = None if info is None else info.at(origin, profile)
            found[name if here is None else here.title] = here
        return found

    @property
    def severe(self) -> bool:
        """Whether it has to look dangerous: a bulk cancel, or removal of unfinished jobs."""
        if self.action is Action.REMOVE:
            return any(decision.job.unfinished for decision in self.acting)
        return self.scope is not None

    @property
    def typed(self) -> bool:
        """Whether the number of jobs has to be typed."""
        return len(self.acting) > TYPED_ABOVE


def may_be_cancelled(job: JobRow) -> bool:
    """Whether a cancel would be for a job of its status, if its provider can and may be asked for it."""
    return job.unfinished and not job.gone and job.status is not Status.CANCELLING


class ActionResult(StrEnum):
    """The result of an action for one job."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


class ActionOutcome(NamedTuple):
    """One job's end of an action."""

    job: JobRow
    """As planned: what it was before."""
    result: ActionResult
    reason: str = ""
    status_after: Status | None = None
    refused: bool = False
    """A skip that is reported as a failure (exit 1), not an "already so"."""
    stopped: bool = False
    """Not sent, because the action was stopped."""


@dataclass(frozen=True, slots=True)
class ActionSummary:
    """All outcomes of one action."""

    plan: Plan
    outcomes: tuple[ActionOutcome, ...]
    interrupted: bool = False

    def count(self, result: ActionResult) -> int:
        """How many ended so; those not sent are counted apart."""
        return sum(1 for outcome in self.outcomes if outcome.result is result and not outcome.stopped)

    @property
    def stopped(self) -> int:
        """How many were never sent."""
        return sum(1 for outcome in self.outcomes if outcome.stopped)

    @property
    def clean(self) -> bool:
        """Whether nothing failed and nothing was refused."""
        return not any(outcome.result is ActionResult.FAILED or outcome.refused for outcome in self.outcomes)


class Note(NamedTuple):
    """One line of a plan's description: what it is about, and what will happen."""

    topic: str
    text: str
    warning: bool = False
    of_some: bool = False
    """It says itself of how many jobs it is, which are some of those of its kind."""


@dataclass(frozen=True, slots=True)
class DecisionContext:
    """What a decision depends on besides the job."""

    now: int
    """Milliseconds UTC."""
    accounts: frozenset[str]
    """The accounts that are configured now and can be used."""
    named: bool = True
    """The job was named, marked or under the cursor, not swept up by a scope."""
    instead: str = "cancel & delete it with --cancel, or --force"
    """What removes an unfinished job, as the present interface offers it."""
    dead: frozenset[int] = frozenset()
    """Ids of local jobs whose worker is provably dead, however long its lease still runs."""
    servers: Mapping[str, str] = field(default_factory=dict)
    """By account, the server it is at now, where that is known."""
    remainders: Mapping[int, Remainder] = field(default_factory=dict)
    """By id of a batch, what is left of it and its retries, where that was looked up."""
    without_cancel: Mapping[tuple[str, str | None], str] = field(default_factory=dict)
    """By server and profile, the names of those that cannot cancel a batch."""
    unusable: Mapping[str, str] = field(default_factory=dict)
    """By account that is configured with a mistake, a sentence that says which."""
    limited: frozenset[str] = frozenset()
    """The accounts with a limit of enqueued tokens: what has no room there waits here."""

    def no_account(self, name: str) -> str:
        """Return why a job's account, which is none of `accounts`, cannot be used."""
        return self.unusable.get(name) or f"account {name} is not configured any more"
