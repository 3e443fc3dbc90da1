"""Several writes in one transaction: one wait for the disk, and each stands or falls alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from shared.event_kit import log
from store_kit import MINUTE, START, actor, put, raw, remote

from jobdash.domain.status import Status
from jobdash.errors import StoreError
from jobdash.store.reader import Reader
from jobdash.store.records import ActionRequest, Intent, Refusal
from jobdash.store.writer import Writer


def test_several_cancels_share_a_transaction_and_are_all_there(writer: Writer, reader: Reader) -> None:
    put(writer, *(remote(f"batch_{number}") for number in range(5)))
    rows = list(reader.rows(range(1, 10)).values())
    before = reader.data_version()
    done = writer.batch(
        [
            lambda w, row=row: w.begin_cancel(ActionRequest(row.id, row.fence), deadline=START + MINUTE)
            for row in rows
        ]
    )
    assert all(isinstance(each.value, Intent) for each in done)
    assert reader.data_version() != before
    assert {row.status for row in reader.rows(range(1, 10)).values()} == {Status.CANCELLING}
    assert len(reader.open_intents()) == 5


def test_one_that_fails_is_undone_alone(writer: Writer, reader: Reader) -> None:
    put(writer, remote("batch_1"), remote("batch_2"))
    first, second = reader.rows([1, 2]).values()

    def breaks(w: Writer) -> None:
        w.begin_cancel(ActionRequest(second.id, second.fence), deadline=START + MINUTE)
        raise ValueError("midway")

    def works(w: Writer) -> object:
        return w.begin_cancel(ActionRequest(first.id, first.fence), deadline=START + MINUTE)

    broken, fine = writer.batch([breaks, works])
    assert isinstance(broken.error, ValueError)
    assert isinstance(fine.value, Intent)
    # What a write has finished before it raised stays: its own transactions are its own business.
    assert reader.rows([first.id])[first.id].status is Status.CANCELLING


def test_a_refusal_writes_nothing_and_stops_no_other(writer: Writer, reader: Reader) -> None:
    put(writer, remote("batch_1"), remote("batch_2", Status.COMPLETED))
    rows = reader.rows([1, 2])
    refused, begun = writer.batch(
        [
            lambda w: w.begin_cancel(ActionRequest(2, rows[2].fence, lambda row: "ended"), deadline=START),
            lambda w: w.begin_cancel(ActionRequest(1, rows[1].fence), deadline=START),
        ]
    )
    assert isinstance(refused.value, Refusal)
    assert isinstance(begun.value, Intent)
    assert [intent.job_id for intent in reader.open_intents()] == [1]


def test_a_store_of_a_newer_jobdash_refuses_all_of_them(path: Path, writer: Writer) -> None:
    put(writer, remote("batch_1"))
    raw(path, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="newer jobdash"):
        writer.batch([lambda w: log(w, "a", "done"), lambda w: log(w, "b", "done")])
    assert raw(path, "SELECT count(*) FROM event WHERE action IN ('a', 'b')") == [(0,)]


def test_another_process_sees_all_of_them_or_none(path: Path, writer: Writer, reader: Reader) -> None:
    seen: list[int] = []

    def look(_writer: Writer) -> None:
        seen.append(len(reader.events(limit=10)))

    put(writer, remote("batch_1"))
    writer.batch([lambda w: log(w, "a", "done"), look, lambda w: log(w, "b", "done")])
    assert seen == [0]
    assert len(reader.events(limit=10)) == 2
    with Writer(path, lambda: START, actor("bob")) as other:
        log(other, "c", "done")
    assert len(reader.events(limit=10)) == 3


@pytest.mark.sqlite_only
def test_no_result_is_returned_for_what_sqlite_rolls_back(path: Path, writer: Writer, reader: Reader) -> None:
    put(writer, remote("batch_1"), remote("batch_2"))

    def undoes_all(w: Writer) -> None:  # as a full disk does
        with w._transaction(durable=True) as connection:
            connection.execute("UPDATE OR ROLLBACK job SET public_id = 'twice'")

    with pytest.raises(StoreError):
        writer.batch([lambda w: log(w, "a", "done"), undoes_all, lambda w: log(w, "b", "done")])
    assert raw(path, "SELECT count(*) FROM event WHERE action IN ('a', 'b')") == [(0,)]
    log(writer, "c", "done")  # and the next one can write
    assert [event.action for event in reader.events(limit=10)] == ["c"]
