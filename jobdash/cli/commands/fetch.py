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
    "jobdash fetch k3f9 --out - | jq -r 'select(.outcome == \"ok\") | .key'",
    "jobdash fetch k3f9 --merged --out results",
    "jobdash fetch -f 'tag:nightly fetched:no' --out results --format csv",
    "jobdash fetch -f 'account:local status:cancelled' --json | jq -r '.jobs[].file'",
)
@jobs_options
@click.option(
    "--out",
    "folder",
    default=".",
    show_default=True,
    metavar="DIR",
    type=click.Path(file_okay=False, allow_dash=True, path_type=Path),
    help="Where the files go; made if it is missing. - writes the results to standard output.",
)
@click.option(
    "--format",
    "wanted",
    type=click.Choice(["jsonl", "csv", "parquet"]),
    default="jsonl",
    show_default=True,
    help="How a batch's results are written, besides JSON lines.",
)
@click.option(
    "--merged", is_flag=True, help="A batch and its retries in one: each key's newest whole answer."
)
@click.option("--partial", is_flag=True, help="Unfinished jobs, too: what there is so far.")
@pass_context
def command(
    context: CliContext, selector: JobSelector, folder: Path, wanted: str, merged: bool, partial: bool
) -> int:
    """Write the results and errors of jobs into files.

    Cancelled, expired and failed jobs have the results they had come to; they are marked partial. An
    unfinished job is refused without --partial (exit code 1).

    A batch has a folder named after it and its id: output.jsonl and errors.jsonl as its provider sent them,
    results.jsonl (one object a request, by key, with outcome ok, error or cut_off), missing.jsonl (the
    requests without an answer, where the input file is known) and manifest.json (counts, sizes, SHA-256). A
    second fetch finds it there. With --merged, a folder NAME-ID-merged has the results of all parts of a file
    and of all retries in one, besides their own folders. A script's job has one file, if its items have keys.
    """
    from jobdash.cli.fetch_output import FetchOptions, fetch_jobs
    from jobdash.domain.results import ResultFormat

    options = FetchOptions(None if str(folder) == "-" else folder, ResultFormat(wanted), partial, merged)
    return fetch_jobs(context, selector, options)
