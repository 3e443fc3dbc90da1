"""The dashboard's threads: started after the first paint, stopped when it ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from jobdash.domain.text import clean
from jobdash.errors import JobdashError, StoreAway, StoreBusy, StoreError, StoreReadOnly
from jobdash.tui.action_runs import ActionRun
from jobdash.tui.context import DashboardContext
from jobdash.tui.messages import (
    AccountWaiting,
    Notified,
    StoreFailed,
    StoreReady,
    Synced,
    SyncProgress,
    SyncSummary,
)

if TYPE_CHECKING:
    from textual.app import App
    from textual.message import Message

    from jobdash.operations.accounts.rate_limiter import CancelToken
    from jobdash.operations.context import OperationContext
    from jobdash.operations.notify import Notifier
    from jobdash.operations.polling.account_worker import AccountWorker
    from jobdash.operations.polling.sync import SyncReport
    from jobdash.operations.results.fetch_request import FetchedResults
    from jobdash.operations.writer_thread import WriterThread

T = TypeVar("T")
SPARE_THREADS = 16
_TRY_AGAIN_S = 1.0
"""Seconds before another attempt at a store that could not be written."""


class Runtime:
    """One thread for the store and one for each account; heavy imports happen inside them."""

    def __init__(self, app: App[None], context: DashboardContext, post: Callable[[Message], object]) -> None:
        self._app = app
        self._context = context
        self._post_message = post
        self._store: WriterThread | None = None
        self._accounts: dict[str, AccountWorker] = {}
        self._stopped = False

    def start(self) -> None:
        """Start the store worker; the accounts follow when it can write."""
        # Textual's thread workers share the loop's default executor: 6 threads on two cores, and a hanging
        # account holds one for as long as it hangs.
        threads = len(self._context.config.accounts) + SPARE_THREADS
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads, "jobdash"))
        self._run(self._serve_store, "store")

    def _run(self, work: Callable[[], object], name: str) -> None:
        self._app.run_worker(work, name=name, group=name, thread=True, exit_on_error=False)

    async def _serve_store(self) -> None:
        try:
            from jobdash.operations.writer_thread import WriterThread

            context = self._context
            self._store = WriterThread(
                context.config.database,
                "demo" if context.demo else "tui",
                context.clock,
                same_as=context.browser.identity,
            )
            await self._store.serve(self._store_is_ready)
        except JobdashError as error:
            self._post_message(StoreFailed(str(error)))

    def _store_is_ready(self) -> None:
        assert self._store is not None
        self._store.start(self._begin_accounts(self._store))

    async def _begin_accounts(self, store: WriterThread) -> None:
        """Register the keys, and then serve the accounts: nothing is asked in the name of another key."""
        from jobdash.operations.accounts.keys import register_keys

        while True:
            try:
                notices = await register_keys(self._context.config, store)
                break
            except (StoreBusy, StoreAway):
                await asyncio.sleep(_TRY_AGAIN_S)
            except JobdashError as error:
                self._post_message(StoreFailed(str(error)))
                return
        for sentence in notices:
            self._notice("jobdash", sentence)
        self._start_accounts()

    def _start_accounts(self) -> None:
        from jobdash.operations.accounts.rate_limiter import CancelToken
        from jobdash.operations.actions.abandoned import polled_accounts
        from jobdash.operations.polling.account_worker import AccountWorker, close_abandoned

        context = self._context
        for account in context.config.accounts:
            self._accounts[account.name] = AccountWorker(
                account,
                context.config,
                context.clock,
                on_wait=lambda name, until: self._post(AccountWaiting(name, until)),
                on_sync=lambda report: self._post(Synced(sync_summary(report))),
                on_progress=lambda name, seen: self._post(SyncProgress(name, seen)),
                on_trouble=self._notice,
                on_fetched=lambda done: self._post(Synced(fetch_summary(done))),
            )
        if self._stopped:
            self.stop()
            return
        assert self._store is not None
        self._store.start(
            close_abandoned(
                self._store,
                polled_accounts(context.config),
                lambda row, why: self._notice(row.account, f"{row.name}: {why}"),
            )
        )
        if (notifier := self._notifier(self._store)) is not None:
            self._store.start(notifier.keep_sending(CancelToken()))  # the store's end cancels it
        # Posted, not awaited: an app that is ending would never answer.
        self._app.call_later(self._serve_accounts)
        self._post(StoreReady())

    def _notifier(self, store: WriterThread) -> Notifier | None:
        """Return what sends notifications while the dashboard runs; None where none is configured."""
        settings = self._context.config.notify
        if settings is None:
            return None
        from jobdash.operations.notify import Notifier
        from jobdash.operations.terminal_notification import terminal_sequence

        return Notifier(
            settings,
            store,
            self._context.open_browser,
            lambda notification: self._post(Notified(terminal_sequence(settings, notification, os.environ))),
            lambda words: self._notice("jobdash", words),
            self._context.clock,
        )

    def _serve_accounts(self) -> None:
        if self._stopped or self._store is None:
            return
        for name, worker in self._accounts.items():
            self._run(partial(worker.serve, self._store, self._accounts), f"account {name}")

    @property
    def accounts(self) -> Mapping[str, AccountWorker]:
        """The accounts that can be asked, by name; empty before the store is open."""
        return self._accounts

    def _post(self, message: Message) -> None:
        if not self._stopped:
            self._post_message(message)

    def _notice(self, account: str, words: str) -> None:
        self._post(Synced(SyncSummary(account, notices=(words,))))

    def begin(self, run: ActionRun) -> None:
        """Carry out a run in the store's loop; raises StoreError when it is not open, or no more."""
        try:
            self._begin(run)
        except StoreError as error:
            raise self._context.store_error(error) from error

    def _begin(self, run: ActionRun) -> None:
        from jobdash.operations.accounts.rate_limiter import CancelToken
        from jobdash.operations.polling.account_worker import execute_and_report

        stop = CancelToken()
        work = self.work(stop)
        assert self._store is not None
        run.stop = stop
        if run.stopping:
            stop.set()

        def ended(error: BaseException | None) -> None:
            if isinstance(error, StoreError):
                error = self._context.store_error(error)
            run.end(None if error is None else clean(str(error) or type(error).__name__))

        self._store.start(execute_and_report(run.plan, work, run.outcomes.append, ended))

    def work(self, stop: CancelToken | None = None) -> OperationContext:
        """Return what operations work with; raises StoreError while nothing can be written."""
        from jobdash.operations.context import OperationContext

        self._refuse_closed()
        assert self._store is not None
        config = self._context.config
        return OperationContext.of(config, self._accounts, self._store, self._context.clock, stop)

    def record_activity(self) -> None:
        """Note that a person has pressed a key: more frequent polls show batches made elsewhere sooner."""
        for worker in self._accounts.values():
            worker.record_activity()

    def sync_now(self) -> None:
        """Ask every account now."""
        if self._store is None or self._stopped:
            return

        from jobdash.operations.polling.account_worker import poll_now

        async def due(store: WriterThread) -> None:
            await poll_now(store)
            for worker in self._accounts.values():
                worker.wake()

        self._store.start(due(self._store))

    async def with_store(self, act: Callable[[WriterThread], Awaitable[T]]) -> T:
        """Await something in the store's thread; raises StoreError while there is none."""
        self._refuse_closed()
        assert self._store is not None
        return await act(self._store)

    def _refuse_closed(self) -> None:
        """Raise StoreError while nothing can be written, with the reason if it stays so."""
        if self._context.read_only:
            raise StoreReadOnly(f"nothing can be changed: {self._context.read_only}")
        if self._store is None or self._stopped:
            raise StoreError("the store is not open for writing; try again")

    def stop(self) -> None:
        """Ask every thread to end; waits for none."""
        self._stopped = True
        for worker in self._accounts.values():
            worker.stop()
        if self._store is not None:
            self._store.stop()


def fetch_summary(done: FetchedResults) -> SyncSummary:
    """Return the summary of a fetch that was made without being asked for."""
    if done.folder is None:
        return SyncSummary(done.row.account, notices=(f"{done.row.name}: not fetched: {done.reason}",))
    return SyncSummary(
        done.row.account, fetched=(f"{done.row.name} fetched: {done.reason}, in {done.folder}",)
    )


def sync_summary(report: SyncReport) -> SyncSummary:
    """Return the summary of a sync: what is worth a toast."""
    notices = [done.notice for done in report.reconciled if done.notice]
    notices += [f"{outcome.job.name}: {outcome.reason}" for outcome in report.removals if outcome.reason]
    return SyncSummary(report.account, tuple(report.finished), report.lost_race, tuple(notices))
