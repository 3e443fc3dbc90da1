"""What to say of a word that names no job."""

from __future__ import annotations

from jobdash.domain.job import JobRow
from jobdash.domain.text import clean
from jobdash.errors import FilterError, JobNotFound
from jobdash.operations.job_lookup import SHORTEST_PREFIX, Browser, Scope, Sort, known_job


def named_job(browser: Browser, word: str) -> JobRow:
    """Return the job a word names; JobNotFound (with a way out, where there is one) or JobAmbiguous."""
    row = known_job(browser, word)
    if row is None:
        raise JobNotFound(f"no job {clean(word, 80)!r}{way_out(browser, word)}")
    return row


def way_out(browser: Browser, word: str) -> str:
    """Return what may have been meant by a word without a job: a name, or too short a piece of an id."""
    if _is_name(browser, word):
        return f"; jobs are named by their ids, and by name with a filter: jobdash list -f {_filter(word)}"
    if len(word.strip()) < SHORTEST_PREFIX:
        return f": the beginning of an id has at least {SHORTEST_PREFIX} characters"
    return ""


def _is_name(browser: Browser, word: str) -> bool:
    from jobdash.domain.filter.language import parse

    try:
        conditions = parse(f'name="{word}"')
    except FilterError:
        return False
    return bool(browser.page(Scope(conditions=conditions), Sort(), None, 1))


def _filter(word: str) -> str:
    shown = clean(word, 80)
    return f"name:{shown}" if shown.replace("-", "").replace("_", "").isalnum() else f"'name:\"{shown}\"'"
