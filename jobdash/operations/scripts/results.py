"""Results of a script's job: the outcomes of its items as JSONL, in a file that appears when complete."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from jobdash.domain.describe.job_text import done_words
from jobdash.domain.items import ItemRow
from jobdash.domain.job import JobRow
from jobdash.domain.plan import ActionResult
from jobdash.domain.status import LABELS, Status
from jobdash.domain.text import file_name, quantity
from jobdash.domain.time import rfc3339
from jobdash.errors import JobdashError
from jobdash.operations.results.fetch_request import FetchedResults, FetchRequest
from jobdash.store.writer import Writer

_NAME_LENGTH = 48
"""Characters of a job's name in a file's: four bytes each, they still leave room for the rest."""


async def fetch_items(row: JobRow, request: FetchRequest) -> FetchedResults:
    """Write the outcomes of a job's items into one file, which is replaced if it is there.

    Reading and writing go on in a thread, with a connection of their own.
    """
    folder = request.folder
    if row.unfinished and not request.partial:
        return FetchedResults(row, ActionResult.FAILED, f"not finished: {done_words(row, 'so far')}")
    file = folder / f"{file_name(row.name, _NAME_LENGTH)}-{row.public_id}.jsonl"

    def write() -> tuple[JobRow, int] | None:
        with closing(request.open_browser()) as browser:
            if not browser.have_items([row.id]):
                return None
            number = write_items(browser.iter_items(row.id), file)
            # Read after the items: of a running job, both are from nearly the same moment.
            return browser.rows([row.id]).get(row.id, row), number

    try:
        written = await asyncio.to_thread(write)
        if written is None:
            return _without_items(row)
        row, items = written
        if request.record:
            await request.work.store.write(Writer.add_fetched_file, row.id, file.absolute())
    except OSError as error:
        return FetchedResults(
            row, ActionResult.FAILED, f"{folder} cannot be written: {error.strerror or error}"
        )
    except JobdashError as error:
        return FetchedResults(row, ActionResult.FAILED, str(error))
    missing = row.status is not Status.COMPLETED or bool(row.remaining)
    results = quantity(items, "result")
    kind = f", partial ({LABELS[row.status]}), {done_words(row)}" if missing else ""
    return FetchedResults(row, ActionResult.DONE, f"{results}{kind}", file.absolute(), items, missing)


def _without_items(row: JobRow) -> FetchedResults:
    if row.done:
        reason = "it has counts only: its items have no keys, so nothing of them is kept"
        return FetchedResults(row, ActionResult.SKIPPED, reason, refused=True)
    return FetchedResults(row, ActionResult.SKIPPED, "no item of it is done")


def write_items(items: Iterable[ItemRow], file: Path) -> int:
    """Write items as JSONL, one object each, for their owner's eyes only; return how many. Raises OSError.

    The folder is made if it is missing.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".jobdash-", suffix=".part")
    number = 0
    try:
        with os.fdopen(handle, "w", encoding="ascii", newline="\n") as out:
            for line in _lines(items):
                out.write(line)
                number += 1
            out.flush()
            os.fsync(out.fileno())
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return number


def _lines(items: Iterable[ItemRow]) -> Iterator[str]:
    for item in items:
        yield json.dumps(item_json(item)).replace("\x7f", "\\u007f") + "\n"


def item_json(item: ItemRow) -> dict[str, Any]:
    """Return an item as files and ``--json`` have it; what is unknown is None."""
    return {
        "key": item.key,
        "outcome": str(item.outcome),
        "detail": None if item.detail is None else _detail(item.detail),
        "error_type": item.error_type,
        "error": item.error,
        "attempt": item.attempt,
        "at": rfc3339(item.at),
    }


def _detail(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # cut because it was too long, or nested beyond reason
        return text
