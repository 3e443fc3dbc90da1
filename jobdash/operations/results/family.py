"""Families: a batch and its retries, their results, and what is left to send."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from jobdash.domain.items import ItemStatus
from jobdash.domain.job import INPUT, JobDetails, JobRow
from jobdash.domain.provider_info import ProviderInfo
from jobdash.domain.remainder import Remainder, best_outcomes, remainder_of
from jobdash.domain.status import LABELS, TERMINAL, Status
from jobdash.operations.job_lookup import Browser
from jobdash.operations.providers import provider_at
from jobdash.operations.results.input_copies import input_copy
from jobdash.operations.results.items import NotIndexed, ResultFiles, open_index, result_files


@dataclass(frozen=True, slots=True)
class Family:
    """A batch and its retries, oldest first."""

    members: tuple[JobDetails, ...]
    store: Path
    """The store that they are in."""
    at: int
    """When it was read, milliseconds UTC."""

    @property
    def first(self) -> JobDetails:
        """The batch that has all requests."""
        return self.members[0]

    @property
    def last(self) -> JobDetails:
        """The newest member that may exist at the provider; the next retry is a retry of it."""
        by_id = {member.row.public_id: member for member in self.members}
        last = self.first
        while last.superseded_by in by_id:
            last = by_id[last.superseded_by]
        return last

    @property
    def info(self) -> ProviderInfo | None:
        """Its provider; None where that is not installed."""
        return provider_at(self.first.row)

    @property
    def copy(self) -> Path | None:
        """The copy of all its requests on this computer, if there is one."""
        key = self.first.submit_key
        file = None if key is None else input_copy(self.store, key)
        return file if file is not None and file.is_file() else None

    @property
    def name(self) -> str:
        """The name of the first batch."""
        return self.first.row.name

    def blocked(self) -> str:
        """Return why nothing can be sent again now: a member may still be answered. Empty when none is."""
        for member in self.members:
            if may_be_answered(member.row):
                row = member.row
                which = f"{row.public_id}, of the same requests,"
                if row.queued_here:
                    return f"{which} waits here to be sent"
                if row.remote_id is None:
                    return f"{which} is not confirmed; force-fail it if it never was sent"
                return f"{which} is still {LABELS[row.remote_status]}"
        return ""

    def no_input(self) -> str:
        """Return why its requests cannot be had without a file of the person's own; empty where they can."""
        info = self.info
        if self.copy is not None or info is None:
            return ""
        if not info.capabilities.returns_input:
            keeps = f", and keeps them {info.keeps_input}" if info.keeps_input else ""
            return f"no copy of its input is here; {info.title} does not hand uploaded files out{keeps}"
        if self.first.row.remote_id is None or INPUT not in self.first.files:
            return f"no copy of its input is here, and none is known at {info.title}"
        return ""

    def here(self) -> list[ResultFiles | None]:
        """Return the fetched results of each member; None where they are not here."""
        return [result_files(member, self.store) for member in self.members]

    def remainder(self) -> Remainder:
        """Return what is left of it, counted in its results where all of them are here."""
        files = self.here()
        away = [member for member, each in zip(self.members, files, strict=True) if each is None]
        may_lack_results = {member.row.id for member in away if self.may_lack_results(member)}
        lost = {member.row.id for member in away if answers_lost(member)}
        to_fetch = sum(member.row.remote_id is not None and member.row.id not in lost for member in away)
        counted: Remainder | None = None
        if not to_fetch:
            try:
                counted = self._counted([each for each in files if each is not None])
            except NotIndexed:
                counted = None  # an error when it is carried out
        without = lost | may_lack_results
        rows = [member.row for member in self.members]
        last = self.last.row.id
        if any(row.id in without for row in rows if row.id != last):
            last = 0  # what it left out as answered may be among what is lost
        rows = [_unanswered(row) if row.id in without else row for row in rows]
        found = counted or _estimated(rows, next((row for row in rows if row.id == last), None))
        return found._replace(
            to_fetch=to_fetch,
            at_most=bool(may_lack_results - lost),
            blocked=self.blocked(),
            no_input=self.no_input(),
        )

    def may_lack_results(self, member: JobDetails) -> bool:
        """Whether a member has ended and its provider may not have its results: all of it may be to send."""
        row, info = member.row, self.info
        if row.collected is not None or row.remote_status not in TERMINAL:
            return False
        over = row.results_expire_at is not None and row.results_expire_at <= self.at
        keeps = info is None or info.capabilities.partial_results or row.remote_status is Status.COMPLETED
        return over or not (keeps or "output" in member.files)

    def _counted(self, files: list[ResultFiles]) -> Remainder:
        found = Counter(read_outcomes(files).values())
        total = self.first.row.total
        answered = sum(number for outcome, number in found.items() if outcome is not ItemStatus.MISSING)
        missing = max(0, total - answered) if total else found[ItemStatus.MISSING]
        if not (total or files):
            return remainder_of(self.first.row)  # deleted, and how many they were was never known
        return Remainder(total, found[ItemStatus.ERROR], missing, found[ItemStatus.CUT_OFF], counted=True)


