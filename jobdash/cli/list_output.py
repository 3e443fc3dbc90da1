"""A listing: which jobs, in which order, and its output as a table, CSV or JSON.

What JSON does without is imported by the function that needs it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from jobdash.cli.clock import store_time
from jobdash.cli.context import CliContext, no_account
from jobdash.cli.job_json import CSV_FIELDS, job_json
from jobdash.cli.output import print_error
from jobdash.cli.time_format import as_of_words, never_asked_words
from jobdash.domain.provider_info import LOCAL
from jobdash.errors import UsageError
from jobdash.operations.job_lookup import SORT_ORDERS, Browser, JobListing, Scope, Sort

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobdash.cli.tables import TableCell
    from jobdash.domain.job import JobRow


def read_scope(expr: str, *, removed: bool) -> Scope:
    """Read a filter; FilterError with the place of the mistake."""
    if not expr.strip():
        return Scope(removed=removed)
    from jobdash.domain.filter.language import parse  # most lists have no filter

    return Scope(conditions=parse(expr), removed=removed)


def read_sort(text: str) -> Sort:
    """Read ``name`` or ``-created``; UsageError names the orders there are."""
    word = text.removeprefix("-")
    if word not in SORT_ORDERS:
        raise UsageError(f"no order {text!r}; there are {', '.join(SORT_ORDERS)}")
    return Sort(word, descending=text.startswith("-"))


def only_local(listing: JobListing, browser: Browser) -> bool:
    """Whether there are jobs, and all are of a person's own scripts: no provider is asked about them."""
    scope, accounts = listing.scope, browser.counts().by_account.keys()
    if scope == Scope() or LOCAL not in accounts:  # a million rows need not be looked through
        return accounts == {LOCAL}
    if not browser.page(scope, listing.sort, None, 1):
        return False
    from jobdash.domain.filter.conditions import Conditions, equals, negated

    terms = () if scope.conditions is None else scope.conditions.terms
    others = Conditions("", (*terms, negated(equals("provider", (LOCAL,)))))
    return not browser.page(scope._replace(conditions=others), Sort(), None, 1)


def print_csv(listing: JobListing, browser: Browser) -> None:
    """Print a listing as CSV."""
    from jobdash.operations.export import write_csv

    now = store_time()
    shapes = (job_json(job, now) for job in listing.jobs(browser))
    write_csv(sys.stdout, CSV_FIELDS, ([shape[field] for field in CSV_FIELDS] for shape in shapes))


def print_table(listing: JobListing, browser: Browser) -> None:
    """Print a listing as a table; what it leaves out is printed on stderr."""
    from jobdash.cli.job_line import COLUMNS, NONE_PASSES, WHY, line
    from jobdash.cli.tables import table

    now = store_time()
    listed = list(listing.rows(browser))
    rows = [line(row, now) for row in listed]
    reasons = _reasons(listed, browser) if _asks_attention(listing.scope) else []
    if any(reason.text for reason in reasons):
        table((*COLUMNS, WHY), [[*cells, why] for cells, why in zip(rows, reasons, strict=True)])
    elif rows:
        table(COLUMNS, rows)
    else:
        print_error(NONE_PASSES if listing.scope.filtered else "no jobs")
    if listing.limit is not None and len(rows) == listing.limit:
        total = browser.count(listing.scope)
        if total > len(rows):
            print_error(f"{len(rows):,} of {total:,} jobs; --limit 0 shows all")


def _asks_attention(scope: Scope) -> bool:
    return scope.conditions is not None and scope.conditions.attention


def _reasons(rows: Sequence[JobRow], browser: Browser) -> list[TableCell]:
    """Return why each job needs attention, empty for none."""
    from jobdash.cli.tables import TableCell

    found = browser.needing_attention()
    return [TableCell(found[row.id].words if row.id in found else "") for row in rows]


def print_age(listing: JobListing, context: CliContext) -> None:
    """Print on stderr when the accounts were asked, unless all that is listed is of scripts."""
    browser = context.opened.browser
    if not context.config.accounts:
        if not browser.counts().by_account.get(LOCAL):
            print_error(no_account(context.config))
    elif not only_local(listing, browser):
        print_error(as_of_words(browser, context.config, store_time()))
    elif not listing.scope.filtered and (words := never_asked_words(browser, context.config)):
        print_error(words)
