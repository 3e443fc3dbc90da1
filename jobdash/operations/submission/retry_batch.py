"""Retry a batch: the requests of its family that have no whole answer become a new batch, sent once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from jobdash.domain.backends.registry import decide
from jobdash.domain.describe.result_text import sent_again
from jobdash.domain.items import CUT_OFF, FAILED, MISSING, ItemStatus
from jobdash.domain.job import JobDetails, JobRow
from jobdash.domain.plan import ActionOutcome, ActionResult, Decision, DecisionKind, Plan
from jobdash.domain.remainder import PART_OF, Remainder
from jobdash.domain.text import clean
from jobdash.errors import BadResponse, InvalidRequest, JobdashError, NotFound
from jobdash.operations.accounts.downloads import DownloadInput
from jobdash.operations.accounts.session import GetBatch
from jobdash.operations.context import OperationContext
from jobdash.operations.job_lookup import Browser
from jobdash.operations.providers import provider_at
from jobdash.operations.recheck import stopped
from jobdash.operations.results.collect import collect
from jobdash.operations.results.download import DELETED
from jobdash.operations.results.family import Family, answers_lost, family_of, read_outcomes
from jobdash.operations.results.fetch_request import FetchRequest
from jobdash.operations.results.folder import RESULTS
from jobdash.operations.results.input_copies import scratch_folder
from jobdash.operations.results.items import ResultFiles, result_files
from jobdash.operations.results.join import read_requests
from jobdash.operations.submission.outcome import WELL, SubmitEnd, SubmitOutcome, SubmitRefused
from jobdash.operations.submission.queue import submit_file
from jobdash.operations.submission.request import order

_NAMED_KEYS = 3


class _NotRetried(JobdashError):
    """The retry was not sent, for another reason than a failed request."""

    def __init__(self, reason: str, kind: DecisionKind = DecisionKind.REFUSED) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class SelectedRequests:
    """The requests that are written to be sent again."""

    parts: Mapping[str, int]
    """How many of each part of a retry."""
    kept: tuple[int, int]
    """How many of the others have an answer, and how many an error."""

    @property
    def number(self) -> int:
        """How many they are."""
        return sum(self.parts.values())


async def retry_batch(decision: Decision, plan: Plan, work: OperationContext) -> ActionOutcome:
    """Carry out a planned retry of a batch; raises `JobdashError`.

    What has to be known first, results and requests, is fetched; the new batch is on disk before it is sent.
    """
    job = decision.job
    try:
        return await _Retry(job, plan, work).run()
    except (_NotRetried, SubmitRefused) as error:
        refused = not isinstance(error, _NotRetried) or error.kind is DecisionKind.REFUSED
        return ActionOutcome(job, ActionResult.SKIPPED, str(error), job.status, refused=refused)
    except OSError as error:
        reason = f"{error.filename or 'a file'}: {error.strerror or error}"
        return ActionOutcome(job, ActionResult.FAILED, reason, job.status)


class _Retry:
    """One retry under way."""

    def __init__(self, job: JobRow, plan: Plan, work: OperationContext) -> None:
        info = provider_at(job)
        if info is None:
            raise JobdashError(f"no provider is called {job.provider!r}")
        self._job = job
        self._plan = plan
        self._work = work
        self._info = info

    async def run(self) -> ActionOutcome:
        family = await asyncio.to_thread(self._family)
        files = [found for member in family.members if (found := await self._results(family, member))]
        if self._work.stop.is_set():
            return stopped(self._job)
        with scratch_folder(self._work.store.path) as folder:
            requests = await self._requests(family, folder)
            target = folder / "again.jsonl"
            selected = await asyncio.to_thread(self._select, requests, family.first.row.total, files, target)
            if not selected.number:
                raise _NotRetried("every request of these has an answer", DecisionKind.ALREADY)
            submitted = await self._submit(family, target, selected.kept)
        return self._outcome(family, selected, submitted)

    def _browser(self) -> Browser:
        return Browser(self._work.store.location, self._work.clock)

    def _family(self) -> Family:
        """Return the family as it is now; raises _NotRetried when it does not accept a retry any more."""
        with closing(self._browser()) as browser:
            family = family_of(browser, self._job)
            row = browser.rows([self._job.id]).get(self._job.id)
        if row is None:
            raise _NotRetried("no such job any more")
        here = replace(self._work.situation(), remainders={row.id: family.remainder()})
        again = decide(self._plan.action, row, here, self._plan.choices)
        if not again.acts:
            raise _NotRetried(again.reason, again.verdict)
        return family

    async def _results(self, family: Family, member: JobDetails) -> ResultFiles | None:
        """Return the fetched results of a member, fetched now if they are not here; None when it has none.

        Raises JobdashError when they cannot be fetched: what was answered must not be sent again.
        """
        if member.row.remote_id is None or answers_lost(member):
            return None
        files = await asyncio.to_thread(result_files, member, self._work.store.path)
        if files is not None:
            return files
        request = FetchRequest(self._work.results_folder, self._browser, self._work)
        done = await collect(member.row, request)
        if done.folder is None:
            if done.result is ActionResult.SKIPPED and not done.refused:
                return None  # it has ended without any
            if done.reason == DELETED and family.may_lack_results(member):
                return None  # the plan has the reason
            raise JobdashError(f"{member.row.public_id} was not fetched: {done.reason}")
        if done.lacking:
            raise JobdashError(
                f"{member.row.public_id} has {done.lacking:,} fewer answers than its provider counts, which "
                "the plan did not know: look at its results, and retry again to send these, too"
            )
        with closing(self._browser()) as browser:
            now = browser.job(member.row.id)
        files = None if now is None else result_files(now, self._work.store.path)
        if files is None:
            raise JobdashError(f"{done.folder} cannot be read: {RESULTS} is not whole")
        return files

    async def _requests(self, family: Family, folder: Path) -> Path:
        """Return a file of all requests of a family; raises _NotRetried when it cannot be had."""
        if self._plan.choices.input is not None:
            return self._plan.choices.input
        if family.copy is not None:
            return family.copy
        if reason := family.no_input():
            raise _NotRetried(reason)
        remote_id = family.first.row.remote_id
        assert remote_id is not None, "no_input has looked"
        caller, stop, target = self._work.caller(family.first.row), self._work.stop, folder / "input.jsonl"
        try:
            remote = await caller.call(GetBatch(remote_id), stop=stop)
            await caller.call(DownloadInput(remote, target, stop), stop=stop)
        except (NotFound, InvalidRequest, BadResponse):
            raise _NotRetried(
                f"no copy of its input is here, and {self._info.title} does not hand it out any more"
            ) from None
        sent, total = await asyncio.to_thread(_lines_of, target), family.first.row.total
        if total is not None and sent < total:  # what it lacks would never be sent again
            raise _NotRetried(
                f"{self._info.title} sent {sent:,} of the {total:,} requests of its input: try again"
            )
        return target

    def _select(
        self, requests: Path, total: int | None, files: list[ResultFiles], target: Path
    ) -> SelectedRequests:
        """Write the requests that are to be sent again, as they were; raises _NotRetried for a wrong file.

        ``total`` is how many requests the batch has, where that is known.
        """
        outcomes, only = read_outcomes(files), set(self._plan.choices.only)
        parts: Counter[str] = Counter()
        kept: Counter[ItemStatus] = Counter()
        seen, key_field = 0, self._info.request_fields[0]
        with target.open("wb") as out:
            for key, line in read_requests(requests, key_field):
                seen += 1
                outcome = outcomes.pop(key, ItemStatus.MISSING)
                part = PART_OF.get(outcome)
                if part in only:
                    parts[part] += 1
                    out.write(line if line.endswith(b"\n") else line + b"\n")
                else:
                    kept[outcome] += 1
        if self._plan.choices.input is not None:
            self._check_input(requests, seen, total, list(outcomes))
        answered = kept[ItemStatus.OK] + kept[ItemStatus.CUT_OFF]
        return SelectedRequests(parts, (answered, kept[ItemStatus.ERROR]))

    @staticmethod
    def _check_input(file: Path, seen: int, total: int | None, unknown: list[str]) -> None:
        """Raise _NotRetried for a file of a person's own that is not the one the batch was made of."""
        if unknown:
            some = ", ".join(clean(key, 80) for key in unknown[:_NAMED_KEYS])
            more = ", …" if len(unknown) > _NAMED_KEYS else ""
            number = f"{len(unknown):,} of its keys {'is' if len(unknown) == 1 else 'are'}"
            raise _NotRetried(f"{file} is not its input: {number} not in it: {some}{more}")
        if total and seen != total:
            raise _NotRetried(f"{file} is not its input: it has {seen:,} requests, and the batch {total:,}")

    async def _submit(self, family: Family, requests: Path, kept: tuple[int, int]) -> SubmitOutcome:
        """Submit the requests as a new batch of the family; raises SubmitRefused when another was faster."""
        first, caller = family.first, self._work.caller(self._job)
        wanted = await asyncio.to_thread(
            order,
            requests,
            caller.account,
            name=family.name,
            model=first.row.model,
            endpoint=first.row.endpoint,
            tags=first.tags,
            file_name=f"what is left of {family.name}",
            keep_input=family.copy is not None,  # of what a person kept no copy, none is made now
        )
        wanted = replace(wanted, parent_id=family.last.row.id, kept=kept, bulk=self._plan.bulk)
        (done,) = await submit_file(wanted, caller, self._work)
        return done

    def _outcome(self, family: Family, selected: SelectedRequests, submitted: SubmitOutcome) -> ActionOutcome:
        row = submitted.row
        if submitted.end is SubmitEnd.STOPPED:
            return stopped(self._job)
        if submitted.end not in WELL or row is None:
            where = "" if row is None else f"; see {row.public_id}"
            return ActionOutcome(
                self._job, ActionResult.FAILED, f"{submitted.reason}{where}", row.status if row else None
            )
        left = Remainder(
            family.first.row.total,
            selected.parts.get(FAILED, 0),
            selected.parts.get(MISSING, 0),
            selected.parts.get(CUT_OFF, 0),
        )
        notes = [f"{sent_again(left, self._plan.choices.only)}, as {row.public_id}", submitted.reason]
        return ActionOutcome(self._job, ActionResult.DONE, "; ".join(filter(None, notes)), row.status)


def _lines_of(file: Path) -> int:
    """Return how many lines of a file hold something."""
    with file.open("rb") as lines:
        return sum(1 for line in lines if line.strip())
