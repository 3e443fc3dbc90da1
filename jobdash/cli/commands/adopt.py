"""``jobdash adopt``: say which batch the job of a submit without an answer is, or none."""

from __future__ import annotations

import click

from jobdash.cli.command import JobParam, command_with_context, pass_context
from jobdash.cli.context import CliContext
from jobdash.errors import UsageError


@command_with_context(
    "adopt", "jobdash adopt k3f9 --id msgbatch_013Zva2CMHLNnXjNJJKqJ2EF", "jobdash adopt k3f9 --none --yes"
)
@click.argument("word", metavar="JOB", type=JobParam())
@click.option("--id", "remote_id", metavar="ID", help="The provider's id of the batch that it is.")
@click.option("--none", "none", is_flag=True, help="No batch came of it: it failed, and may be sent again.")
@click.option("-n", "--dry-run", is_flag=True, help="Say what it would do, change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@pass_context
def command(
    context: CliContext, word: str, remote_id: str | None, none: bool, dry_run: bool, yes: bool
) -> int:
    """Say which batch a job is whose submit got no answer, or that none is its own.

    Where a provider's batches carry no key, several may be the one that was submitted; jobdash show names
    them, and none is guessed. With --id the batch is asked for, and becomes the job's. With --none the job
    has failed, and jobdash retry sends it again: if a batch of it runs after all, both are billed.
    """
    from jobdash.cli.adopt_output import adopt_job

    if remote_id is not None and (none or not remote_id.strip()):
        raise UsageError("either --id with the provider's id, or --none")
    return adopt_job(context, word, remote_id and remote_id.strip(), none=none, dry_run=dry_run, yes=yes)
