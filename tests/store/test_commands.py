"""Cancel, force-fail and removal: what is on disk before, and what after, the provider was asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from shared.event_kit import log
from store_kit import HOUR, MINUTE, START, HandClock, actor, one, put, raw, remote

from jobdash.domain.job import Event, JobRow
from jobdash.domain.status import Status
from jobdash.store.commands.cancel import CancelResult
from jobdash.store.reader import Reader
from jobdash.store.records import ActionRequest, Intent, IntentKind, Refusal, UndoKind
from jobdash.store.writer import Writer

Begin = Callable[..., Intent]


@pytest.fixture
def begin(writer: Writer) -> Begin:
    """Begin a cancel that is accepted."""

    def begin(row: JobRow, **more: str) -> Intent:
        found = writer.begin_cancel(ActionRequest(row.id, row.fence, **more), deadline=START + MINUTE)
        assert isinstance(found, Intent)
        return found

    return begin


def outcome_of(event: Event) -> tuple[str, str, str]:
    return event.action, event.result, event.detail


# Cancel


def test_a_cancel_is_written_before_it_is_sent(writer: Writer, reader: Reader, begin: Begin) -> None:
    row = one(writer, reader)
    intent = begin(row, bulk="all", reason="too dear")
    assert reader.open_intents() == reader.open_intents("openai", IntentKind.CANCEL) == [intent]
    assert reader.open_intents("work") == []
    assert (intent.kind, intent.account, intent.job_id) == (IntentKind.CANCEL, "openai", row.id)
    assert (intent.opened_at, intent.deadline, intent.bulk) == (START, START + MINUTE, "all")
    (now,) = reader.by_remote("batch_1")
    assert (now.status, now.remote_status) == (Status.CANCELLING, Status.IN_PROGRESS)
    job = reader.job(row.id)
    assert job is not None
    assert job.cancel_reason == "too dear"
    assert reader.events() == [], "the event comes with the result"


def test_the_reason_of_a_cancel_is_kept(writer: Writer, reader: Reader, begin: Begin) -> None:
    row = one(writer, reader)
    begin(row)
    job = reader.job(row.id)
    assert job is not None
    assert job.cancel_reason == "Cancelled by user"


def test_an_accepted_cancel_is_closed(writer: Writer, reader: Reader, begin: Begin) -> None:
    intent = begin(one(writer, reader), bulk="all")
    row = writer.close_cancel(intent.id, detail="cancelling", remote=remote(status=Status.CANCELLING))
    assert row is not None
    assert (row.status, row.remote_status) == (Status.CANCELLING, Status.CANCELLING)
    assert reader.open_intents() == []
    (event,) = reader.events()
    assert outcome_of(event) == ("cancel", "done", "cancelling")
    assert (event.actor, event.face, event.bulk, event.account) == ("ann@desk", "cli", "all", "openai")
    assert writer.close_cancel(intent.id, action="reconcile") is None, "closed once"


def test_an_answer_counts_though_a_rival_gave_the_cancel_up(
    writer: Writer, reader: Reader, begin: Begin
) -> None:
    intent = begin(one(writer, reader))
    writer.close_cancel(intent.id, CancelResult.WITHDRAWN, "interrupted", action="reconcile")

    row = writer.close_cancel(intent.id, asked_at=START)

    assert row is not None
    assert (row.status, row.cancel_requested_at) == (Status.CANCELLING, intent.opened_at)
    assert not row.cancel_doubt


def test_a_late_answer_that_it_had_completed_asks_for_nothing_afterwards(
    writer: Writer, reader: Reader, begin: Begin
) -> None:
    intent = begin(one(writer, reader))
    writer.close_cancel(intent.id, CancelResult.WITHDRAWN, "interrupted", action="reconcile")

    row = writer.close_cancel(
        intent.id, result=CancelResult.SKIPPED, remote=remote(status=Status.COMPLETED), asked_at=START + 1
    )

    assert row is not None
    assert (row.status, row.cancel_requested_at) == (Status.COMPLETED, None)
    assert not any("before the cancel took effect" in event.detail for event in reader.events())


def test_a_cancel_that_ends_the_job_at_once_logs_both(writer: Writer, reader: Reader, begin: Begin) -> None:
    intent = begin(one(writer, reader))
    row = writer.close_cancel(intent.id, remote=remote(status=Status.CANCELLED), asked_at=START)
    assert row is not None
    assert row.status is Status.CANCELLED
    assert [event.action for event in reader.events()] == ["cancel", "finished"]


def test_a_refused_cancel_is_withdrawn(writer: Writer, reader: Reader, begin: Begin) -> None:
    before = one(writer, reader)
    row = writer.close_cancel(
        begin(before).id, CancelResult.WITHDRAWN, "409: no", remote=remote(), asked_at=START + 1
    )
    assert row is not None
    assert (row.status, row.cancel_requested_at) == (Status.IN_PROGRESS, None)
    assert outcome_of(reader.events()[0]) == ("cancel", "failed", "409: no")
    job = reader.job(row.id)
    assert job is not None
    assert job.cancel_reason is None


def test_a_withdrawal_restores_the_earlier_request(
    writer: Writer, reader: Reader, clock: HandClock, begin: Begin
) -> None:
    first = begin(one(writer, reader))
    writer.close_cancel(first.id)
    clock.now += 20 * MINUTE
    second = begin(reader.by_remote("batch_1")[0])
    assert second.earlier_cancel_requested_at == START
    row = writer.close_cancel(second.id, CancelResult.WITHDRAWN, "500")
    assert row is not None
    assert (row.status, row.cancel_requested_at, row.cancel_doubt) == (Status.CANCELLING, START, True)


def test_without_an_answer_the_job_stays_cancelling_in_doubt(
    writer: Writer, reader: Reader, clock: HandClock, begin: Begin
) -> None:
    row = writer.close_cancel(
        begin(one(writer, reader)).id, CancelResult.NO_ANSWER, "no answer", action="reconcile"
    )
    assert row is not None
    assert (row.status, row.cancel_doubt) == (Status.CANCELLING, True)
    assert outcome_of(reader.events()[0]) == ("reconcile", "failed", "no answer")
    clock.now += 1
    begin(row)
    assert not reader.by_remote("batch_1")[0].cancel_doubt, "it is being asked again"


def test_closing_methods_leave_a_closed_intent_alone(writer: Writer, reader: Reader, begin: Begin) -> None:
    intent = begin(one(writer, reader))
    assert writer.close_intent(intent.id, "elsewhere")
    before = reader.by_remote("batch_1")
    assert writer.close_cancel(intent.id, CancelResult.WITHDRAWN, "x") is None
    assert writer.close_cancel(intent.id, CancelResult.NO_ANSWER, "x") is None
    assert not writer.close_intent(intent.id, "again")
    assert reader.by_remote("batch_1") == before


# What is re-checked at the moment of acting


def _attempts(writer: Writer) -> list[Callable[..., object]]:
    return [
        lambda request: writer.begin_cancel(request, deadline=START),
        lambda request: writer.begin_waiting_removal(request, deadline=START, choices={}),
        writer.force_fail,
        writer.hide,
    ]


@pytest.mark.parametrize("which", range(4))
def test_an_action_refuses_what_is_not_what_it_saw(
    path: Path, writer: Writer, reader: Reader, which: int
) -> None:
    act = _attempts(writer)[which]
    row = one(writer, reader)
    revision = reader.revision()
    assert act(ActionRequest(99, 0)) == Refusal("no such job any more", None)
    assert act(ActionRequest(row.id, 1)) == Refusal("was changed meanwhile; look again", row)
    assert act(ActionRequest(row.id, 0, lambda now: f"is {now.status}")) == Refusal("is in_progress", row)
    assert reader.changed_since(revision) == []
    assert reader.open_intents() == reader.events() == []
    writer.hide(ActionRequest(row.id, 0))
    refused = act(ActionRequest(row.id, 1))
    assert isinstance(refused, Refusal)
    assert refused.reason == "was removed meanwhile"


def test_of_two_quick_cancels_one_is_sent(writer: Writer, reader: Reader) -> None:  # C-11
    row = one(writer, reader)

    def accept(now: JobRow) -> str | None:
        return "already asked" if now.status is Status.CANCELLING else None

    first = writer.begin_cancel(ActionRequest(row.id, 0, accept), deadline=START)
    second = writer.begin_cancel(ActionRequest(row.id, 0, accept), deadline=START)
    assert isinstance(first, Intent)
    assert isinstance(second, Refusal)
    assert second.reason == "already asked"


# Force-fail


def test_a_force_fail_sets_verdict_and_fence(path: Path, writer: Writer, reader: Reader) -> None:  # E-3
    row = one(writer, reader)
    raw(path, "UPDATE job SET owner = 'worker', lease_until = 9")
    now = writer.force_fail(ActionRequest(row.id, 0, reason="stuck", bulk="b"))
    assert isinstance(now, JobRow)
    assert (now.status, now.remote_status, now.fence) == (Status.FAILED, Status.IN_PROGRESS, 1)
    assert raw(path, "SELECT owner, last_owner, lease_until FROM job") == [(None, "worker", None)]
    assert outcome_of(reader.events()[0]) == ("force-fail", "done", "stuck")
    job = reader.job(row.id)
    assert job is not None
    assert job.verdict_reason == "stuck"


def test_a_force_failed_job_can_still_be_cancelled_at_its_provider(
    writer: Writer, reader: Reader, begin: Begin
) -> None:
    now = writer.force_fail(ActionRequest(one(writer, reader).id, 0))
    assert isinstance(now, JobRow)
    assert begin(now).job_id == now.id
    assert reader.by_remote("batch_1")[0].status is Status.FAILED


# Remove


def test_a_removal_hides_the_record_and_fences_it(path: Path, writer: Writer, reader: Reader) -> None:
    row = one(writer, reader)
    raw(path, "UPDATE job SET owner = 'worker', lease_until = 9")
    now = writer.hide(ActionRequest(row.id, 0, bulk="b"), detail="files too")
    assert isinstance(now, JobRow)
    assert (now.removed_at, now.fence) == (START, 1)
    assert outcome_of(reader.events()[0]) == ("remove", "done", "files too")
    assert raw(path, "SELECT owner, last_owner, lease_until FROM job") == [(None, "worker", None)]


def test_what_could_not_be_deleted_is_kept_on_the_row(writer: Writer, reader: Reader) -> None:  # B-14
    row = one(writer, reader)
    assert writer.set_left_behind(row.id, "file-abc: 403").left_behind == "file-abc: 403"
    assert writer.set_left_behind(row.id, None).left_behind is None


def test_a_delete_is_written_before_it_is_sent(writer: Writer, reader: Reader) -> None:
    row = one(writer, reader)
    intent = writer.begin_delete(ActionRequest(row.id, 0, bulk="b"), deadline=START + 1, target="file-abc")
    assert isinstance(intent, Intent)
    assert reader.open_intents(kind=IntentKind.DELETE) == [intent]
    assert intent.target == "file-abc"
    assert writer.close_intent(intent.id, "deleted")
    assert reader.open_intents() == []


def test_a_removal_waits_in_the_store_for_the_provider(writer: Writer, reader: Reader) -> None:  # E-2
    row = one(writer, reader)
    choices = {"remote": True}
    intent = writer.begin_waiting_removal(
        ActionRequest(row.id, 0, bulk="b"), choices=choices, deadline=START + 15 * MINUTE
    )
    assert isinstance(intent, Intent)
    assert intent.choices == choices
    waiting = reader.by_remote("batch_1")[0]
    assert (waiting.removing, waiting.removed_at) == (START + 15 * MINUTE, None)
    now = writer.hide(ActionRequest(row.id, 0), waiting=intent.id)
    assert isinstance(now, JobRow)
    assert (now.removing, now.removed_at) == (None, START)
    assert reader.open_intents() == []


def test_a_waiting_removal_is_carried_out_once(writer: Writer, reader: Reader) -> None:
    row = one(writer, reader)
    intent = writer.begin_waiting_removal(ActionRequest(row.id, 0), choices={}, deadline=START)
    assert isinstance(intent, Intent)
    writer.close_intent(intent.id, "undone")
    refused = writer.hide(ActionRequest(row.id, 0), waiting=intent.id)
    assert isinstance(refused, Refusal)
    assert reader.by_remote("batch_1")[0].removed_at is None


def test_a_waiting_removal_ends_with_any_other_removal(writer: Writer, reader: Reader) -> None:
    row = one(writer, reader)
    writer.begin_waiting_removal(ActionRequest(row.id, 0), choices={}, deadline=START)
    writer.hide(ActionRequest(row.id, 0))
    assert reader.open_intents() == []


def test_a_waiting_removal_can_be_given_up(writer: Writer, reader: Reader) -> None:
    row = one(writer, reader)
    intent = writer.begin_waiting_removal(ActionRequest(row.id, 0), choices={}, deadline=START)
    assert isinstance(intent, Intent)
    now = writer.end_waiting_removal(intent.id, "finished before the cancel")
    assert now is not None
    assert (now.removing, now.removed_at) == (None, None)
    assert outcome_of(reader.events()[0]) == ("remove", "failed", "finished before the cancel")
    assert writer.end_waiting_removal(intent.id, "again") is None


# Undo


def _undoable(reader: Reader, job: JobRow | None = None) -> tuple[UndoKind, set[int]] | None:
    found = reader.last_undoable("ann@desk", job.id if job else None)
    return found and (found.what, {row.id for row in found.jobs})


def test_undo_takes_back_the_newest_action_first(writer: Writer, reader: Reader, clock: HandClock) -> None:
    put(writer, *(remote(f"batch_{n}") for n in range(3)))
    a, b, c = (reader.by_remote(f"batch_{n}")[0] for n in range(3))
    for row in (a, b):
        writer.hide(ActionRequest(row.id, 0, bulk="bulk"))
        clock.now += 1
    writer.force_fail(ActionRequest(c.id, 0))
    assert _undoable(reader) == (UndoKind.FORCE_FAIL, {c.id})
    assert _undoable(reader, a) == (UndoKind.REMOVAL, {a.id})
    for what, status in ((UndoKind.FORCE_FAIL, Status.IN_PROGRESS), (UndoKind.REMOVAL, Status.IN_PROGRESS)):
        action = reader.last_undoable("ann@desk")
        assert action is not None
        assert action.what is what
        outcomes = writer.undo(action, bulk="u")
        assert [(found.reason, found.row.status, found.row.removed_at) for found in outcomes] == [
            (None, status, None)
        ] * len(action.jobs)
    assert _undoable(reader) is None
    assert reader.counts().total == 3
    assert {event.bulk for event in reader.events() if event.action == "undo"} == {"u"}


def test_undo_is_of_one_person_and_a_day(writer: Writer, reader: Reader, clock: HandClock) -> None:
    row = one(writer, reader)
    writer.hide(ActionRequest(row.id, 0))
    assert reader.last_undoable("bob@desk") is None
    clock.now += 24 * HOUR
    assert _undoable(reader) == (UndoKind.REMOVAL, {row.id})
    clock.now += 1
    assert _undoable(reader) is None


def test_a_job_removed_again_belongs_to_its_last_removal(
    writer: Writer, reader: Reader, clock: HandClock
) -> None:
    put(writer, remote("batch_1"), remote("batch_2"))
    first, second = (reader.by_remote(name)[0] for name in ("batch_1", "batch_2"))
    writer.hide(ActionRequest(first.id, 0, bulk="old"))
    writer.hide(ActionRequest(second.id, 0, bulk="old"))
    clock.now += 1
    action = reader.last_undoable("ann@desk", first.id)
    assert action is not None
    writer.undo(action)
    clock.now += 1
    writer.hide(ActionRequest(first.id, 1, bulk="new"))
    assert _undoable(reader) == (UndoKind.REMOVAL, {first.id})
    action = reader.last_undoable("ann@desk")
    assert action is not None
    writer.undo(action)
    assert _undoable(reader) == (UndoKind.REMOVAL, {second.id})


def test_what_somebody_else_removed_again_is_not_mine_to_take_back(
    path: Path, writer: Writer, reader: Reader, clock: HandClock
) -> None:
    put(writer, remote("batch_1"), remote("batch_2"))
    first, second = (reader.by_remote(name)[0] for name in ("batch_1", "batch_2"))
    for row in (first, second):
        writer.hide(ActionRequest(row.id, 0, bulk="mine"))
    action = reader.last_undoable("ann@desk", first.id)
    assert action is not None
    writer.undo(action)
    clock.now += 1
    with Writer(path, clock, actor("bob")) as other:
        other.hide(ActionRequest(first.id, 1))
    assert _undoable(reader) == (UndoKind.REMOVAL, {second.id})


def test_undo_leaves_alone_what_changed_meanwhile(writer: Writer, reader: Reader) -> None:
    row = one(writer, reader)
    writer.force_fail(ActionRequest(row.id, 0))
    action = reader.last_undoable("ann@desk")
    assert action is not None
    writer.hide(ActionRequest(row.id, 1))
    (outcome,) = writer.undo(action)
    assert outcome.reason == "was changed meanwhile"
    assert outcome.row.force_failed


def test_undo_of_a_waiting_removal_closes_its_intent(writer: Writer, reader: Reader) -> None:
    row = one(writer, reader)
    writer.begin_waiting_removal(ActionRequest(row.id, 0), choices={}, deadline=START)
    assert _undoable(reader) == (UndoKind.WAITING_REMOVAL, {row.id})
    action = reader.last_undoable("ann@desk")
    assert action is not None
    (outcome,) = writer.undo(action)
    assert outcome.row.removing is None
    assert reader.open_intents() == []
    assert _undoable(reader) is None


def test_a_local_force_fail_cannot_be_taken_back(path: Path, writer: Writer, reader: Reader) -> None:
    row = one(writer, reader)
    raw(path, "UPDATE job SET provider = 'local'")
    writer.force_fail(ActionRequest(row.id, 0))
    assert _undoable(reader) is None


def test_what_no_undo_takes_back_is_told_while_it_holds(
    path: Path, writer: Writer, reader: Reader, clock: HandClock
) -> None:
    put(writer, *(remote(f"batch_{n}") for n in range(3)))
    old, failed, mine = (reader.by_remote(f"batch_{n}")[0] for n in range(3))
    writer.force_fail(ActionRequest(mine.id, 0))
    clock.now += 1
    writer.hide(ActionRequest(old.id, 0))
    clock.now += 1
    writer.force_fail(ActionRequest(failed.id, 0))
    with Writer(path, clock, actor("bob")) as other:
        other.hide(ActionRequest(failed.id, 1))
    action = reader.last_undoable("ann@desk")
    assert action is not None
    assert [row.id for row in action.jobs] == [old.id]
    assert [(one.action, one.job.id) for one in reader.lasting_after(action, "ann@desk")] == [
        ("force-fail", failed.id)
    ], "bob removed it"
    assert reader.lasting_after(action, "bob@desk") == []
    raw(path, f"UPDATE job SET verdict = NULL, verdict_at = NULL WHERE id = {failed.id}")
    assert reader.lasting_after(action, "ann@desk") == []


# The log


def test_the_log_is_read_in_pages_and_by_job(writer: Writer, reader: Reader) -> None:
    row = one(writer, reader)
    other = one(writer, reader, remote_id="batch_2")
    log(writer, "sync", "failed", "key AIzaabcdefghijklmnop\x1b[31m", job_id=other.id)
    log(writer, "fetch", "done", job_id=row.id)
    log(writer, "fetch", "done", job_id=row.id, bulk="b")
    newest, *_ = everything = reader.events()
    assert len(everything) == 3
    assert [event.id for event in reader.events(before_id=newest.id, limit=1)] == [everything[1].id]
    assert [event.id for event in reader.events(row.id)] == [event.id for event in everything[:2]]
    assert everything[2].detail == "key [secret]\x1b[31m", "exact, but for the key"
    assert everything[2].account == "openai"


@pytest.mark.sqlite_only
def test_what_is_open_is_found_without_a_look_at_what_was_ever_closed(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Sequence[object]]] = []
    read = reader._all

    def noted(sql: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        asked.append((sql, values))
        return read(sql, values)

    monkeypatch.setattr(reader, "_all", noted)
    reader.open_intents()
    reader.open_intents(kind=IntentKind.REMOVE)
    reader.open_intents("openai")
    for sql, values in asked:
        plan = " ".join(str(step[3]) for step in read(f"EXPLAIN QUERY PLAN {sql}", values))
        assert "intent_open" in plan
