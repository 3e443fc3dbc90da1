"""``cancel --all-pending``: everything unfinished, as the accounts have it now."""

from __future__ import annotations

from jobdash.cli.acting import Manner, carry_out
from jobdash.cli.asof import as_of, as_of_words
from jobdash.cli.exit_codes import FAILED
from jobdash.cli.face import Face
from jobdash.cli.out import tell
from jobdash.cli.selecting import Wanted
from jobdash.cli.syncing import sync_now
from jobdash.cli.workbench import situation
from jobdash.domain.clock import system_clock
from jobdash.domain.plan import Choices
from jobdash.operations.plan import plan_cancel_all


def cancel_all_pending(
    face: Face, wanted: Wanted, choices: Choices, manner: Manner, *, sync_first: bool
) -> int:
    """Cancel what is unfinished; jobs known here are tried also where an account could not be asked first."""
    asked = face.wanted_accounts(wanted.accounts)
    scope = wanted.scope()
    worst = 0
    if sync_first:
        names = [account.name for account in asked] if wanted.accounts else None
        worst = FAILED if sync_now(face, names) else 0
    if worst or not sync_first:
        tell(as_of_words(as_of(face.opened.browser, face.config), system_clock()))
    plan = plan_cancel_all(face.opened.browser, scope, situation(face, named=False), choices)
    return carry_out(face, plan, manner, worst=worst)
