"""The status a row shows, its tab and its outcome: the functions, and their SQL, over all there is."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from itertools import product

import pytest

from jobdash.domain.status import (
    FORCE_FAILED,
    LABELS,
    TAB_GONE,
    TAB_OF,
    TAB_REMOVED,
    TERMINAL,
    UNFINISHED,
    Completeness,
    Status,
    Tab,
    effective,
    effective_sql,
    outcome_of,
    tab_number,
    tab_sql,
)

ASKED = (None, 0, 1_800_000_000_000)
VERDICTS = (None, FORCE_FAILED)


@pytest.mark.parametrize("status", Status)
def test_a_force_failed_job_is_failed_whatever_its_remote_status(status: Status) -> None:  # E-3
    assert effective(status, 1, FORCE_FAILED) is Status.FAILED
    assert effective(status, None, FORCE_FAILED) is Status.FAILED


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_a_final_word_of_the_provider_outlives_a_wish_to_cancel(status: Status) -> None:
    assert effective(status, 1, None) is status


@pytest.mark.parametrize("status", sorted(UNFINISHED))
def test_an_unfinished_job_shows_cancelling_from_the_moment_it_was_asked(status: Status) -> None:
    assert effective(status, 1, None) is Status.CANCELLING
    assert effective(status, None, None) is status


def test_an_unknown_word_is_never_final() -> None:
    assert Status.UNKNOWN in UNFINISHED


def test_the_effective_status_in_sql_is_the_same_function() -> None:
    with closing(sqlite3.connect(":memory:")) as store:
        for word, asked, verdict in product(Status, ASKED, VERDICTS):
            query = (
                f"SELECT {effective_sql()} FROM"
                " (SELECT ? AS remote_status, ? AS cancel_requested_at, ? AS verdict)"
            )
            (found,) = store.execute(query, (str(word), asked, verdict)).fetchone()
            assert found == effective(word, asked, verdict), (word, asked, verdict)


def test_the_tab_in_sql_is_the_same_function() -> None:
    with closing(sqlite3.connect(":memory:")) as store:
        for word, asked, verdict, gone, removed in product(Status, ASKED, VERDICTS, (None, 1), (None, 1)):
            query = (
                f"SELECT {tab_sql(effective_sql())} FROM (SELECT ? AS remote_status,"
                " ? AS cancel_requested_at, ? AS verdict, ? AS gone_at, ? AS removed_at)"
            )
            (found,) = store.execute(query, (str(word), asked, verdict, gone, removed)).fetchone()
            shown = effective(word, asked, verdict)
            wanted = tab_number(shown, gone=gone is not None, removed=removed is not None)
            assert found == wanted, (word, asked, verdict, gone, removed)


def test_a_removed_job_is_in_no_tab_and_a_lost_one_only_in_all() -> None:
    for status in Status:
        assert tab_number(status, gone=False, removed=True) == TAB_REMOVED
        assert tab_number(status, gone=True, removed=True) == TAB_REMOVED
        at_home = TAB_OF[status].number
        assert tab_number(status, gone=True, removed=False) == (TAB_GONE if status in UNFINISHED else at_home)


def test_every_status_has_one_tab_and_every_tab_a_status() -> None:
    assert set(TAB_OF) == set(Status)
    assert set(TAB_OF.values()) == set(Tab) - {Tab.ALL}
    assert [tab.number for tab in Tab] == list(range(8))
    assert {status for status, tab in TAB_OF.items() if tab is Tab.RUNNING} == {
        Status.VALIDATING,
        Status.IN_PROGRESS,
        Status.FINALIZING,
        Status.UNKNOWN,
    }
    assert Counter(TAB_OF.values())[Tab.PENDING] == 1


def test_a_person_reads_running_and_a_question_mark() -> None:
    assert LABELS[Status.IN_PROGRESS] == "running"
    assert LABELS[Status.UNKNOWN] == "unknown?"
    assert LABELS[Status.CANCELLING] == "cancelling"


@pytest.mark.parametrize(
    ("succeeded", "failed", "outcome"),
    [
        (10, 0, Completeness.OK),
        (None, 0, Completeness.OK),
        (9, 1, Completeness.PARTIAL),
        (0, 10, Completeness.ALL_FAILED),
        (None, 10, Completeness.ALL_FAILED),
        (10, None, None),
        (None, None, None),
    ],
)
def test_completed_is_not_success(
    succeeded: int | None, failed: int | None, outcome: Completeness | None
) -> None:
    assert outcome_of(Status.COMPLETED, succeeded, failed) is outcome


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.COMPLETED])
def test_only_a_completed_job_has_an_outcome(status: Status) -> None:
    assert outcome_of(status, 10, 0) is None
