"""The Protocol of a backend's rules: what its jobs accept, and the sentences about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, Protocol

from jobdash.domain.job import JobDetails, JobRow
from jobdash.domain.plan import Action, Choices, DecisionContext, DecisionKind, Note, Plan
from jobdash.domain.status import LABELS

ASKED_LONG_AGO = "asked long ago; cancel it again, or force-fail it"
REMOVE_MEANING = "Remove hides the record; it can be taken back for a day with u, or jobdash undo"

Verdict = tuple[DecisionKind, str]
"""What is decided for one job, and why it is not acted on."""


class Remark(NamedTuple):
    """A sentence, and how much it matters."""

    text: str
    tone: Literal["text", "muted", "warning"]


class BackendRules(Protocol):
    """What one kind of job accepts, and how it is described; pure, and without state.

    Methods that take a plan take one whose jobs are all of this backend; see `registry.parts`.
    """

    @property
    def name(self) -> str:
        """The backend's name: that of its modules in the packages ``backends``."""

    @property
    def at_provider(self) -> bool:
        """Whether a provider runs its jobs: it is polled, keeps the record and files, and sends the bill."""

    @property
    def rate_units(self) -> Sequence[tuple[str, int]]:
        """The units in which its speed may be shown, and their milliseconds, the shortest first."""

    @property
    def no_remote_id(self) -> str:
        """What is answered where the id at the provider is asked for and there is none."""

    def accepts(self, action: Action, job: JobRow, situation: DecisionContext, choices: Choices) -> Verdict:
        """Decide whether an action is for a job that was not removed."""

    def out_of_reach(self, job: JobRow, situation: DecisionContext) -> str | None:
        """Return why the provider of a job cannot be asked about it from here; None where it can be."""

    def no_cancel(self, job: JobRow, situation: DecisionContext) -> str | None:
        """Return why the provider of a job cannot be asked to cancel it; None where it can be."""

    def ended_sentence(self, job: JobRow) -> str:
        """Return what a job that ended early has left undone; empty for any other."""

    def error_refusal(self, job: JobRow) -> str | None:
        """Return why a job's error details cannot be asked for; None where they can."""

    def undo_refusal(self, job: JobRow) -> str | None:
        """Return why what was last done to a job stays; None where nothing special is known."""

    def reference(self, job: JobRow) -> str:
        """Return the id by which a person finds a job where it runs."""

    def identity(self, job: JobDetails) -> Iterator[tuple[str, str]]:
        """Yield where a job runs, as labelled facts."""

    def summary(self, job: JobRow, now: int) -> Remark | None:
        """Return the one sentence worth showing of a job in the dashboard, with its keys; mostly None."""

    def remarks(self, job: JobRow, now: int) -> list[str]:
        """Return what a command prints after the status of a job."""

    def where(self, plan: Plan) -> str:
        """Return which jobs of a plan are of this backend: ``3 scripts here``."""

    def notes(self, plan: Plan) -> list[Note]:
        """Return what a plan will do to its jobs, what stays, and what is billed."""

    def meaning(self, plan: Plan) -> str:
        """Return what the action of a plan means, in one sentence."""

    def undo_effects(self, jobs: Sequence[JobRow], *, alone: bool) -> Iterator[str]:
        """Yield what the undo of a removal brings back, and what not; ``alone``: it is of one job."""


def accept_unfinished(job: JobRow, situation: DecisionContext, choices: Choices) -> Verdict:
    """Accept any job that has not ended: what is decided for a force-fail."""
    if job.terminal:
        return DecisionKind.ALREADY, f"already {LABELS[job.status]}"
    return DecisionKind.ACT, ""
