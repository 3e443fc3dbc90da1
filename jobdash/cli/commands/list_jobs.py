"""``jobdash list``: jobs as a table, CSV or JSON.

Nothing here may import asyncio, Rich or SQLAlchemy unless it is asked for: scripts call this in a loop.
"""

from __future__ import annotations

import click

from jobdash.cli.clock import store_time
from jobdash.cli.command import CountParam, SortOrderParam, command_with_context, pass_context
from jobdash.cli.context import CliContext
from jobdash.cli.job_json import job_json
from jobdash.cli.list_output import only_local, read_scope, read_sort
from jobdash.cli.output import document_with
from jobdash.cli.time_format import as_of
from jobdash.domain.time import rfc3339
from jobdash.errors import UsageError
from jobdash.operations.job_lookup import SORT_ORDERS, JobListing

DEFAULT_LIMIT = 100


@command_with_context(
    "list",
    "jobdash list",
    "jobdash list -f 'status:failed,expired account!=work older:2h'",
    "jobdash list --json --limit 0 | jq '.jobs[].id'",
    "jobdash list --csv --sort name --removed > jobs.csv",
)
@click.option("-f", "--filter", "expr", default="", metavar="EXPR", help="Only jobs that pass this filter.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option(
    "--sort",
    "order",
    type=SortOrderParam(),
    default="-created",
    show_default=True,
    metavar="ORDER",
    help=f"{', '.join(SORT_ORDERS)}; a leading - means descending.",
)
@click.option(
    "--limit",
    type=CountParam(min=0),
    default=DEFAULT_LIMIT,
    show_default=True,
    help="At most so many; 0 means all.",
)
@click.option("--removed", is_flag=True, help="Removed jobs too.")
@click.option("--sync", "sync_first", is_flag=True, help="Ask the accounts first.")
@pass_context
def command(
    context: CliContext, expr: str, as_csv: bool, order: str, limit: int, removed: bool, sync_first: bool
) -> int:
    """Show jobs, the newest first.

    A filter is one quoted text: free text (found in name and ids), field:value, -field:value or
    field!=value, "," for or, > and < for numbers and ages, older:2h and newer:2h. status: takes every word
    that is shown as one, also partial, all_failed, stalled and gone. created> reads local time, or a zone
    that is named: created>2026-11-01T12:00+02:00.
    """
    if context.as_json and as_csv:
        raise UsageError("--json or --csv, not both")
    context.may_make = sync_first
    listing = JobListing(read_scope(expr, removed=removed), read_sort(order), limit or None)
    code = _sync(context) if sync_first else 0
    if context.as_json:
        _print_json(listing, context)
    else:
        _print(listing, context, as_csv=as_csv)
    return code


def _sync(context: CliContext) -> int:
    from jobdash.cli.sync_output import sync_now

    return 0 if context.only_scripts else sync_now(context)


def _print_json(listing: JobListing, context: CliContext) -> None:
    browser, now = context.opened.browser, store_time()
    total = browser.count(listing.scope)
    moment = None if only_local(listing, browser) else as_of(browser, context.config)
    rest = {"total": total, "as_of": rfc3339(moment)}
    document_with("jobs", (job_json(job, now) for job in listing.jobs(browser)), rest)


def _print(listing: JobListing, context: CliContext, *, as_csv: bool) -> None:
    from jobdash.cli.list_output import print_age, print_csv, print_table

    if as_csv:
        print_csv(listing, context.opened.browser)
    else:
        print_table(listing, context.opened.browser)
    print_age(listing, context)
