"""Checks that every adapter has to pass against a server of its own, ours and a third party's alike.

In the tests of a package that registers a provider, with pytest and pytest-asyncio::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_conformance(check, target):
        await check(target)

where ``target`` is a `Target` made anew for each test. A check raises `NotConforming`, or the error of the
adapter that it should not have raised.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from jobdash.domain.account import Account, Secret
from jobdash.domain.provider_info import ProviderInfo
from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.status import TERMINAL, UNFINISHED, Status
from jobdash.domain.time import in_calendar
from jobdash.errors import AuthRejected, InvalidRequest, NotFound, ProviderError, UsageError
from jobdash.providers.base import Adapter, Submission
from jobdash.providers.input_check import SubmitWishes, input_rules
from jobdash.providers.pagination import pages
from jobdash.providers.registry import load_adapter, load_object
from jobdash.providers.results import ReadLine, result_line
from jobdash.providers.servers import server_of

Check = Callable[["Target"], Awaitable[None]]
_FILE_READY_S = 300.0
_FILE_ASKED_EVERY_S = 1.0


class NotConforming(AssertionError):
    """An adapter does something else than the Protocol promises."""


@dataclass(frozen=True)
class Target:
    """A provider, and a server that answers as it does: an emulator, or an account that may be used."""

    info: ProviderInfo
    account: Account
    """With a key that is accepted, and the server's address."""
    input_file: Path
    """A sound input file of a few requests."""
    keys: frozenset[str]
    """The keys of its requests."""
    complete: Callable[[str], Awaitable[object]]
    """Let the batch of an id complete at the server; every request succeeds or fails."""
    unknown_id: str
    """An id that the provider could have given, and has not."""
    model: str | None = None
    endpoint: str | None = None
    wrong_key: str = "sk-wrong-0123456789abcdef"
    """A key that is rejected."""

    @asynccontextmanager
    async def open(self, account: Account | None = None) -> AsyncGenerator[Adapter, None]:
        """Open the adapter."""
        async with load_adapter(self.info)(account or self.account) as adapter:
            yield adapter

    def submission(self, key: str = "conformance0001") -> Submission:
        """Return a submit of the input file."""
        return Submission(self.input_file, key, "conformance", self.model, self.endpoint, {})

    async def created(self, adapter: Adapter, key: str = "conformance0001") -> RemoteJob:
        """Upload the file and create a batch of it."""
        submission = self.submission(key)
        file_id = await adapter.upload(submission)
        async with asyncio.timeout(_FILE_READY_S):
            while not await adapter.file_ready(file_id):  # noqa: ASYNC110 - the provider has to be asked
                await asyncio.sleep(_FILE_ASKED_EVERY_S)
        return await adapter.create(submission, file_id)

    async def completed(self, adapter: Adapter) -> RemoteJob:
        """Create a batch, let it complete, and return it as it is then."""
        made = await self.created(adapter)
        await self.complete(made.remote_id)
        return await adapter.get(made.remote_id)


def _require(condition: object, sentence: str) -> None:
    if not condition:
        raise NotConforming(sentence)


async def _refused(call: Awaitable[object], error: type[Exception], what: str) -> Exception:
    try:
        await call
    except error as refused:
        return refused
    raise NotConforming(f"{what} has to raise {error.__name__}")


async def _all(adapter: Adapter, limit: int | None = None) -> list[RemoteJob]:
    walk = pages(lambda cursor: adapter.list(cursor, limit))
    return [job async for page in walk for job in page.jobs]


async def info_is_complete(target: Target) -> None:
    """The `ProviderInfo` names what exists, and its settings make an account."""
    info = target.info
    _require(info.name.isidentifier() and info.name.islower(), "name: a lower-case identifier")
    _require(info.title and info.base_url.startswith("https://"), "title, and an https base_url")
    _require(info.request_fields, "request_fields: at least the key of a request")
    _require(info.claims(target.unknown_id), "id_pattern matches an id of the provider")
    _require(not info.claims("two words"), "id_pattern matches whole words only")
    _require(input_rules(info).info.name == info.name, "the input rules name the provider they are for")


async def origin_is_the_server(target: Target) -> None:
    """The adapter's ``origin`` is the identity that is computed without opening it."""
    async with target.open() as adapter:
        _require(adapter.origin == server_of(target.account), "origin: as server_of() has it")
        _require(adapter.capabilities == target.info.capabilities, "capabilities: those of the ProviderInfo")


