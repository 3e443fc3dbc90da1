"""``jobdash wait``: until jobs have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobdash.cli.command import DurationParam, command_with_context, jobs_options, pass_context
from jobdash.cli.context import CliContext

if TYPE_CHECKING:
    from jobdash.cli.selection import JobSelector


@command_with_context(
    "wait", "jobdash wait k3f9 8n8t", "jobdash wait -f tag:nightly --timeout 2h && jobdash list"
)
@jobs_options
@click.option(
    "--timeout", "timeout_ms", type=DurationParam(), metavar="SPAN", help="Give up after so long (exit 7)."
)
@pass_context
def command(context: CliContext, selector: JobSelector, timeout_ms: int | None) -> int:
    """Wait until all of these jobs have ended; progress is shown on stderr.

    Exit code 0 when all are completed, also those in which some requests or items failed (partial); 1 when
    one failed, was cancelled, expired, or is completed with nothing but failures, and when those that are
    left are stalled or wait for their script, so that nothing runs them; 7 when the time is up. Works with
    and without a dashboard running: they take turns to ask the providers.
    """
    from jobdash.cli.wait_output import wait_for

    return wait_for(context, selector, timeout_ms)
