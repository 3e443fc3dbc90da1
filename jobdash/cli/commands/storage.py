"""``jobdash storage``: what is kept, where, and how much."""

from __future__ import annotations

import click

from jobdash.cli.command import account_option, command_with_context, pass_context
from jobdash.cli.context import CliContext


@command_with_context("storage", "jobdash storage", "jobdash storage --here --json")
@account_option
@click.option("--here", is_flag=True, help="This computer only; no account is asked.")
@pass_context
def command(context: CliContext, accounts: tuple[str, ...], here: bool) -> int:
    """Show the files that jobdash and the providers keep: how many, how large, how old.

    At a provider, files of batches that the store does not know are counted apart: see jobdash orphans.
    """
    from jobdash.cli.storage_output import show_storage

    return show_storage(context, accounts, here=here)
