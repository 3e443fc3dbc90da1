"""``jobdash cancel``: ask providers to stop jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobdash.cli.command import action_options, command_with_context, pass_context, wait_option
from jobdash.cli.context import CliContext
from jobdash.errors import UsageError

if TYPE_CHECKING:
    from jobdash.cli.selection import JobSelector


@command_with_context(
    "cancel",
    "jobdash cancel k3f9 batch_6a1f0c",
    "jobdash cancel --all-pending --dry-run",
    "jobdash cancel --all-pending -f 'tag:nightly older:2h' --yes --wait=10m",
)
@action_options
@click.option("--all-pending", is_flag=True, help="Everything unfinished (that passes the filter, if any).")
@click.option("--no-sync", is_flag=True, help="With --all-pending: do not ask the accounts first.")
@click.option("--reason", metavar="TEXT", help='Kept with the job; else it is "Cancelled by user".')
@wait_option("until the providers have confirmed", "15m")
@pass_context
def command(
    context: CliContext,
    selector: JobSelector,
    dry_run: bool,
    yes: bool,
    all_pending: bool,
    no_sync: bool,
    reason: str | None,
    wait_ms: int | None,
) -> int:
    """Ask the providers (or scripts) of jobs to stop them.

    A job shows "cancelling" until its provider confirms, which takes up to ten minutes; it may still end
    completed. What is finished by then is billed, and can be fetched where the provider keeps it. Jobs that
    have ended are skipped. A cancel cannot be undone. A script of your own finishes the items it is at;
    jobdash retry does the rest.
    """
    from jobdash.cli.run_action import RunOptions, act_on
    from jobdash.domain.plan import Action, Choices

    choices, options = Choices(reason=reason), RunOptions(dry_run, yes, wait_ms)
    if all_pending:
        if selector.words:
            raise UsageError("name jobs or say --all-pending, not both")
        from jobdash.cli.run_action import cancel_all_pending

        return cancel_all_pending(context, selector, choices, options, sync_first=not no_sync)
    if no_sync:
        raise UsageError("--no-sync goes with --all-pending")
    return act_on(context, Action.CANCEL, selector, choices, options)
