"""``jobdash worker``: run job functions."""

from __future__ import annotations

import click

from jobdash.cli.command import command_with_context, pass_context
from jobdash.cli.context import CliContext


@command_with_context("worker", "jobdash worker thumbs", "srun jobdash worker thumbs --once")
@click.argument("modules", nargs=-1, required=True, metavar="MODULE...")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1_000),
    default=4,
    show_default=True,
    metavar="N",
    help="How many parts to run at once.",
)
@click.option("--engine", default="dbos", show_default=True, metavar="NAME", help="What delivers the parts.")
@click.option("--once", is_flag=True, help="End when nothing is left to do.")
@pass_context
def command(context: CliContext, modules: tuple[str, ...], concurrency: int, engine: str, once: bool) -> int:
    """Run the jobs of the functions that these modules decorate with @jobdash.job.

    Any number of workers may run, on any computer that reaches the store. SIGTERM or Ctrl-C: items under
    way end, the rest is given back for another worker, and the exit code is 0.
    """
    from jobdash.cli.output import print_error
    from jobdash.operations.function_jobs import serve

    context.refuse_read_only()
    location = context.config.database
    serve(location, modules, print_error, concurrency=concurrency, engine=engine, once=once)
    return 0
