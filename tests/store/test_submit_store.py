"""Submit: a job exists before its request is sent, and stays one job whatever happens then."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from threading import Barrier

from store_kit import MINUTE, ORIGIN, START, actor, everything, one, put, remote

from jobdash.domain.job import JobRow
from jobdash.domain.status import Status
from jobdash.domain.time import system_clock
from jobdash.store.location import StoreLocation
from jobdash.store.reader import Reader
from jobdash.store.records import ActionRequest, Intent, IntentKind, NewestIds, NewJob, QueuedOptions, Refusal
from jobdash.store.writer import Writer

NEW = NewJob("openai", "openai", ORIGIN, "nightly", "key-1", "gpt-x", "/v1/x", 9, {"team": "blue"})


def _begin(writer: Writer, new: NewJob = NEW) -> tuple[JobRow, Intent]:
    begun = writer.begin_submit(new, deadline=START + MINUTE)
    assert not isinstance(begun, Refusal)
    return begun


def test_a_submit_is_written_before_it_is_sent(writer: Writer, reader: Reader) -> None:
    row, intent = _begin(writer)
    assert reader.open_intents(kind=IntentKind.SUBMIT) == [intent]
    assert (row.status, row.remote_id, row.name, row.total, row.model) == (
        Status.PENDING,
        None,
        "nightly",
        9,
        "gpt-x",
    )
    job = reader.job(row.id)
    assert job is not None
    assert (job.submit_key, job.tags) == ("key-1", {"team": "blue"})


def test_of_one_file_one_submit_begins_unless_the_others_are_known(path: StoreLocation) -> None:
    new = replace(NEW, digest="ab" * 32, seen=NewestIds(0, 0))

    def begin(number: int) -> bool:
        with Writer(path, system_clock, actor()) as writer:
            start.wait()
            again = replace(new, key=f"key-{number}")
            if number % 2:
                return not isinstance(writer.begin_submit(again, deadline=START), Refusal)
            return not isinstance(writer.enqueue([(again, QueuedOptions("ab" * 32))]), Refusal)

    start = Barrier(6)
    with ThreadPoolExecutor(6) as pool:
        begun = list(pool.map(begin, range(6)))

    assert begun.count(True) == 1
    with Writer(path, system_clock, actor()) as writer:
        refused = writer.begin_submit(replace(new, key="key-7"), deadline=START)
        assert isinstance(refused, Refusal)
        assert refused.row is not None
        assert refused.reason == f"the identical file was sent meanwhile, as {refused.row.public_id}"
        with closing(Reader(path)) as reader:
            seen = reader.newest_ids()
        for number in range(8, 16):
            _begin(writer, replace(new, key=f"key-{number}", seen=None))
        assert isinstance(writer.begin_submit(replace(new, seen=seen), deadline=START), Refusal)
        with closing(Reader(path)) as reader:
            _begin(writer, replace(new, key="key-16", seen=reader.newest_ids()))


def test_tags_whose_names_are_kept_alike_stay_two(writer: Writer, reader: Reader) -> None:
    alike = {"sk-abcdef0123456789": "1", "sk-ghijkl0123456789": "2", "n" * 2000: "3", "n" * 2001: "4"}
    row, _intent = _begin(writer, replace(NEW, tags=alike))
    put(writer, remote("batch_9", metadata=alike))
    for job_id in (row.id, reader.by_remote("batch_9")[0].id):
        job = reader.job(job_id)
        assert job is not None
        assert sorted(job.tags.values()) == ["1", "2", "3", "4"]
        assert not any(name.startswith("sk-") for name in job.tags)


def test_an_answered_submit_is_the_same_job(writer: Writer, reader: Reader) -> None:
    row, intent = _begin(writer)
    now = writer.close_submit(intent.id, remote("batch_9", Status.VALIDATING, name="key-1"), START)
    assert now is not None
    assert (now.id, now.remote_id, now.status, now.name) == (row.id, "batch_9", Status.VALIDATING, "nightly")
    assert put(writer, remote("batch_9", Status.VALIDATING), at=START + 1).inserted == ()
    assert [event.action for event in reader.events()] == ["submit"]
    assert writer.close_submit(intent.id, remote("batch_9"), START) is None


def test_a_sync_that_is_faster_than_the_answer_finds_the_job_by_its_key(
    writer: Writer, reader: Reader
) -> None:
    row, intent = _begin(writer)
    result = put(writer, remote("batch_9", submit_key="key-1"), at=START + 5)
    assert (result.inserted, result.changed) == ((), (row.id,))
    now = writer.close_submit(intent.id, remote("batch_9", Status.VALIDATING), START)
    assert now is not None
    assert now.remote_status is Status.IN_PROGRESS, "the sync's answer is newer"
    assert len(everything(reader)) == 1


def test_a_batch_of_another_submit_is_never_taken_in(writer: Writer, reader: Reader) -> None:
    first, intent = _begin(writer)
    writer.close_submit(intent.id, remote("batch_9", Status.COMPLETED), START)
    second, intent = _begin(writer, replace(NEW, key="key-2"))

    now = writer.close_submit(intent.id, remote("batch_9"), START + 1)

    assert now is not None
    assert (now.id, now.remote_id, now.unconfirmed) == (second.id, None, True)
    assert now.error == f"batch_9 is the batch of another submit, {first.public_id}"
    assert reader.by_remote("batch_9")[0].id == first.id
    assert reader.open_intents(kind=IntentKind.SUBMIT) == []


def test_a_double_that_was_sent_again_is_never_taken_in(writer: Writer, reader: Reader) -> None:
    row, intent = _begin(writer, replace(NEW, total=None))
    put(writer, remote("batch_9", Status.FAILED))
    (double,) = reader.by_remote("batch_9")
    child, _ = _begin(writer, replace(NEW, key="key-2", parent_id=double.id))
    reason = f"batch_9 is {double.public_id}, and was sent again as {child.public_id}"

    writer.leave_unconfirmed(intent.id, "no answer")
    refused = writer.adopt_batch(row.id, remote("batch_9"), START + 1)

    assert isinstance(refused, Refusal)
    assert refused.reason == reason
    assert {each.id for each in everything(reader)} == {row.id, double.id, child.id}


def test_a_double_made_by_a_sync_is_taken_in(writer: Writer, reader: Reader) -> None:
    row, intent = _begin(writer)
    put(writer, remote("batch_9", metadata={"a": "b"}), at=START)
    (double,) = reader.by_remote("batch_9")
    cancel = writer.begin_cancel(ActionRequest(double.id, 0), deadline=START)
    now = writer.close_submit(intent.id, remote("batch_9"), START + 1)
    assert now is not None
    assert (now.id, now.public_id) == (row.id, row.public_id)
    assert [found.id for found in everything(reader)] == [row.id]
    assert isinstance(cancel, Intent)
    assert [found.job_id for found in reader.open_intents()] == [row.id]
    assert reader.counts().total == 1


def test_a_refused_submit_is_a_failed_job(writer: Writer, reader: Reader) -> None:
    _, intent = _begin(writer)
    now = writer.fail_submit(intent.id, "400: no such model")
    assert now is not None
    assert (now.status, now.error, now.raw_status) == (Status.FAILED, "400: no such model", "not submitted")
    assert now.finished_at == START
    assert writer.fail_submit(intent.id, "again") is None


def test_an_unconfirmed_submit_is_unfinished_until_its_key_turns_up(writer: Writer, reader: Reader) -> None:
    row, intent = _begin(writer)
    now = writer.leave_unconfirmed(intent.id, "no answer")
    assert now is not None
    assert (now.status, now.raw_status) == (Status.UNKNOWN, "unconfirmed")
    assert reader.events()[0].action == "reconcile"
    put(writer, remote("batch_9", Status.COMPLETED, submit_key="key-1"), at=START + 1)
    (found,) = everything(reader)
    assert (found.id, found.status, found.raw_status) == (row.id, Status.COMPLETED, "completed")


def test_a_job_found_by_a_sync_is_not_failed_by_a_late_no(writer: Writer, reader: Reader) -> None:
    _, intent = _begin(writer)
    put(writer, remote("batch_9", submit_key="key-1"))
    now = writer.fail_submit(intent.id, "409")
    assert now is not None
    assert now.status is Status.IN_PROGRESS


def test_a_retry_is_a_child_and_there_is_one_at_a_time(writer: Writer, reader: Reader) -> None:
    parent = one(writer, reader, Status.FAILED)
    again = replace(NEW, parent_id=parent.id, key="key-2")
    child, intent = _begin(writer, again)
    refused = writer.begin_submit(replace(again, key="key-3"), deadline=START)
    assert isinstance(refused, Refusal)
    assert refused.reason == f"its requests were sent again as {child.public_id}, still pending"
    job = reader.job(parent.id)
    assert job is not None
    assert (job.children, job.superseded_by) == ((child.public_id,), child.public_id)
    writer.fail_submit(intent.id, "400")
    job = reader.job(parent.id)
    assert job is not None
    assert job.superseded_by is None
    second, _ = _begin(writer, replace(again, key="key-4"))
    found = reader.job(second.id)
    assert found is not None
    assert found.parent == parent.public_id
    assert [member.row.id for member in reader.family(second.id)] == [parent.id, child.id, second.id]
    assert reader.relatives([parent.id]) == {parent.id: (None, second.public_id)}
    assert reader.relatives([second.id]) == {second.id: (parent.public_id, None)}


def test_a_retry_that_ended_since_it_was_planned_is_not_passed_over(writer: Writer, reader: Reader) -> None:
    """Its answers are unknown to who planned before it: the same requests would be sent twice."""
    parent = one(writer, reader, Status.FAILED)
    again = replace(NEW, parent_id=parent.id, key="key-2")
    child, intent = _begin(writer, again)
    writer.close_submit(intent.id, remote("batch_9", Status.COMPLETED), START)
    assert [event.action for event in reader.events(parent.id)] == ["retry"]
    refused = writer.begin_submit(replace(again, key="key-3"), deadline=START)
    assert isinstance(refused, Refusal)
    assert refused.reason == f"its requests were sent again as {child.public_id}, completed"


def test_an_answer_after_it_was_given_up_is_taken_in(writer: Writer, reader: Reader) -> None:
    row, intent = _begin(writer)
    writer.leave_unconfirmed(intent.id, "no list shows it")
    now = writer.close_submit(intent.id, remote("batch_9", Status.VALIDATING), START)
    assert now is not None
    assert (now.id, now.remote_id, now.status) == (row.id, "batch_9", Status.VALIDATING)
    assert reader.events()[0].detail == "answered after it was given up"
    assert writer.close_submit(intent.id, remote("batch_9"), START) is None


def test_a_refusal_after_it_was_given_up_is_taken_in(writer: Writer) -> None:
    _, intent = _begin(writer)
    writer.leave_unconfirmed(intent.id, "no list shows it")
    now = writer.fail_submit(intent.id, "400: no such model")
    assert now is not None
    assert (now.status, now.error, now.raw_status) == (Status.FAILED, "400: no such model", "not submitted")


def test_a_second_look_changes_nothing_of_a_submit_that_was_given_up(writer: Writer) -> None:
    _, intent = _begin(writer)
    writer.leave_unconfirmed(intent.id, "no list shows it")
    assert writer.leave_unconfirmed(intent.id, "again") is None
    assert writer.close_submit(intent.id, remote("batch_9"), START, action="reconcile") is None
