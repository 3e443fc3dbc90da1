"""Sync for commands, and its output: what changed and what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

from jobdash.cli.context import FAILED, CliContext, no_account
from jobdash.cli.event_loop import run
from jobdash.cli.job_line import short_name, status_word
from jobdash.cli.output import Style, document, print_error, print_text
from jobdash.cli.session import open_session
from jobdash.config.accounts import UnusableAccount
from jobdash.domain.backends.provider_batch import other_server
from jobdash.domain.job import JobRow
from jobdash.domain.status import LATE_CANCEL
from jobdash.domain.time import rfc3339
from jobdash.errors import ConfigError
from jobdash.operations.accounts.clients import duplicate_accounts
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.polling.sync import SyncReport, health_error_text
from jobdash.operations.polling.sync_accounts import rejected
from jobdash.operations.providers import servers


def sync_now(context: CliContext, names: Collection[str] | None = None) -> int:
    """Ask every account once, print those that failed, and return the exit code."""
    return failures(context, ask(context, names))


def sync_for(context: CliContext, row: JobRow) -> int:
    """Sync a job's account once, where that can change the job; return the exit code."""
    if context.config.account(row.account) is None:
        words = context.config.unusable_words.get(row.account)
        if words is not None:
            print_error(f"not asked: {words}", Style.BAD)
        return FAILED if words is not None else 0
    here = servers(context.config.accounts).get(row.account)
    if row.origin and here is not None and here != row.origin:
        print_error(f"{other_server(row, here)}: not asked", Style.BAD)
        return FAILED
    return sync_now(context, [row.account])


def ask(
    context: CliContext, names: Collection[str] | None = None, *, full: bool = False, send: bool = False
) -> list[SyncReport]:
    """Ask accounts once, and ``send`` what waits in the queue; ConfigError when there is none."""
    if not context.config.accounts:
        raise ConfigError(no_account(context.config))

    async def work(stop: CancelToken) -> list[SyncReport]:
        async with open_session(context, stop) as session:
            return await session.syncs.run(names, full=full, send=send)

    return run(work)


def failures(context: CliContext, reports: Collection[SyncReport]) -> int:
    """Print on stderr which accounts failed; 0 none, 5 all for their credentials, else 1."""
    failed = [report for report in reports if report.error is not None]
    for report in failed:
        print_error(f"{report.account}: {failure_words(context, report)}", Style.BAD)
    return exit_code(reports)


def exit_code(reports: Collection[SyncReport]) -> int:
    """Return the exit code of syncs: 0 none failed, 5 all for their credentials, else 1."""
    if reports and all(map(rejected, reports)):
        return ConfigError.exit_code
    return FAILED if any(report.error is not None for report in reports) else 0


def failure_words(context: CliContext, report: SyncReport) -> str:
    """Return why an account failed, and the way out where there is one."""
    account, error = context.config.account(report.account), report.error
    assert account is not None
    assert error is not None
    words = health_error_text(error, account)
    # Where the provider gives details, the key may be right, and something else is to be done.
    wrong_key = words.startswith("key rejected") and ": " not in words
    return f"{words}. Set {account.key_env}." if wrong_key else words


def show_reports(context: CliContext, reports: Collection[SyncReport], *, unusable: bool) -> None:
    """Print what syncs found, a line an account and a line for each thing a person should know.

    ``unusable`` lists the accounts with a mistake in the document as well; on stderr they are printed anyway.
    """
    if context.as_json:
        wrong = [_not_asked(each) for each in context.config.unusable] if unusable else []
        document({"accounts": [*map(_as_json, reports), *wrong]})
        return
    for report in reports:
        counts = f"{report.seen:,} seen · {report.new:,} new · {report.changed:,} changed"
        print_text(f"{report.account}: {counts}" + (" · failed" if report.error else ""))
        for line in notices(report):
            print_text(f"  {line}")
    doubles = duplicate_accounts(context.config.accounts)
    for name in doubles.keys() - {report.account for report in reports}:
        print_error(f"{name}: has the same key as {doubles[name]}, and was asked as that")


def notices(report: SyncReport, only: Collection[int] | None = None) -> Iterator[str]:
    """Yield what a sync found out about single jobs: about all, or those of these ids."""
    for job_id, line in _notices(report):
        if only is None or job_id in only:
            yield line
    apart = Counter(row.origin for row in report.elsewhere if only is None or row.id in only)
    for origin, count in apart.items():
        are = "1 job is" if count == 1 else f"{count:,} jobs are"
        yield f"{are} at {origin}, where this account is not now: not asked"


def _notices(report: SyncReport) -> Iterator[tuple[int, str]]:
    for row in report.finished:
        words = LATE_CANCEL if row.lost_race else status_word(row)
        yield row.id, f"{row.public_id} {short_name(row)}: {words}"
    for row in report.gone:
        yield row.id, f"{row.public_id} {short_name(row)}: gone, its provider knows it no more"
    for row, error in report.not_asked:
        yield row.id, f"{row.public_id} {short_name(row)}: could not be asked: {error.full_text}"
    for reconciled in report.reconciled:
        if reconciled.row is not None and reconciled.notice:
            row = reconciled.row
            yield row.id, f"{row.public_id} {short_name(row)}: {reconciled.notice}"
    for done in report.sent:
        if done.row is not None:
            words = done.reason or f"sent, {status_word(done.row)}"
            yield done.row.id, f"{done.row.public_id} {short_name(done.row)}: {words}"
    for outcome in report.removals:
        yield outcome.job.id, f"{outcome.job.public_id} {short_name(outcome.job)}: {outcome.reason}"


def _as_json(report: SyncReport) -> dict[str, Any]:
    return {
        "account": report.account,
        "seen": report.seen,
        "new": report.new,
        "changed": report.changed,
        "finished": [row.public_id for row in report.finished],
        "gone": [row.public_id for row in report.gone],
        "not_asked": [row.public_id for row, _error in report.not_asked],
        "elsewhere": [row.public_id for row in report.elsewhere],
        "sent": [done.row.public_id for done in report.sent if done.row is not None],
        "removed": [outcome.job.public_id for outcome in report.removals],
        "error": None if report.error is None else str(report.error),
        "next_poll_at": rfc3339(report.next_poll_at),
    }


def _not_asked(account: UnusableAccount) -> dict[str, Any]:
    """Return the entry of an account with a mistake, with the fields of one that was asked."""
    lists = ("finished", "gone", "not_asked", "elsewhere", "sent", "removed")
    counts: dict[str, Any] = {"account": account.name, "seen": 0, "new": 0, "changed": 0}
    return counts | {name: [] for name in lists} | {"error": account.reason, "next_poll_at": None}
