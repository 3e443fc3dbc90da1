"""``jobdash fetch``: results as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from jobdash.cli.command import command_with_context, jobs_options, pass_context
from jobdash.cli.context import CliContext

if TYPE_CHECKING:
    from jobdash.cli.selection import JobSelector


@command_with_context(
    "fetch",
    "jobdash fetch k3f9 --out results",
    "jobdash fetch k3f9 --partial",
    "jobdash fetch -f 'account:local status:cancelled' --json | jq -r '.jobs[].file'",
)
@jobs_options
@click.option(
    "--out",
    "folder",
    default=".",
    show_default=True,
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the files go; made if it is missing.",
)
@click.option("--partial", is_flag=True, help="Unfinished jobs, too: what there is so far.")
@pass_context
def command(
    context: CliContext,
    selector: JobSelector,
    folder: Path,
    partial: bool,
) -> int:
    """Write the results and errors of jobs into JSONL files, one object an item.

    Cancelled and failed jobs have the results they had come to; they are marked partial. A file is named
    after the job and its id, and appears when it is complete. An unfinished job is refused without --partial
    (exit code 1). Only jobs of your own scripts have results to fetch yet, those whose items have keys.
    """
    from jobdash.cli.fetch_output import fetch_jobs

    return fetch_jobs(context, selector, folder, partial=partial)
