"""What the tests of the domain share: a job made of nothing but what the test is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jobdash.domain.backends.registry import decide
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, Choices, DecisionContext, Plan
from jobdash.domain.status import Status, effective
from jobdash.domain.time import DAY, HOUR, MINUTE
from jobdash.providers.registry import bundled

NOW = 1_800_000_000_000
ACCOUNTS = frozenset({"openai", "gemini"})
__all__ = ["ACCOUNTS", "DAY", "HOUR", "MINUTE", "NOW", "job", "plan", "situation"]

_PLAIN = JobRow(
    id=1,
    public_id="k3f9a2bc",
    provider="openai",
    account="openai",
    remote_id="batch_1",
    name="nightly",
    status=Status.IN_PROGRESS,
    remote_status=Status.IN_PROGRESS,
    raw_status="in_progress",
    verdict=None,
    model="gpt-x",
    endpoint="/v1/chat/completions",
    total=100,
    succeeded=40,
    failed=2,
    cancelled=None,
    expired=None,
    created_at=NOW - HOUR,
    started_at=NOW - HOUR + MINUTE,
    finished_at=None,
    updated_at=NOW,
    expires_at=NOW + DAY,
    cancel_requested_at=None,
    removed_at=None,
    gone_at=None,
    error=None,
    left_behind=None,
    lease_until=None,
    removing=None,
    cancel_doubt=False,
    fence=0,
    revision=1,
)


def job(status: Status = Status.IN_PROGRESS, **facts: Any) -> JobRow:
    """A job whose provider says ``status``; its effective status follows from the facts."""
    row = replace(_PLAIN, remote_status=status, raw_status=str(status), **facts)
    return replace(row, status=effective(row.remote_status, row.cancel_requested_at, row.verdict))


def situation(*, named: bool = True) -> DecisionContext:
    return DecisionContext(NOW, ACCOUNTS, named)


def plan(action: Action, *jobs: JobRow, scope: str | None = None, **choices: Any) -> Plan:
    """A plan over these jobs, as `operations.plan` makes one."""
    meant = Choices(**choices)
    here = situation(named=scope is None)
    return Plan(
        action, tuple(decide(action, row, here, meant) for row in jobs), meant, scope, providers=bundled()
    )
