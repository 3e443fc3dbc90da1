"""``jobdash sync``: ask every account once, and print what changed."""

from __future__ import annotations

import click

from jobdash.cli.command import account_option, command_with_context, pass_context
from jobdash.cli.context import FAILED, CliContext


@command_with_context("sync", "jobdash sync", "jobdash sync --account work --full")
@account_option
@click.option("--full", is_flag=True, help="Read whole lists, whatever is known already.")
@pass_context
def command(context: CliContext, accounts: tuple[str, ...], full: bool) -> int:
    """Ask every account once what it has.

    The first sync of an account reads 30 days and everything unfinished; --full reads all. What is queued
    here is sent as far as there is room.
    """
    from jobdash.cli.output import print_error
    from jobdash.cli.sync_output import ask, failures, show_reports
    from jobdash.domain.provider_info import LOCAL

    context.may_make = True
    wanted = context.wanted_accounts(accounts)
    if LOCAL in accounts:
        print_error("local: scripts write to the store themselves, no provider has to be asked")
    names = [account.name for account in wanted] if accounts else None
    reports = ask(context, names, full=full, send=True) if wanted else []
    show_reports(context, reports, unusable=not accounts)
    return failures(context, reports) or (FAILED if context.config.unusable and not accounts else 0)