def family_of(browser: Browser, row: JobRow) -> Family:
    """Return the family of a batch."""
    return Family(tuple(browser.family(row.id)), browser.path, browser.now)


def families_of(browser: Browser, row: JobRow) -> list[Family]:
    """Return the families of all parts of the file that a batch is a part of; else its own alone."""
    parts = None if row.family_id is None else browser.families([row.family_id]).get(row.family_id)
    found: dict[int, Family] = {}
    for member in (row,) if parts is None else parts.members:
        family = family_of(browser, member)
        found.setdefault(family.first.row.id, family)
    return list(found.values())


def remainders(browser: Browser, rows: Iterable[JobRow]) -> dict[int, Remainder]:
    """Return, by id, what is left of batches; of several of one family the first stands for it."""
    found: dict[int, Remainder] = {}
    seen: dict[int, str] = {}
    for row in rows:
        family = family_of(browser, row)
        first = seen.setdefault(family.first.row.id, row.public_id)
        if first == row.public_id:
            found[row.id] = family.remainder()
        else:
            found[row.id] = remainder_of(row)._replace(same_as=first)
    return found


def may_be_answered(row: JobRow) -> bool:
    """Whether a provider may still work on a batch, whatever its verdict is here."""
    if row.remote_id is None:
        return row.unfinished
    return row.remote_status not in TERMINAL and row.gone_at is None


def answers_lost(member: JobDetails) -> bool:
    """Whether a batch's answers are lost: never fetched, and deleted at its provider from here."""
    return member.row.collected is None and member.results_deleted


def _unanswered(row: JobRow) -> JobRow:
    return replace(row, succeeded=0, failed=0)


def read_outcomes(files: list[ResultFiles]) -> dict[str, ItemStatus]:
    """Return the outcome of each key over fetched results, oldest first. Raises NotIndexed."""
    with ExitStack() as stack:
        indexes = [stack.enter_context(open_index(each)) for each in files]
        return best_outcomes(index.outcomes() for index in reversed(indexes))


def _estimated(rows: list[JobRow], last: JobRow | None) -> Remainder:
    """Return what is left by the counts of the rows: each retry has only what was left before it.

    ``last`` is the newest, if what it left out is still true.
    """
    first, *others = (remainder_of(row) for row in rows)
    if first.total and last is not None and last.kept_succeeded is not None:
        failed = (last.failed or 0) + (last.kept_failed or 0)
        answered = last.kept_succeeded + (last.succeeded or 0)
        return Remainder(first.total, failed, max(0, first.total - answered - failed), None)
    done = sum(row.succeeded or 0 for row in rows[1:])
    if not others or not done:
        return first
    left = None if first.failed is None or first.missing is None else first.failed + first.missing
    newest = others[-1]
    missing = None if left is None else max(0, left - done - (newest.failed or 0))
    return Remainder(first.total, newest.failed, missing, None)
