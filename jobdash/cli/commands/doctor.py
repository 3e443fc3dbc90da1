"""``jobdash doctor``: what is wrong, and what to do about it."""

from __future__ import annotations

from jobdash.cli.command import command_with_context, pass_context
from jobdash.cli.context import CliContext


@command_with_context("doctor", "jobdash doctor", "jobdash doctor --json")
@pass_context
def command(context: CliContext) -> int:
    """Look at the store, the config, the keys, and ask each account for one page.

    Keys are never printed. Exit code 0 when all is well, 1 when an account does not answer or a part of the
    config is not used, 5 when the config cannot be used or every key is rejected, 6 when the store cannot be
    used.
    """
    from jobdash.cli.diagnosis import diagnose

    return diagnose(context)
