"""Items: the parts of a script's job and the results of a batch; and what is known here of a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

FAILED, MISSING, CUT_OFF = "failed", "missing", "cut-off"
"""The parts of a job that a retry can be for; only answers of a batch are cut off."""
RETRIED = (FAILED, MISSING)
"""What a retry is for, unless a person says otherwise."""
RETRYABLE = (*RETRIED, CUT_OFF)
"""What a retry can be for."""
GRACE_S = 5.0
"""How long a process has to end by itself, and again after SIGTERM, before it is killed."""


class ItemStatus(StrEnum):
    """The outcome of one item of a script, or of one request of a batch."""

    WAITING = "waiting"
    OK = "ok"
    ERROR = "error"
    SKIPPED = "skipped"
    CUT_OFF = "cut_off"
    """There is an answer, and not a whole one: the length was reached, or a content filter stopped it."""
    MISSING = "missing"
    """There is neither an answer nor an error."""

    @property
    def rank(self) -> int:
        """Its place among the outcomes of one request, the best first: of several answers the best counts."""
        return BATCH_OUTCOMES.index(self)


SCRIPT_OUTCOMES = (ItemStatus.WAITING, ItemStatus.OK, ItemStatus.ERROR, ItemStatus.SKIPPED)
"""What the items of a script come to."""
BATCH_OUTCOMES = (ItemStatus.OK, ItemStatus.CUT_OFF, ItemStatus.ERROR, ItemStatus.MISSING)
"""What the requests of a batch come to, the best first."""
ITEM_WORDS = {outcome: str(outcome).replace("_", " ") for outcome in ItemStatus}
"""How an outcome is written for people."""
NO_ITEM = {
    ItemStatus.WAITING: "No item is unprocessed",
    ItemStatus.OK: "No item has succeeded",
    ItemStatus.ERROR: "No item has failed",
    ItemStatus.SKIPPED: "No item was skipped",
    ItemStatus.CUT_OFF: "No answer was cut off",
    ItemStatus.MISSING: "No request is without an answer",
}
"""Shown where no item has this outcome."""


class ItemRow(NamedTuple):
    """One item of a script's job, or one result of a batch; times are milliseconds UTC, None is unknown."""

    seq: int
    """Its place, counted from 0 without a gap."""
    key: str
    outcome: ItemStatus
    attempt: int | None
    """The attempt that wrote it; None for a result of a batch."""
    detail: str | None
    """The script's result for it, as JSON; or how the answer begins."""
    error_type: str | None
    error: str | None
    at: int | None
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ItemErrorGroup:
    """Items that failed in the same words."""

    error_type: str | None
    error: str | None
    count: int
    first: int
    """The ``seq`` of the first of them."""
    first_key: str


class ItemErrors(NamedTuple):
    """The errors of a job, grouped, the most frequent first."""

    groups: tuple[ItemErrorGroup, ...]
    examined: int
    """How many failed items were read."""
    complete: bool
    """Whether these were all of them."""


class Attempt(NamedTuple):
    """One run of a local job by a script; times are milliseconds UTC."""

    number: int
    fence: int
    """With the job's id it names the attempt for ever."""
    owner: str
    """The process, as the store keeps it."""
    pid: int | None
    actor: str
    """Who ran it: ``user@host``."""
    keyed: bool
    """Its items have keys: they are kept, and the next run skips those that are done."""
    unit: str
    argv: tuple[str, ...] | None
    """The command line, where it can be started again."""
    cwd: str | None
    log_file: str | None
    started_at: int
    ended_at: int | None
    ended: str | None
    """How it ended, in one sentence."""

    @property
    def host(self) -> str:
        """The computer that it ran on."""
        return self.actor.rpartition("@")[2]


ENDED = "its process has ended already"
"""Why there is no process to end."""


class ScriptProcess(NamedTuple):
    """What is known here of the script behind a local job: who held it last, and how it was started."""

    pid: int | None = None
    """The process that holds the job, or held it last; None when there was none."""
    alive: bool = False
    """It runs on this machine now, and could be ended for real."""
    dead: bool = False
    """It ran on this machine, and certainly runs no more."""
    suspended: bool = False
    """It runs here, but was stopped by a signal (SIGSTOP): it handles no signal until it continues."""
    also: tuple[str, ...] = ()
    """The names of other jobs that the same process runs."""
    fenced_only: str = "its process is not known"
    """Why it cannot be ended for real; empty when it can."""
    keyed: bool = True
    unit: str = "items"
    command: str = ""
    """The command line as one would type it."""
    cwd: str = ""
    log_file: str | None = None
    """Where the last start from here wrote its output."""
    cannot_start: str | None = "its command line is not known"
    """Why it cannot be started again from here; None when it can."""


@dataclass(frozen=True, slots=True)
class WorkerCounts:
    """Who runs the jobs of functions."""

    workers: int = 0
    """Processes that hold a part."""
    parts: int = 0
    """Parts that are held."""
    waiting: int = 0
    """Jobs that no worker runs."""
    jobs: int = 0
    """All jobs of functions that were not removed."""


_PIDS_SHOWN = 5


def process_ids(workers: Sequence[ScriptProcess]) -> str:
    """Return the first of some processes: ``pid 4711, pid 4712 (suspended) and 3 more``."""
    shown = (f"pid {each.pid}{' (suspended)' if each.suspended else ''}" for each in workers[:_PIDS_SHOWN])
    more = len(workers) - _PIDS_SHOWN
    return f"{', '.join(shown)}{f' and {more:,} more' if more > 0 else ''}"
