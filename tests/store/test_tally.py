"""The kept counts equal the counted ones, whatever is written in whatever order."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from store_kit import MINUTE, ORIGIN, START, HandClock, actor, everything, raw, remote

from jobdash.domain.job import JobRow
from jobdash.domain.status import Status, Tab, tab_number
from jobdash.store.bootstrap import ensure_store
from jobdash.store.commands.cancel import CancelResult
from jobdash.store.reader import Reader
from jobdash.store.records import ActionRequest, Intent, NewJob, QueuedOptions, Refusal
from jobdash.store.sort_orders import Scope, Sort
from jobdash.store.writer import Writer

numbers = st.integers(0, 5)
statuses = st.sampled_from(Status)
accounts = st.sampled_from(["openai", "work"])


class AnyWrites(RuleBasedStateMachine):
    """All that can be written, in any order, through the writer and past it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "jobs.db"
        self.clock = HandClock()
        ensure_store(self.path)
        self.writer = Writer(self.path, self.clock, actor())
        self.reader = Reader(self.path, self.clock)
        self.revision = 0
        self.keys = 0

    def teardown(self) -> None:
        self.writer.close()
        self.reader.close()
        shutil.rmtree(self.folder)

    def pick(self, n: int) -> JobRow | None:
        rows = everything(self.reader)
        return rows[n % len(rows)] if rows else None

    @rule(
        account=accounts, shown=st.lists(st.tuples(numbers, statuses), max_size=4), later=st.integers(-2, 2)
    )
    def sync(self, account: str, shown: list[tuple[int, Status]], later: int) -> None:
        self.clock.now += 1
        jobs = [remote(f"batch_{n}", status) for n, status in shown]
        at = self.clock.now + later * MINUTE
        self.writer.upsert(account, "openai", ORIGIN, jobs, at, configured={account})

    @rule(n=numbers, minutes=st.integers(0, 9))
    def not_found(self, n: int, minutes: int) -> None:
        if row := self.pick(n):
            self.clock.now += minutes * MINUTE
            self.writer.mark_not_found(row.id, self.clock.now)

    @rule(n=numbers, end=st.sampled_from(["close", "withdraw", "leave", "none"]))
    def cancel(self, n: int, end: str) -> None:
        row = self.pick(n)
        if row is None:
            return
        intent = self.writer.begin_cancel(ActionRequest(row.id, row.fence), deadline=START)
        if isinstance(intent, Intent):
            if end == "close":
                self.writer.close_cancel(intent.id)
            elif end == "withdraw":
                self.writer.close_cancel(intent.id, CancelResult.WITHDRAWN, "no")
            elif end == "leave":
                self.writer.close_cancel(intent.id, CancelResult.NO_ANSWER, "no")

    @rule(n=numbers)
    def force_fail(self, n: int) -> None:
        if row := self.pick(n):
            self.writer.force_fail(ActionRequest(row.id, row.fence))

    @rule(n=numbers)
    def remove(self, n: int) -> None:
        if row := self.pick(n):
            self.writer.hide(ActionRequest(row.id, row.fence))

    @rule()
    def undo(self) -> None:
        self.clock.now += 1
        if action := self.reader.last_undoable("ann@desk"):
            assert [found.reason for found in self.writer.undo(action)] == [None] * len(action.jobs)

    @rule(account=accounts, confirmed=st.booleans())
    def submit(self, account: str, confirmed: bool) -> None:
        self.keys += 1
        begun = self.writer.begin_submit(
            NewJob(account, "openai", ORIGIN, "new", f"key-{self.keys}"), deadline=START
        )
        assert not isinstance(begun, Refusal)
        batch = f"batch_{self.keys % 7}"
        sent_again = "SELECT 1 FROM job WHERE remote_id = ? AND superseded_by IS NOT NULL"
        if confirmed and not raw(self.path, sent_again, [batch]):  # a new batch was never sent again
            answer = remote(batch)
            self.writer.close_submit(begun[1].id, answer, self.clock.now)

    @rule(n=numbers)
    def send_again(self, n: int) -> None:
        if row := self.pick(n):
            self.keys += 1
            new = NewJob(row.account, "openai", ORIGIN, "again", f"key-{self.keys}", parent_id=row.id)
            self.writer.begin_submit(new, deadline=START)

    @rule(parts=st.integers(1, 3))
    def split(self, parts: int) -> None:
        self.keys += parts
        keys = range(self.keys - parts, self.keys)
        new = [NewJob("openai", "openai", ORIGIN, "part", f"key-{key}") for key in keys]
        self.writer.enqueue([(each, QueuedOptions()) for each in new])

    @rule(n=numbers, account=accounts)
    def by_another_program(self, n: int, account: str) -> None:
        if row := self.pick(n):
            raw(self.path, "UPDATE job SET account = ?, verdict = NULL WHERE id = ?", [account, row.id])

    @rule(n=numbers)
    def prune(self, n: int) -> None:
        if row := self.pick(n):
            raw(self.path, "DELETE FROM job WHERE id = ?", [row.id])

    @invariant()
    def kept_counts_are_the_counted_ones(self) -> None:
        kept = raw(self.path, "SELECT account, tab, n FROM tally WHERE n <> 0 ORDER BY 1, 2")
        counted = raw(self.path, "SELECT account, tab, count(*) FROM job GROUP BY 1, 2 ORDER BY 1, 2")
        assert kept == counted
        rows = everything(self.reader, removed=False)
        counts = self.reader.counts()
        assert counts.total == len(rows)
        for tab in Tab:
            if tab is not Tab.ALL:
                inside = [tab_number(row.status, gone=row.gone_at is not None, removed=False) for row in rows]
                assert counts.by_tab[tab] == inside.count(tab.number)

    @invariant()
    def the_oldest_member_that_is_shown_stands_for_its_family(self) -> None:
        rows = everything(self.reader, removed=False)
        heads = {row.family_id: row.id for row in sorted(rows, key=lambda row: row.id, reverse=True)}
        folded = {row.id for row in rows if row.family_id is not None and heads[row.family_id] != row.id}
        assert {row.id for row in rows if row.folded} == folded
        scope = Scope(folded=True)
        shown = [row.id for row in self.reader.page(scope, Sort(), None, 1_000)]
        assert shown == [row.id for row in rows if row.id not in folded]
        assert self.reader.counts().folded == len(folded)
        assert self.reader.count(scope) == len(shown)

    @invariant()
    def revisions_only_grow(self) -> None:
        highest = raw(
            self.path, "SELECT coalesce(max(revision), 0), count(DISTINCT revision), count(*) FROM job"
        )
        ((newest, distinct, jobs),) = highest
        assert distinct == jobs
        assert self.revision <= self.reader.revision() >= newest
        self.revision = self.reader.revision()


TestAnyWrites = AnyWrites.TestCase
TestAnyWrites.settings = settings(max_examples=8, stateful_step_count=30, deadline=None)


@pytest.mark.slow
class TestManyWrites(AnyWrites.TestCase):  # type: ignore[misc]
    settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
