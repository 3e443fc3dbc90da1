"""What a retry of a batch accepts, and the sentences about what is sent again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from domain_kit import NOW, job, plan, situation

from jobdash.domain.backends.registry import decide
from jobdash.domain.describe.plan_text import notes
from jobdash.domain.describe.result_text import relatives_words, sent_again
from jobdash.domain.items import RETRIED, RETRYABLE, ItemStatus
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, Choices, DecisionKind
from jobdash.domain.remainder import Remainder, best_outcomes, remainder_of
from jobdash.domain.status import FORCE_FAILED, Status

ACT, ALREADY, REFUSED = DecisionKind.ACT, DecisionKind.ALREADY, DecisionKind.REFUSED
FAILED_SOME = job(Status.COMPLETED, succeeded=90, failed=10)
WHOLE = job(Status.COMPLETED, succeeded=100, failed=0)
FETCHED = job(
    Status.COMPLETED, succeeded=100, failed=0, results_ok=60, results_error=0, results_cut_off=40,
    results_missing=0,
)  # fmt: skip
LEFT = Remainder(100, 8, 2, 4, counted=True)


@pytest.mark.parametrize(
    ("row", "choices", "verdict", "reason"),
    [
        (FAILED_SOME, {}, ACT, ""),
        (job(Status.EXPIRED, succeeded=1, failed=0), {}, ACT, ""),
        (job(Status.FAILED, succeeded=None, failed=None), {}, ACT, ""),
        (job(), {}, REFUSED, "its provider says running; cancel it there first, or it is billed twice"),
        (
            job(verdict=FORCE_FAILED), {}, REFUSED,
            "its provider says running; cancel it there first, or it is billed twice",
        ),
        (job(Status.PENDING, remote_id=None), {}, REFUSED, "its submit is not confirmed yet"),
        (job(gone_at=NOW), {}, REFUSED, "gone at its provider; force-fail it first"),
        (WHOLE, {}, ALREADY, "every request has its answer"),
        (WHOLE, {"only": RETRYABLE}, ACT, ""),  # its answers may have been cut off: nobody has looked
        (FETCHED, {}, ALREADY, "nothing of that is left; there are 40 cut off: --only cut-off"),
        (FETCHED, {"only": ("cut-off",)}, ACT, ""),
        (replace(FAILED_SOME, account="old"), {}, REFUSED, "account old is not configured any more"),
    ],
)  # fmt: skip
def test_what_a_retry_of_a_batch_is_for(
    row: JobRow, choices: dict[str, Any], verdict: DecisionKind, reason: str
) -> None:
    decision = decide(Action.RETRY, row, situation(), Choices(**choices))
    assert (decision.verdict, decision.reason) == (verdict, reason)


def _decided(left: Remainder, **choices: Any) -> tuple[DecisionKind, str]:
    here = replace(situation(), remainders={FAILED_SOME.id: left})
    decision = decide(Action.RETRY, FAILED_SOME, here, Choices(**choices))
    return decision.verdict, decision.reason


def test_what_was_looked_up_of_its_family_counts() -> None:
    assert _decided(LEFT) == (ACT, "")
    assert _decided(LEFT._replace(failed=0, missing=0)) == (
        ALREADY,
        "nothing of that is left; there are 4 cut off: --only cut-off",
    )
    assert _decided(LEFT._replace(blocked="m2x1 runs")) == (REFUSED, "m2x1 runs")
    wanting = LEFT._replace(no_input="no copy")
    assert _decided(wanting) == (REFUSED, "no copy: jobdash retry k3f9a2bc --input FILE")
    assert _decided(wanting, input=Path("x")) == (ACT, "")


def test_what_is_sent_again_in_words() -> None:
    assert (
        sent_again(Remainder(10_000, 24, 12, 3), RETRIED) == "36 of 10,000 sent again: 24 errors, 12 missing"
    )
    assert sent_again(Remainder(10, 1, 0, 2), RETRYABLE) == "3 of 10 sent again: 1 error, 2 cut off"
    assert (
        sent_again(Remainder(None, 1, None, None), RETRIED)
        == "what is left is sent again: 1 error, what is missing"
    )
    assert sent_again(Remainder(300, 0, 300, None, at_most=True), RETRIED) == (
        "up to 300 of 300 sent again: 300 missing"
    )
    assert relatives_words(None, None) == ""
    assert relatives_words("k3f9", "m2x1") == "sent again from k3f9, its rest was sent again as m2x1"


def test_the_notes_of_a_retry() -> None:
    made = replace(plan(Action.RETRY, FAILED_SOME), remainders={FAILED_SOME.id: LEFT})
    texts = {note.topic: note.text for note in notes(made)}
    assert texts["Sent again"] == "10 of 100 sent again: 8 errors, 2 missing · linked to nightly"
    assert texts["Left out"] == "4 answers cut off"
    assert "First" not in texts
    assert "First" in {note.topic for note in notes(plan(Action.RETRY, FAILED_SOME))}
    assert made.can_send_cut_off


def test_a_retry_of_a_batch_that_failed_as_a_whole_warns_that_its_file_may_be_at_fault() -> None:
    refused = job(Status.FAILED, succeeded=0, failed=0, error="line 17 is no JSON")
    again = "the same requests may fail in the same way; --input FILE of jobdash retry takes a mended file"
    made = plan(Action.RETRY, refused)
    (warning,) = [note for note in notes(made) if note.warning]
    assert warning.text == f"it failed as a whole: line 17 is no JSON · {again}"
    both = replace(made, decisions=(*made.decisions, *plan(Action.RETRY, FAILED_SOME).decisions))
    (warning,) = [note for note in notes(both) if note.warning]
    assert warning.text == f"1 batch failed as a whole · {again}"
    mended = replace(made, choices=replace(made.choices, input=Path("mended.jsonl")))
    assert not [note for note in notes(mended) if note.warning]
    for other in (
        FAILED_SOME,
        job(Status.FAILED, succeeded=3, failed=0),
        job(Status.FAILED, succeeded=0, failed=0, superseded_by=9),
        job(Status.EXPIRED, succeeded=0, failed=0),
    ):
        assert not [note for note in notes(plan(Action.RETRY, other)) if note.warning]


def test_what_is_left_by_the_row_alone() -> None:
    assert remainder_of(FAILED_SOME) == Remainder(100, 10, 0, None, to_fetch=1)
    assert remainder_of(FETCHED) == Remainder(100, 0, 0, 40, counted=True)
    assert remainder_of(job(Status.FAILED, succeeded=None, failed=None)).chosen(RETRIED) is None


def test_a_whole_answer_counts_before_newer_ones_that_are_none() -> None:
    ok, cut, error = ItemStatus.OK, ItemStatus.CUT_OFF, ItemStatus.ERROR
    newest = {"a": error, "b": cut, "c": error}
    assert best_outcomes([newest, {"a": ok, "b": error, "c": cut}]) == {"a": ok, "b": cut, "c": cut}