async def a_key_is_wanted(target: Target) -> None:
    """Without a key, and with a wrong one, AuthRejected; the key is in no message."""
    try:
        load_adapter(target.info)(replace(target.account, api_key=None))
    except AuthRejected:
        pass
    else:
        raise NotConforming("an account without a key has to raise AuthRejected")
    async with target.open(replace(target.account, api_key=Secret(target.wrong_key))) as adapter:
        error = await _refused(adapter.list(), AuthRejected, "list() with a wrong key")
    _require(target.wrong_key not in f"{error} {error!r}", "no message holds a key")


async def a_created_batch_is_found(target: Target) -> None:
    """A batch is unfinished when created, and is listed and read.

    It has our key and its name, or else its number of requests, which then has to be known.
    """
    carries = target.info.capabilities.carries_key
    async with target.open() as adapter:
        made = await target.created(adapter)
        _require(target.info.claims(made.remote_id), "id_pattern matches the id of a created batch")
        _require(made.status in UNFINISHED, f"a new batch is unfinished, not {made.status}")
        listed = {job.remote_id: job for job in await _all(adapter)}
        _require(made.remote_id in listed, "list() shows a batch that was created")
        for job in (listed[made.remote_id], await adapter.get(made.remote_id)):
            if carries:
                _require(job.submit_key == "conformance0001", "the key of a submit comes back in submit_key")
                _require(job.name == "conformance", "the name of a submit comes back")
            else:
                _require(job.submit_key is None and job.name is None, "carries_key: no key, no name")
                known = job.total == len(target.keys) or "input" in job.files
                _require(known, "a batch without a key has its number of requests, or names its file")
            _check_values(job)


def _check_values(job: RemoteJob) -> None:
    for moment in (job.created_at, job.started_at, job.finished_at, job.expires_at):
        _require(moment is None or in_calendar(moment), "times are milliseconds UTC, in the calendar")
    _require(job.created_at is not None, "created_at is known")
    counts = (job.total, job.succeeded, job.failed, job.cancelled, job.expired)
    _require(all(count is None or count >= 0 for count in counts), "counts are not negative")
    _require(job.status is not Status.UNKNOWN, f"the status {job.raw_status!r} has a common word")


async def a_list_ends(target: Target) -> None:
    """Page by page every batch is listed once, in the order that the capabilities promise."""
    async with target.open() as adapter:
        made = [(await target.created(adapter, f"conformance{number}")).remote_id for number in range(3)]
        listed = [job.remote_id for job in await _all(adapter, limit=1)]
    _require(len(listed) == len(set(listed)), "a list shows no batch twice")
    _require(set(made) <= set(listed), "a list in pages of one shows every batch")
    if target.info.capabilities.newest_first:
        places = [listed.index(each) for each in made]
        _require(places == sorted(places, reverse=True), "newest_first: the newest batch is listed first")


async def an_unknown_batch_is_not_found(target: Target) -> None:
    """GET and cancel of an id that does not exist raise NotFound."""
    async with target.open() as adapter:
        await _refused(adapter.get(target.unknown_id), NotFound, "get() of an unknown id")
        if target.info.capabilities.cancels:
            await _refused(adapter.cancel(target.unknown_id), NotFound, "cancel() of an unknown id")


async def a_cancel_is_seen(target: Target) -> None:
    """A cancel is accepted while a batch runs, and is visible where the capabilities promise it."""
    async with target.open() as adapter:
        made = await target.created(adapter)
        if not target.info.capabilities.cancels:
            await _refused(adapter.cancel(made.remote_id), InvalidRequest, "cancel() without such a call")
            return
        answered = await adapter.cancel(made.remote_id)
        _require(answered is None or answered.remote_id == made.remote_id, "cancel() answers that batch")
        status = (await adapter.get(made.remote_id)).status
        if target.info.capabilities.reports_cancelling:
            _require(status in {Status.CANCELLING, Status.CANCELLED}, f"a cancel is seen, not {status}")


async def a_finished_batch_stays_finished(target: Target) -> None:
    """A cancel that comes too late is refused or ignored, and changes nothing."""
    async with target.open() as adapter:
        job = await target.completed(adapter)
        with suppress(ProviderError):
            await adapter.cancel(job.remote_id)
        status = (await adapter.get(job.remote_id)).status
        _require(status is Status.COMPLETED, f"a completed batch stays completed, not {status}")


async def results_are_whole(target: Target) -> None:
    """Each request of a completed batch has one line, with an answer or an error."""
    async with target.open() as adapter:
        job = await target.completed(adapter)
        _require(job.status in TERMINAL, f"complete() completes a batch, not {job.status}")
        async with aclosing(adapter.results(job)) as lines:
            found = [line async for line in lines]
    keys = [line.key for line in found]
    _require(sorted(keys) == sorted(target.keys), f"one line for each request, not {sorted(keys)}")
    both = [line for line in found if (line.body is None) == (line.error is None)]
    _require(not both, "a line has a body or an error, never both or neither")


