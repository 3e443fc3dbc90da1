"""What a plan says to a person before it is carried out, and after."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from domain_kit import MINUTE, NOW, job, plan

from jobdash.domain.describe.plan_text import (
    danger_button,
    jobs,
    notes,
    nothing_to_do,
    result_counts,
    safe_button,
    title,
    verb,
    waits,
)
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, ActionOutcome, ActionResult, ActionSummary, Plan
from jobdash.domain.status import FORCE_FAILED, Status

CANCEL, FORCE_FAIL, REMOVE = Action.CANCEL, Action.FORCE_FAIL, Action.REMOVE
DONE = job(Status.COMPLETED, id=9)


def texts_of(made: Plan) -> dict[str, str]:
    return {note.topic: note.text for note in notes(made)}


def warned(made: Plan) -> set[str]:
    return {note.topic for note in notes(made) if note.warning}


@pytest.mark.parametrize(
    ("number", "adjective", "words"),
    [(0, "", "0 jobs"), (1, "", "1 job"), (3, "unfinished", "3 unfinished jobs"), (1204, "", "1,204 jobs")],
)
def test_jobs_are_counted_in_words(number: int, adjective: str, words: str) -> None:
    assert jobs(number, adjective) == words


ALL = "in ALL accounts"


@pytest.mark.parametrize(
    ("made", "question", "safe", "danger"),
    [
        (plan(CANCEL, job()), "Cancel 1 unfinished job?", "Keep running", "Cancel 1 job"),
        (
            plan(CANCEL, *(job(id=n) for n in range(9)), scope=ALL),
            "Cancel 9 unfinished jobs in ALL accounts?",
            "Keep running",
            "Cancel 9 jobs",
        ),
        (plan(CANCEL, job(verdict=FORCE_FAILED)), "Cancel 1 job?", "Keep running", "Cancel 1 job"),
        (plan(FORCE_FAIL, job()), "Force-fail 1 unfinished job?", "Don't fail", "Force-fail 1 job"),
        (plan(REMOVE, DONE), "Remove 1 job?", "Keep the job", "Remove 1 job"),
        (plan(REMOVE, DONE, job(Status.FAILED)), "Remove 2 jobs?", "Keep the jobs", "Remove 2 jobs"),
        (
            plan(REMOVE, job(), cancel_first=True),
            "Cancel & delete 1 unfinished job?",
            "Keep the job",
            "Cancel & delete 1 job",
        ),
        (plan(CANCEL, job(Status.PENDING)), "Cancel 1 unfinished job?", "Don't cancel", "Cancel 1 job"),
        (plan(Action.RETRY), "Nothing to retry", "Don't retry", "Retry 0 jobs"),
        (plan(REMOVE, DONE, record=False, remote=True), "Clean up 1 job?", "Keep the job", "Clean up 1 job"),
    ],
)
def test_the_dialog_asks_what_it_does(made: Plan, question: str, safe: str, danger: str) -> None:  # C-3 B-10
    assert (title(made), safe_button(made), danger_button(made)) == (question, safe, danger)
    assert danger.startswith(verb(made))


def test_a_cancel_states_that_it_cannot_be_undone() -> None:
    assert texts_of(plan(CANCEL, job())) == {
        "Jobs": "1 running",
        "At the provider": "it is asked to stop; this cannot be undone, and may take up to 10 minutes",
        "Kept": "42 finished requests, billed; their results can be fetched",
        "Meaning": "Cancel asks the provider to stop; a job shows cancelled only when the provider says so",
    }


def test_the_jobs_are_counted_by_status_in_the_order_of_their_life() -> None:
    made = plan(CANCEL, job(id=1), job(Status.VALIDATING, id=2), *(job(Status.PENDING, id=n) for n in (3, 4)))
    assert texts_of(made)["Jobs"] == "2 pending · 1 validating · 1 running"
    assert texts_of(made)["At the provider"].startswith("each is asked")


def test_a_cancel_states_what_is_billed_and_what_is_kept() -> None:
    nothing = plan(CANCEL, job(Status.PENDING, succeeded=None, failed=None))
    gemini = plan(CANCEL, job(provider="gemini", account="gemini"))
    both = plan(CANCEL, job(), job(id=2, provider="gemini", account="gemini"))
    assert texts_of(nothing)["Kept"] == "nothing is finished yet; requests under way may still be billed"
    assert texts_of(gemini)["Billed"] == (
        "42 finished requests are billed; Gemini promises no results of a cancelled batch"
    )
    assert warned(gemini) == {"Billed"}
    assert texts_of(both)["Kept"] == (
        "84 finished requests, billed; their results can be fetched, except Gemini's"
    )


def test_a_cancel_states_what_is_not_counted_before_the_end() -> None:
    silent = job(id=3, provider="anthropic", account="gemini", succeeded=None, failed=None)
    assert texts_of(plan(CANCEL, silent))["Kept"] == (
        "what is finished is billed and kept: not counted by Anthropic before the end"
    )
    assert texts_of(plan(CANCEL, job(), silent))["Kept"] == (
        "42 finished requests, billed; their results can be fetched; not counted by Anthropic before the end"
    )


def test_a_force_fail_states_both_sides() -> None:  # E-1 E-3
    found = texts_of(plan(FORCE_FAIL, job()))
    assert found["Here"] == "marked failed at once, whatever the provider says; it can be undone for a day"
    assert found["At the provider"] == (
        "a cancel is tried as well; without an answer it may still run and be billed"
    )
    assert found["Meaning"] == "Force-fail marks it failed here; use it when the provider is stuck"
    assert "they can be undone" in texts_of(plan(FORCE_FAIL, job(), job(id=2)))["Here"]


def test_a_plain_removal_leaves_the_provider_alone() -> None:  # B-8
    made = plan(REMOVE, DONE)
    assert texts_of(made)["Stays"] == "files and batches at the provider"
    assert warned(made) == {"Not fetched"}
    assert "never fetched, and nothing here will name them" in texts_of(made)["Not fetched"]


def test_what_is_deleted_for_good_is_a_warning() -> None:  # B-9 A-12
    made = plan(REMOVE, DONE, remote=True, local_files=True)
    texts = [note.text for note in notes(made) if note.warning]
    assert texts == [
        "input, output and error files are deleted there; this cannot be undone",
        "fetched files on this computer; this cannot be undone",
        "42 results were never fetched, and will be lost",
    ]


FETCHED = {"results_ok": 42, "results_error": 0, "results_cut_off": 0, "results_missing": 0}


@pytest.mark.parametrize(
    ("jobs", "choices", "lost"),
    [
        ([job(Status.COMPLETED, id=2, succeeded=1, failed=0)], {}, "1 result was never fetched"),
        ([DONE, job(Status.CANCELLED, id=2)], {"record": False}, "84 results were never fetched"),
        (
            [DONE, job(Status.COMPLETED, id=2, succeeded=None, failed=None)],
            {},
            "the results of 2 batches were never fetched",
        ),
        ([job()], {"cancel_first": True}, "42 results were never fetched"),
        ([job()], {"cancel_first": True, "force": True}, ""),  # what is unfinished keeps its files
        ([DONE], {"remote": False}, ""),
        ([replace(DONE, **FETCHED)], {}, ""),
        ([job(Status.FAILED, succeeded=0, failed=42)], {}, ""),
        ([job(Status.COMPLETED, results_expire_at=NOW)], {}, ""),
        ([job(Status.CANCELLED, provider="gemini", account="gemini")], {}, ""),
    ],
)
def test_what_is_deleted_and_was_never_fetched_is_counted(
    jobs: list[JobRow], choices: dict[str, Any], lost: str
) -> None:
    made = replace(plan(REMOVE, *jobs, **{"remote": True, **choices}), at=NOW)
    assert texts_of(made).get("Lost", "") == (f"{lost}, and will be lost" if lost else "")
    if lost and choices.get("cancel_first"):
        assert "Kept" not in texts_of(made), "nothing can be fetched after that"


def test_what_was_deleted_before_is_not_lost_again() -> None:
    made = replace(plan(REMOVE, DONE, remote=True), results_left={DONE.id: False})
    assert "Lost" not in texts_of(made)


def test_only_what_the_providers_of_a_plan_have_is_named() -> None:
    gemini = job(Status.COMPLETED, id=2, provider="gemini", account="gemini")
    alone, both = plan(REMOVE, gemini, remote=True), plan(REMOVE, DONE, gemini, remote=True)
    assert texts_of(alone)["Deleted"] == (
        "the batches and their input files are deleted there; this cannot be undone"
    )
    assert "error files and Gemini batches are deleted there" in texts_of(both)["Deleted"]
    for made in (alone, both):
        assert texts_of(made)["Stays"] == "result files at Gemini: they expire by themselves"
    for action in Action:
        assert "Gemini" not in " ".join(texts_of(plan(action, DONE, job(id=3), remote=True)).values())


def test_a_plan_counts_jobs_by_the_words_they_are_shown_with() -> None:
    partial = [job(Status.COMPLETED, id=n, succeeded=5, failed=1) for n in (2, 3)]
    ok = job(Status.COMPLETED, id=4, succeeded=5, failed=0)
    none = job(Status.COMPLETED, id=5, succeeded=0, failed=5)
    assert texts_of(plan(REMOVE, *partial, ok, none))["Jobs"] == "1 all failed · 1 completed · 2 partial"


def test_cleaning_up_only_states_that_the_record_stays() -> None:
    texts = [note.text for note in notes(plan(REMOVE, DONE, record=False, remote=True))]
    assert "the record here" in texts


def test_cancel_and_delete_states_when_it_removes() -> None:  # E-2
    made = plan(REMOVE, job(), cancel_first=True)
    assert texts_of(made)["At the provider"] == "1 job asked to stop; removed when that is confirmed"
    assert warned(made) == {"At the provider"}


def test_a_forced_removal_states_what_runs_on() -> None:  # B-12
    made = plan(REMOVE, job(), force=True)
    assert texts_of(made)["Not cancelled"] == "1 job not finished: left running at the provider, and billed"
    assert warned(made) == {"Not cancelled"}


def test_a_forced_removal_states_what_a_cancel_and_a_clean_up_come_to() -> None:
    made = plan(REMOVE, job(), force=True, cancel_first=True, remote=True)
    texts = [note.text for note in notes(made)]
    assert "1 job asked to stop; removed at once, whatever is answered" in texts
    assert "what unfinished batches use at the provider" in texts


def test_few_skipped_jobs_are_named_and_many_are_counted_by_reason() -> None:
    few = plan(CANCEL, job(), job(Status.COMPLETED, id=2, name="old\x1b[2J"))
    many = plan(CANCEL, job(), *(job(Status.COMPLETED, id=n) for n in (2, 3, 4)), job(id=5, gone_at=NOW))
    assert texts_of(few)["Skipped"] == "old␛[2J: already completed"
    assert texts_of(many)["Skipped"] == (
        "4 jobs: 3 × already completed · 1 × gone at its provider; force-fail or remove it"
    )


def test_no_more_than_three_reasons_are_listed() -> None:
    others = [
        job(Status.COMPLETED, id=2),
        job(Status.FAILED, id=3),
        job(Status.EXPIRED, id=4),
        job(Status.CANCELLED, id=5),
    ]
    assert texts_of(plan(CANCEL, job(), *others))["Skipped"].endswith(" · 1 more reason")


@pytest.mark.parametrize(
    ("made", "toast"),
    [
        (plan(CANCEL, scope=ALL), "Nothing to cancel: no unfinished job here"),
        (plan(CANCEL), "No job here"),
        (plan(CANCEL, DONE), "nightly: already completed"),  # C-9
        (plan(REMOVE, job(name="a\nb")), "a b: still running; cancel & delete it with --cancel, or --force"),
        (
            plan(CANCEL, *(job(Status.COMPLETED, id=n) for n in range(4))),
            "Nothing to cancel. 4 jobs: 4 × already completed",
        ),
    ],
)
def test_a_plan_with_nothing_to_do_is_one_sentence(made: Plan, toast: str) -> None:
    assert nothing_to_do(made) == toast


RUNNING = job()
ASKED = job(cancel_requested_at=NOW - MINUTE)


def test_a_cancel_is_summed_up_in_its_own_words() -> None:
    summary = ActionSummary(
        plan(CANCEL, RUNNING),
        (
            ActionOutcome(RUNNING, ActionResult.DONE, status_after=Status.CANCELLED),
            ActionOutcome(RUNNING, ActionResult.DONE, status_after=Status.CANCELLING),
            ActionOutcome(RUNNING, ActionResult.FAILED, "500"),
            ActionOutcome(DONE, ActionResult.SKIPPED, "already completed"),
            ActionOutcome(RUNNING, ActionResult.SKIPPED, "stopped", stopped=True),
        ),
    )
    assert result_counts(summary) == [
        ("Cancelled", 1),
        ("Cancelling", 1),
        ("Failed to cancel", 1),
        ("Skipped (not pending)", 1),
        ("Not sent (stopped)", 1),
    ]


def test_a_removal_that_waits_is_not_counted_as_removed() -> None:  # E-2
    made = plan(REMOVE, RUNNING, cancel_first=True)
    waiting = ActionOutcome(RUNNING, ActionResult.DONE, status_after=Status.CANCELLING)
    gone = ActionOutcome(RUNNING, ActionResult.DONE, status_after=Status.CANCELLED)
    assert waits(made, waiting)
    assert not waits(made, gone)
    assert result_counts(ActionSummary(made, (waiting, gone))) == [
        ("Removed", 1),
        ("Removed when cancelled", 1),
        ("Failed", 0),
        ("Skipped", 0),
    ]


def test_what_keeps_the_record_is_cleaned_up_and_not_removed() -> None:
    made = plan(REMOVE, DONE, record=False, remote=True)
    assert result_counts(ActionSummary(made, (ActionOutcome(DONE, ActionResult.DONE),)))[0] == (
        "Cleaned up",
        1,
    )
    assert texts_of(made)["Meaning"] == "Clean up deletes what the provider keeps; the record stays here"


def test_a_force_fail_is_summed_up_in_its_own_words() -> None:
    outcome = ActionOutcome(RUNNING, ActionResult.DONE, status_after=Status.FAILED)
    assert result_counts(ActionSummary(plan(FORCE_FAIL, RUNNING), (outcome,))) == [
        ("Force-failed", 1),
        ("Failed", 0),
        ("Skipped", 0),
    ]
