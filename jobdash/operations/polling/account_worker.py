"""The worker of one account in the dashboard: its session and its poller, in an event loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from typing import Any, TypeVar

from jobdash.config.settings import Config
from jobdash.domain.account import Account
from jobdash.domain.job import AccountHealth, JobRow
from jobdash.domain.plan import Plan
from jobdash.domain.provider_info import Capabilities
from jobdash.domain.time import MINUTE, Clock
from jobdash.errors import JobdashError, KeyDiffers, StoreError, Unavailable
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.accounts.session import AccountSession, PreSendHook, Request
from jobdash.operations.actions.abandoned import NOT_CONFIRMED
from jobdash.operations.auto_fetch import EndedBatches
from jobdash.operations.context import AccountClient, OperationContext
from jobdash.operations.daemon_executor import DaemonExecutor
from jobdash.operations.execution import Report, execute
from jobdash.operations.polling.outage import PASSING
from jobdash.operations.polling.poll_interval import rest_ms
from jobdash.operations.polling.poller import Poller
from jobdash.operations.polling.sync import SyncReport
from jobdash.operations.results.fetch_request import FetchedResults
from jobdash.operations.writer_thread import WriterThread
from jobdash.providers.servers import server_of
from jobdash.store.reader import Reader
from jobdash.store.writer import Writer

T = TypeVar("T")
_RECHECK_S = 5.0
"""The longest sleep between two checks of whose turn it is to poll: F5 may be pressed in another process."""
ACTIVE_MS = MINUTE
"""While a person presses keys, an account is asked at least so often: batches are made elsewhere, too."""


class AccountWorker:
    """The session and the poller of one account in a thread of their own; to others an `AccountClient`.

    One that is another name for an earlier account's key is not polled: the earlier one is.
    """

    def __init__(
        self,
        account: Account,
        config: Config,
        clock: Clock,
        *,
        on_wait: Callable[[str, int | None], None],
        on_sync: Callable[[SyncReport], None],
        on_progress: Callable[[str, int], None],
        on_trouble: Callable[[str, str], None] = lambda _name, _words: None,
        on_fetched: Callable[[FetchedResults], None] = lambda _done: None,
    ) -> None:
        self.account = account
        self._config = config
        self._clock = clock
        self._poller = Poller(account, config, clock)
        self._on_wait = on_wait
        self._on_sync = on_sync
        self._on_progress = on_progress
        self._on_trouble = on_trouble
        self._on_fetched = on_fetched
        self._sending: asyncio.Task[None] | None = None
        """Called with an error that cannot be written to the store."""
        self._follow_ups: set[asyncio.Task[None]] = set()
        self._trouble = ""
        self._session: Future[AccountSession] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[Any] | None = None
        self._wake = asyncio.Event()
        self._stopped = False
        self._active_at: int | None = None
        """When a person last pressed a key, milliseconds UTC."""
        self._rests_until = 0

    # ── in its own thread ──────────────────────────────────────────────────────────────────────────────────

    async def serve(self, store: WriterThread, others: Mapping[str, AccountClient]) -> None:
        """Open the account and poll it until `stop`."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_default_executor(DaemonExecutor())
        self._main = asyncio.current_task()
        try:
            if not self._stopped:  # before this thread had begun
                await self._serve(store, others)
        finally:
            self._close()

    async def _serve(self, store: WriterThread, others: Mapping[str, AccountClient]) -> None:
        config = self._config
        work = OperationContext.of(config, others, store, self._clock)
        with contextlib.suppress(asyncio.CancelledError):
            try:
                name = self.account.name
                session = AccountSession(
                    self.account, clock=self._clock, on_wait=lambda until: self._on_wait(name, until)
                )
                async with session:
                    self._session.set_result(session)
                    await self._poll(work)
            except JobdashError as error:
                await self._could_not_open(error, store)

    def _close(self, error: JobdashError | None = None) -> None:
        """Fail those waiting for a session that will not be opened; an open one stays."""
        with contextlib.suppress(InvalidStateError):  # another thread was faster
            if not self._session.done():
                self._session.set_exception(error or self._closed())

    def _closed(self) -> Unavailable:
        return Unavailable(f"not sent: {self.account.name} is asked no more, jobdash is ending")

    async def _could_not_open(self, error: JobdashError, store: WriterThread) -> None:
        self._close(error)
        await self._record_failure(error, store)

    async def _record_failure(self, error: Exception, store: WriterThread) -> None:
        """Record on the account why it was not asked; report it, once, where the store cannot be written."""
        try:
            await self._poller.record_failure(error, store)
        except PASSING:
            return
        except StoreError as failure:
            self._report_trouble(str(failure))

    def _report_trouble(self, words: str) -> None:
        """Report what cannot be written to the store, once."""
        if self._trouble != words:
            self._trouble = words
            self._on_trouble(self.account.name, words)

    async def _poll(self, work: OperationContext) -> None:
        reader = await self._open_reader(work.store)
        ended = EndedBatches(self._config, work, reader.again, self._on_fetched, {self.account.name})
        try:
            while True:
                wait = await self._poll_if_due(reader, work) if not self._poller.is_duplicate else _RECHECK_S
                self._follow_up(ended, reader, work.store)
                await self._rest(wait)
        finally:
            reader.close()

    async def _open_reader(self, store: WriterThread) -> Reader:
        """Return a reader, as soon as the store can be read."""
        while True:
            try:
                return Reader(self._config.database, self._clock)
            except StoreError as error:
                await self._record_failure(error, store)
                await self._rest(_RECHECK_S)

    async def _rest(self, seconds: float) -> None:
        """Wait until it may be time to poll, or until a poll is requested."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), max(0.05, min(seconds, _RECHECK_S)))
            self._wake.clear()
            self._session.result().reset()

    async def _poll_if_due(self, reader: Reader, work: OperationContext) -> float:
        """Sync if the account is due and this process may poll it; return the seconds until the next check.

        A store that is busy or cannot be read, or an unexpected answer, ends one sync and never the polling.
        All are reported but the outage of a store, which its readers report once for all accounts.
        """
        try:
            wait, overdue = self._until_due(reader)
            if wait > 0:
                return wait
            if await self._poller.claim(work.store, overdue=overdue):
                began = self._clock()
                report = await self._poller.sync(self._session.result(), reader, work, self._seen)
                self._on_sync(report)
                if report.error is None:
                    self._send_queue(work)
                now = self._clock()
                self._rests_until = now + rest_ms(now - began, self._config.sync)
                self._trouble = ""
            return self._until_due(reader)[0]
        except PASSING:
            return _RECHECK_S
        except KeyDiffers as error:
            self._report_trouble(str(error))
            return _RECHECK_S
        except StoreError as error:
            await self._record_failure(error, work.store)
            return _RECHECK_S
        except Exception as error:  # noqa: BLE001 - recorded on the account, where a person sees it
            await self._record_failure(error, work.store)
            return _RECHECK_S

    def _send_queue(self, work: OperationContext) -> None:
        """Send queued batches in a task beside the polling: an upload may take long."""
        if self._sending is None or self._sending.done():
            self._sending = asyncio.get_running_loop().create_task(self._sent_queue(work))

    async def _sent_queue(self, work: OperationContext) -> None:
        try:
            await self._poller.send_queued(self._session.result(), work)
        except PASSING:
            return  # the next poll goes on with it
        except Exception as error:  # noqa: BLE001 - recorded on the account, where a person sees it
            await self._record_failure(error, work.store)

    def _follow_up(self, ended: EndedBatches, reader: Reader, store: WriterThread) -> None:
        """Fetch the results of ended batches, or ask when they expire, in a task beside the polling."""
        with contextlib.suppress(StoreError):  # the poll says what is wrong with the store
            ended.look(reader)
            due, to_ask = ended.due(reader), ended.to_ask(reader)
            if due or to_ask:
                task = asyncio.get_running_loop().create_task(self._run_follow_up(ended, due, to_ask, store))
                self._follow_ups.add(task)
                task.add_done_callback(self._follow_ups.discard)

    async def _run_follow_up(
        self, ended: EndedBatches, due: Sequence[JobRow], to_ask: Sequence[JobRow], store: WriterThread
    ) -> None:
        try:
            await ended.fetch_results(due)
            await ended.ask_expiry(to_ask)
        except Exception as error:  # noqa: BLE001 - recorded on the account, where a person sees it
            await self._record_failure(error, store)

    def _until_due(self, reader: Reader) -> tuple[float, bool]:
        """Return the seconds until this account is due, and whether that is earlier than planned for it."""
        known = [health for health in reader.accounts() if health.name in self._poller.names]
        own = next((health for health in known if health.name == self.account.name), None)
        if own is None:
            return 0.0, False
        now = self._clock()
        planned = min(health.next_poll_at for health in known)
        if planned == 0 or planned - now > self._poller.longest_ms:
            return 0.0, False
        due = min(planned, self._active_due(own, now))
        if due < planned and 0 < (own.claimed_until or 0) - now <= self._poller.longest_ms:
            due = planned  # another process is at it
        due = max(due, min(self._rests_until, now + self._config.sync.fastest_ms))
        return (due - now) / 1000, due < planned

    def _active_due(self, health: AccountHealth, now: int) -> int:
        """Return when the account is due while keys are pressed; never, where none are."""
        active_at, asked_at = self._active_at, health.asked_at
        never = now + self._poller.longest_ms
        if active_at is None or now - active_at >= ACTIVE_MS or health.error is not None:
            return never
        often = max(ACTIVE_MS - round(_RECHECK_S * 1000), self._config.sync.fastest_ms)
        return never if asked_at is None else asked_at + often

    def _seen(self, batches: int) -> None:
        self._on_progress(self.account.name, batches)

    # ── from other threads ─────────────────────────────────────────────────────────────────────────────────

    def stop(self) -> None:
        """End `serve`; what is under way is cancelled, its intents stay open."""
        self._stopped = True
        if self._loop is None:  # and it never will be: fail those waiting now
            self._close()
        self._call_soon(lambda: self._main.cancel() if self._main else None)

    def record_activity(self) -> None:
        """Note that a person has pressed a key: the account is polled more often for a while."""
        self._active_at = self._clock()

    def wake(self) -> None:
        """Check at once whether it is time to poll."""
        self._call_soon(self._wake.set)

    def _call_soon(self, call: Callable[[], object]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(call)

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the account's server; known once a call was answered."""
        return self._session.result().capabilities

    @property
    def origin(self) -> str:
        """The server's identity; ConfigError where the account's address cannot be read."""
        return server_of(self.account)

    async def call(
        self, request: Request[T], *, before: PreSendHook | None = None, stop: CancelToken | None = None
    ) -> T:
        """Send a request in the account's own loop, from any other; waits until the account is open."""
        # Shielded: a caller who gives up, like a screen that is closed, must not take the session along.
        session = await asyncio.shield(asyncio.wrap_future(self._session))
        assert self._loop is not None
        sending = session.call(request, before=before, stop=stop)
        if asyncio.get_running_loop() is self._loop:
            return await sending
        try:
            sent = asyncio.run_coroutine_threadsafe(sending, self._loop)
        except RuntimeError:  # the loop has ended
            sending.close()
            raise self._closed() from None
        return await asyncio.wrap_future(sent)


