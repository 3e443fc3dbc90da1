"""What a sync brought, as the toasts a person wants to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jobdash.domain.describe import plan_text
from jobdash.domain.describe.job_text import ended_word
from jobdash.domain.job import JobRow
from jobdash.domain.status import Status
from jobdash.domain.text import clean
from jobdash.tui.messages import SyncNews

AT_ONCE = 3
"""Toasts of one kind; more jobs are summed up in one."""
Severity = Literal["information", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Toast:
    """A short-lived message."""

    text: str
    severity: Severity = "information"


def toasts(news: SyncNews) -> list[Toast]:
    """Return what to say of a sync: lost races first, what ended, what was waited for."""
    lost = {row.id for row in news.lost_race}
    found = _lost_races(news.lost_race)
    found += _ended(news.account, [row for row in news.finished if row.id not in lost])
    found += [Toast(clean(notice, 200), "warning") for notice in news.notices[:AT_ONCE]]
    return found


def _lost_races(rows: tuple[JobRow, ...]) -> list[Toast]:
    if len(rows) > AT_ONCE:
        return [Toast(f"{plan_text.jobs(len(rows))} finished before the cancel took effect", "warning")]
    told = "finished before the cancel took effect"
    return [Toast(f"{clean(row.name, 60)}: {told}", "warning") for row in rows]


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
