"""``jobdash show``: everything known of one job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click

from jobdash.cli.command import CountParam, JobParam, account_option, command_with_context, pass_context
from jobdash.cli.context import CliContext
from jobdash.errors import UsageError

if TYPE_CHECKING:
    from jobdash.domain.items import ItemStatus

DEFAULT_LIMIT = 100


@command_with_context(
    "show",
    "jobdash show k3f9",
    "jobdash show batch_6a1f0c --events",
    "jobdash show k3f9 --sync --json",
    "jobdash show k3f9 --items --outcome waiting --limit 0",
    "jobdash show k3f9 --items --outcome error --json | jq -r '.items[].key'",
)
@click.argument("word", metavar="JOB", type=JobParam())
@account_option
@click.option("--events", is_flag=True, help="What was done to it, too.")
@click.option(
    "--items",
    is_flag=True,
    help="The items of a script's job, or a batch's fetched results, too; else its errors.",
)
@click.option(
    "--outcome",
    type=click.Choice(["waiting", "ok", "error", "skipped", "cut_off", "missing"]),
    help="With --items: only these. What waits is not processed yet; missing has no answer.",
)
@click.option(
    "--limit",
    type=CountParam(min=0),
    default=DEFAULT_LIMIT,
    show_default=True,
    help="With --items: at most so many; 0 means all.",
)
@click.option("--sync", "sync_first", is_flag=True, help="Ask its account first.")
@pass_context
def command(
    context: CliContext,
    word: str,
    accounts: tuple[str, ...],
    events: bool,
    items: bool,
    outcome: str | None,
    limit: int,
    sync_first: bool,
) -> int:
    """Show everything known of a job, removed ones too."""
    from jobdash.cli.selection import select_one

    if outcome is not None and not items:
        raise UsageError("--outcome goes with --items")

    context.may_make = sync_first
    row = select_one(context, word, accounts)
    code = 0
    if sync_first:
        from jobdash.cli.sync_output import sync_for

        code = sync_for(context, row)
    shown = _Items(outcome, limit or None) if items else None
    if context.as_json:
        _document(context, row.id, events, shown)
    else:
        _print(context, row.id, events, shown)
    return code


class _Items(NamedTuple):
    """Which items are wanted."""

    word: str | None
    limit: int | None

    @property
    def outcome(self) -> ItemStatus | None:
        from jobdash.domain.items import ItemStatus

        return None if self.word is None else ItemStatus(self.word)


def _print(context: CliContext, job_id: int, events: bool, items: _Items | None) -> None:
    from jobdash.cli.clock import store_time
    from jobdash.cli.event_lines import print_events
    from jobdash.cli.job_details import print_job
    from jobdash.cli.output import print_error

    browser, now = context.opened.browser, store_time()
    job = browser.job(job_id)
    assert job is not None, "jobs are never deleted"
    attempts = browser.attempts(job_id)
    failed = browser.failed_requests(job_id)
    print_job(job, now, attempts, failed)
    if remark := context.config.remark_on(job.row.account):
        print_error(remark)
    # That a job has counts only stands among its facts.
    if items is not None and (not attempts or attempts[0].keyed or browser.have_items([job_id])):
        from jobdash.cli.item_lines import item_source, print_items

        with item_source(browser, job) as source:
            print_items(source, items.outcome, items.limit)
    log = browser.events(job_id) if events else []
    print_events(log, heading=True)
    if events and not log:
        print_error("no events")


def _document(context: CliContext, job_id: int, events: bool, items: _Items | None) -> None:
    from jobdash.cli.clock import store_time
    from jobdash.cli.event_lines import event_json
    from jobdash.cli.job_json import job_json
    from jobdash.cli.output import document, document_with
    from jobdash.domain.backends.registry import rules_of

    browser = context.opened.browser
    job = browser.job(job_id)
    assert job is not None, "jobs are never deleted"
    shape: dict[str, Any] = job_json(job, store_time())
    if rules_of(job.row).at_provider:
        from jobdash.cli.job_json import failures_json

        shape |= failures_json(job, browser)
    else:
        shape["errors"] = list(job.errors)
        from jobdash.cli.item_lines import attempts_json

        shape["attempts"] = attempts_json(browser, job_id)
        shape["item_counts"] = {str(word): n for word, n in browser.item_counts(job_id).items()}
    if events:
        shape["events"] = [event_json(event) for event in browser.events(job_id)]
    if items is None:
        document(shape)
        return
    from jobdash.cli.item_lines import item_source, items_json

    with item_source(browser, job) as source:
        document_with("items", items_json(source, items.outcome, items.limit), shape)
