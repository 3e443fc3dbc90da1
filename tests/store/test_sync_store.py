"""Answers, 404s and the health of accounts, as they end up in a real store."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from store_kit import HOUR, MINUTE, ORIGIN, START, HandClock, everything, one, put, raw, remote, remote_error

from jobdash.domain.failures import truncated, worth_asking
from jobdash.domain.remote_job import FailedRequest, RemoteError
from jobdash.domain.status import Status, Tab
from jobdash.store.commands import errors
from jobdash.store.owner import current_owner
from jobdash.store.reader import Reader
from jobdash.store.records import ActionRequest, Actor, NewJob
from jobdash.store.writer import Writer


def test_a_batch_seen_for_the_first_time_is_a_job(writer: Writer, reader: Reader) -> None:
    result = put(
        writer, remote("batch_1", name=None, metadata={"subject": "maths"}), remote("batch_2", name="eval")
    )
    first, second = sorted(everything(reader), key=lambda row: row.id)
    assert result.inserted == (first.id, second.id)
    assert (result.changed, result.finished) == ((), ())
    assert (first.name, second.name) == ("batch_1", "eval")
    assert len({first.public_id, second.public_id}) == 2
    assert (first.total, first.failed) == (None, None)
    job = reader.job(first.id)
    assert job is not None
    assert (job.tags, job.seen_at, first.origin) == ({"subject": "maths"}, START, ORIGIN)
    assert reader.events() == [], "a discovery is no event"


def test_an_old_batch_was_not_updated_just_now(writer: Writer, reader: Reader, clock: HandClock) -> None:
    put(writer, remote("old", Status.COMPLETED, finished_at=START - HOUR), remote("young"))
    assert reader.by_remote("old")[0].updated_at == START - HOUR
    assert reader.by_remote("young")[0].updated_at == clock.now


def test_unchanged_answers_cost_no_revision_and_are_no_change(
    path: Path, writer: Writer, reader: Reader
) -> None:
    jobs = [remote("run"), remote("done", Status.COMPLETED)]
    put(writer, *jobs)
    raw(path, "UPDATE job SET updated_at = 1")
    revision = reader.revision()
    result = put(writer, *jobs, at=START + 5)
    assert (result.inserted, result.changed) == ((), ())
    assert reader.changed_since(revision) == []
    assert {row.updated_at for row in everything(reader)} == {1}
    job = reader.job(reader.by_remote("run")[0].id)
    assert job is not None
    assert job.seen_at == START + 5


def test_a_sync_in_which_nothing_happens_wakes_no_reader(writer: Writer, reader: Reader) -> None:
    jobs = [remote(f"batch_{n}", Status.COMPLETED) for n in range(20)]
    put(writer, *jobs)
    version = reader.data_version()
    put(writer, *jobs, at=START + 5)
    assert reader.data_version() == version


def test_a_change_gets_a_revision_and_a_new_time(path: Path, writer: Writer, reader: Reader) -> None:
    row = one(writer, reader)
    raw(path, "UPDATE job SET updated_at = 1")
    result = put(writer, remote("batch_1", succeeded=3), at=START + 1)
    (now,) = reader.by_remote("batch_1")
    assert result.changed == (row.id,)
    assert now.revision > row.revision
    assert now.updated_at > 1


def test_a_renewed_lease_gets_a_revision_and_no_new_time(path: Path, writer: Writer, reader: Reader) -> None:
    row = one(writer, reader)
    raw(path, "UPDATE job SET lease_until = 5, fence = fence + 1")
    (now,) = reader.by_remote("batch_1")
    assert now.revision > row.revision
    assert now.updated_at == row.updated_at


def test_a_slow_page_undoes_no_newer_answer(writer: Writer, reader: Reader) -> None:
    put(writer, remote("batch_1", succeeded=1), at=START + 10)
    assert put(writer, remote("batch_1", Status.PENDING, succeeded=0), at=START + 5).changed == ()
    assert reader.by_remote("batch_1")[0].succeeded == 1


def test_an_end_is_reported_once_and_logged(writer: Writer, reader: Reader) -> None:
    row = one(writer, reader)
    result = put(writer, remote("batch_1", Status.COMPLETED), at=START + 2)
    assert [(found.id, found.status) for found in result.finished] == [(row.id, Status.COMPLETED)]
    assert not result.finished[0].lost_race
    again = put(writer, remote("batch_1", Status.COMPLETED), at=START + 3)
    assert again.finished == ()
    assert put(writer, remote("batch_1"), at=START + 4).finished == ()
    (event,) = reader.events()
    assert (event.action, event.result, event.job_public_id) == ("finished", "completed", row.public_id)


def test_a_completion_after_a_cancel_request_is_reported(writer: Writer, reader: Reader) -> None:
    row = one(writer, reader)
    writer.begin_cancel(ActionRequest(row.id, 0), deadline=START)
    result = put(writer, remote("batch_1", Status.COMPLETED), at=START + 2)
    (ended,) = result.finished
    assert (ended.lost_race, ended.status) == (True, Status.COMPLETED)
    assert reader.events()[0].detail == "finished before the cancel took effect"


def test_a_force_failed_job_stays_failed_whatever_a_sync_finds(writer: Writer, reader: Reader) -> None:
    row = one(writer, reader)
    writer.force_fail(ActionRequest(row.id, 0))
    put(writer, remote("batch_1", Status.IN_PROGRESS, succeeded=9), at=START + 1)
    assert reader.by_remote("batch_1")[0].status is Status.FAILED
    result = put(writer, remote("batch_1", Status.COMPLETED), at=START + 2)
    assert [(found.status, found.remote_status) for found in result.finished] == [
        (Status.FAILED, Status.COMPLETED)
    ]


def test_a_removed_job_comes_back_by_no_answer(writer: Writer, reader: Reader) -> None:  # E-7
    row = one(writer, reader)
    writer.hide(ActionRequest(row.id, 0))
    events = len(reader.events())
    result = put(writer, remote("batch_1", Status.COMPLETED), at=START + 1)
    assert (result.inserted, result.changed, result.finished) == ((), (), ())
    (now,) = reader.by_remote("batch_1")
    assert now.removed_at is not None
    assert now.remote_status is Status.COMPLETED
    assert len(reader.events()) == events
    assert reader.counts().total == 0


def test_an_account_that_is_no_more_loses_its_jobs(writer: Writer, reader: Reader) -> None:
    put(writer, remote(), account="old")
    writer.upsert("new", "openai", ORIGIN, [remote()], START + 1, configured={"new", "old"})
    assert reader.by_remote("batch_1")[0].account == "old"
    writer.upsert("new", "openai", ORIGIN, [remote()], START + 2, configured={"new"})
    assert reader.by_remote("batch_1")[0].account == "new"
    assert list(reader.counts().by_account) == ["new"]


def test_many_jobs_go_in_pieces_and_doubles_count_once(writer: Writer, reader: Reader) -> None:
    jobs = [remote(f"batch_{n}") for n in range(1100)]
    result = put(writer, *jobs, remote("batch_7", succeeded=1))
    assert len(result.inserted) == len(set(result.inserted)) == reader.counts().total == 1100
    assert reader.by_remote("batch_7")[0].succeeded == 1
    done = [dataclasses.replace(job, status=Status.COMPLETED) for job in jobs]
    assert len(put(writer, *done, at=START + 1).finished) == 1100


def test_a_public_id_that_is_taken_is_not_given_again(
    writer: Writer, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = iter(["aaaaaaaa", "aaaaaaaa", "aaaaaaaa", "bbbbbbbb"])
    monkeypatch.setattr("jobdash.store.public_ids.public_id", lambda: next(ids))
    put(writer, remote("one"))
    put(writer, remote("two"))
    assert {row.public_id for row in everything(reader)} == {"aaaaaaaa", "bbbbbbbb"}


def test_our_own_key_is_no_tag(writer: Writer, reader: Reader) -> None:
    row = one(writer, reader, submit_key="k1", metadata={"jobdash": "k1", "team": "blue"})
    job = reader.job(row.id)
    assert job is not None
    assert (job.tags, job.submit_key) == ({"team": "blue"}, "k1")


# Gone


def test_two_404s_five_minutes_apart_make_a_job_gone(writer: Writer, reader: Reader) -> None:
    row = one(writer, reader)
    asked = [START + 1, START + 2, START + 5 * MINUTE, START + 1 + 5 * MINUTE, START + HOUR]
    assert [writer.mark_not_found(row.id, at) for at in asked] == [False, False, False, True, False]
    (now,) = reader.by_remote("batch_1")
    assert now.gone
    assert now.status is Status.IN_PROGRESS
    counts = reader.counts()
    assert (counts.total, counts.unfinished, counts.by_tab[Tab.RUNNING]) == (1, 0, 0)
    put(writer, remote(), at=START + 2 * HOUR)
    assert not reader.by_remote("batch_1")[0].gone
    assert reader.counts().unfinished == 1
    assert not writer.mark_not_found(row.id, START + 3 * HOUR), "the count begins again"


def test_a_404_is_not_believed_of_ended_jobs_nor_when_old(
    writer: Writer, reader: Reader, clock: HandClock
) -> None:
    clock.now = START + 4 * HOUR
    done = one(writer, reader, Status.COMPLETED)
    assert not any(writer.mark_not_found(done.id, START + n * HOUR) for n in range(1, 4))
    put(writer, remote("run"), at=START + HOUR)
    (run,) = reader.by_remote("run")
    assert not any(writer.mark_not_found(run.id, START + n * MINUTE) for n in range(30))
    assert not writer.mark_not_found(999, START)


def test_a_clock_that_was_set_back_holds_up_nothing(writer: Writer, reader: Reader, clock: HandClock) -> None:
    clock.now = START + 365 * 24 * HOUR
    put(writer, remote(), remote("lost"), at=clock.now)
    assert not writer.mark_not_found(reader.by_remote("lost")[0].id, clock.now)
    clock.now = START
    assert put(writer, remote(status=Status.COMPLETED), at=START).finished
    assert not put(writer, remote(succeeded=1), at=START - MINUTE).changed, "older than what is there by now"
    lost = reader.by_remote("lost")[0].id
    assert not writer.mark_not_found(lost, START)
    assert writer.mark_not_found(lost, START + 6 * MINUTE)


def test_of_two_batches_with_one_key_one_is_the_submit_and_none_is_lost(
    writer: Writer, reader: Reader
) -> None:
    new = NewJob("openai", "openai", ORIGIN, "nightly", "key-1")
    writer.begin_submit(new, deadline=START + HOUR)
    put(writer, remote("first", submit_key="key-1"), remote("second", submit_key="key-1"))
    assert {row.remote_id for row in everything(reader)} == {"first", "second"}


def test_what_waits_moves_to_the_account_that_adopts_the_job(writer: Writer, reader: Reader) -> None:
    row = one(writer, reader)
    writer.begin_waiting_removal(ActionRequest(row.id, 0), choices={}, deadline=START + HOUR)
    writer.upsert("office", "openai", ORIGIN, [remote()], START + 1, configured={"office"})
    assert not reader.open_intents("openai")
    assert [intent.job_id for intent in reader.open_intents("office")] == [row.id]


# Accounts


def test_one_of_two_dashboards_polls(path: Path, writer: Writer, reader: Reader, clock: HandClock) -> None:
    with Writer(path, clock, Actor("bob", "desk", "tui", current_owner())) as other:
        assert writer.claim_poll("openai", "openai", START, START + 15_000, HOUR)
        assert not other.claim_poll("openai", "openai", START + 1, START + 15_001, HOUR)
        assert other.claim_poll("openai", "openai", START + 15_000, START + 30_000, HOUR)
        writer.poll_now("openai")
        assert writer.claim_poll("openai", "openai", START + 16_000, START + 31_000, HOUR)
        assert not other.claim_poll("openai", "openai", START + 16_000, START + 31_000, HOUR)
        writer.poll_now()
        assert other.claim_poll("openai", "openai", START + 16_000, START + 31_000, HOUR)


def test_who_asks_during_a_poll_is_not_put_off_by_its_end(writer: Writer, reader: Reader) -> None:
    assert writer.claim_poll("openai", "openai", START, START + 15_000, HOUR)
    writer.poll_now()
    writer.extend_poll("openai", START + 30_000)
    writer.set_health("openai", "openai", asked_at=START, next_poll_at=START + 60_000, claimed=True)
    assert writer.claim_poll("openai", "openai", START + 1, START + 15_001, HOUR)
    writer.set_health("openai", "openai", asked_at=START, next_poll_at=START + 60_000, claimed=True)
    assert reader.accounts()[0].next_poll_at == START + 60_000


def test_a_clock_set_back_does_not_stop_polling(writer: Writer) -> None:
    assert writer.claim_poll("openai", "openai", START, START + 15_000, HOUR)
    assert writer.claim_poll("openai", "openai", START - 2 * HOUR, START, HOUR)


def test_an_account_fails_since_its_first_failure_and_is_dismissed_until_it_is_well(
    writer: Writer, reader: Reader
) -> None:
    def poll(at: int, error: str | None) -> tuple[int | None, str | None]:
        writer.set_health("work", "openai", asked_at=at, next_poll_at=at + 60, error=error)
        (health,) = reader.accounts()
        return health.failing_since, health.reviewed_error

    assert poll(START, None) == (None, None)
    assert poll(START + 1, "no connection") == (START + 1, None)
    writer.set_reviewed({}, {"work": "no connection"})
    assert poll(START + 2, "no connection") == (START + 1, "no connection")
    assert poll(START + 3, None) == (None, None)
    assert poll(START + 4, "no connection") == (START + 4, None)


def test_health_is_written_on_the_account_alone(writer: Writer, reader: Reader) -> None:
    revision = reader.revision()
    writer.set_health(
        "work", "openai", asked_at=START, next_poll_at=START + 9, discovered=7, first_sync_done=True
    )
    writer.set_health(
        "work",
        "openai",
        asked_at=START + 5,
        next_poll_at=START + 60,
        error="key sk-abcdefghijklmnop rejected",
        error_kind="auth",
        retry_after_until=START + 30,
    )
    (health,) = reader.accounts()
    assert (health.asked_at, health.ok_at, health.next_poll_at) == (START + 5, START, START + 60)
    assert (health.error, health.error_kind) == ("key [secret] rejected", "auth")
    assert (health.discovered, health.first_sync_done, health.retry_after_until) == (7, True, START + 30)
    writer.set_health("work", "openai", asked_at=START + 9, next_poll_at=START + 90)
    assert reader.accounts()[0].error is None
    assert reader.changed_since(revision) == []


def test_error_details_are_replaced(writer: Writer, reader: Reader) -> None:
    row = one(writer, reader, Status.FAILED, errors=(remote_error("old"),))
    detailed = remote("batch_1", Status.FAILED, errors=(remote_error("new", "c"), remote_error("more", "c")))
    now = writer.set_errors(row.id, detailed)
    assert now.error == "new"
    assert reader.errors_summary(row.id) == [("c", 2)]
    assert writer.set_errors(row.id, remote("batch_1", Status.FAILED)).error == "new"


def failures(*keys: str, code: str | None = "c", message: str = "m") -> list[FailedRequest]:
    return [FailedRequest(key, RemoteError(message, code)) for key in keys]


def test_failed_requests_are_replaced_and_counted(writer: Writer, reader: Reader) -> None:
    row = one(writer, reader, Status.COMPLETED, total=9, succeeded=5, failed=4)
    other = failures("d", code=None, message="odd")
    assert writer.set_errors(row.id, remote("batch_1"), failures("a", "b", "a") + other).error == "m"
    assert reader.failed_requests(row.id).keys == {("c", "m"): ("a", "b", "a (3)"), (None, "odd"): ("d",)}
    assert reader.errors_summary(row.id) == [("c", 3), ("odd", 1)]
    writer.set_errors(row.id, remote("batch_1"), failures("x"))
    assert reader.failed_requests(row.id).keys == {("c", "m"): ("x",)}
    job = reader.job(row.id)
    assert job is not None
    assert truncated(job, reader.failed_requests(row.id))


def test_a_sync_of_the_batch_leaves_its_failed_requests(writer: Writer, reader: Reader) -> None:
    row = one(writer, reader, Status.COMPLETED, total=9, succeeded=5, failed=4)
    writer.set_errors(row.id, remote("batch_1"), failures("a", "b", "c", "d"))
    put(writer, remote("batch_1", Status.COMPLETED, errors=(remote_error("own"),)), at=START + 50)
    assert reader.errors_summary(row.id) == [("c", 4), ("own", 1)]


def test_more_failed_requests_than_are_kept_are_marked_incomplete(
    writer: Writer, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = one(writer, reader, Status.EXPIRED)
    monkeypatch.setattr(errors, "MOST_FAILED", 7)
    monkeypatch.setattr(errors, "_ROWS_A_TRANSACTION", 3)
    for keys in ("abcdefghi", "abcdefgh"):
        writer.set_errors(row.id, remote("batch_1"), failures(*keys))
        failed, job = reader.failed_requests(row.id), reader.job(row.id)
        assert failed.kept == 7
        assert job is not None
        assert truncated(job, failed)
        assert not worth_asking(job)  # no more would be kept
    writer.set_errors(row.id, remote("batch_1"), failures("a"))
    job = reader.job(row.id)
    assert job is not None
    assert not truncated(job, reader.failed_requests(row.id))
