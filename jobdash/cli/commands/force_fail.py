"""``jobdash force-fail``: declare jobs failed here, whatever state their providers report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobdash.cli.command import action_options, command_with_context, pass_context
from jobdash.cli.context import CliContext

if TYPE_CHECKING:
    from jobdash.cli.selection import JobSelector


@command_with_context(
    "force-fail",
    "jobdash force-fail k3f9 --reason 'stuck for two days'",
    "jobdash force-fail -f 'status:running older:2d' --dry-run",
    "jobdash force-fail 8n8t --stop-process",
)
@action_options
@click.option("--reason", metavar="TEXT", help="Kept with the job.")
@click.option("--stop-process", is_flag=True, help="Local jobs: end the script's process here, too.")
@pass_context
def command(
    context: CliContext,
    selector: JobSelector,
    dry_run: bool,
    yes: bool,
    reason: str | None,
    stop_process: bool,
) -> int:
    """Mark jobs failed here; use it when a provider, or a script, is stuck.

    A cancel is tried at the provider as well; without an answer the job may still run there and be billed.
    jobdash undo takes that back for a day. A script of your own can write nothing more and ends at its next
    item; no undo brings it back, jobdash retry lets it do the rest. With --stop-process its process is ended,
    if it runs on this computer: SIGTERM after 5 s, SIGKILL after 5 s more.
    """
    from jobdash.cli.run_action import RunOptions, act_on
    from jobdash.domain.plan import Action, Choices

    choices = Choices(reason=reason, stop_process=stop_process)
    return act_on(context, Action.FORCE_FAIL, selector, choices, RunOptions(dry_run, yes))
