"""``jobdash worker``: run job functions."""

from __future__ import annotations

import click

from jobdash.cli.command import command_with_context, pass_context
from jobdash.cli.context import CliContext
from jobdash.config.settings import MOST_AT_ONCE


@command_with_context("worker", "jobdash worker thumbs", "srun jobdash worker thumbs --once")
@click.argument("modules", nargs=-1, required=True, metavar="MODULE...")
@click.option(
    "--concurrency",
    type=click.IntRange(1, MOST_AT_ONCE),
    metavar="N",
    help="How many parts to run at once; else [worker] concurrency, or 4.",
)
@click.option("--engine", metavar="NAME", help="What delivers the parts; else [worker] engine, or dbos.")
@click.option("--once", is_flag=True, help="End when nothing is left to do.")
@pass_context
def command(
    context: CliContext, modules: tuple[str, ...], concurrency: int | None, engine: str | None, once: bool
) -> int:
    """Run the jobs of the functions that these modules decorate with @jobdash.job.

    Any number of workers may run, on any computer that reaches the store. SIGTERM or Ctrl-C: items under
    way end, the rest is given back for another worker, and the exit code is 0.
    """
    from jobdash.cli.output import print_error
    from jobdash.operations.scripts.functions import serve

    context.refuse_read_only()
    config = context.config
    config.refuse_faulty("worker")
    chosen = config.worker._replace(
        concurrency=concurrency or config.worker.concurrency, engine=engine or config.worker.engine
    )
    context.may_make = True
    context.refuse_missing()
    serve(config.database, modules, chosen, print_error, once=once)
    return 0
