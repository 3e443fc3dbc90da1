"""What each action accepts of a local job, and what its dialog says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from domain_kit import MINUTE, NOW, job, situation

from jobdash.domain.backends.registry import decide
from jobdash.domain.describe.job_text import status_words
from jobdash.domain.describe.plan_text import (
    counted,
    danger_button,
    doing,
    notes,
    nothing_to_do,
    result_counts,
    safe_button,
    title,
)
from jobdash.domain.items import ScriptProcess
from jobdash.domain.job import JobRow
from jobdash.domain.plan import (
    Action,
    ActionOutcome,
    ActionResult,
    ActionSummary,
    Choices,
    DecisionKind,
    Plan,
)
from jobdash.domain.status import FORCE_FAILED, Status

ACT, ALREADY, REFUSED = DecisionKind.ACT, DecisionKind.ALREADY, DecisionKind.REFUSED


def local(status: Status = Status.IN_PROGRESS, **facts: Any) -> JobRow:
    lease = NOW + MINUTE if status is Status.IN_PROGRESS else None
    given = {"provider": "local", "account": "local", "remote_id": None, "lease_until": lease}
    return job(status, **{**given, **facts})


RUNNING = local()
STALLED = local(lease_until=NOW - 1)
PENDING = local(Status.PENDING)
CANCELLING = local(cancel_requested_at=NOW - MINUTE)
ABANDONED = local(cancel_requested_at=NOW - MINUTE, lease_until=NOW - 1)
CANCELLED = local(Status.CANCELLED)
FAILED = local(Status.FAILED)
FORCED = local(Status.FAILED, verdict=FORCE_FAILED)
WHOLE = local(Status.COMPLETED, succeeded=100, failed=0)
PARTLY = local(Status.COMPLETED, succeeded=97, failed=3)
SHORT = local(Status.COMPLETED, succeeded=90, failed=0)


def decided(action: Action, row: JobRow, **choices: Any) -> tuple[DecisionKind, str]:
    decision = decide(action, row, situation(), Choices(**choices))
    return decision.verdict, decision.reason


@pytest.mark.parametrize(
    ("row", "cancel", "force_fail", "retry", "remove", "cancel_delete"),
    [  # E-6
        (RUNNING, ACT, ACT, REFUSED, REFUSED, ACT),
        (STALLED, ACT, ACT, ACT, REFUSED, ACT),
        (PENDING, ACT, ACT, ALREADY, REFUSED, ACT),  # D-5
        (CANCELLING, ALREADY, ACT, REFUSED, REFUSED, ACT),  # C-11
        (CANCELLED, ALREADY, ALREADY, ACT, ACT, ACT),  # C-12 C-13
        (FAILED, ALREADY, ALREADY, ACT, ACT, ACT),  # E-4 E-5
        (FORCED, ALREADY, ALREADY, ACT, ACT, ACT),  # E-3 E-4
        (WHOLE, ALREADY, ALREADY, ALREADY, ACT, ACT),
        (PARTLY, ALREADY, ALREADY, ACT, ACT, ACT),
        (SHORT, ALREADY, ALREADY, ACT, ACT, ACT),
    ],
)
def test_what_is_offered_depends_on_the_state(
    row: JobRow,
    cancel: DecisionKind,
    force_fail: DecisionKind,
    retry: DecisionKind,
    remove: DecisionKind,
    cancel_delete: DecisionKind,
) -> None:
    assert decided(Action.CANCEL, row)[0] is cancel
    assert decided(Action.FORCE_FAIL, row)[0] is force_fail
    assert decided(Action.RETRY, row)[0] is retry
    assert decided(Action.REMOVE, row)[0] is remove
    assert decided(Action.REMOVE, row, cancel_first=True)[0] is cancel_delete
    assert decided(Action.REMOVE, row, force=True)[0] is ACT


@pytest.mark.parametrize(
    ("action", "row", "choices", "verdict", "reason"),
    [
        (Action.CANCEL, CANCELLING, {}, ALREADY, "already asked 1m ago; force-fail it to wait no longer"),
        (Action.CANCEL, WHOLE, {}, ALREADY, "already completed"),  # C-9
        (Action.RETRY, PENDING, {}, ALREADY, "already pending: it waits for its script"),
        (Action.RETRY, PENDING, {"restart": True}, ACT, ""),
        (Action.RETRY, RUNNING, {}, REFUSED, "still running; cancel it first"),
        (Action.REMOVE, STALLED, {}, REFUSED, "stalled; cancel & delete it with --cancel, or --force"),
        (Action.RETRY, WHOLE, {}, ALREADY, "nothing failed and nothing is missing"),
        (Action.RETRY, PARTLY, {"only": ("failed",)}, ACT, ""),
        (Action.RETRY, SHORT, {"only": ("missing",)}, ACT, ""),
        (
            Action.RETRY,
            PARTLY,
            {"only": ("missing",)},
            REFUSED,
            "its script also does the 3 that are failed; retry it without --only",
        ),
        (
            Action.RETRY,
            replace(FAILED, total=None),
            {"only": ("failed",)},
            REFUSED,
            "its script also does what is missing; retry it without --only",
        ),
        (Action.RETRY, FAILED, {"only": ("cut-off",)}, REFUSED, "only answers of a batch are cut off"),
        (Action.REMOVE, WHOLE, {"record": False, "remote": True}, REFUSED,
         "nothing chosen: no provider keeps anything of it"),
        (Action.REMOVE, RUNNING, {"record": False, "local_files": True}, REFUSED,
         "still unfinished; its files are in use"),
        (Action.REMOVE, replace(WHOLE, removed_at=NOW - MINUTE), {}, ALREADY,
         "removed 1m ago; jobdash undo k3f9a2bc"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_way_out(
    action: Action, row: JobRow, choices: dict[str, Any], verdict: DecisionKind, reason: str
) -> None:
    assert decided(action, row, **choices) == (verdict, reason)


def planned(action: Action, *rows: JobRow, worker: ScriptProcess | None = None, **choices: Any) -> Plan:
    meant = Choices(**choices)
    rows = tuple(replace(row, id=number) for number, row in enumerate(rows, 1))
    decisions = tuple(decide(action, row, situation(), meant) for row in rows)
    workers = {} if worker is None else {row.id: worker for row in rows}
    return Plan(action, decisions, meant, at=NOW, workers=workers)


def texts_of(plan: Plan) -> dict[str, str]:
    return {note.topic: note.text for note in notes(plan)}


HERE = ScriptProcess(pid=4711, alive=True, fenced_only="", command="python resize.py photos", cwd="/home/ann",
              cannot_start=None)  # fmt: skip
AWAY = ScriptProcess(
    pid=4711, fenced_only="it runs on another machine", cannot_start="it ran on another machine"
)


def test_a_cancel_states_what_stops_when() -> None:  # C-3 C-6 D-7
    texts = texts_of(planned(Action.CANCEL, RUNNING, STALLED, ABANDONED, PENDING))
    assert texts["Jobs"] == "1 pending · 1 running · 1 stalled"
    assert texts["In the script"] == "1 asked to stop: items under way finish, no new ones start"
    here = [note.text for note in notes(planned(Action.CANCEL, STALLED, PENDING)) if note.topic == "Here"]
    assert here == [
        "1 that no process runs: cancelled at once, never runs",
        "1 whose script is not heard of any more: cancelled at once",
    ]
    assert texts["Kept"] == "126 finished items; results can be fetched, a retry does the rest"
    assert "At the provider" not in texts
    assert texts["Meaning"].startswith("Cancel asks the script to stop")


def test_both_kinds_of_jobs_are_described_in_one_dialog() -> None:
    lines = notes(planned(Action.CANCEL, RUNNING, job(id=7)))
    assert [note.topic for note in lines] == [
        "Jobs", "At the provider", "Kept", "Kept", "In the script", "Meaning", "Meaning",
    ]  # fmt: skip
    assert lines[1].text.startswith("1 at openai: it is asked to stop")
    assert lines[2].text == "1 at openai: 42 finished requests, billed; their results can be fetched"
    assert lines[3].text.startswith("1 script here: 42 finished items")
    assert lines[4].text.startswith("1 asked to stop")
    assert "asks the provider" in lines[5].text
    assert "asks the script" in lines[6].text


def test_a_force_fail_of_both_kinds_states_which_can_be_undone() -> None:
    here = [note.text for note in notes(planned(Action.FORCE_FAIL, RUNNING, PENDING, job(id=7)))]
    assert sum(text.startswith("1 at openai: marked failed at once") for text in here) == 1
    assert sum(text.startswith("2 scripts here: marked failed at once") for text in here) == 1


def test_a_retry_states_what_is_left_and_what_starts() -> None:  # E-4 C-13
    row = replace(FAILED, succeeded=38, failed=3)
    plan = planned(Action.RETRY, row, worker=HERE)
    texts = texts_of(plan)
    assert texts["Left"] == "62 of 100: 59 not processed, 3 failed"
    assert texts["Kept"] == "38 items done; the next run skips what is done"
    assert texts["Then"] == "waits for its script: run it again; last started as python resize.py photos"
    assert plan.can_restart
    again = texts_of(planned(Action.RETRY, row, worker=HERE, restart=True))
    assert again["Started"] == "python resize.py photos in /home/ann; output in a log file"
    assert "Then" not in again
    assert again["Meaning"].startswith("Retry starts the script again")
    whole = texts_of(planned(Action.RETRY, replace(row, succeeded=95, failed=5)))
    assert whole["Left"] == "5 of 100, all failed"
    away = planned(Action.RETRY, row, worker=AWAY, restart=True)
    assert texts_of(away)["Then"] == (
        "waits for its script: run it again (not started: it ran on another machine)"
    )
    assert not away.can_restart
    assert texts_of(planned(Action.RETRY, replace(row, total=None)))["Left"] == (
        "38 done, 3 failed; how many are left is not known"
    )


def test_a_retry_of_items_without_keys_states_that_it_begins_anew() -> None:
    texts = texts_of(planned(Action.RETRY, FAILED, worker=HERE._replace(keyed=False)))
    assert texts["From the start"] == "its items have no keys: everything is done again"
    assert "Kept" not in texts


def test_the_end_of_the_process_is_described() -> None:  # E-1 E-9
    stopping = planned(Action.FORCE_FAIL, RUNNING, worker=HERE, stop_process=True)
    assert stopping.can_stop
    assert texts_of(stopping)["Process"] == (
        "stopping pid 4711: SIGTERM if still there in 5 s, SIGKILL after 5 more"
    )
    assert texts_of(planned(Action.FORCE_FAIL, RUNNING, worker=HERE))["Process"] == (
        "pid 4711 goes on until the next item, whose outcome is refused; then the script ends"
    )
    away = planned(Action.FORCE_FAIL, RUNNING, worker=AWAY, stop_process=True)
    assert texts_of(away)["Process"] == "fenced only: it runs on another machine"
    assert not away.can_stop
    assert not planned(Action.REMOVE, WHOLE, worker=HERE).can_stop


def test_of_a_functions_job_the_dialog_names_its_workers() -> None:
    function = local(function="thumbs:thumb")
    texts = texts_of(planned(Action.REMOVE, function, worker=HERE, cancel_first=True))
    assert texts["Cancelled"].endswith("cancelled at once; what its workers still write is refused")
    assert "Process" not in texts
    scripts = texts_of(planned(Action.REMOVE, RUNNING, local(), worker=AWAY, cancel_first=True))
    assert scripts["Cancelled"].endswith("what their scripts still write is refused")
    partly = local(Status.FAILED, succeeded=90, failed=3, function="thumbs:thumb")
    words = decided(Action.RETRY, partly, only=("failed",))[1]
    assert words == "its workers also do the 7 that are missing; retry it without --only"


def test_a_removal_states_that_its_items_stay_hidden() -> None:  # E-2 E-5
    texts = texts_of(planned(Action.REMOVE, RUNNING, worker=AWAY, cancel_first=True))
    assert texts["Cancelled"].startswith("1 not finished: cancelled at once")
    assert texts["Stays"].startswith("its items, hidden with the record")
    texts = texts_of(planned(Action.REMOVE, WHOLE, local_files=True, record=False))
    assert texts["Deleted"] == "fetched files and log files on this computer; this cannot be undone"
    assert texts["Meaning"].startswith("Clean up deletes fetched files")
    assert planned(Action.REMOVE, RUNNING, cancel_first=True).severe


def test_a_retry_has_words_of_its_own() -> None:
    assert title(planned(Action.RETRY, PENDING, restart=True)) == "Retry 1 job?"
    plan = planned(Action.RETRY, FAILED, CANCELLED)
    assert title(plan) == "Retry 2 jobs?"
    assert (safe_button(plan), danger_button(plan)) == ("Don't retry", "Retry 2 jobs")
    assert (counted(plan, 1), counted(plan, 2), doing(plan)) == ("1 retry", "2 retries", "retrying")
    done = tuple(ActionOutcome(each.job, ActionResult.DONE, "", Status.PENDING) for each in plan.acting)
    assert result_counts(ActionSummary(plan, done)) == [("Retried", 2), ("Failed", 0), ("Skipped", 0)]
    assert nothing_to_do(planned(Action.RETRY, RUNNING)) == "nightly: still running; cancel it first"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (RUNNING, "running"),
        (STALLED, "stalled"),
        (PENDING, "pending · waits for its script"),
        (CANCELLING, "cancelling"),
        (ABANDONED, "cancelled (worker gone)"),
        (FAILED, "failed"),
    ],
)
def test_the_status_of_a_local_job_at_a_time(row: JobRow, words: str) -> None:
    assert status_words(row, NOW) == words
