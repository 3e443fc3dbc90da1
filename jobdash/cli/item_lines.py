"""The items of a local job as lines and as JSON, one by one: there can be millions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from jobdash.cli.output import Style, print_error, print_text
from jobdash.domain.items import NO_ITEM, ItemErrors, ItemRow, ItemStatus
from jobdash.domain.text import clean
from jobdash.domain.time import rfc3339
from jobdash.operations.job_lookup import Browser
from jobdash.operations.script_results import item_json

MOST_ERROR_GROUPS = 5
_PAGE = 1_000
_TONES = {
    ItemStatus.OK: Style.QUIET,
    ItemStatus.ERROR: Style.BAD,
    ItemStatus.SKIPPED: Style.QUIET,
    ItemStatus.WAITING: Style.PLAIN,
}


def items_of(
    browser: Browser, job_id: int, outcome: ItemStatus | None, limit: int | None
) -> Iterator[ItemRow]:
    """Yield a job's items (of one outcome), in order, page by page, at most ``limit``."""
    return islice(_all_items(browser, job_id, outcome), limit)


def _all_items(browser: Browser, job_id: int, outcome: ItemStatus | None) -> Iterator[ItemRow]:
    after = -1
    while page := browser.items(job_id, outcome, after, _PAGE):
        yield from page
        after = page[-1].seq


def print_items(browser: Browser, job_id: int, outcome: ItemStatus | None, limit: int | None) -> None:
    """Print a job's items, a line each, under their counts and the commonest errors."""
    counts = browser.item_counts(job_id)
    print_text("")
    text = " · ".join(f"{number:,} {word}" for word, number in counts.items() if number)
    print_text(f"Items  {text or 'none are kept'}")
    if not text:
        return
    _print_errors(browser.item_errors(job_id))
    number = 0
    for item in items_of(browser, job_id, outcome, limit):
        print_text(_line(item), _TONES[item.outcome])
        number += 1
    there = sum(counts.values()) if outcome is None else counts[outcome]
    if not number and outcome is not None:
        print_error(NO_ITEM[outcome].lower())
    elif number < there:
        print_error(f"{number:,} of {there:,} items; --limit 0 shows all")


def _print_errors(errors: ItemErrors) -> None:
    for group in errors.groups[:MOST_ERROR_GROUPS]:
        print_text(f"  {group.count:,} × {_error_words(group.error_type, group.error)}", Style.WARN)
    if (rest := len(errors.groups) - MOST_ERROR_GROUPS) > 0:
        print_text(f"  … and {rest:,} more kinds of error")


def _error_words(error_type: str | None, error: str | None) -> str:
    return ": ".join(filter(None, (error_type, clean(error or "", 200))))


def _line(item: ItemRow) -> str:
    text = _error_words(item.error_type, item.error) or clean(item.detail or "", 200)
    return "  ".join(filter(None, (f"{item.outcome:<7}", clean(item.key, 200), text)))


def items_json(
    browser: Browser, job_id: int, outcome: ItemStatus | None, limit: int | None
) -> Iterator[dict[str, Any]]:
    """Yield a job's items as ``--json`` prints them."""
    return map(item_json, items_of(browser, job_id, outcome, limit))


def attempts_json(browser: Browser, job_id: int) -> list[dict[str, Any]]:
    """Return the runs of a job as ``--json`` prints them, newest first."""
    return [
        {
            "number": attempt.number,
            "actor": attempt.actor,
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
