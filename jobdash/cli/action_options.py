"""The options that every action takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from jobdash.cli.command import DurationParam, JobParam, OptionalValue, account_option

F = TypeVar("F", bound=Callable[..., Any])


def jobs_options(function: F) -> F:
    """Add ``JOB…``, ``-f`` and ``--account``."""
    function = account_option()(function)
    function = click.option("-f", "--filter", "expr", metavar="EXPR", help="The jobs that pass this filter.")(
        function
    )
    return click.argument("words", nargs=-1, metavar="[JOB]...", type=JobParam())(function)


def action_options(function: F) -> F:
    """Add ``JOB…``, ``-f``, ``--account``, ``--dry-run`` and ``--yes``."""
    function = click.option("-y", "--yes", is_flag=True, help="Do not ask.")(function)
    function = click.option("-n", "--dry-run", is_flag=True, help="Print the plan, change nothing.")(function)
    return jobs_options(function)


def wait_option(until: str, bare: str) -> Callable[[F], F]:
    """Add ``--wait[=S]``; ``bare`` is what it means without a value."""
    return click.option(
        "--wait",
        "wait_ms",
        cls=OptionalValue,
        bare=bare,
        type=DurationParam(),
        metavar="SPAN",
        help=f"Wait {until}, at most so long ({bare}, or --wait=90s).",
    )
