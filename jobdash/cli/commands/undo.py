"""``jobdash undo``: take back the last removal or force-fail."""

from __future__ import annotations

import click

from jobdash.cli.command import JobParam, command_with_context, pass_context
from jobdash.cli.context import CliContext


@command_with_context("undo", "jobdash undo", "jobdash undo k3f9 --yes")
@click.argument("word", metavar="[JOB]", required=False, type=JobParam())
@click.option("-n", "--dry-run", is_flag=True, help="Say what it would take back, change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@pass_context
def command(context: CliContext, word: str | None, dry_run: bool, yes: bool) -> int:
    """Take back your own last removal or force-fail of the last 24 hours.

    With a JOB: the last one of that job. A cancel cannot be taken back, nor what was deleted at the provider,
    nor the force-fail of a script's job: after that, nothing older is taken back unless its JOB is named.
    """
    from jobdash.cli.undo_output import undo_last

    return undo_last(context, word, dry_run=dry_run, yes=yes)
