"""The execution of plans: runs belong to the app, and continue whatever screen is shown."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobdash.domain.backends.registry import rules_of
from jobdash.domain.plan import Action, ActionOutcome, ActionResult, ActionSummary, Plan
from jobdash.errors import StoreError
from jobdash.tui.messages import Severity

if TYPE_CHECKING:
    from jobdash.operations.accounts.rate_limiter import CancelToken

_POLL_EVERY_S = 0.05


@dataclass
class ActionRun:
    """The execution of one plan. Another thread appends to ``outcomes``; the rest is the UI thread's."""

    plan: Plan
    outcomes: list[ActionOutcome] = field(default_factory=list)
    stop: CancelToken | None = None
    """There once it has begun."""
    stopping: bool = False
    error: str | None = None
    hidden: bool = False
    total: int = field(init=False)
    """The jobs the plan acts on."""
    _over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        # Counted once: the progress dialog asks ten times a second, and a plan can hold 50,000 jobs.
        self.total = len(self.plan.acting)
        self._skipped = len(self.plan.decisions) - self.total

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._over.is_set()

    def end(self, error: str | None = None) -> None:
        """Mark it as ended; from any thread."""
        self.error = error
        self._over.set()

    @property
    def done(self) -> int:
        """How many of them have ended, one way or another."""
        return len(self.outcomes) - self._skipped if self.outcomes else 0

    @property
    def bulk(self) -> bool:
        """Whether it has a dialog of its own."""
        return self.total > 1

    @property
    def stops_process(self) -> bool:
        """Whether it ends a script's process for real, which leaving would cut short."""
        return self.plan.choices.stop_process and self.plan.can_stop

    def summary(self) -> ActionSummary:
        """Return its results so far."""
        return ActionSummary(self.plan, tuple(self.outcomes), self.stopping)

    async def wait(self) -> None:
        """Return when it is over."""
        # Polled, as a thread that waits would hold up the exit.
        while not self.ended:  # noqa: ASYNC110 - it ends in another thread
            await asyncio.sleep(_POLL_EVERY_S)

    def halt(self) -> None:
        """Send nothing more; what is under way is awaited."""
        self.stopping = True
        if self.stop is not None:
            self.stop.set()


def summary_line(run: ActionRun) -> str:
    """Return ``Cancelled: 2 · Cancelling: 3 · Failed: 0 · Skipped: 1`` in the words of the action."""
    return " · ".join(summary_parts(run))


def summary_parts(run: ActionRun) -> list[str]:
    """Return the parts of `summary_line`, each of which is kept on one line."""
    from jobdash.domain.describe.plan_text import result_counts

    return [f"{word}: {number:,}" for word, number in result_counts(run.summary())]


class ActionRuns:
    """All runs of this dashboard, oldest first."""

    def __init__(self, begin: Callable[[ActionRun], None]) -> None:
        self._begin = begin
        self.all: list[ActionRun] = []
        self._waiting: list[ActionRun] = []
        self._ready = False

    @property
    def active(self) -> list[ActionRun]:
        """Those that have not ended."""
        return [run for run in self.all if not run.ended]

    @property
    def out_of_sight(self) -> list[ActionRun]:
        """Those that continue without their dialog."""
        return [run for run in self.all if run.hidden and not run.ended]

    def start(self, plan: Plan) -> ActionRun:
        """Begin a plan now, or as soon as the store can be written."""
        run = ActionRun(plan)
        self.all.append(run)
        if self._ready:
            self._start(run)
        else:
            self._waiting.append(run)
        return run

    def _start(self, run: ActionRun) -> None:
        try:
            self._begin(run)
        except StoreError as error:  # it was closed between the question and the answer
            run.end(str(error))

    def ready(self) -> None:
        """Begin what waited for the store."""
        self._ready = True
        waiting, self._waiting = self._waiting, []
        for run in waiting:
            self._start(run)

    def failed(self, reason: str) -> None:
        """End what waited for a store that cannot be written."""
        for run in self._waiting:
            run.end(reason)
        self._waiting.clear()


SEVERITY: dict[ActionResult, Severity] = {
    ActionResult.DONE: "information",
    ActionResult.SKIPPED: "warning",
    ActionResult.FAILED: "error",
}


def single_toast(run: ActionRun) -> tuple[str, Severity]:
    """Return the toast of a run over one job: its words, and how bad it is."""
    from jobdash.domain.describe import plan_text
    from jobdash.domain.status import LABELS
    from jobdash.domain.text import clean

    if run.error is not None:
        verb = plan_text.verb(run.plan).lower()
        return (
            f"Failed to {verb} {clean(run.plan.acting[0].job.name, 60)}: {clean(run.error, 300)}; try again",
            "error",
        )
    acted = [outcome for outcome in run.outcomes if outcome.job.id == run.plan.acting[0].job.id]
    if not acted:
        return "nothing was done", "warning"
    outcome = acted[0]
    name = clean(outcome.job.name, 60)
    status = LABELS[outcome.status_after] if outcome.status_after is not None else ""
    words = clean(outcome.reason or status, 300)
    here = not rules_of(outcome.job).at_provider  # what a provider answered says it all
    if outcome.result is ActionResult.FAILED and here and run.plan.action is not Action.RETRY:
        return f"Failed to {plan_text.verb(run.plan).lower()} {name}: {words}; try again", "error"
    return f"{name}: {words}", SEVERITY[outcome.result]
