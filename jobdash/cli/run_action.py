"""One flow for every action: choose, plan, ask, execute, report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from jobdash.cli.clock import store_time
from jobdash.cli.confirm import confirm_plan, show_plan
from jobdash.cli.context import FAILED, INTERRUPTED, TIMED_OUT, CliContext
from jobdash.cli.event_loop import run_stoppable
from jobdash.cli.job_line import short_name, status_word
from jobdash.cli.output import Style, print_error, print_outage, print_text
from jobdash.cli.selection import JobSelector, SelectedJobs, select
from jobdash.cli.session import CommandSession, open_session, situation
from jobdash.cli.summary import lines_of, plan_lines, print_outcome, print_skipped, print_summary
from jobdash.cli.sync_output import notices, sync_for, sync_now
from jobdash.cli.time_format import as_of_words
from jobdash.domain.account import Account
from jobdash.domain.backends.registry import rules_of
from jobdash.domain.describe.plan_text import result_counts
from jobdash.domain.job import JobRow
from jobdash.domain.plan import (
    Action,
    ActionOutcome,
    ActionResult,
    ActionSummary,
    Choices,
    DecisionKind,
    Plan,
)
from jobdash.domain.status import UNFINISHED, Status
from jobdash.errors import ConfigError
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.actions.abandoned import NOT_CONFIRMED, give_up_removals
from jobdash.operations.execution import execute
from jobdash.operations.planning import plan_cancel_all, plan_jobs, scope_words
from jobdash.operations.polling.outage import StoreOutage
from jobdash.operations.polling.sync import SyncReport
from jobdash.operations.polling.wait import WaitProgress, wait_until
from jobdash.operations.scripts.jobs import close_abandoned


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How an action is carried out."""

    dry_run: bool = False
    yes: bool = False
    wait_ms: int | None = None
    """How long to wait for the providers to confirm; None: not at all."""
    ended: Callable[[JobRow], bool] = lambda row: row.terminal or row.gone
    """What `wait_ms` waits for."""


def act_on(
    context: CliContext, action: Action, wanted: JobSelector, choices: Choices, options: RunOptions
) -> int:
    """Do an action to the jobs that were named; return the exit code."""
    if not options.dry_run:
        close_what_is_abandoned(context)
    # What is removed already is nothing to complain of: a script may remove twice.
    selection = select(context, wanted, removed=action is Action.REMOVE)
    if action is Action.RETRY and not options.dry_run:
        selection = _asked_first(context, selection)
    plan = plan_selection(context, action, selection, choices)
    return carry_out(context, plan, options, worst=FAILED if selection.bad_words else 0)


def _asked_first(context: CliContext, selection: SelectedJobs) -> SelectedJobs:
    """Ask the accounts of force-failed batches whether they still run; return the jobs as they are then.

    Else a retry would go by what was known at the last poll.
    """
    doubtful = [
        row
        for row in selection.rows
        if row.force_failed and rules_of(row).at_provider and row.remote_status in UNFINISHED
    ]
    if not doubtful:
        return selection
    for row in {row.account: row for row in doubtful}.values():
        sync_for(context, row)
    now = context.opened.browser.rows([row.id for row in selection.rows])
    return replace(selection, rows=tuple(now.get(row.id, row) for row in selection.rows))


def close_what_is_abandoned(context: CliContext) -> None:
    """End, as cancelled, the local jobs whose workers are gone, and give up removals whose time is over."""
    if context.opened.read_only is None:
        config, browser = context.config, context.opened.browser
        close_abandoned(config.database, browser, "cli")
        for row in give_up_removals(config.database, browser, config, "cli"):
            print_error(f"{row.public_id} {short_name(row)}: {NOT_CONFIRMED}", Style.WARN)


def plan_selection(context: CliContext, action: Action, selection: SelectedJobs, choices: Choices) -> Plan:
    """Decide on the jobs that were chosen, as they are now."""
    scope = selection.scope
    words = None if scope is None else scope_words(scope)
    here, browser = situation(context, named=scope is None), context.opened.browser
    return plan_jobs(action, selection.rows, here, choices, scope=words, browser=browser)


def carry_out(context: CliContext, plan: Plan, options: RunOptions, *, worst: int = 0) -> int:
    """Ask, act, and report; return the exit code, which is ``worst`` where all goes well."""
    refused = any(decision.verdict is DecisionKind.REFUSED for decision in plan.skipped)
    worst = worst or (FAILED if refused else 0)
    if not context.as_json:
        _print_head(context, plan)
        print_skipped(plan)
    awaited = () if options.wait_ms is None else _under_way(plan)
    if options.dry_run or not (plan.acting or awaited):
        return _dry_run(context, plan, options, worst)
    context.writable()
    if plan.acting and not options.yes:
        confirm_plan(plan)
    summary, waited = _execute(context, plan, options)
    after = context.opened.browser.rows([outcome.job.id for outcome in summary.outcomes])
    if context.as_json:
        print_summary(plan.action, lines_of(summary.outcomes, after), context.opened.browser)
    else:
        _print_counts(summary)
    return _exit_code(summary, waited, worst)


