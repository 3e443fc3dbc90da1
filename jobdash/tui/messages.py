"""Messages that threads post to the app, and the toasts about the end of jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from textual.message import Message

from jobdash.domain.describe import plan_text
from jobdash.domain.describe.job_text import ended_word
from jobdash.domain.job import JobRow
from jobdash.domain.status import LATE_CANCEL, Status
from jobdash.domain.text import clean


class SyncSummary(NamedTuple):
    """What one sync of an account found that is worth a toast."""

    account: str
    finished: tuple[JobRow, ...] = ()
    lost_race: tuple[JobRow, ...] = ()
    notices: tuple[str, ...] = ()
    fetched: tuple[str, ...] = ()
    """Sentences about results that were fetched without being asked for."""


class ThreadMessage(Message):
    """A message from a thread that may outlive the screens; dropped once these are closed."""


@dataclass
class Synced(ThreadMessage):
    """A sync has ended."""

    summary: SyncSummary


@dataclass
class Notified(ThreadMessage):
    """A notification is to be shown by the terminal, which does so for an escape sequence."""

    sequence: str


@dataclass
class AccountWaiting(ThreadMessage):
    """An account waits for a rate limit until a time (ms UTC); None: no longer."""

    account: str
    until: int | None


@dataclass
class SyncProgress(ThreadMessage):
    """A sync under way has seen so many batches of an account so far."""

    account: str
    seen: int


class StoreReady(ThreadMessage):
    """The store can be written."""


@dataclass
class StoreFailed(ThreadMessage):
    """The store cannot be written."""

    reason: str


AT_ONCE = 3
"""Toasts of one kind; more jobs are summed up in one."""
Severity = Literal["information", "warning", "error"]


class Toast(NamedTuple):
    """A short-lived message."""

    text: str
    severity: Severity = "information"


def toasts(summary: SyncSummary) -> list[Toast]:
    """Return the toasts of a sync: lost races first, then what ended, then notices."""
    lost = {row.id for row in summary.lost_race}
    found = _lost_races(summary.lost_race)
    found += _ended(summary.account, [row for row in summary.finished if row.id not in lost])
    found += [Toast(clean(notice, 200), "warning") for notice in summary.notices[:AT_ONCE]]
    found += [Toast(clean(sentence, 500)) for sentence in summary.fetched]
    return found


def _lost_races(rows: tuple[JobRow, ...]) -> list[Toast]:
    if len(rows) > AT_ONCE:
        return [Toast(f"{plan_text.jobs(len(rows))} {LATE_CANCEL}", "warning")]
    return [Toast(f"{clean(row.name, 60)}: {LATE_CANCEL}", "warning") for row in rows]


def _ended(account: str, rows: list[JobRow]) -> list[Toast]:
    if len(rows) > AT_ONCE:
        return [Toast(f"{plan_text.jobs(len(rows))} of {clean(account, 32)} ended")]
    found: list[Toast] = []
    for row in rows:
        failed = f", {row.failed:,} failed" if row.failed else ""
        well = row.status is Status.COMPLETED and not row.failed
        text = f"{clean(row.name, 60)}: {ended_word(row)}{failed}"
        found.append(Toast(text, "information" if well else "warning"))
    return found