async def results_come_as_they_were_sent(target: Target) -> None:
    """Each file of results is streamed in whole lines, which the `ProviderInfo`'s reader reads."""
    read: ReadLine = load_object(target.info.result_reader)
    found: list[str] = []
    async with target.open() as adapter:
        job = await target.completed(adapter)
        for role in adapter.result_roles(job):
            _require(role in {"output", "error"}, f"a file of results is output or error, not {role}")
            async with aclosing(adapter.result_lines(job, role)) as lines:
                raw = [line async for line in lines]
            _require(all(line.endswith(b"\n") for line in raw[:-1]), "lines keep their line ends")
            answers = (result_line(line, where=role, read=read) for line in raw)
            found += [line.key for line in answers if line is not None]
    _require(sorted(found) == sorted(target.keys), f"one line for each request, not {sorted(found)}")


async def input_comes_back_where_promised(target: Target) -> None:
    """The input file can be downloaded where the capabilities promise it, and else is NotFound."""
    async with target.open() as adapter:
        job = await target.completed(adapter)
        try:
            async with aclosing(adapter.input_lines(job)) as lines:
                content = b"".join([line async for line in lines])
        except NotFound:
            _require(not target.info.capabilities.returns_input, "returns_input: input_lines() returns it")
        else:
            _require(content == target.input_file.read_bytes(), "the input file comes back as it was sent")


async def a_deletion_is_one(target: Target) -> None:
    """`delete` removes the record where the capabilities promise it, and else refuses without asking."""
    async with target.open() as adapter:
        remote_id = (await target.completed(adapter)).remote_id
        if target.info.capabilities.deletes_records:
            await adapter.delete(remote_id)
            await _refused(adapter.get(remote_id), NotFound, "get() of a deleted batch")
        else:
            await _refused(adapter.delete(remote_id), InvalidRequest, "delete() without such a call")
            await adapter.get(remote_id)


async def a_file_is_deleted_once(target: Target) -> None:
    """An uploaded file can be deleted; the second time it is NotFound."""
    if not target.info.capabilities.deletes_files:
        return
    async with target.open() as adapter:
        file_id = await adapter.upload(target.submission())
        await adapter.delete_file(file_id)
        await _refused(adapter.delete_file(file_id), NotFound, "delete_file() of a deleted file")


async def an_uploaded_file_is_listed(target: Target) -> None:
    """The list of files ends, and has a file just uploaded; or the provider has no such list."""
    async with target.open() as adapter:
        file_id = await adapter.upload(target.submission())
        cursor: str | None = None
        found: set[str] = set()
        for _ in range(_MOST_PAGES):
            try:
                page = await adapter.files(cursor)
            except InvalidRequest:
                return
            found |= {file.id for file in page.files}
            cursor = page.cursor
            if cursor is None:
                break
        _require(cursor is None, "files() comes to an end")
        _require(file_id in found, "files() has a file that was uploaded")


async def input_is_checked(target: Target) -> None:
    """The sound file passes with all its requests; one with a key used twice, or no JSON, is refused."""
    rules = input_rules(target.info)
    check = rules(target.input_file, "input").check()
    _require(check.requests == len(target.keys), "check() counts the requests")
    wishes = SubmitWishes(
        model=None if check.model else target.model,
        endpoint=None if check.endpoint else target.endpoint,
        base_url=target.account.base_url,
    )
    tuple(rules.check_wishes(check, wishes))
    sound = target.input_file.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        broken = Path(folder) / "broken.jsonl"
        for content, what in (
            (sound + sound, "a key used twice"),
            (b"{\n", "no JSON"),
            (b"", "nothing in it"),
        ):
            broken.write_bytes(content)
            try:
                rules(broken, "input").check()
            except UsageError:
                continue
            raise NotConforming(f"a file with {what} has to raise UsageError")


_MOST_PAGES = 100
CHECKS: tuple[Check, ...] = (
    info_is_complete,
    origin_is_the_server,
    a_key_is_wanted,
    a_created_batch_is_found,
    a_list_ends,
    an_unknown_batch_is_not_found,
    a_cancel_is_seen,
    a_finished_batch_stays_finished,
    results_are_whole,
    results_come_as_they_were_sent,
    input_comes_back_where_promised,
    a_deletion_is_one,
    a_file_is_deleted_once,
    an_uploaded_file_is_listed,
    input_is_checked,
)
"""Each is awaited with a `Target`."""
