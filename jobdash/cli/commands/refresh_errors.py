"""``jobdash refresh-errors``: ask again why jobs failed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jobdash.cli.command import command_with_context, jobs_options, pass_context
from jobdash.cli.context import CliContext

if TYPE_CHECKING:
    from jobdash.cli.selection import JobSelector

_ALL = "status:failed,partial,all_failed account!=local"


@command_with_context(
    "refresh-errors",
    "jobdash refresh-errors",
    "jobdash refresh-errors k3f9",
    "jobdash refresh-errors -f newer:1d",
)
@jobs_options
@pass_context
def command(context: CliContext, selector: JobSelector) -> int:
    """Ask the providers again why jobs failed, or which of their requests did, and why.

    The key (custom_id) of each failed request is kept, too: show, show --json and the dashboard
    have them, by code and message. Without a JOB or a filter: of all jobs that failed, and of those that
    completed with failures.
    """
    from jobdash.cli.refresh_output import refresh

    everything = not selector.words and selector.expr is None
    return refresh(context, replace(selector, expr=_ALL) if everything else selector)
