"""Watching without a screen: what is printed, and the exit code."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys

from jobdash.cli.clock import store_time
from jobdash.cli.context import INTERRUPTED, CliContext, no_account
from jobdash.cli.event_loop import run_stoppable
from jobdash.cli.fetch_output import print_fetched
from jobdash.cli.job_json import job_json
from jobdash.cli.job_line import known_done, short_name, status_style, status_word
from jobdash.cli.notifications import notifier_of
from jobdash.cli.output import Style, as_json, print_error, print_outage, print_text
from jobdash.cli.session import open_session
from jobdash.cli.sync_output import exit_code, failure_words
from jobdash.domain.job import JobRow
from jobdash.errors import ConfigError, StoreBusy
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.auto_fetch import EndedBatches
from jobdash.operations.ended_jobs import ALL, EndedJobs
from jobdash.operations.polling.sync import SyncReport
from jobdash.operations.polling.watch import Watch
from jobdash.operations.writer_thread import WriterThread


def watch(context: CliContext, *, once: bool) -> int:
    """Watch until SIGTERM or Ctrl-C, or poll once; return the exit code."""
    if not context.config.accounts and context.config.notify is None and not context.only_scripts:
        raise ConfigError(no_account(context.config))
    return _Watching(context).poll_once() if once else _Watching(context).watch()


class _Watching:
    """One watch: prints what happens, each failure of an account once until it changes."""

    def __init__(self, context: CliContext) -> None:
        self._context = context
        self._failures: dict[str, str] = {}
        self._terminated = False

    def watch(self) -> int:
        async def work(stop: CancelToken) -> bool:
            loop = asyncio.get_running_loop()
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(signal.SIGTERM, self._terminate, stop)
            async with open_session(self._context, stop) as session:
                await self._made(session.work.store).run(stop)
            return stop.is_set()

        stopped = run_stoppable(work)
        return INTERRUPTED if stopped and not self._terminated else 0

    def poll_once(self) -> int:
        async def work(stop: CancelToken) -> list[SyncReport]:
            async with open_session(self._context, stop) as session:
                made, browser = self._made(session.work.store), self._context.opened.browser
                ended = EndedJobs(browser, ALL)
                follow = EndedBatches(self._context.config, session.work, browser.again, made.on_fetched)
                follow.look(browser)
                reports = await session.syncs.run(send=True) if self._context.config.accounts else []
                follow.look(browser)
                await follow.fetch_results(follow.due(browser))
                await follow.ask_expiry(follow.to_ask(browser))
                made.report_ended(browser, ended)
                if made.notifier is not None:
                    with contextlib.suppress(StoreBusy):  # the next one sends them
                        await made.notifier.send_new()
                return reports

        reports = run_stoppable(work)
        for report in reports:
            self._synced(report)
        return exit_code(reports)

    def _made(self, store: WriterThread) -> Watch:
        config = self._context.config
        return Watch(
            config,
            store,
            notifier_of(self._context, store),
            on_begin=self._begun,
            on_ended=self._ended,
            on_sync=self._synced,
            on_trouble=lambda account, words: print_error(f"{account}: {words}", Style.WARN),
            on_fetched=print_fetched,
            on_outage=print_outage,
            clock=store.clock,
        )

    def _begun(self) -> None:
        names = self._context.config.account_names
        print_error(f"watching {', '.join(names)}; Ctrl-C ends it")

    def _terminate(self, stop: CancelToken) -> None:
        self._terminated = True
        stop.set()

    def _ended(self, row: JobRow) -> None:
        if self._context.as_json:
            job = self._context.opened.browser.job(row.id)
            if job is not None:
                sys.stdout.write(as_json(job_json(job, store_time())) + "\n")
                sys.stdout.flush()
            return
        failed = f"{row.failed:,} failed" if row.failed else ""
        counts = ", ".join(filter(None, (known_done(row), failed)))
        words = (row.public_id, f"{short_name(row)} ({row.account})", status_word(row), counts)
        print_text("  ".join(filter(None, words)), status_style(row))
        sys.stdout.flush()

    def _synced(self, report: SyncReport) -> None:
        words = "" if report.error is None else failure_words(self._context, report)
        if words and self._failures.get(report.account) != words:
            print_error(f"{report.account}: {words}", Style.WARN)
        elif not words and self._failures.get(report.account):
            print_error(f"{report.account}: answers again")
        self._failures[report.account] = words