def _under_way(plan: Plan) -> tuple[int, ...]:
    """Return the ids of named jobs for which the same was asked before, and is not confirmed yet."""
    if plan.scope is not None:
        return ()
    skipped = (decision.job for decision in plan.skipped)
    if plan.action is Action.CANCEL:
        return tuple(job.id for job in skipped if job.status is Status.CANCELLING)
    return tuple(job.id for job in skipped if job.removing is not None)


def _print_head(context: CliContext, plan: Plan) -> None:
    if plan.action is not Action.CANCEL:
        return
    names = plan.accounts or tuple(sorted({decision.job.account for decision in plan.decisions}))
    names = names or context.config.account_names
    print_text(f"Using account(s): {', '.join(names) or 'none'}")
    print_text(f"Found {plan.pending:,} pending job(s)")


def _dry_run(context: CliContext, plan: Plan, options: RunOptions, worst: int) -> int:
    if context.as_json:
        print_summary(plan.action, plan_lines(plan), context.opened.browser, dry_run=options.dry_run)
    elif plan.acting:
        show_plan(plan, print_text, most=None)
        print_error("dry run: nothing was changed")
    else:
        _print_counts(ActionSummary(plan, _skips(plan)))
    return worst


def _skips(plan: Plan) -> tuple[ActionOutcome, ...]:
    return tuple(
        ActionOutcome(
            decision.job,
            ActionResult.SKIPPED,
            decision.reason,
            refused=decision.verdict is DecisionKind.REFUSED,
        )
        for decision in plan.skipped
    )


def _execute(context: CliContext, plan: Plan, options: RunOptions) -> tuple[ActionSummary, int]:
    """Carry out a plan, and wait if that is wanted; return the summary and the waiting's exit code."""
    planned_skips = {decision.job.id for decision in plan.skipped}

    def report(outcome: ActionOutcome) -> None:
        if not context.as_json and outcome.job.id not in planned_skips and not outcome.stopped:
            print_outcome(plan, outcome)

    async def work(stop: CancelToken) -> tuple[ActionSummary, int]:
        async with open_session(context, stop) as session:
            summary = await execute(plan, session.work, report)
            if options.wait_ms is None or stop.is_set():
                return summary, 0
            return await _confirmed(summary, options, session)

    return run_stoppable(work)


async def _confirmed(
    summary: ActionSummary, options: RunOptions, session: CommandSession
) -> tuple[ActionSummary, int]:
    """Wait until what was accepted is confirmed; return the summary as it is then."""
    assert options.wait_ms is not None
    done = tuple(outcome.job.id for outcome in summary.outcomes if outcome.result is ActionResult.DONE)
    awaited = {*done, *_under_way(summary.plan)}
    printed: set[str] = set()

    def news(line: str) -> None:
        if line not in printed:
            printed.add(line)
            print_error(line)

    def on_sync(report: SyncReport) -> None:
        for line in notices(report, awaited):
            news(line)

    waiting = WaitProgress(
        ids=tuple(awaited),
        ended=options.ended,
        deadline=session.work.clock() + options.wait_ms,
        on_change=lambda row: news(f"{row.public_id} {short_name(row)}: {status_word(row)}"),
        on_sync=on_sync,
        outage=StoreOutage(print_outage),
    )
    try:
        waited = await wait_until(waiting, session.syncs)
    except ConfigError as error:
        print_error(f"jobdash: {error}", Style.BAD)
        return summary, error.exit_code
    now = tuple(
        outcome._replace(status_after=waited.rows[outcome.job.id].status)
        if outcome.job.id in waited.rows
        else outcome
        for outcome in summary.outcomes
    )
    if waited.timed_out:
        print_error("not every job was confirmed in time", Style.WARN)
    code = TIMED_OUT if waited.timed_out else 0
    return replace(summary, outcomes=now, interrupted=waited.stopped), code


def _print_counts(summary: ActionSummary) -> None:
    print_text(" · ".join(f"{word}: {number:,}" for word, number in result_counts(summary)))


def _exit_code(summary: ActionSummary, waited: int, worst: int) -> int:
    if summary.interrupted:
        return INTERRUPTED
    return worst or (0 if summary.clean else FAILED) or waited


def cancel_all_pending(
    context: CliContext, wanted: JobSelector, choices: Choices, options: RunOptions, *, sync_first: bool
) -> int:
    """Cancel what is unfinished; jobs known here are tried also where an account could not be asked first."""
    wanted = replace(wanted, accounts=context.named_accounts(wanted.accounts))
    asked = _asked(context, wanted)
    scope = wanted.scope()
    worst = 0
    if sync_first and asked:
        names = [account.name for account in asked] if wanted.accounts else None
        worst = FAILED if sync_now(context, names) else 0
    if not options.dry_run:
        close_what_is_abandoned(context)
    plan = plan_cancel_all(context.opened.browser, scope, situation(context, named=False), choices)
    at_providers = any(rules_of(decision.job).at_provider for decision in plan.decisions)
    only_local = bool(plan.decisions) and not at_providers
    if asked and (worst or not sync_first) and not only_local:
        print_error(as_of_words(context.opened.browser, context.config, store_time()))
    return carry_out(context, plan, options, worst=worst)


def _asked(context: CliContext, wanted: JobSelector) -> tuple[Account, ...]:
    """Return the accounts to ask; none of them has to be there where scripts have run."""
    if context.only_scripts:
        return ()
    return context.wanted_accounts(wanted.accounts)
