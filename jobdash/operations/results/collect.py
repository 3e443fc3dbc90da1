"""Collect the results of a batch: download them as they were sent, join them by key, and keep the counts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from jobdash.domain.describe.job_text import done_words
from jobdash.domain.describe.result_text import odd_keys, outcome_counts
from jobdash.domain.job import JobDetails, JobRow
from jobdash.domain.plan import ActionResult
from jobdash.domain.provider_info import ProviderInfo
from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.results import ResultCounts, ResultFormat
from jobdash.domain.status import LABELS, TERMINAL, Status
from jobdash.domain.text import clean
from jobdash.domain.time import rfc3339
from jobdash.errors import BadResponse, InvalidRequest, JobdashError, NotFound, ProviderError
from jobdash.operations.accounts.downloads import DownloadInput
from jobdash.operations.accounts.session import GetBatch
from jobdash.operations.context import AccountClient
from jobdash.operations.providers import provider_at
from jobdash.operations.results.download import ResultDownload
from jobdash.operations.results.fetch_request import FetchedResults, FetchRequest
from jobdash.operations.results.folder import (
    FORMATS,
    INPUT,
    MISSING,
    RAW,
    RESULTS,
    FolderInUse,
    ResultFolder,
    folder_of,
    kept_folder,
)
from jobdash.operations.results.formats import convert_results
from jobdash.operations.results.held_folder import HeldFolder
from jobdash.operations.results.input_copies import input_copy
from jobdash.operations.results.join import JoinedResults
from jobdash.providers.registry import load_object
from jobdash.store.writer import Writer

_ENDED = {Status.FAILED: "failed", Status.EXPIRED: "expired", Status.CANCELLED: "was cancelled"}
_Requests = tuple[Path | None, str | None]
"""An input file, and where it is from; None where it cannot be had."""


async def collect(row: JobRow, request: FetchRequest) -> FetchedResults:
    """Collect a batch into a folder of its own. Never raises for what is wrong with one batch.

    An unfinished batch is refused unless partial results are asked for.
    """
    info = provider_at(row)
    if info is None:
        return _failed(row, f"no provider is called {row.provider!r}")
    if row.remote_id is None:
        return FetchedResults(row, ActionResult.SKIPPED, "it never reached its provider", refused=True)
    if row.remote_status not in TERMINAL and not request.partial:
        counted = row.done is not None or row.percent is not None or row.total is None
        return _failed(row, f"not finished: {done_words(row, 'so far')}" if counted else "not finished")
    try:
        return await _Collection(request, row, info, folder_of(request.folder, row)).run()
    except FolderInUse as error:
        return replace(_failed(row, str(error)), in_use=True)
    except OSError as error:
        return _failed(row, not_written(request.folder, error))
    except ProviderError as error:
        return _failed(row, error.full_text)
    except JobdashError as error:
        return _failed(row, str(error))


def not_written(folder: Path, error: OSError) -> str:
    """Return why results could not be written into a folder."""
    in_the_way = isinstance(error, FileExistsError) and error.filename
    return f"{in_the_way or folder} cannot be written: {error.strerror or error}"


def _failed(row: JobRow, reason: str) -> FetchedResults:
    return FetchedResults(row, ActionResult.FAILED, reason)


def _none_sent(counted: int) -> JobdashError:
    return JobdashError(f"its provider counts {counted:,} answers, and sent none: try again")


class _Collection:
    """One batch under way."""

    def __init__(self, request: FetchRequest, row: JobRow, info: ProviderInfo, folder: ResultFolder) -> None:
        self._request = request
        self._row = row
        self._info = info
        self._folder = folder
        self._note = ""
        self._received = {"results": 0, "requests": 0}
        self._lacks = 0
        self._held = HeldFolder(folder, self._close, self._tell_wait)
        self._download = self._new_download()

    async def run(self) -> FetchedResults:
        if not self._request.record and (kept := await asyncio.to_thread(self._kept)) is not None:
            return kept
        async with self._held:
            if self._request.unless_fetched and (counts := await self._fetched_meanwhile()) is not None:
                return FetchedResults(self._row, ActionResult.SKIPPED, "fetched meanwhile", counts=counts)
            manifest, counts = await self._held.run(self._here)
            if manifest is not None and counts is not None:
                return await self._already_here(manifest, counts)
            return await self._collect()

    def _tell_wait(self) -> None:
        name, where = clean(self._row.name, 80), self._folder.path
        self._request.work.notice(f"{name}: waiting for another jobdash, which is fetching into {where}")

    def _close(self) -> None:
        self._download.close()

    def _here(self) -> tuple[dict[str, Any] | None, ResultCounts | None]:
        """Return the manifest of what is in the folder, and the counts if all of it is there."""
        manifest = self._folder.manifest()
        return manifest, None if manifest is None else self._folder.counts()

    async def _fetched_meanwhile(self) -> ResultCounts | None:
        """Return what was fetched of the batch since its row was read, as while the folder was locked."""
        return (await asyncio.to_thread(self._details)).row.collected

    def _kept(self) -> FetchedResults | None:
        """Return the results that an earlier fetch has left in a folder, if they are whole."""
        folder = kept_folder(self._details())
        counts = None if folder is None else folder.counts()
        if folder is None or counts is None or self._request.format is not ResultFormat.JSONL:
            return None
        self._folder = folder
        return self._done(counts, ActionResult.DONE, outcome_counts(counts))

    async def _already_here(self, manifest: dict[str, Any], counts: ResultCounts) -> FetchedResults:
        name, made = FORMATS.get(self._request.format), ""
        if name is not None and name not in manifest["files"]:
            made = name
            await self._held.run(self._convert, self._folder.file(RESULTS))
            files = manifest["files"] | await self._held.run(self._download.synced, [name])
            await self._held.run(self._folder.publish, [name], manifest | {"files": files})
        if self._request.record and await self._fetched_meanwhile() is None:
            await self._record(counts)
        if made:
            return self._done(counts, ActionResult.DONE, f"{outcome_counts(counts)}, {made} of what is here")
        return self._done(counts, ActionResult.SKIPPED, "already here")

    async def _collect(self) -> FetchedResults:
        details = await asyncio.to_thread(self._details)
        caller = self._request.work.caller(self._row)
        remote = await self._remote(details, caller)
        if "output" not in remote.files:  # there may be no results, for which requests would be needed
            return await self._collected(details, remote, caller)
        early = asyncio.create_task(self._requests(details, remote, caller))
        try:
            return await self._collected(details, remote, caller, early)
        finally:
            early.cancel()
            await asyncio.gather(early, return_exceptions=True)

    async def _collected(
        self,
        details: JobDetails,
        remote: RemoteJob,
        caller: AccountClient,
        early: asyncio.Task[_Requests] | None = None,
    ) -> FetchedResults:
        """Download the results, join them with the requests, which ``early`` brings, and name the files."""
        roles = await self._downloaded(remote, caller)
        if not roles and (counted := self._promised(remote)):
            # Taken for "no results", all its requests would be sent, and paid, again.
            roles = await self._downloaded_again(remote, caller)
            if not roles:
                raise _none_sent(counted)
        if not roles:
            return FetchedResults(
                self._row, ActionResult.SKIPPED, self._nothing(remote), refused=remote.status not in TERMINAL
            )
        requests, source = await (early or self._requests(details, remote, caller))
        joined, files = await self._joined(roles, requests)
        if source == "provider" and self._is_short(joined.counts):
            requests, source = await self._requests(details, remote, caller)
            joined, files = await self._joined(roles, requests)
            if self._is_short(joined.counts):
                requests, source = None, None
                joined, files = await self._joined(roles, requests)
        if self._lacking(remote, joined.counts):
            joined, files = await self._joined_again(remote, caller, requests, joined, files)
        manifest = self._manifest(remote, joined, source)
        if self._request.format in FORMATS:
            async with self._request.joins:
                await self._held.run(self._convert, self._folder.part(RESULTS))
        await self._held.run(self._publish, manifest, files)
        if self._request.record and manifest["complete"]:
            await self._record(joined.counts)
        words = [outcome_counts(joined.counts), odd_keys(joined.counts), self._download.note, self._note]
        if remote.status is not Status.COMPLETED:
            words.append(f"partial ({LABELS[remote.status]})")
        return self._done(joined.counts, ActionResult.DONE, ", ".join(filter(None, words)))

    async def _joined(
        self, roles: Sequence[str], requests: Path | None
    ) -> tuple[JoinedResults, dict[str, Any]]:
        """Join what was downloaded, while the disk writes it; return the facts of all files, too."""
        files = asyncio.create_task(self._held.run(self._download.synced, [RAW[role] for role in roles]))
        try:
            async with self._request.joins:
                key_field, total = self._info.request_fields[0], self._row.total
                joined = await self._held.run(self._download.join, requests, key_field, total)
            made = [RESULTS] if requests is None else [RESULTS, MISSING]
            facts = await self._held.run(self._download.synced, made)
        finally:
            downloaded = await files
        return joined, downloaded | facts

    def _is_short(self, counts: ResultCounts) -> bool:
        """Whether an input file lacks requests that have answers, which would be in no results."""
        asked, total = counts.answered + (counts.missing or 0), self._row.total
        return total is not None and asked < total and counts.unknown_keys > 0

    def _counted(self, remote: RemoteJob) -> int:
        """Return how many answers the provider counts of a batch that has ended."""
        counted = self._row.succeeded if remote.succeeded is None else remote.succeeded
        return (counted or 0) if remote.status in TERMINAL else 0

    def _promised(self, remote: RemoteJob) -> int:
        """Return how many answers have to be there; those of a cancelled batch without files are lost."""
        named = remote.status is Status.COMPLETED or "output" in remote.files
        return self._counted(remote) if named else 0

    def _lacking(self, remote: RemoteJob, counts: ResultCounts) -> int:
        """Return how many answers fewer there are than the provider counts, which may count errors, too."""
        there = counts.ok + counts.cut_off + counts.unknown_keys + counts.duplicate_keys
        lacking, total = self._counted(remote) - there, self._row.total
        return max(0, lacking if total is None else min(lacking, total - there - counts.error))

    async def _joined_again(
        self,
        remote: RemoteJob,
        caller: AccountClient,
        requests: Path | None,
        first: JoinedResults,
        files: dict[str, Any],
    ) -> tuple[JoinedResults, dict[str, Any]]:
        """Download results anew that lack some: a server counts wrongly if they are the same a second time.

        Answers that were only not sent must not be taken for missing: they would be sent, and paid, again.
        """
        roles = await self._downloaded_again(remote, caller)
        joined, again = await self._joined(roles, requests)
        lacking = self._lacking(remote, joined.counts)
        if lacking and self._promised(remote) and "output" not in roles:
            raise _none_sent(self._counted(remote))
        if lacking and again != files:
            other = self._lacking(remote, first.counts)
            reason = f"its provider sent {lacking:,} answers fewer than it counts, and {other:,} fewer before"
            raise JobdashError(f"{reason}: try again")
        if lacking:
            self._lacks, self._note = lacking, f"{lacking:,} fewer answers than its provider counts"
        return joined, again

    async def _record(self, counts: ResultCounts) -> None:
        """Write that the results are here."""
        store = self._request.work.store
        await store.write(Writer.set_collected, self._row.id, self._folder.path, counts)

    def _details(self) -> JobDetails:
        with self._request.lend_browser() as browser:
            details = browser.job(self._row.id)
        if details is None:
            raise JobdashError("no such job any more")
        return details

    async def _remote(self, details: JobDetails, caller: AccountClient) -> RemoteJob:
        """Return the batch: as it is known, or asked for.

        What is known of an ended batch with an output file does not change any more. And where an answer
        carries all its inline results, it is the last to be asked for.
        """
        row = self._row
        assert row.remote_id is not None
        ended = row.remote_status in TERMINAL and "output" in details.files
        if ended or not self._info.capabilities.results_in_files:
            return RemoteJob(
                row.remote_id,
                row.remote_status,
                row.raw_status,
                row.name,
                row.created_at,
                finished_at=row.finished_at,
                files=details.files,
            )
        try:
            return await caller.call(GetBatch(row.remote_id), stop=self._request.work.stop)
        except NotFound:
            raise JobdashError("the provider keeps it no more (404)") from None

    def _new_download(self) -> ResultDownload:
        read = load_object(self._info.result_reader)
        return ResultDownload(self._folder, self._held, read, partial(self._progress, "results"))

    async def _downloaded(self, remote: RemoteJob, caller: AccountClient) -> list[str]:
        """Download the results; return the roles of the files that hold something."""
        return await self._download.run(remote, caller, self._request.work.stop)

    async def _downloaded_again(self, remote: RemoteJob, caller: AccountClient) -> list[str]:
        await self._held.run(self._download.close)
        self._download = self._new_download()
        return await self._downloaded(remote, caller)

    def _progress(self, what: str, size: int) -> None:
        self._received[what] = size
        self._request.on_progress(self._row, sum(self._received.values()))

    async def _requests(self, details: JobDetails, remote: RemoteJob, caller: AccountClient) -> _Requests:
        """Return the input file, and where it is from; None where it cannot be had."""
        if details.submit_key is not None:
            copy = input_copy(self._request.work.store.path, details.submit_key)
            if copy.is_file():
                return copy, "copy"
        if not self._info.capabilities.returns_input or "input" not in remote.files:
            return None, None
        stop, target = self._request.work.stop, self._folder.part(INPUT)
        try:
            await caller.call(
                DownloadInput(remote, target, stop, partial(self._progress, "requests")), stop=stop
            )
        except (NotFound, InvalidRequest, BadResponse):
            return None, None
        return target, "provider"

    def _publish(self, manifest: dict[str, Any], files: dict[str, Any]) -> None:
        """Let the files that were downloaded and what was made of them appear in the folder."""
        if (converted := FORMATS.get(self._request.format)) is not None:
            files = files | self._download.synced([converted])
        self._folder.publish(list(files), manifest | {"files": files})

    def _convert(self, results: Path) -> None:
        convert_results(results, self._folder.part(FORMATS[self._request.format]), self._request.format)

    def _manifest(self, remote: RemoteJob, joined: JoinedResults, source: str | None) -> dict[str, Any]:
        """Return what the manifest says, its files apart."""
        row = self._row
        return {
            "schema": 1,
            "complete": remote.status in TERMINAL,
            "fetched_at": rfc3339(self._request.work.clock()),
            "job": {
                **self._folder.job_facts,
                "status": str(remote.status),
                "raw_status": remote.raw_status,
                "model": row.model,
                "endpoint": row.endpoint,
                "created_at": rfc3339(row.created_at),
                "finished_at": rfc3339(remote.finished_at or row.finished_at),
                "files": remote.files,
            },
            "input": source,
            "counts": asdict(joined.counts),
            "unknown_keys": list(joined.unknown_keys),
            "duplicate_keys": list(joined.duplicate_keys),
        }

    def _nothing(self, remote: RemoteJob) -> str:
        """Return why there is nothing to collect."""
        if remote.status not in TERMINAL:
            return f"not finished, and {self._info.title} has no results before a batch has ended"
        why = f": {self._row.error}" if self._row.error else ""
        return f"no results: it {_ENDED.get(remote.status, 'is completed')}{why}"

    def _done(self, counts: ResultCounts, result: ActionResult, reason: str) -> FetchedResults:
        name = FORMATS.get(self._request.format, RESULTS)
        return FetchedResults(
            self._row,
            result,
            reason,
            self._folder.file(name),
            counts.answered,
            self._row.status is not Status.COMPLETED or bool(counts.missing),
            folder=self._folder.path,
            counts=counts,
            lacking=self._lacks,
        )
