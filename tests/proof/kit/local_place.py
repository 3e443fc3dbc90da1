"""Two workers and two dashboards on one real store, step by step beside the model of what is right."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import postgres_kit
import pytest

from jobdash.domain.backends.registry import decide
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, Choices, DecisionContext
from jobdash.store.bootstrap import open_for_worker
from jobdash.store.dialects import sqlite
from jobdash.store.leases.claims import ClaimRequest, claim
from jobdash.store.leases.lease import ItemWrite, Lease, LeaseRefused
from jobdash.store.location import PostgresLocation, StoreLocation
from jobdash.store.owner import Owner, current_owner
from jobdash.store.records import ActionRequest, Actor, Refusal, Retried
from jobdash.store.writer import Writer
from kit.local_model import DEAD, ENDED, TTL, Held, Model, shown

START = 1_800_000_000_000
_ELSEWHERE = [Owner("elsewhere", "boot", 1, pid, 1) for pid in (1, 2)]
"""Of whom nothing can be proven: their leases decide."""
_DEAD = replace(current_owner(), started=1)
_OWNERS = {"0": _ELSEWHERE[0], "1": _ELSEWHERE[1], DEAD: _DEAD}
_NAMES = {owner.encode(): name for name, owner in _OWNERS.items()}
_JOBS = (
    "SELECT id, remote_status, cancel_requested_at IS NOT NULL, verdict IS NOT NULL, removed_at IS NOT NULL,"
    " finished_at IS NOT NULL, fence, attempt, owner, lease_until, total, succeeded, failed, done_before,"
    " status, raw_status FROM job ORDER BY id"
)
_ITEMS = "SELECT job_id, seq, key, outcome, attempt FROM item ORDER BY job_id, seq"
_ATTEMPTS = "SELECT job_id, max(fence), count(*) FILTER (WHERE ended_at IS NULL) FROM attempt GROUP BY job_id"
_CHOICES = Choices(force=True)
_TABLES = ("item", "attempt", "event", "job")
_KEPT = ("item", "attempt", "job")
"""What a worker or a dashboard looks at."""


@dataclass
class Clock:
    """A clock that jumps."""

    now: int = START

    def __call__(self) -> int:
        return self.now


@dataclass(frozen=True)
class Moment:
    """A store, and what everybody around it believes, to come back to."""

    now: int
    jobs: dict[int, dict[str, Any]]
    rows: dict[str, list[tuple[Any, ...]]]
    held: list[Held | None]
    room: list[float]
    views: list[dict[int, int]]


class Onlooker(Protocol):
    """Another program at a store, which reads and replaces what is in it; and the clock that leases go by."""

    clock: Clock | postgres_kit.ServerClock

    def rows(self, sql: str) -> list[tuple[Any, ...]]: ...

    def columns_of(self, table: str) -> str:
        """The columns of a table but for generated ones."""

    def put(self, inserts: Sequence[tuple[str, Sequence[tuple[Any, ...]]]]) -> None:
        """Begin with an empty store, and run statements with their rows."""

    def close(self) -> None: ...


class FileOnlooker:
    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self._before, sqlite.now_ms = sqlite.now_ms, self.clock
        self._connection = sqlite3.connect(path, isolation_level=None)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql).fetchall()

    def columns_of(self, table: str) -> str:
        return ", ".join(f'"{row[1]}"' for row in self.rows(f"PRAGMA table_info({table})"))

    def put(self, inserts: Sequence[tuple[str, Sequence[tuple[Any, ...]]]]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        for table in _TABLES:
            self._connection.execute(f"DELETE FROM {table}")
        for sql, rows in inserts:
            self._connection.executemany(sql, rows)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        sqlite.now_ms = self._before
        self._connection.close()


class ServerOnlooker:
    def __init__(self, location: PostgresLocation) -> None:
        self.clock = postgres_kit.ServerClock(location, START)
        self._connection = postgres_kit.connect(location)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql).fetchall()

    def columns_of(self, table: str) -> str:
        asked = (
            "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema()"
            f" AND table_name = '{table}' AND is_generated = 'NEVER' ORDER BY ordinal_position"
        )
        return ", ".join(f'"{name}"' for (name,) in self.rows(asked))

    def put(self, inserts: Sequence[tuple[str, Sequence[tuple[Any, ...]]]]) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            for table in _TABLES:
                cursor.execute(f"DELETE FROM {table}")
            for sql, rows in inserts:
                cursor.executemany(sql.replace("?", "%s"), rows)

    def close(self) -> None:
        self.clock.close()
        self._connection.close()


class Place:
    """Everybody at one store. What is asked of it is done for real and in the model, and compared."""

    def __init__(self, path: StoreLocation) -> None:
        self._looking: Onlooker = FileOnlooker(path) if isinstance(path, Path) else ServerOnlooker(path)
        self.clock = self._looking.clock
        self._connections = [open_for_worker(path) for _ in range(2)]
        self._writers = [
            Writer(path, self.clock, Actor(user, "desk", "tui", current_owner())) for user in ("ann", "bob")
        ]
        self._columns = {table: self._looking.columns_of(table) for table in _KEPT}
        self.steps = 0
        self.clear()

    def close(self) -> None:
        for opened in (*self._connections, *self._writers, self._looking):
            opened.close()

    def clear(self) -> None:
        """Begin with an empty store."""
        self._put({})
        self.clock.now = START
        self.model = Model(START)
        self.held: list[Held | None] = [None, None]
        self._holds: list[Lease | None] = [None, None]
        self.views: list[dict[int, int]] = [{}, {}]

    # Everybody's steps.

    def jump(self, ms: int) -> None:
        """Let the clock jump, also backwards."""
        self.clock.now += ms
        self.model.now = self.clock.now
        self._step()

    def claim(self, who: int, name: str, keyed: bool = True, total: int | None = None) -> None:
        """Worker ``who`` begins to work at the job of a name."""
        got = claim(self._connections[who], _want(name, str(who), keyed, total))
        self.held[who] = self.model.claim(name, str(who), keyed, total, got.job_id)
        self._holds[who] = got.lease
        assert (got.job_id, got.fence, got.attempt) == _facts(self.held[who])
        self._step()

    def claim_and_die(self, name: str, keyed: bool = True) -> None:
        """A third process begins, and is dead at once."""
        got = claim(self._connections[0], _want(name, DEAD, keyed, None))
        held = self.model.claim(name, DEAD, keyed, None, got.job_id)
        assert (got.job_id, got.fence, got.attempt) == _facts(held)
        self._step()

    def items(self, who: int, outcomes: list[tuple[str, str]]) -> None:
        kept = [
            ItemWrite(key, word, None, *(("E", "e") if word == "error" else ())) for key, word in outcomes
        ]
        self._work(who, lambda hold: hold.write_items(kept), lambda held: self.model.items(held, outcomes))

    def counts(self, who: int, ok: int, failed: int) -> None:
        self._work(
            who, lambda hold: hold.write_counts(ok, failed), lambda held: self.model.counts(held, ok, failed)
        )

    def expect(self, who: int, keys: list[str]) -> None:
        self._work(
            who, lambda hold: hold.expect(keys), lambda held: self.model.expect(held, keys), told=False
        )

    def count_total(self, who: int) -> None:
        self._work(who, Lease.count_total, self.model.count_total)

    def set_total(self, who: int, total: int) -> None:
        self._work(who, lambda hold: hold.set_total(total), lambda held: self.model.set_total(held, total))

    def renew(self, who: int) -> None:
        self._work(who, Lease.renew, self.model.renew)

    def ask(self, who: int) -> None:
        self._work(who, lambda hold: hold.request_cancel("Ctrl-C"), self.model.ask)

    def finish(self, who: int, word: str, asked: bool = False) -> None:
        reason = "Ctrl-C" if asked else None
        self._work(
            who,
            lambda hold: hold.finish(word, "ended", "E: e" if word == "failed" else None, reason),
            lambda held: self.model.finish(held, word, asked),
        )

    def look(self, who: int) -> None:
        """Dashboard ``who`` reads the store."""
        self.views[who] = dict(self._looking.rows("SELECT id, fence FROM job"))

    def act(self, who: int, act: str, job_id: int) -> None:
        """Dashboard ``who`` does what it planned when it last looked."""
        seen = self.views[who].get(job_id)
        if seen is None:
            return
        refused = self.model.refused(act, self.model.jobs[job_id], seen)
        done = self._act(self._writers[who], act, job_id, seen)
        assert isinstance(done, Refusal) is refused, (act, done, self.model.jobs[job_id])
        if not refused:
            self.model.act(act, job_id)
        if isinstance(done, Retried):
            assert (done.more, done.number) == (False, self.model.jobs[job_id]["attempt"])
        self._step()

    def close_abandoned(self, who: int) -> None:
        """Dashboard ``who`` ticks."""
        closed = self._writers[who].close_abandoned_cancels()
        assert sorted(row.id for row in closed) == sorted(self.model.close_abandoned())
        self._step()

    # A moment to come back to.

    def moment(self) -> Moment:
        rows = {
            table: self._looking.rows(f"SELECT {columns} FROM {table}")
            for table, columns in self._columns.items()
        }
        room = [hold._room if hold is not None else 0 for hold in self._holds]
        return Moment(
            self.clock.now, deepcopy(self.model.jobs), rows, deepcopy(self.held), room, deepcopy(self.views)
        )

    def back_to(self, moment: Moment) -> None:
        self._put(moment.rows)
        self.clock.now = moment.now
        self.model = Model(moment.now, deepcopy(moment.jobs))
        self.held = deepcopy(moment.held)
        self.views = deepcopy(moment.views)
        for who, held in enumerate(self.held):
            hold = None
            if held is not None:
                hold = Lease(
                    self._connections[who], held.job_id, held.fence, held.attempt, TTL, f"worker {who}"
                )
                hold._room = moment.room[who]
            self._holds[who] = hold

    def _put(self, rows: dict[str, list[tuple[Any, ...]]]) -> None:
        inserts = []
        for table in reversed(_KEPT):
            if some := rows.get(table):
                marks = ", ".join("?" * len(some[0]))
                inserts.append((f"INSERT INTO {table} ({self._columns[table]}) VALUES ({marks})", some))
        self._looking.put(inserts)

    # Doing and comparing.

    def _work(
        self, who: int, do: Callable[[Lease], Any], ought: Callable[[Held], Any], told: bool = True
    ) -> None:
        """A worker's transaction: through if it holds the job, and else refused with the right sentence."""
        hold, held = self._holds[who], self.held[who]
        if hold is None or held is None:
            return
        if self.model.holds(held):
            expected, found = ought(held), do(hold)
            assert not told or found == expected, (found, expected)
        else:
            sentence = self.model.refusal(held)
            with pytest.raises(LeaseRefused, match=f"^{sentence}") as caught:
                do(hold)
            assert caught.value.cancelled is (sentence == "was cancelled")
        self._step()

    def _act(self, writer: Writer, act: str, job_id: int, seen: int) -> Any:
        situation = DecisionContext(self.clock.now, frozenset())

        def accept(row: JobRow) -> str | None:
            decision = decide(Action(act), row, situation, _CHOICES)
            return None if decision.acts else decision.reason

        acts: dict[str, Callable[..., Any]] = {
            "cancel": writer.cancel_local,
            "force-fail": writer.force_fail_local,
            "remove": writer.remove_local,
            "retry": writer.retry_local,
        }
        return acts[act](ActionRequest(job_id, seen, accept))

    def _step(self) -> None:
        self.steps += 1
        found = self._looking.rows(_JOBS)
        assert [row[0] for row in found] == sorted(self.model.jobs)
        items = _by_job(self._looking.rows(_ITEMS))
        attempts = {job_id: (newest, open_) for job_id, newest, open_ in self._looking.rows(_ATTEMPTS)}
        for row in found:
            self._same(row, items.get(row[0], []), attempts[row[0]])

    def _same(self, row: tuple[Any, ...], items: list[Any], attempt: tuple[int, int]) -> None:
        id_, word, asked, verdict, removed, ended, fence_, number, owner, lease, *counts, status, raw = row
        job = self.model.jobs[id_]
        kept = [(seq, key, *rest) for seq, (key, rest) in enumerate(job["items"].items())]
        assert items == kept, (id_, items, kept)
        stands = (word, asked, verdict, removed, ended, fence_, number, owner and _NAMES[owner], lease)
        ought = tuple(
            job[name]
            for name in ("word", "asked", "verdict", "removed", "ended", "fence", "attempt", "owner", "lease")
        )
        assert stands == ought, (id_, stands, ought)
        assert counts == [job["total"], job["ok"], job["failed"], job["before"]], (id_, counts, job)
        assert (status, raw) == (shown(job), word)
        self._sound(job, status, attempt, counts)

    @staticmethod
    def _sound(job: dict[str, Any], status: str, attempt: tuple[int, int], counts: list[int]) -> None:
        """What has to hold whatever the model says."""
        if job["keyed"]:
            outcomes = [outcome for outcome, _ in job["items"].values()]
            assert counts[1:3] == [sum(o in {"ok", "skipped"} for o in outcomes), outcomes.count("error")]
        if status in ENDED or status == "pending":
            assert (job["owner"], job["lease"]) == (None, None)
        newest, open_ = attempt
        assert newest <= job["fence"]
        assert open_ == (1 if job["owner"] is not None else 0), "an attempt is open as long as it is held"


def _want(name: str, owner: str, keyed: bool, total: int | None) -> ClaimRequest:
    return ClaimRequest(name, _OWNERS[owner], f"worker {owner}", keyed, TTL, total, resume="always")


def _facts(held: Held | None) -> tuple[int, int, int]:
    assert held is not None
    return held.job_id, held.fence, held.attempt


def _by_job(rows: Iterable[tuple[Any, ...]]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for job_id, *rest in rows:
        found.setdefault(job_id, []).append(tuple(rest))
    return found
