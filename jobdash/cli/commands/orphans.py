"""``jobdash orphans``: files at the providers that belong to no known job."""

from __future__ import annotations

import click

from jobdash.cli.command import AgeParam, account_option, command_with_context, pass_context
from jobdash.cli.context import CliContext


@command_with_context(
    "orphans", "jobdash orphans", "jobdash orphans --account work --older 30d --remove --dry-run"
)
@account_option
@click.option(
    "--older",
    "older_ms",
    type=AgeParam(),
    default="1d",
    show_default=True,
    metavar="SPAN",
    help="Only files made longer ago: younger ones may be of a batch that no sync has seen.",
)
@click.option("--remove", is_flag=True, help="Delete them at the provider.")
@click.option("-n", "--dry-run", is_flag=True, help="Print what would be deleted, delete nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@pass_context
def command(
    context: CliContext, accounts: tuple[str, ...], older_ms: int, remove: bool, dry_run: bool, yes: bool
) -> int:
    """List files of batches that no job in the store names; with --remove, delete them.

    The accounts are synced first. The files may be of batches that others made with the same account, or that
    are older than what was synced: run jobdash sync --full first. Files of other purposes are never touched.
    What was deleted does not come back.
    """
    from jobdash.cli.storage_output import show_orphans

    return show_orphans(context, accounts, older_ms, remove=remove, dry_run=dry_run, yes=yes)
