"""``jobdash remove``: hide jobs, and clean up what is kept of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobdash.cli.command import action_options, command_with_context, pass_context, wait_option
from jobdash.cli.context import CliContext
from jobdash.errors import UsageError

if TYPE_CHECKING:
    from jobdash.cli.selection import JobSelector


@command_with_context(
    "remove",
    "jobdash remove k3f9",
    "jobdash remove -f 'status:completed older:30d' --remote --yes",
    "jobdash remove k3f9 --cancel --wait",
    "jobdash remove k3f9 --keep-record --remote",
)
@action_options
@click.option("--force", is_flag=True, help="Unfinished ones too, whatever the provider says; implies --yes.")
@click.option("--files", "local_files", is_flag=True, help="Fetched files on this computer, too.")
@click.option(
    "--remote", is_flag=True, help="What the provider keeps, too: files, and the batch where it can go."
)
@click.option("--keep-record", is_flag=True, help="Clean up only; the job stays in the list.")
@click.option(
    "--cancel",
    "cancel_first",
    is_flag=True,
    help="Cancel first, remove when confirmed (with --force: at once).",
)
@click.option("--stop-process", is_flag=True, help="Local jobs: end the script's process here, too.")
@wait_option("until they are removed (with --cancel)", "15m")
@pass_context
def command(
    context: CliContext,
    selector: JobSelector,
    dry_run: bool,
    yes: bool,
    force: bool,
    local_files: bool,
    remote: bool,
    keep_record: bool,
    cancel_first: bool,
    stop_process: bool,
    wait_ms: int | None,
) -> int:
    """Remove finished jobs from the list, and say what was removed, what stayed and why.

    Nothing is deleted at the provider without --remote, nor on this computer without --files. The record
    can be taken back for a day (jobdash undo); what was deleted cannot. With --cancel the command returns at
    once: the removal waits in the store, and whichever sync sees the cancel confirmed carries it out. A job
    of your own script goes at once, and whatever the script still writes is refused.
    """
    from jobdash.cli.run_action import RunOptions, act_on
    from jobdash.domain.plan import Action, Choices

    if keep_record and not (remote or local_files):
        raise UsageError("--keep-record wants --remote or --files: there is nothing else to clean up")
    if keep_record and cancel_first:
        raise UsageError("--keep-record or --cancel, not both: cancel first, clean up when it has ended")
    if stop_process and not (cancel_first or force):
        raise UsageError("--stop-process goes with --cancel or --force: finished jobs have no process")
    if wait_ms is not None and not cancel_first:
        raise UsageError("--wait goes with --cancel: everything else is removed at once")
    choices = Choices(
        cancel_first=cancel_first,
        record=not keep_record,
        local_files=local_files,
        remote=remote,
        force=force,
        stop_process=stop_process,
    )
    options = RunOptions(dry_run, yes or force, wait_ms, ended=lambda row: row.removing is None)
    return act_on(context, Action.REMOVE, selector, choices, options)
