"""Undo of the last own removal, or of a force-fail of a provider's job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jobdash.domain.backends.registry import grouped
from jobdash.domain.describe.plan_text import jobs
from jobdash.domain.job import JobRow
from jobdash.domain.text import clean
from jobdash.store.reader import Reader
from jobdash.store.records import LastingAction, Undoable, UndoKind, UndoOutcome

if TYPE_CHECKING:
    from jobdash.operations.writer_thread import WriterThread

__all__ = [
    "Undoable",
    "find_lasting",
    "find_undoable",
    "not_taken_back",
    "undo",
    "undo_refusal",
    "undo_words",
    "undoable_words",
]


NOTHING_TO_UNDO = "no removal of yours, and no force-fail of a provider's job, is left of the last 24 hours"
_NOUNS = {
    UndoKind.REMOVAL: "the removal",
    UndoKind.FORCE_FAIL: "the force-fail",
    UndoKind.WAITING_REMOVAL: "cancel & delete",
}


def find_undoable(reader: Reader, actor: str, job_id: int | None = None) -> Undoable | None:
    """Return what would be taken back: the newest own action of the last 24 h, of one job if it is named."""
    return reader.last_undoable(actor, job_id)


def find_lasting(reader: Reader, actor: str, action: Undoable) -> list[LastingAction]:
    """Return what the person did to other jobs since an action, or with it, and cannot be taken back.

    Newest first, of each job once: a cancel may have been asked for twice.
    """
    taken_back = {row.id for row in action.jobs}
    newest: dict[int, LastingAction] = {}
    for one in reader.lasting_after(action, actor):
        newest.setdefault(one.job.id, one)
    return [one for job_id, one in newest.items() if job_id not in taken_back]


def undo_refusal(action: Undoable, lasting: Sequence[LastingAction]) -> str | None:
    """Return why an action is not taken back unless its job is named: a force-fail that stays came later."""
    later = [one for one in lasting if one.bulk is None or one.bulk != action.bulk]
    failed = [one.job for one in later if one.action == UndoKind.FORCE_FAIL]
    if not failed:
        return None
    it, were = ("it", "action was") if len(later) == 1 else ("them", "actions were")
    instead = f"retry {it}"
    if all(row.removed_at is not None for row in failed):
        instead = "the job was removed since" if len(failed) == 1 else "the jobs were removed since"
    word = action.jobs[0].public_id if len(action.jobs) == 1 else "JOB"
    return (
        f"the last {were} {_lasting_words(later)}, which cannot be taken back: {instead}; "
        f"jobdash undo {word} takes back {undoable_words(action)} before {it}"
    )


def _lasting_words(lasting: Sequence[LastingAction]) -> str:
    """Return what cannot be taken back: ``the cancel of 3 jobs and the force-fail of nightly (local)``."""
    rows: dict[str, list[JobRow]] = {}
    for one in lasting:
        rows.setdefault(one.action, []).append(one.job)
    return " and ".join(
        f"the {action} of " + (f"{_name(some[0])} ({some[0].account})" if len(some) == 1 else jobs(len(some)))
        for action, some in rows.items()
    )


async def undo(action: Undoable, store: WriterThread) -> list[UndoOutcome]:
    """Take an action back, job by job; jobs that changed meanwhile are left alone."""
    from jobdash.store.writer import Writer

    return await store.write(Writer.undo, action, bulk=action.bulk)


def undo_words(action: Undoable) -> str:
    """Return what an undo takes back, and what it cannot, in one or two sentences."""
    words = f"Take back: {undoable_words(action)}."
    if action.what is UndoKind.REMOVAL:
        return " ".join((words, *_undo_effects(action)))
    if any(row.cancel_requested_at is not None for row in action.jobs):
        return f"{words} A cancel was accepted: it will show cancelling."
    return words


def not_taken_back(lasting: Sequence[LastingAction]) -> str:
    """Return which actions an undo leaves as they are, as a sentence; empty where there is none."""
    if not lasting:
        return ""
    it = "it" if len(lasting) == 1 else "they"
    return f"Not taken back, as {it} cannot be: {_lasting_words(lasting)}."


def undoable_words(action: Undoable) -> str:
    """Return what would be taken back: ``the removal of 3 jobs``."""
    first = _name(action.jobs[0]) if len(action.jobs) == 1 else jobs(len(action.jobs))
    return f"{_NOUNS[action.what]} of {first}"


def _name(row: JobRow) -> str:
    return clean(row.name, 60) or "(no name)"


def _undo_effects(action: Undoable) -> Iterator[str]:
    """Yield what the undo of a removal brings back, and what not."""
    for rules, rows in grouped(action.jobs):
        yield from rules.undo_effects(rows, alone=len(action.jobs) == 1)
