"""What each action accepts, job by job, and the sentence that says why not."""

from __future__ import annotations

from typing import Any

import pytest
from domain_kit import DAY, HOUR, MINUTE, NOW, job, plan, situation

from jobdash.domain.backends.provider_batch import may_ask_again
from jobdash.domain.backends.registry import decide
from jobdash.domain.describe.plan_text import status_counts
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, ActionOutcome, ActionResult, ActionSummary, Choices, DecisionKind
from jobdash.domain.status import FORCE_FAILED, LABELS, TERMINAL, UNFINISHED, Status

ACT, ALREADY, REFUSED = DecisionKind.ACT, DecisionKind.ALREADY, DecisionKind.REFUSED
RUNNING = job()
PENDING = job(Status.PENDING)
GONE = job(gone_at=NOW - HOUR)
DONE = job(Status.COMPLETED)
ASKED = job(cancel_requested_at=NOW - 2 * MINUTE)
STUCK = job(cancel_requested_at=NOW - 16 * MINUTE)
DOUBTED = job(cancel_requested_at=NOW - MINUTE, cancel_doubt=True)
BY_PROVIDER = job(Status.CANCELLING)
ABANDONED = job(verdict=FORCE_FAILED)
ABANDONED_DONE = job(Status.COMPLETED, verdict=FORCE_FAILED)
ELSEWHERE = job(account="old")
UNSENT = job(Status.PENDING, remote_id=None)
WAITING = job(cancel_requested_at=NOW, removing=NOW + 15 * MINUTE)
WAITED = job(cancel_requested_at=NOW, removing=NOW - 1)
REMOVED = job(Status.COMPLETED, removed_at=NOW - 2 * HOUR)

NOT_CONFIGURED = "account old is not configured any more"
UNDO = "removed 2h ago; jobdash undo k3f9a2bc"


def decided(action: Action, row: JobRow, *, named: bool = True, **choices: Any) -> tuple[DecisionKind, str]:
    decision = decide(action, row, situation(named=named), Choices(**choices))
    assert decision.job is row
    assert decision.acts is (decision.verdict is ACT)
    return decision.verdict, decision.reason


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("status", sorted(UNFINISHED - {Status.CANCELLING}))
def test_what_is_unfinished_can_be_cancelled(status: Status, named: bool) -> None:  # A-6 B-2
    assert decided(Action.CANCEL, job(status), named=named) == (ACT, "")


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_what_has_ended_is_skipped_without_an_error(status: Status, named: bool) -> None:  # B-2 B-3 B-4 C-12
    assert decided(Action.CANCEL, job(status), named=named) == (ALREADY, f"already {LABELS[status]}")
    assert decided(Action.FORCE_FAIL, job(status), named=named) == (ALREADY, f"already {LABELS[status]}")


@pytest.mark.parametrize(
    ("row", "named", "verdict", "reason"),
    [
        (GONE, True, REFUSED, "gone at its provider; force-fail or remove it"),
        (GONE, False, REFUSED, "gone at its provider; force-fail or remove it"),
        (ASKED, True, ALREADY, "already asked 2m ago"),  # C-11
        (ASKED, False, ALREADY, "already asked 2m ago"),
        (STUCK, True, ACT, ""),
        (STUCK, False, ALREADY, "already asked 16m ago"),
        (DOUBTED, True, ACT, ""),  # C-8
        (DOUBTED, False, ALREADY, "already asked 1m ago"),
        (BY_PROVIDER, True, ALREADY, "already cancelling"),
        (ABANDONED, True, ACT, ""),
        (ABANDONED, False, ALREADY, "already failed"),
        (ABANDONED_DONE, True, ALREADY, "already failed"),
        (job(verdict=FORCE_FAILED, cancel_requested_at=NOW - MINUTE), True, ALREADY, "already asked 1m ago"),
        (job(verdict=FORCE_FAILED, cancel_requested_at=NOW - 16 * MINUTE), True, ACT, ""),
        (job(verdict=FORCE_FAILED, cancel_requested_at=NOW, cancel_doubt=True), True, ACT, ""),
        (job(Status.CANCELLING, verdict=FORCE_FAILED), True, ALREADY, "already cancelling"),
        (ELSEWHERE, True, REFUSED, NOT_CONFIGURED),
        (UNSENT, True, REFUSED, "its submit is not confirmed yet"),
        (REMOVED, True, ALREADY, UNDO),
    ],
)
def test_cancel(row: JobRow, named: bool, verdict: DecisionKind, reason: str) -> None:
    assert decided(Action.CANCEL, row, named=named) == (verdict, reason)


