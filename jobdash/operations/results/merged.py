"""The results of all parts of a file, and of their retries, in one: of each key the newest whole answer."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from typing import Any, BinaryIO

from jobdash.domain.describe.result_text import batches, outcome_counts
from jobdash.domain.family import family_name
from jobdash.domain.items import ItemStatus
from jobdash.domain.job import JobRow
from jobdash.domain.plan import ActionResult
from jobdash.domain.results import ResultCounts
from jobdash.domain.text import encodable
from jobdash.domain.time import rfc3339
from jobdash.errors import JobdashError
from jobdash.operations.private_files import new_private_file
from jobdash.operations.results.collect import collect, not_written
from jobdash.operations.results.family import Family, answers_lost, families_of, may_be_answered
from jobdash.operations.results.fetch_request import FetchedResults, FetchRequest
from jobdash.operations.results.file_digest import file_facts
from jobdash.operations.results.folder import FORMATS, RESULTS, ResultFolder, folder_of
from jobdash.operations.results.formats import convert_results
from jobdash.operations.results.items import ResultFiles, files_of, open_index
from jobdash.operations.results.join import read_requests
from jobdash.store.result_index import Extent, ResultIndex


async def collect_merged(row: JobRow, request: FetchRequest) -> FetchedResults:
    """Collect every batch of a family, then merge their results; failures are part of the return value.

    A batch that is no part of a file, and never was retried, is collected as it is.
    """
    with closing(request.open_browser()) as browser:
        families = families_of(browser, row)
    everyone = [member for family in families for member in family.members]
    if len(everyone) < 2:
        return await collect(row, request)
    members = [member.row for member in everyone if not answers_lost(member)]
    running = [member for member in members if may_be_answered(member)]
    if running and not request.partial:
        reason = f"{running[0].public_id}, one of its batches, is not finished"
        return FetchedResults(row, ActionResult.FAILED, reason)
    collected = [
        await collect(member, replace(request, merged=False))
        for member in members
        if member not in running and member.remote_id is not None
    ]
    if (failed := next((one for one in collected if one.result is ActionResult.FAILED), None)) is not None:
        return replace(failed, row=row, reason=f"{failed.row.public_id}: {failed.reason}")
    try:
        return await asyncio.to_thread(_Merge(row, request, families, collected).run)
    except OSError as error:
        reason = not_written(request.folder, error)
        return FetchedResults(row, ActionResult.FAILED, reason)
    except JobdashError as error:
        return FetchedResults(row, ActionResult.FAILED, str(error))


@dataclass(frozen=True, slots=True)
class _Found:
    """The answer chosen for a key, and the batch it is from."""

    member: int
    outcome: ItemStatus
    extent: Extent


class _Merge:
    """One merging under way, in a thread."""

    def __init__(
        self,
        row: JobRow,
        request: FetchRequest,
        families: Sequence[Family],
        collected: Sequence[FetchedResults],
    ) -> None:
        self._row = row
        self._request = request
        self._families = families
        self._collected = [one for one in collected if one.folder is not None]
        first = families[0].first.row
        self._folder = folder_of(
            request.folder, replace(first, name=family_name(first, parts=len(families) > 1))
        ).merged

    def run(self) -> FetchedResults:
        """Write the merged results."""
        if not self._collected:
            return FetchedResults(self._row, ActionResult.SKIPPED, "no results: none of its batches has any")
        with self._folder.locked(), ExitStack() as stack:
            files = self._files()
            indexes = [stack.enter_context(open_index(each)) for each in files]
            counts = self._write(files, indexes)
            names = [RESULTS]
            if (converted := FORMATS.get(self._request.format)) is not None:
                source, target = self._folder.part(RESULTS), self._folder.part(converted)
                convert_results(source, target, self._request.format)
                names.append(converted)
            facts = {name: asdict(file_facts(self._folder.part(name))) for name in names}
            self._folder.publish(names, self._manifest(counts, facts))
        name = FORMATS.get(self._request.format, RESULTS)
        return FetchedResults(
            self._row,
            ActionResult.DONE,
            f"{outcome_counts(counts)}, of {batches(len(self._collected))}",
            self._folder.file(name),
            counts.answered,
            bool(counts.missing),
            folder=self._folder.path,
            counts=counts,
        )

    def _files(self) -> list[ResultFiles]:
        """Return the files of each member that has results, oldest first."""
        info, store = self._families[0].info, self._families[0].store
        by_id = {member.row.id: member for family in self._families for member in family.members}
        assert info is not None, "collecting has looked"
        found: list[ResultFiles] = []
        for one in self._collected:
            assert one.folder is not None
            folder = ResultFolder(one.folder, one.row)
            found.append(files_of(folder, by_id[one.row.id], info, store))
        return found

    def _write(self, files: Sequence[ResultFiles], indexes: Sequence[ResultIndex]) -> ResultCounts:
        best = _best(indexes)
        outcomes: Counter[ItemStatus] = Counter()
        with ExitStack() as stack:
            sources = [stack.enter_context(each.folder.file(RESULTS).open("rb")) for each in files]
            handle = new_private_file(self._folder.part(RESULTS))
            results = stack.enter_context(os.fdopen(handle, "wb"))
            for key in self._in_order(best, files[0].key_field):
                found = best[key]
                outcomes[found.outcome] += 1
                results.write(_line(sources[found.member], found.extent))
            results.flush()
            os.fsync(results.fileno())
        total = self._total
        answered = sum(outcomes.values())
        each_counts = [one.counts for one in self._collected if one.counts is not None]
        return ResultCounts(
            ok=outcomes[ItemStatus.OK],
            error=outcomes[ItemStatus.ERROR],
            cut_off=outcomes[ItemStatus.CUT_OFF],
            missing=None if total is None else max(0, total - answered),
            input_tokens=_sum([each.input_tokens for each in each_counts]),
            output_tokens=_sum([each.output_tokens for each in each_counts]),
        )

    @property
    def _total(self) -> int | None:
        """How many requests all parts have; None where that is not known of one."""
        totals = [family.first.row.total for family in self._families]
        return None if None in totals else _sum(totals)

    def _in_order(self, best: dict[str, _Found], key_field: str) -> Iterator[str]:
        """Yield the keys in the order of the requests where these are here, else as they were answered."""
        copies = [family.copy for family in self._families]
        asked = [
            encodable(key) for copy in copies if copy is not None for key, _ in read_requests(copy, key_field)
        ]
        yield from (key for key in dict.fromkeys(asked) if key in best)
        if None in copies:
            here = set(asked)
            yield from (key for key in best if key not in here)

    def _manifest(self, counts: ResultCounts, facts: dict[str, Any]) -> dict[str, Any]:
        return {
            "schema": 1,
            "complete": True,
            "fetched_at": rfc3339(self._request.work.clock()),
            "job": {**self._folder.job_facts, "total": self._total},
            "merged": [one.row.public_id for one in self._collected],
            "counts": asdict(counts),
            "files": facts,
        }


def _best(indexes: Sequence[ResultIndex]) -> dict[str, _Found]:
    """Return the answer of each key that counts: the best outcome, of equal ones the newest."""
    best: dict[str, _Found] = {}
    for member, index in enumerate(indexes):
        for key, outcome, extent in index.answers():
            before = best.get(key)
            if before is None or outcome.rank <= before.outcome.rank:
                best[key] = _Found(member, outcome, extent)
    return best


def _line(file: BinaryIO, extent: Extent) -> bytes:
    file.seek(extent.start)
    return file.read(extent.size)


def _sum(numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
