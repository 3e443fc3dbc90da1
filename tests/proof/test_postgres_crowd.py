"""Many at one store in PostgreSQL: no change stays unseen, and counts are those of the rows."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import postgres_kit
import pytest
from shared.deadlines import LONG, joined

from jobdash.domain.time import system_clock
from jobdash.errors import StoreBusy
from jobdash.store.bootstrap import open_for_worker
from jobdash.store.copying import check_store
from jobdash.store.leases.claims import ClaimRequest, claim
from jobdash.store.leases.lease import ItemWrite, LeaseRefused
from jobdash.store.location import PostgresLocation
from jobdash.store.owner import current_owner
from jobdash.store.reader import Reader
from jobdash.store.records import ActionRequest, Actor, Refusal
from jobdash.store.writer import Writer

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
PATIENCE_S = 20.0


@pytest.fixture
def store(tmp_path: Path) -> PostgresLocation:
    return postgres_kit.empty_store(tmp_path)


def together(*work: Callable[[], None]) -> None:
    """Do all at once; raise what one of them has raised."""
    errors: list[BaseException] = []

    def guarded(do: Callable[[], None]) -> None:
        try:
            do()
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(do,)) for do in work]
    for thread in threads:
        thread.start()
    joined(*threads, seconds=4 * LONG)
    if errors:
        raise errors[0]


class Mirror:
    """The rows as a face knows them: read once, and then what it is told has changed."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._version, self._mark = reader.data_version(), reader.revision()
        self.rows = {row.id: row.succeeded for row in reader.changed_since(-1, 10_000)}

    def follow(self) -> None:
        version = self._reader.data_version()
        if version == self._version:
            return
        self._version = version
        before, self._mark = self._mark, self._reader.revision()
        self.rows |= {row.id: row.succeeded for row in self._reader.changed_since(before, 10_000)}


def test_no_change_stays_unseen_however_late_it_is_committed(store: PostgresLocation) -> None:
    """Six programs change rows, and commit late, while a face follows: in the end it knows all."""
    postgres_kit.raw(
        store,
        "INSERT INTO job (public_id, provider, account, origin, remote_id, name, remote_status, raw_status,"
        " created_at, succeeded) SELECT n, 'openai', 'openai', 'o', n, 'job', 'in_progress', 'x', n, 0"
        " FROM generate_series(1, 60) AS n",
    )
    left = threading.Semaphore(10_000)
    over = threading.Event()

    def change(seed: int) -> None:
        chance = random.Random(seed)
        with closing(postgres_kit.connect(store)) as program:
            while left.acquire(blocking=False):
                # Each its own rows, so that none waits for another: commits are in any order.
                row = chance.randrange(10) * 6 + seed + 1
                program.execute("BEGIN")
                program.execute(f"UPDATE job SET succeeded = succeeded + 1 WHERE id = {row}")
                if chance.random() < 0.5:
                    time.sleep(chance.random() * 0.02)
                program.execute("COMMIT" if chance.random() < 0.9 else "ROLLBACK")

    def change_all() -> None:
        together(*(lambda seed=seed: change(seed) for seed in range(6)))
        over.set()

    with Reader(store) as reader:
        mirror = Mirror(reader)

        def follow() -> None:
            while not over.wait(0.01):
                mirror.follow()
            mirror.follow()
            mirror.follow()

        together(change_all, follow)
        truth = dict(postgres_kit.raw(store, "SELECT id, succeeded FROM job"))
        assert {row: known for row, known in mirror.rows.items() if known != truth[row]} == {}
        assert len(mirror.rows) == 60


def test_a_crowd_of_scripts_and_people_leaves_counts_that_are_those_of_the_rows(
    store: PostgresLocation,
) -> None:
    ends = time.monotonic() + 8.0
    seen = {"items": 0, "acts": 0, "refused": 0}

    def work(number: int) -> None:
        chance = random.Random(number)
        while time.monotonic() < ends:
            with closing(open_for_worker(store)) as connection:
                wanted = ClaimRequest(
                    f"job {number % 3}", current_owner(), "ann@desk", True, 1_000, resume="always"
                )
                lease = claim(connection, wanted).lease
                with suppress(LeaseRefused):
                    while time.monotonic() < ends:
                        keys = {f"{chance.randrange(400)}" for _ in range(chance.randrange(1, 8))}
                        words = [ItemWrite(key, chance.choice(["ok", "error", "skipped"])) for key in keys]
                        lease.write_items(words)
                        seen["items"] += len(words)
                    lease.finish("completed", "enough")
                    continue
                seen["refused"] += 1

    def act(number: int) -> None:
        chance = random.Random(100 + number)
        actor = Actor("ann", "desk", "cli", current_owner())
        with Writer(store, system_clock, actor) as writer, Reader(store) as reader:
            while time.monotonic() < ends:
                rows = list(reader.rows(range(1, 60)).values())
                if not rows:
                    continue
                row = chance.choice(rows)
                do = chance.choice([writer.cancel_local, writer.force_fail_local, writer.retry_local])
                with suppress(StoreBusy):
                    done = do(ActionRequest(row.id, row.fence))
                    seen["acts"] += not isinstance(done, Refusal)
                time.sleep(0.02)

    together(*(lambda n=n: work(n) for n in range(4)), *(lambda n=n: act(n) for n in range(2)))
    assert check_store(store) == []
    wrong = postgres_kit.raw(
        store,
        "SELECT job.id, succeeded, failed, found.* FROM job JOIN (SELECT job_id,"
        " count(*) FILTER (WHERE outcome IN ('ok', 'skipped')) AS good,"
        " count(*) FILTER (WHERE outcome = 'error') AS bad, count(*) AS rows, max(seq) + 1 AS places"
        " FROM item GROUP BY job_id) AS found ON found.job_id = job.id"
        " WHERE succeeded <> good OR failed <> bad OR rows <> places",
    )
    assert wrong == []
    assert seen["items"] > 300
    assert seen["acts"] > 10