async def poll_now(store: WriterThread) -> None:
    """Make every account due."""
    await store.write(Writer.poll_now)


async def close_abandoned(
    store: WriterThread,
    asked: Collection[str],
    on_given_up: Callable[[JobRow, str], None] = lambda _row, _why: None,
) -> None:
    """End, at intervals, local jobs without a worker and removals whose time is over.

    ``asked`` are the accounts that are asked for what waits for them. Runs in the store's loop until that
    ends; a store that is busy is tried again.
    """
    while True:
        with contextlib.suppress(StoreError):
            await store.write(Writer.close_abandoned_cancels)
            await store.write(Writer.end_leases_of_dead)
            for row in await store.write(Writer.give_up_removals, asked):
                on_given_up(row, NOT_CONFIRMED)
        await asyncio.sleep(_RECHECK_S)


async def execute_and_report(
    plan: Plan, work: OperationContext, report: Report, ended: Callable[[BaseException | None], None]
) -> None:
    """Execute a plan in the store's loop; ``ended`` is called at its end, with the error if there was one."""
    try:
        await execute(plan, work, report)
    except asyncio.CancelledError:
        ended(StoreError("stopped: the store was closed; the next start looks after what was sent"))
        raise
    except BaseException as error:  # without a report a failed run would look like one that hangs
        ended(error)
        raise
    ended(None)