def test_a_cancel_asked_exactly_a_quarter_of_an_hour_ago_is_not_asked_again() -> None:
    assert not may_ask_again(job(cancel_requested_at=NOW - 15 * MINUTE), NOW)
    assert may_ask_again(job(cancel_requested_at=NOW - 15 * MINUTE - 1), NOW)


@pytest.mark.parametrize(
    "row", [*(job(status) for status in sorted(UNFINISHED)), GONE, ELSEWHERE, UNSENT, ASKED]
)
def test_force_fail_takes_whatever_is_unfinished_or_gone(row: JobRow) -> None:  # E-1 E-3
    assert decided(Action.FORCE_FAIL, row) == (ACT, "")


@pytest.mark.parametrize(
    ("row", "reason"), [(DONE, "already completed"), (ABANDONED, "already failed"), (REMOVED, UNDO)]
)
def test_force_fail_leaves_alone_what_has_ended(row: JobRow, reason: str) -> None:
    assert decided(Action.FORCE_FAIL, row) == (ALREADY, reason)


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_what_has_ended_can_be_removed(status: Status) -> None:  # B-8 E-5
    assert decided(Action.REMOVE, job(status)) == (ACT, "")


FIRST = {"cancel_first": True}
CLEAN = {"record": False, "remote": True}
REMOTE = {"remote": True}
FORCED = {"force": True}


@pytest.mark.parametrize(
    ("row", "choices", "verdict", "reason"),
    [
        (RUNNING, {}, REFUSED, "still running; cancel & delete it with --cancel, or --force"),  # B-12 E-5
        (PENDING, {}, REFUSED, "still pending; cancel & delete it with --cancel, or --force"),
        (RUNNING, FIRST, ACT, ""),  # E-2
        (RUNNING, FORCED, ACT, ""),  # B-12
        (RUNNING, CLEAN, REFUSED, "still unfinished; what the provider keeps is in use"),
        (RUNNING, {**CLEAN, **FIRST}, REFUSED, "still unfinished; what the provider keeps is in use"),
        (GONE, {}, ACT, ""),
        (GONE, FIRST, ACT, ""),
        (ABANDONED, {}, ACT, ""),
        (ASKED, FIRST, ACT, ""),
        (WAITING, FIRST, ALREADY, "already waiting for the provider to confirm its cancel"),
        (WAITING, {}, ALREADY, "already waiting for the provider to confirm its cancel"),
        (WAITING, FORCED, ACT, ""),
        (WAITED, FIRST, ACT, ""),
        (UNSENT, FIRST, REFUSED, "its submit is not confirmed yet; force-fail it first"),
        (UNSENT, FORCED, ACT, ""),
        (ELSEWHERE, FIRST, REFUSED, f"{NOT_CONFIGURED}; force-fail it first"),
        (ELSEWHERE, REMOTE, REFUSED, f"{NOT_CONFIGURED}; remove the record only"),
        (ELSEWHERE, {**REMOTE, **FORCED}, REFUSED, f"{NOT_CONFIGURED}; remove the record only"),
        (job(Status.FAILED, account="old"), {}, ACT, ""),
        (job(Status.FAILED, account="old"), REMOTE, REFUSED, f"{NOT_CONFIGURED}; remove the record only"),
        (DONE, CLEAN, ACT, ""),
        (DONE, {"record": False}, REFUSED, "nothing chosen"),
        (RUNNING, {"record": False, "cancel_first": True}, REFUSED, "nothing chosen"),
        (REMOVED, {}, ALREADY, UNDO),
        (REMOVED, FORCED, ALREADY, UNDO),
    ],
)
def test_remove(row: JobRow, choices: dict[str, bool], verdict: DecisionKind, reason: str) -> None:
    assert decided(Action.REMOVE, row, **choices) == (verdict, reason)


