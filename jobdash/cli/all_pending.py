"""``cancel --all-pending``: everything unfinished, as the accounts have it now."""

from __future__ import annotations

from jobdash.cli.context import CliContext
from jobdash.cli.exit_codes import FAILED
from jobdash.cli.freshness import as_of_words
from jobdash.cli.output import print_error
from jobdash.cli.run_action import RunOptions, carry_out, close_what_is_abandoned
from jobdash.cli.selection import JobSelector
from jobdash.cli.session import situation
from jobdash.cli.sync_output import sync_now
from jobdash.domain.account import Account
from jobdash.domain.job import LOCAL
from jobdash.domain.plan import Choices
from jobdash.domain.time import system_clock
from jobdash.operations.planning import plan_cancel_all


def cancel_all_pending(
    context: CliContext, wanted: JobSelector, choices: Choices, manner: RunOptions, *, sync_first: bool
) -> int:
    """Cancel what is unfinished; jobs known here are tried also where an account could not be asked first."""
    asked = _asked(context, wanted)
    scope = wanted.scope()
    worst = 0
    if sync_first and asked:
        names = [account.name for account in asked] if wanted.accounts else None
        worst = FAILED if sync_now(context, names) else 0
    if asked and (worst or not sync_first):
        print_error(as_of_words(context.opened.browser, context.config, system_clock()))
    if not manner.dry_run:
        close_what_is_abandoned(context)
    plan = plan_cancel_all(context.opened.browser, scope, situation(context, named=False), choices)
    return carry_out(context, plan, manner, worst=worst)


def _asked(context: CliContext, wanted: JobSelector) -> tuple[Account, ...]:
    """Return the accounts to ask; none of them has to be there where scripts have run."""
    context.check_accounts(wanted.accounts)
    if not context.config.accounts and context.opened.browser.counts().by_account.get(LOCAL):
        return ()
    return context.wanted_accounts(wanted.accounts)
