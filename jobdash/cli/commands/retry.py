"""``jobdash retry``: let jobs do what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from jobdash.cli.command import action_options, command_with_context, pass_context
from jobdash.cli.context import CliContext
from jobdash.domain.items import RETRIED


class PartsParam(click.ParamType[tuple[str, ...]]):
    """Some of ``failed,missing``."""

    name = "parts"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Read it."""
        if isinstance(value, tuple):
            return value
        parts = tuple(part.strip() for part in str(value).split(","))
        for part in parts:
            if part not in RETRIED:
                self.fail(f"{part!r} is not one of {', '.join(RETRIED)}", param, ctx)
        return parts


if TYPE_CHECKING:
    from jobdash.cli.selection import JobSelector


@command_with_context(
    "retry",
    "jobdash retry k3f9",
    "jobdash retry k3f9 --start",
    "jobdash retry -f 'account:local status:failed' --dry-run",
)
@action_options
@click.option(
    "--only",
    type=PartsParam(),
    default=",".join(RETRIED),
    show_default=True,
    metavar="PARTS",
    help="Of what failed and what is missing.",
)
@click.option("--start", "restart", is_flag=True, help="Start the script again, detached, as it ran last.")
@pass_context
def command(
    context: CliContext,
    selector: JobSelector,
    dry_run: bool,
    yes: bool,
    only: tuple[str, ...],
    restart: bool,
) -> int:
    """Let failed, cancelled or incomplete jobs of your own scripts do what they have not done.

    The job turns pending, and the script's next run does only the items that are left; what is done stays.
    With --start the recorded command line is started again in its folder, if it ran on this computer; its
    output goes to a log file. A job whose items have no keys begins from the start.
    """
    from jobdash.cli.run_action import RunOptions, act_on
    from jobdash.domain.plan import Action, Choices

    choices = Choices(only=only, restart=restart)
    return act_on(context, Action.RETRY, selector, choices, RunOptions(dry_run, yes))
