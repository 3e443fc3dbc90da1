"""Undo of the last own removal, or of a force-fail of a provider's job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from jobdash.domain.backends.registry import grouped
from jobdash.domain.describe.plan_text import jobs
from jobdash.domain.text import clean
from jobdash.store.reader import Reader
from jobdash.store.records import Undoable, UndoKind, UndoOutcome

if TYPE_CHECKING:
    from jobdash.operations.writer_thread import StoreWriter

__all__ = ["Undoable", "find_undoable", "undo", "undo_words"]


NOTHING_TO_UNDO = "you removed nothing, and force-failed no provider's job, in the last 24 hours"
_NOUNS = {
    UndoKind.REMOVAL: "the removal",
    UndoKind.FORCE_FAIL: "the force-fail",
    UndoKind.WAITING_REMOVAL: "cancel & delete",
}


def find_undoable(reader: Reader, actor: str, job_id: int | None = None) -> Undoable | None:
    """Return what would be taken back: the newest own action of the last 24 h, of one job if it is named."""
    return reader.last_undoable(actor, job_id)


async def undo(action: Undoable, store: StoreWriter) -> list[UndoOutcome]:
    """Take an action back, job by job; jobs that changed meanwhile are left alone."""
    from jobdash.store.writer import Writer

    return await store.write(Writer.undo, action, bulk=action.bulk)


def undo_words(action: Undoable) -> str:
    """Return what an undo takes back, and what it cannot, in one or two sentences."""
    first = clean(action.jobs[0].name, 60) if len(action.jobs) == 1 else jobs(len(action.jobs))
    words = f"Take back: {_NOUNS[action.what]} of {first}."
    if action.what is UndoKind.REMOVAL:
        return " ".join((words, *_brought_back(action)))
    if any(row.cancel_requested_at is not None for row in action.jobs):
        return f"{words} A cancel was accepted: it will show cancelling."
    return words


def _brought_back(action: Undoable) -> Iterator[str]:
    """Yield what the undo of a removal brings back, and what not."""
    for rules, rows in grouped(action.jobs):
        yield from rules.brought_back(rows, alone=len(action.jobs) == 1)
