"""A listing for people: the table, the CSV, and how fresh they are."""

from __future__ import annotations

from jobdash.cli.context import CliContext, no_account
from jobdash.cli.freshness import as_of_words
from jobdash.cli.job_json import CSV_FIELDS, job_json
from jobdash.cli.job_line import COLUMNS, NONE_PASSES, line
from jobdash.cli.listing import JobListing
from jobdash.cli.output import print_error
from jobdash.cli.tables import csv_lines, table
from jobdash.domain.job import LOCAL
from jobdash.domain.time import system_clock
from jobdash.operations.job_lookup import Browser


def print_csv(listing: JobListing, browser: Browser) -> None:
    """Print a listing as CSV."""
    now = system_clock()
    shapes = (job_json(job, now) for job in listing.jobs(browser))
    csv_lines(CSV_FIELDS, ([shape[field] for field in CSV_FIELDS] for shape in shapes))


def print_table(listing: JobListing, browser: Browser) -> None:
    """Print a listing as a table; what it leaves out is said on stderr."""
    now = system_clock()
    rows = [line(row, now) for row in listing.rows(browser)]
    if rows:
        table(COLUMNS, rows)
    else:
        print_error(NONE_PASSES if listing.scope.filtered else "no jobs")
    if listing.limit is not None and len(rows) == listing.limit:
        total = browser.count(listing.scope)
        if total > len(rows):
            print_error(f"{len(rows):,} of {total:,} jobs; --limit 0 shows all")


def print_age(context: CliContext) -> None:
    """Say on stderr when the accounts were asked."""
    if not context.config.accounts:
        if not context.opened.browser.counts().by_account.get(LOCAL):
            print_error(no_account())
    else:
        print_error(as_of_words(context.opened.browser, context.config, system_clock()))
