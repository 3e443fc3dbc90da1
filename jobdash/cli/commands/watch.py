"""``jobdash watch``: what the dashboard does by itself, without a screen."""

from __future__ import annotations

import click

from jobdash.cli.command import command_with_context, pass_context
from jobdash.cli.context import CliContext


@command_with_context("watch", "jobdash watch", "jobdash watch --once", "jobdash watch --json | jq .name")
@click.option("--once", is_flag=True, help="Ask every account that is due once, and end.")
@pass_context
def command(context: CliContext, once: bool) -> int:
    """Poll the accounts, notify, and fetch results, without a screen; for a server, or systemd.

    Prints a line for each job that ends; with --json, a document a line. It shares the work with dashboards
    and other commands: one of them asks an account, and each notification is sent once. SIGTERM and Ctrl-C
    end it cleanly.
    """
    from jobdash.cli.watch_output import watch

    context.may_make = True
    return watch(context, once=once)
