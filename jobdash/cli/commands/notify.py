"""``jobdash notify``: try the ways of ``[notify]``."""

from __future__ import annotations

import click

from jobdash.cli.command import command_with_context, pass_context
from jobdash.cli.context import CliContext


@command_with_context("notify", "jobdash notify --test")
@click.option("--test", is_flag=True, required=True, help="Send a notification in every configured way.")
@pass_context
def command(context: CliContext, test: bool) -> int:
    """Send a notification of the newest job in every way of [notify], and say which of them failed.

    Exit code 1 when one failed, 5 when there is none.
    """
    from jobdash.cli.notifications import send_test

    return send_test(context)
