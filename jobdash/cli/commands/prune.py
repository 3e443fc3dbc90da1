"""``jobdash prune``: the retention rules, carried out."""

from __future__ import annotations

import click

from jobdash.cli.command import AgeParam, command_with_context, pass_context
from jobdash.cli.context import CliContext

_SPAN = AgeParam()


@command_with_context("prune", "jobdash prune", "jobdash prune --records 90d --remote 7d --yes")
@click.option(
    "--records", type=_SPAN, metavar="SPAN", help="Remove finished jobs created longer ago from the list."
)
@click.option(
    "--files", type=_SPAN, metavar="SPAN", help="Delete their fetched results and copies of inputs here."
)
@click.option(
    "--remote",
    type=_SPAN,
    metavar="SPAN",
    help="Delete their files at the provider, of jobs whose results were fetched.",
)
@click.option("-y", "--yes", is_flag=True, help="Carry it out; else it is only printed.")
@pass_context
def command(
    context: CliContext, records: int | None, files: int | None, remote: int | None, yes: bool
) -> int:
    """Clean up by age: a dry run unless --yes.

    The spans are those of [retention] in the config file unless they are named here. A record can be taken
    back for a day (jobdash undo); what was deleted cannot.
    """
    from jobdash.cli.storage_output import prune

    return prune(context, {"records_ms": records, "files_ms": files, "remote_ms": remote}, yes=yes)
