"""One account's session: order, pauses, what is sent again and what is not, stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from jobdash.demo.emulator import BatchScript, ErrorAnswer, FaultRule, Reset
from jobdash.domain.account import Account, Secret
from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.status import Status
from jobdash.errors import (
    AuthRejected,
    BadResponse,
    ConfigError,
    InvalidRequest,
    NotFound,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Unavailable,
)
from jobdash.operations.accounts.downloads import DownloadResults
from jobdash.operations.accounts.rate_limiter import RateLimiter, RequestKind
from jobdash.operations.accounts.session import (
    AccountSession,
    CancelBatch,
    CancelToken,
    CreateBatch,
    DeleteBatch,
    DeleteFile,
    GetBatch,
    GetErrors,
    ListPage,
    NotSent,
    UploadFile,
)
from jobdash.providers.base import RemotePage

ACCOUNT = Account("work", "openai", "WORK_KEY", Secret("sk-x"))
JOB = RemoteJob("batch_1", Status.IN_PROGRESS, "in_progress", None, None)


class Time:
    """A clock that moves only when somebody sleeps; nobody really does."""

    def __init__(self) -> None:
        self.ms = 1_000_000
        self.slept: list[float] = []
        self.held: asyncio.Event | None = None

    def __call__(self) -> int:
        return self.ms

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self.held is not None:
            await self.held.wait()
        self.ms += round(seconds * 1000)


class Scripted:
    """An adapter that says what it is told to; notes what it was asked, and how many at once."""

    origin = "https://scripted"
    capabilities = None

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failures: list[ProviderError] = []
        self.gate: asyncio.Event | None = None
        self.running = self.most = 0

    async def __aenter__(self) -> Scripted:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.asked.append("closed")

    async def _answer(self, what: str, answer: Any) -> Any:
        self.asked.append(what)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self.gate is not None:
                await self.gate.wait()
            if self.failures:
                raise self.failures.pop(0)
            return answer
        finally:
            self.running -= 1

    async def list(self, cursor: str | None = None, limit: int | None = None) -> RemotePage:
        return await self._answer(f"list {cursor}", RemotePage((), None))

    async def get(self, remote_id: str) -> RemoteJob:
        return await self._answer(f"get {remote_id}", JOB)

    async def result_lines(self, job: RemoteJob, role: str) -> AsyncGenerator[bytes, None]:
        yield await self._answer("results", b"{}\n")

    async def cancel(self, remote_id: str) -> RemoteJob | None:
        return await self._answer(f"cancel {remote_id}", JOB)


@asynccontextmanager
async def opened(adapter: Scripted, time: Time, **settings: Any) -> AsyncIterator[AccountSession]:
    async with AccountSession(
        ACCOUNT,
        open_adapter=lambda _: adapter,  # type: ignore[arg-type,return-value]
        clock=time,
        sleep=time.sleep,
        jitter=lambda longest: longest,
        **settings,
    ) as session:
        yield session


@pytest.fixture
def adapter() -> Scripted:
    return Scripted()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def session(adapter: Scripted, time: Time) -> AsyncIterator[AccountSession]:
    async with opened(adapter, time) as session:
        yield session


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_actions_before_questions_before_pages(adapter: Scripted, time: Time) -> None:
    async with opened(adapter, time, in_flight=1) as session:
        adapter.gate = asyncio.Event()
        requests = [
            GetBatch("0"),
            ListPage("p"),
            GetBatch("1"),
            CancelBatch("2"),
            ListPage("q"),
            CancelBatch("3"),
            GetBatch("4"),
        ]
        calls = [asyncio.create_task(session.call(request)) for request in requests]
        await settle()
        adapter.gate.set()
        await asyncio.gather(*calls)
    assert adapter.asked == [
        "get 0", "cancel 2", "cancel 3", "get 1", "get 4", "list p", "list q", "closed",
    ]  # fmt: skip


@pytest.mark.parametrize(("request_of", "most"), [(CancelBatch, 4), (GetBatch, 4), (ListPage, 1)])
async def test_how_many_at_once(
    adapter: Scripted, time: Time, request_of: Callable[[str], Any], most: int
) -> None:
    async with opened(adapter, time, in_flight=4) as session:
        adapter.gate = asyncio.Event()
        calls = [asyncio.create_task(session.call(request_of(str(number)))) for number in range(9)]
        await settle()
        adapter.gate.set()
        await asyncio.gather(*calls)
    assert adapter.most == most


async def test_a_page_under_way_holds_up_no_action(session: AccountSession, adapter: Scripted) -> None:
    adapter.gate = asyncio.Event()
    calls = [
        asyncio.create_task(session.call(request)) for request in (ListPage(), ListPage(), CancelBatch("a"))
    ]
    await settle()
    assert adapter.asked == ["list None", "cancel a"]
    adapter.gate.set()
    await asyncio.gather(*calls)


@pytest.mark.parametrize("failure", [Unavailable(), RateLimited(), RateLimited(retry_after=7.0)])
async def test_a_read_is_tried_three_times(
    session: AccountSession, adapter: Scripted, failure: ProviderError
) -> None:
    adapter.failures = [failure, failure]
    assert await session.call(GetBatch("a")) == JOB
    adapter.failures = [failure] * 5
    with pytest.raises(type(failure)):
        await session.call(GetBatch("a"))
    assert adapter.asked == ["get a"] * 6


async def test_the_wait_grows_and_a_named_one_is_honoured_up_to_a_minute(
    session: AccountSession, adapter: Scripted, time: Time
) -> None:
    adapter.failures = [Unavailable(), Unavailable()]
    await session.call(GetBatch("a"))
    adapter.failures = [RateLimited(retry_after=7.0), RateLimited(retry_after=3600.0)]
    await session.call(GetBatch("a"))
    assert time.slept == [2.0, 4.0, 7.0, 60.0]


@pytest.mark.parametrize("failure", [NotFound(), BadResponse(), InvalidRequest(), AuthRejected()])
async def test_a_plain_no_is_not_asked_again(
    session: AccountSession, adapter: Scripted, failure: ProviderError
) -> None:
    for request in (GetBatch("a"), CancelBatch("a")):
        session.reset()
        adapter.failures = [failure]
        with pytest.raises(type(failure)):
            await session.call(request)
    assert adapter.asked == ["get a", "cancel a"]


async def test_an_action_that_may_have_been_applied_is_never_sent_again(
    session: AccountSession, adapter: Scripted
) -> None:
    adapter.failures = [Unavailable()]
    with pytest.raises(Unavailable):
        await session.call(CancelBatch("a"))
    assert adapter.asked == ["cancel a"]


@pytest.mark.parametrize(
    "failure", [RateLimited(retry_after=20.0), RateLimited(), Unavailable(retry_after=20.0)]
)
async def test_an_action_that_was_not_applied_goes_again_five_times(
    session: AccountSession, adapter: Scripted, failure: ProviderError
) -> None:
    committed = []

    async def commit() -> None:
        committed.append(len(adapter.asked))

    adapter.failures = [failure] * 5
    await session.call(CancelBatch("a"), before=commit)
    adapter.failures = [failure] * 9
    with pytest.raises(type(failure)):
        await session.call(CancelBatch("b"), before=commit)
    assert adapter.asked == ["cancel a"] * 6 + ["cancel b"] * 6
    assert committed == list(range(12))


async def test_a_pause_holds_the_whole_account_and_is_told(adapter: Scripted, time: Time) -> None:
    told: list[int | None] = []
    async with opened(adapter, time, on_wait=told.append) as session:
        time.held = asyncio.Event()
        adapter.failures = [RateLimited(retry_after=20.0)]
        first = asyncio.create_task(session.call(CancelBatch("a")))
        await settle()
        others = [
            asyncio.create_task(session.call(request))
            for request in (ListPage(), GetBatch("c"), CancelBatch("b"))
        ]
        await settle()
        assert adapter.asked == ["cancel a"]
        assert session.paused_until == 1_020_000
        time.held.set()
        await asyncio.gather(first, *others)
        assert session.paused_until is None
    assert adapter.asked == ["cancel a", "cancel a", "cancel b", "get c", "list None", "closed"]
    assert told == [1_020_000, None]


async def test_a_longer_pause_wins(adapter: Scripted, time: Time) -> None:
    told: list[int | None] = []
    async with opened(adapter, time, on_wait=told.append) as session:
        time.held = asyncio.Event()
        adapter.failures = [RateLimited(retry_after=float(wait)) for wait in (20, 50, 5)]
        adapter.gate = asyncio.Event()
        calls = [asyncio.create_task(session.call(CancelBatch(str(number)))) for number in range(3)]
        await settle()
        adapter.gate.set()
        await settle()
        assert session.paused_until == 1_050_000
        time.held.set()
        await asyncio.gather(*calls)
    assert told == [1_020_000, 1_050_000, None]


async def test_before_comes_with_the_turn_and_not_earlier(adapter: Scripted, time: Time) -> None:
    done: list[str] = []
    async with opened(adapter, time, in_flight=1) as session:
        adapter.gate = asyncio.Event()

        async def commit() -> None:
            done.append("committed")

        first = asyncio.create_task(session.call(CancelBatch("a")))
        second = asyncio.create_task(session.call(CancelBatch("b"), before=commit))
        await settle()
        assert done == []
        adapter.gate.set()
        await asyncio.gather(first, second)
    assert done == ["committed"]


async def test_what_before_raises_keeps_it_unsent(session: AccountSession, adapter: Scripted) -> None:
    async def changed_meanwhile() -> None:
        raise LookupError("changed")

    with pytest.raises(LookupError):
        await session.call(CancelBatch("a"), before=changed_meanwhile)
    await session.call(CancelBatch("b"))
    assert adapter.asked == ["cancel b"]


async def test_stop_leaves_what_waits_unsent_and_awaits_what_is_out(adapter: Scripted, time: Time) -> None:
    stop = CancelToken()
    async with opened(adapter, time, in_flight=2) as session:
        adapter.gate = asyncio.Event()
        calls = [
            asyncio.create_task(session.call(CancelBatch(str(number)), stop=stop)) for number in range(5)
        ]
        await settle()
        await asyncio.to_thread(stop.set)
        await settle()
        adapter.gate.set()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [RemoteJob] * 2 + [NotSent] * 3
        with pytest.raises(NotSent):
            await session.call(CancelBatch("late"), stop=stop)
        await session.call(CancelBatch("free"))
    assert adapter.asked == ["cancel 0", "cancel 1", "cancel free", "closed"]


async def test_what_is_made_ready_ahead_is_neither_sent_behind_a_stop_nor_in_a_pause(
    adapter: Scripted, time: Time
) -> None:
    """Three places in flight have one request made ready: written down, and not sent."""
    stop, ready = CancelToken(), list[int]()

    def before(number: int) -> Callable[[], Awaitable[None]]:
        async def note() -> None:
            ready.append(number)

        return note

    async with opened(adapter, time, in_flight=3) as session:
        adapter.gate = asyncio.Event()
        calls = [
            asyncio.create_task(session.call(CancelBatch(str(number)), before=before(number), stop=stop))
            for number in range(6)
        ]
        await settle()
        assert ready == [0, 1, 2, 3]
        assert adapter.asked == ["cancel 0", "cancel 1", "cancel 2"]
        time.held = asyncio.Event()
        session._limiter.pause(20.0)
        adapter.gate.set()
        await settle()
        assert adapter.asked == ["cancel 0", "cancel 1", "cancel 2"]
        stop.set()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [RemoteJob] * 3 + [NotSent] * 3
        time.held.set()
    assert adapter.asked == ["cancel 0", "cancel 1", "cancel 2", "closed"]


async def test_stop_during_a_pause_leaves_it_unsent(
    session: AccountSession, adapter: Scripted, time: Time
) -> None:
    stop = CancelToken()
    time.held = asyncio.Event()
    adapter.failures = [RateLimited(retry_after=20.0)]
    call = asyncio.create_task(session.call(CancelBatch("a"), stop=stop))
    await settle()
    stop.set()
    with pytest.raises(NotSent):
        await call
    assert adapter.asked == ["cancel a"]


async def test_a_cancelled_call_gives_its_place_back(adapter: Scripted, time: Time) -> None:
    async with opened(adapter, time, in_flight=1) as session:
        adapter.gate = asyncio.Event()
        calls = [asyncio.create_task(session.call(CancelBatch(str(number)))) for number in range(3)]
        await settle()
        for call in calls[:2]:
            call.cancel()
        await settle()
        adapter.gate.set()
        assert await calls[2] == JOB


async def test_a_turn_that_comes_with_the_cancellation_is_given_back(time: Time) -> None:
    limiter = RateLimiter(in_flight=1, clock=time, sleep=time.sleep)

    async def hold() -> None:
        async with limiter.turn(limiter.ticket(RequestKind.ACTION)):
            pass

    async with limiter.turn(limiter.ticket(RequestKind.ACTION)):
        second, third = asyncio.create_task(hold()), asyncio.create_task(hold())
        await settle()
    second.cancel()
    async with asyncio.timeout(1):
        await third
    assert second.cancelled()


@pytest.mark.parametrize(
    "failure", [AuthRejected("key rejected (401)", status=401), QuotaExhausted("used up")]
)
async def test_a_rejected_key_fails_later_actions_at_once(
    session: AccountSession, adapter: Scripted, failure: ProviderError
) -> None:
    adapter.failures = [failure]
    with pytest.raises(type(failure)):
        await session.call(CancelBatch("a"))
    with pytest.raises(type(failure), match=f"not sent: {str(failure)[:8]}") as caught:
        await session.call(CancelBatch("b"))
    assert caught.value.status == failure.status
    assert adapter.asked == ["cancel a"]
    await session.call(GetBatch("c"))
    await session.call(CancelBatch("d"))
    assert adapter.asked == ["cancel a", "get c", "cancel d"]


async def test_a_rejected_key_fails_also_those_that_wait_already(adapter: Scripted, time: Time) -> None:
    async with opened(adapter, time, in_flight=1) as session:
        adapter.failures = [AuthRejected()]
        adapter.gate = asyncio.Event()
        calls = [asyncio.create_task(session.call(CancelBatch(str(number)))) for number in range(3)]
        await settle()
        adapter.gate.set()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [AuthRejected] * 3
        assert adapter.asked == ["cancel 0"]
        session.reset()
        await session.call(CancelBatch("again"))


async def test_a_read_that_is_rejected_stops_no_action(session: AccountSession, adapter: Scripted) -> None:
    adapter.failures = [AuthRejected()]
    with pytest.raises(AuthRejected):
        await session.call(GetBatch("a"))
    assert await session.call(CancelBatch("a")) == JOB


async def test_closing_sends_away_what_waits(adapter: Scripted, time: Time) -> None:
    time.held = asyncio.Event()
    async with opened(adapter, time) as session:
        adapter.failures = [RateLimited(retry_after=20.0)]
        call = asyncio.create_task(session.call(CancelBatch("a")))
        await settle()
    with pytest.raises(NotSent):
        await call


def test_a_session_stays_in_its_loop(adapter: Scripted, time: Time) -> None:
    async def enter() -> AccountSession:
        async with opened(adapter, time) as session:
            return session

    async def use(session: AccountSession) -> None:
        with pytest.raises(RuntimeError, match="loop"):
            await session.call(GetBatch("a"))

    asyncio.run(use(asyncio.run(enter())))


async def test_an_account_that_cannot_be_opened() -> None:
    with pytest.raises(AuthRejected, match="WORK_KEY"):
        async with AccountSession(Account("work", "openai", "WORK_KEY")):
            pass
    with pytest.raises(ConfigError):
        async with AccountSession(Account("work", "bedrock", "WORK_KEY")):
            pass


async def test_retries_are_silent(
    session: AccountSession, adapter: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    adapter.failures = [Unavailable()]
    await session.call(GetBatch("a"))
    assert not [record for record in caplog.records if record.name.startswith("stamina")]


@pytest.mark.parametrize("provider", ["openai", "gemini"])
async def test_a_real_account(world: Any, time: Time, submission: Any, provider: str) -> None:
    submit = submission(provider)
    async with AccountSession(world.account(provider), clock=time, sleep=time.sleep) as session:
        assert session.origin == world.account(provider).base_url
        job = await session.call(CreateBatch(submit, await session.call(UploadFile(submit))))
        world.clock.advance(3600)
        page = await session.call(ListPage(limit=5))
        assert [found.submit_key for found in page.jobs] == [submit.key]
        ended = await session.call(GetBatch(job.remote_id))
        assert await session.call(GetErrors(ended, most=5)) == ()
        await session.call(DeleteFile(ended.files["input"]))
        if session.capabilities.deletes_records:
            await session.call(DeleteBatch(job.remote_id))


@pytest.mark.parametrize("provider", ["openai", "gemini"])
async def test_real_refusals_are_waited_for_and_real_resets_are_not_repeated(
    world: Any, time: Time, provider: str
) -> None:
    faults, journal = world.emulator.faults, world.emulator.journal
    first, second = (
        getattr(world.emulator, provider).add_batch(BatchScript(), key=world.key) for _ in range(2)
    )
    async with AccountSession(world.account(provider), clock=time, sleep=time.sleep) as session:
        faults.add(FaultRule(effect=ErrorAnswer(429, retry_after=20), path="*cancel", times=2))
        await session.call(CancelBatch(first))
        assert time.slept == [20.0, 20.0]
        faults.clear()
        journal.clear()
        faults.add(FaultRule(effect=Reset(applied=True), path="*cancel"))
        with pytest.raises(Unavailable):
            await session.call(CancelBatch(second))
        faults.clear()
        assert len(journal.calls(path="*cancel")) == 1
        faults.add(FaultRule(effect=ErrorAnswer(503), times=2))
        assert (await session.call(GetBatch(second))).remote_id == second
        faults.clear()


async def test_a_download_that_drips_ends_at_its_deadline_and_is_closed(time: Time) -> None:
    closed = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
        await reader.read()
        closed.set()
        writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    account = Account("work", "openai", "WORK_KEY", Secret("sk-x"), url)
    job = RemoteJob("batch_1", Status.COMPLETED, "completed", None, None, files={"error": "file-1"})
    async with AccountSession(account, clock=time, sleep=time.sleep) as session:
        with pytest.raises(BadResponse, match=r"not read within 0\.1 s"):
            await session.call(GetErrors(job, most=5, within=0.1))
        async with asyncio.timeout(5):
            await closed.wait()
    server.close()


async def test_downloads_hold_up_no_action(adapter: Scripted, time: Time, tmp_path: Path) -> None:
    # A large file may take an hour.
    adapter.gate = asyncio.Event()
    async with opened(adapter, time, in_flight=4) as session:
        downloads = [
            asyncio.create_task(session.call(DownloadResults(JOB, tmp_path / str(number), CancelToken())))
            for number in range(9)
        ]
        await settle()
        assert adapter.asked == ["results"] * 3
        held, adapter.gate = adapter.gate, None
        async with asyncio.timeout(5):
            await session.call(CancelBatch("0"))
        held.set()
        await asyncio.gather(*downloads)
    assert adapter.asked.count("results") == 9
