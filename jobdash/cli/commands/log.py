"""``jobdash log``: who did what, when, with which result."""

from __future__ import annotations

import click

from jobdash.cli.command import CountParam, JobParam, command_with_context, pass_context
from jobdash.cli.context import CliContext

DEFAULT_LIMIT = 50


@command_with_context("log", "jobdash log", "jobdash log k3f9", "jobdash log --limit 500 --json")
@click.argument("word", metavar="[JOB]", required=False, type=JobParam())
@click.option(
    "--limit", type=CountParam(min=1), default=DEFAULT_LIMIT, show_default=True, help="The newest so many."
)
@pass_context
def command(context: CliContext, word: str | None, limit: int) -> None:
    """Show what was done: of one job, or of all."""
    from jobdash.cli.event_lines import event_json, print_events
    from jobdash.cli.output import document, print_error
    from jobdash.cli.selection import named_job

    browser = context.opened.browser
    job_id = None if word is None else named_job(browser, word).id
    events = browser.events(job_id, limit)
    if context.as_json:
        document({"events": [event_json(event) for event in events]})
    elif events:
        print_events(events)
    else:
        print_error("nothing was done yet")
