"""``jobdash cost``: what batches cost, summed by account, model, day, …"""

from __future__ import annotations

import click

from jobdash.cli.command import (
    DurationParam,
    GroupingParam,
    account_option,
    command_with_context,
    pass_context,
)
from jobdash.cli.context import CliContext


@command_with_context(
    "cost",
    "jobdash cost",
    "jobdash cost --by day --since 30d",
    "jobdash cost --by tag:run -f 'account:work status:finished'",
    "jobdash cost --reprice --json",
)
@click.option(
    "--by",
    type=GroupingParam(),
    default="account",
    show_default=True,
    metavar="WHAT",
    help="account, provider, model, day, tag, tag:KEY, or job.",
)
@click.option("--since", "since_ms", type=DurationParam(), metavar="SPAN", help="Only jobs as young as that.")
@click.option("-f", "--filter", "expr", default="", metavar="EXPR", help="Only jobs that pass this filter.")
@account_option
@click.option("--reprice", is_flag=True, help="First compute all costs anew, by the prices there are now.")
@pass_context
def command(
    context: CliContext,
    by: tuple[str, str],
    since_ms: int | None,
    expr: str,
    accounts: tuple[str, ...],
    reprice: bool,
) -> int:
    """Sum what batches cost, removed ones too, at batch prices of the day they were made.

    "≤" is an upper bound: no batch price is known for some of it, so the full one is taken. What is not known
    is in no sum, and counted. tag takes all tags of a job together, tag:KEY the values of one.
    """
    from jobdash.cli.cost_output import CostQuery, print_costs

    return print_costs(context, CostQuery(*by, since_ms, expr, accounts), reprice=reprice)