@pytest.mark.parametrize("action", Action)
def test_jobs_that_are_left_alone_have_a_reason(action: Action) -> None:
    rows = [
        RUNNING,
        PENDING,
        GONE,
        DONE,
        ASKED,
        STUCK,
        DOUBTED,
        ABANDONED,
        ELSEWHERE,
        UNSENT,
        WAITING,
        REMOVED,
    ]
    for row in rows:
        for named in (True, False):
            for choices in ({}, FIRST, REMOTE, CLEAN, FORCED):
                verdict, reason = decided(action, row, named=named, **choices)
                assert (verdict is ACT) is (reason == ""), (action, row.status, choices)


def test_a_plan_shows_the_jobs_that_are_not_on_the_screen_first() -> None:
    rows = [job(id=number, name=f"job {number}") for number in (1, 2, 3)]
    made = plan(Action.CANCEL, *rows)
    hidden = type(made)(made.action, made.decisions, hidden=frozenset({3}))
    assert [decision.job.id for decision in hidden.acting] == [3, 1, 2]


def test_the_accounts_of_a_plan_and_what_it_leaves_alone() -> None:
    made = plan(Action.CANCEL, job(id=1), job(id=2, account="gemini"), DONE)
    assert made.accounts == ("gemini", "openai")
    assert [decision.reason for decision in made.skipped] == ["already completed"]
    assert status_counts(made) == [("running", 2)]


@pytest.mark.parametrize(("number", "typed"), [(20, False), (21, True)])
def test_for_more_than_twenty_jobs_the_number_has_to_be_typed(number: int, typed: bool) -> None:
    assert plan(Action.CANCEL, *(job(id=n) for n in range(number))).typed is typed


def test_bulk_cancels_and_removals_of_unfinished_jobs_look_severe() -> None:
    assert not plan(Action.CANCEL, RUNNING).severe
    assert plan(Action.CANCEL, RUNNING, scope="in ALL accounts").severe
    assert plan(Action.REMOVE, RUNNING, cancel_first=True).severe
    assert not plan(Action.REMOVE, DONE).severe
    assert not plan(Action.FORCE_FAIL, RUNNING).severe


def test_jobs_that_were_never_sent_are_counted_apart() -> None:  # A-3 A-5
    made = plan(Action.CANCEL, RUNNING)
    summary = ActionSummary(
        made,
        (
            ActionOutcome(RUNNING, ActionResult.DONE),
            ActionOutcome(RUNNING, ActionResult.SKIPPED, "stopped", stopped=True),
            ActionOutcome(RUNNING, ActionResult.SKIPPED, "already completed"),
        ),
    )
    assert [summary.count(result) for result in ActionResult] == [1, 1, 0]
    assert summary.stopped == 1
    assert summary.clean


@pytest.mark.parametrize(
    "outcome",
    [
        ActionOutcome(RUNNING, ActionResult.FAILED, "no"),
        ActionOutcome(RUNNING, ActionResult.SKIPPED, "no", refused=True),
    ],
)
def test_a_failure_or_a_refusal_is_not_clean(outcome: ActionOutcome) -> None:
    assert not ActionSummary(plan(Action.CANCEL, RUNNING), (outcome,)).clean


def test_the_reason_of_a_removed_job_speaks_in_days_where_it_is_long_ago() -> None:
    row = job(Status.FAILED, removed_at=NOW - 3 * DAY)
    assert decided(Action.REMOVE, row) == (ALREADY, "removed 3d ago; jobdash undo k3f9a2bc")
