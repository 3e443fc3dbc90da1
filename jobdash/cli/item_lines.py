"""The items of a job as lines and as JSON, one by one: there can be millions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import islice
from typing import Any

from jobdash.cli.output import Style, print_error, print_text
from jobdash.domain.items import ITEM_WORDS, NO_ITEM, ItemErrors, ItemRow, ItemStatus
from jobdash.domain.job import JobDetails
from jobdash.domain.text import clean, quantity
from jobdash.domain.time import rfc3339
from jobdash.operations.job_lookup import Browser
from jobdash.operations.results.item_source import FetchedItems, ItemSource, StoredItems
from jobdash.operations.results.items import NotIndexed, result_files
from jobdash.operations.scripts.results import item_json

MOST_ERROR_GROUPS = 5
_TONES = {
    ItemStatus.OK: Style.QUIET,
    ItemStatus.ERROR: Style.BAD,
    ItemStatus.SKIPPED: Style.QUIET,
    ItemStatus.WAITING: Style.PLAIN,
    ItemStatus.CUT_OFF: Style.WARN,
    ItemStatus.MISSING: Style.PLAIN,
}


@contextmanager
def item_source(browser: Browser, job: JobDetails) -> Iterator[ItemSource]:
    """Return where the items of a job are: its fetched results where these are here, else the store.

    Results that cannot be indexed are named on stderr.
    """
    files = result_files(job, browser.path)
    with ExitStack() as stack:
        source: ItemSource = StoredItems(browser, job.row.id)
        if files is not None:
            try:
                source = stack.enter_context(closing(FetchedItems.open(files)))
            except NotIndexed as error:
                print_error(f"its results cannot be indexed: {error}")
        yield source


def print_items(source: ItemSource, outcome: ItemStatus | None, limit: int | None) -> None:
    """Print the items of a job, a line each, under their counts and the commonest errors."""
    counts = source.counts()
    print_text("")
    text = " · ".join(_counted(word, number) for word, number in counts.items() if number)
    print_text(f"Items  {text or 'none are kept'}")
    if not text:
        return
    _print_errors(source.errors())
    number = 0
    for item in islice(source.walk(outcome), limit) if _knows(source, outcome) else ():
        print_text(_line(item), _TONES[item.outcome])
        number += 1
    there = sum(counts.values()) if outcome is None else counts.get(outcome, 0)
    if not number and outcome is not None:
        print_error(NO_ITEM[outcome].lower())
    elif number < there:
        print_error(f"{number:,} of {there:,} items; --limit 0 shows all")


def _counted(outcome: ItemStatus, number: int) -> str:
    word = ITEM_WORDS[outcome]
    return quantity(number, word) if outcome is ItemStatus.ERROR else f"{number:,} {word}"


def _knows(source: ItemSource, outcome: ItemStatus | None) -> bool:
    return outcome is None or outcome in source.outcomes


def _print_errors(errors: ItemErrors) -> None:
    for group in errors.groups[:MOST_ERROR_GROUPS]:
        print_text(f"  {group.count:,} × {_error_words(group.error_type, group.error)}", Style.WARN)
    if (rest := len(errors.groups) - MOST_ERROR_GROUPS) > 0:
        print_text(f"  … and {rest:,} more kinds of error")


def _error_words(error_type: str | None, error: str | None) -> str:
    return ": ".join(filter(None, (error_type, clean(error or "", 200))))


def _line(item: ItemRow) -> str:
    text = _error_words(item.error_type, item.error) or clean(item.detail or "", 200)
    parts = (f"{ITEM_WORDS[item.outcome]:<7}", clean(item.key, 200), _tokens(item), text)
    return "  ".join(filter(None, parts))


def _tokens(item: ItemRow) -> str:
    numbers = (("in", item.input_tokens), ("out", item.output_tokens))
    known = [f"{number:,} {which}" for which, number in numbers if number is not None]
    return f"({', '.join(known)})" if known else ""


def items_json(source: ItemSource, outcome: ItemStatus | None, limit: int | None) -> Iterator[dict[str, Any]]:
    """Yield the items of a job as ``--json`` prints them; those of a batch have their tokens, too."""
    if not _knows(source, outcome):
        return
    for item in islice(source.walk(outcome), limit):
        shape = item_json(item)
        if isinstance(source, FetchedItems):
            shape |= {"input_tokens": item.input_tokens, "output_tokens": item.output_tokens}
        yield shape


def attempts_json(browser: Browser, job_id: int) -> list[dict[str, Any]]:
    """Return the runs of a job as ``--json`` prints them, newest first."""
    return [
        {
            "number": attempt.number,
            "actor": attempt.actor,
            "host": attempt.host,
            "pid": attempt.pid,
            "keyed": attempt.keyed,
            "unit": attempt.unit,
            "argv": None if attempt.argv is None else list(attempt.argv),
            "cwd": attempt.cwd,
            "log_file": attempt.log_file,
            "started_at": rfc3339(attempt.started_at),
            "ended_at": rfc3339(attempt.ended_at),
            "ended": attempt.ended,
        }
        for attempt in browser.attempts(job_id)
    ]
