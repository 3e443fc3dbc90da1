"""``jobdash retry``: let jobs do what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jobdash.cli.command import action_options, command_with_context, pass_context
from jobdash.cli.context import CliContext
from jobdash.domain.items import RETRIED, RETRYABLE
from jobdash.errors import UsageError


class PartsParam(click.ParamType[tuple[str, ...]]):
    """Some of ``failed,missing,cut-off``."""

    name = "parts"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Read it."""
        if isinstance(value, tuple):
            return value
        parts = tuple(part.strip() for part in str(value).split(","))
        for part in parts:
            if part not in RETRYABLE:
                self.fail(f"{part!r} is not one of {', '.join(RETRYABLE)}", param, ctx)
        return parts


if TYPE_CHECKING:
    from jobdash.cli.selection import JobSelector


@command_with_context(
    "retry",
    "jobdash retry k3f9",
    "jobdash retry k3f9 --start",
    "jobdash retry k3f9 --only failed,missing,cut-off --dry-run",
    "jobdash retry k3f9 --input requests.jsonl",
    "jobdash retry -f 'account:local status:failed' --dry-run",
)
@action_options
@click.option(
    "--only",
    type=PartsParam(),
    default=",".join(RETRIED),
    show_default=True,
    metavar="PARTS",
    help="Of what failed, what is missing, and answers that were cut off.",
)
@click.option(
    "--input",
    "source",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A batch's input file, where neither a copy is here nor its provider hands it out.",
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
    source: Path | None,
) -> int:
    """Let failed, cancelled or incomplete jobs do what they have not done.

    Of a batch, the requests without a whole answer are sent as a new batch, linked with the first; a retry of
    that one is for what is left of both. Results are fetched before, into the results folder of the config:
    what has an answer is not sent again. Refused while the provider still works on any of them.

    A script's job turns pending, and its next run does only the items that are left; what is done stays.
    With --start the recorded command line is started again in its folder, if it ran on this computer; its
    output goes to a log file. A job whose items have no keys begins from the start.
    """
    from jobdash.cli.run_action import RunOptions, act_on
    from jobdash.domain.plan import Action, Choices

    if source is not None and len(selector.words) != 1:
        raise UsageError("--input goes with one JOB")
    choices = Choices(only=only, restart=restart, input=source)
    return act_on(context, Action.RETRY, selector, choices, RunOptions(dry_run, yes))
