"""An older store in PostgreSQL: who upgrades it, and what those see who do not."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import postgres_kit
import psycopg
import pytest
from shared.deadlines import joined

from jobdash.errors import StoreBusy, StoreError, StoreMissing, StoreReadOnly, StoreTooNew
from jobdash.store import server_store
from jobdash.store.bootstrap import ensure_store, open_for_worker
from jobdash.store.copying import check_store
from jobdash.store.dialects import postgres, postgres_admin
from jobdash.store.leases.claims import ClaimRequest, claim
from jobdash.store.leases.lease import ItemWrite
from jobdash.store.location import PostgresLocation
from jobdash.store.owner import current_owner
from jobdash.store.reader import Reader
from jobdash.store.schema.current import SCHEMA_VERSION
from jobdash.store.schema.migrate import MIGRATIONS, upgrade_on_server
from jobdash.store.sort_orders import Scope, Sort

pytestmark = pytest.mark.postgres
FIRST = Path(__file__).with_name("postgres_0013.sql")
"""The schema of the first jobdash whose store could be in PostgreSQL, as it made it."""
_ROWS = """
INSERT INTO account (name, provider) VALUES ('openai', 'openai');
INSERT INTO job (public_id, provider, account, origin, remote_id, name, remote_status, raw_status,
  created_at) VALUES ('abc', 'openai', 'openai', 'https://api.example', 'batch_1', 'nightly', 'completed',
  'completed', 1);
INSERT INTO job (public_id, provider, account, origin, name, remote_status, raw_status,
  created_at) VALUES ('def', 'local', 'local', 'local', 'resize', 'in_progress', 'in_progress', 2);
INSERT INTO item (job_id, seq, key, outcome, attempt, at) VALUES (2, 0, 'a', 'ok', 1, 3);
"""


@pytest.fixture
def older(tmp_path: Path) -> Iterator[PostgresLocation]:
    """A store as the first jobdash with PostgreSQL has left it, with rows of two kinds."""
    with postgres_kit.database("older") as url:
        location = PostgresLocation(url, folder=tmp_path)
        postgres_admin.create_schema(location, FIRST.read_text(encoding="utf-8") + _ROWS)
        yield location


_DESCRIBED = {
    "columns": (
        "SELECT table_name, ordinal_position, column_name, data_type, collation_name, column_default,"
        " is_nullable, generation_expression, is_identity FROM information_schema.columns"
        " WHERE table_schema = %s"
    ),
    "constraints": (
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = %s::regnamespace AND contype <> 'n'"
    ),
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = %s",
    "triggers": (
        "SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(pg_trigger.oid) FROM pg_trigger"
        " JOIN pg_class ON pg_class.oid = tgrelid WHERE relnamespace = %s::regnamespace AND NOT tgisinternal"
    ),
    "functions": "SELECT proname, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = %s::regnamespace",
    "sequences": "SELECT sequencename, data_type FROM pg_sequences WHERE schemaname = %s",
}


def described(location: PostgresLocation) -> dict[str, Any]:
    """Everything that makes two stores equal, but for rows."""
    with closing(postgres_kit.connect(location)) as connection:
        return {
            what: sorted(map(repr, connection.execute(query, [location.schema]).fetchall()))
            for what, query in _DESCRIBED.items()
        }


def as_role(location: PostgresLocation, role: str, rights: str) -> PostgresLocation:
    """The store as another role of its database sees it."""
    with contextlib.suppress(psycopg.errors.DuplicateObject):
        postgres_kit.raw(location, f"CREATE ROLE {role} LOGIN")
    postgres_kit.raw(location, f"GRANT USAGE ON SCHEMA {location.schema} TO {role}")
    postgres_kit.raw(location, f"GRANT {rights} ON ALL TABLES IN SCHEMA {location.schema} TO {role}")
    postgres_kit.raw(location, f"GRANT SELECT, USAGE ON ALL SEQUENCES IN SCHEMA {location.schema} TO {role}")
    return replace(location, url=location.url.replace("postgres@", f"{role}@"))


def test_an_upgraded_store_equals_a_fresh_one_and_keeps_its_rows(older: PostgresLocation) -> None:
    assert server_store.upgrade(older) is True
    fresh = replace(older, schema="jobdash_fresh")
    server_store.create(fresh)
    made, upgraded = described(fresh), described(older)
    for what, found in made.items():
        assert [line.replace("jobdash_fresh", "jobdash") for line in found] == upgraded[what], what
    assert ensure_store(older) is None
    assert check_store(older) == []
    with Reader(older) as reader:
        assert reader.schema_version() == SCHEMA_VERSION
        assert len(reader.secret()) == 32
        assert [row.name for row in reader.page(Scope(), Sort())] == ["resize", "nightly"]
        assert [item.key for item in reader.iter_items(2)] == ["a"]
    run = claim(open_for_worker(older), ClaimRequest("new", current_owner(), "ann@desk", True, 30_000))
    run.lease.write_items([ItemWrite("a", "ok")])
    assert server_store.upgrade(older) is False


def test_an_older_store_is_refused_with_the_way_to_upgrade_it(older: PostgresLocation) -> None:
    for use in (ensure_store, open_for_worker):
        with pytest.raises(
            StoreError, match=r"older jobdash .schema 0013.*jobdash store upgrade '"
        ) as raised:
            use(older)
        assert str(older) in str(raised.value)
    assert postgres_kit.raw(older, "SELECT version_num FROM alembic_version") == [("0013",)]


def test_of_several_that_upgrade_at_once_one_does_it(older: PostgresLocation) -> None:
    done: list[bool] = []
    starters = [threading.Thread(target=lambda: done.append(server_store.upgrade(older))) for _ in range(4)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join(60)
    assert sorted(done) == [False, False, False, True]
    assert ensure_store(older) is None


def test_a_role_that_does_not_own_the_tables_is_told_who_does(older: PostgresLocation) -> None:
    user = as_role(older, "bob_who_writes", "SELECT, INSERT, UPDATE, DELETE")
    with pytest.raises(StoreReadOnly, match=r"by the database role bob_who_writes: its tables.* of postgres"):
        server_store.upgrade(user)
    assert postgres_kit.raw(older, "SELECT version_num FROM alembic_version") == [("0013",)]


def test_an_owner_without_the_right_to_make_tables_is_told_so_and_nothing_is_half_done(
    older: PostgresLocation,
) -> None:
    owner = as_role(older, "owner_of_tables", "SELECT")
    postgres_kit.raw(older, "ALTER TABLE job OWNER TO owner_of_tables")
    with pytest.raises(StoreReadOnly, match="cannot be upgraded by this database role"):
        server_store.upgrade(owner)
    assert postgres_kit.raw(older, "SELECT version_num FROM alembic_version") == [("0013",)]
    postgres_kit.raw(older, "ALTER TABLE job OWNER TO postgres")
    assert server_store.upgrade(older) is True


def test_who_could_read_or_write_can_do_so_after_an_upgrade(older: PostgresLocation) -> None:
    viewer = as_role(older, "viewer_of_old", "SELECT")
    writer = as_role(older, "writer_of_old", "SELECT, INSERT, UPDATE, DELETE")
    server_store.upgrade(older)
    assert ensure_store(viewer) == "this database role may only read"
    assert postgres_kit.raw(viewer, "SELECT count(*) FROM part") == [(0,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        postgres_kit.raw(viewer, "DELETE FROM part")
    assert ensure_store(writer) is None
    postgres_kit.raw(writer, "INSERT INTO part (job_id, number, first, behind) VALUES (1, 0, 0, 1)")


NEXT = f"""
from alembic import op

revision = "9999"
down_revision = "{SCHEMA_VERSION}"

def upgrade():
    op.execute("ALTER TABLE account ADD COLUMN more TEXT")
    op.execute("ALTER TABLE item ADD COLUMN more TEXT")
    op.execute("ALTER TABLE job ADD COLUMN more TEXT")
    op.execute("CREATE INDEX item_more ON item (more)")
"""
"""A migration of the next jobdash, which takes the tables in an order of its own."""


def test_scripts_and_readers_go_on_during_an_upgrade(older: PostgresLocation, tmp_path: Path) -> None:
    """A script is in nobody's way: it never holds one table while it waits for another."""
    server_store.upgrade(older)
    shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    (tmp_path / "migrations" / "versions" / "9999_next.py").write_text(NEXT)
    go_on, written, errors = threading.Event(), [0] * 3, list[BaseException]()

    def until_told(work: Callable[[], None]) -> None:
        try:
            while not go_on.is_set():
                work()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is looked at below
            errors.append(error)

    def script(number: int) -> None:
        connection = postgres.connect_writer(older, "x")
        wanted = ClaimRequest(f"script {number}", current_owner(), "ann@desk", True, 30_000)
        lease = claim(connection, wanted).lease

        def write() -> None:
            lease.write_items([ItemWrite(f"{written[number]}", "ok")])
            written[number] += 1

        until_told(write)
        connection.close()

    def reader() -> None:
        with Reader(older) as opened:

            def look() -> None:
                opened.page(Scope(), Sort())
                opened.counts()
                opened.accounts()

            until_told(look)

    crowd = [threading.Thread(target=script, args=[number]) for number in range(3)]
    crowd += [threading.Thread(target=reader) for _ in range(3)]
    for each in crowd:
        each.start()
    deadline = time.monotonic() + 20
    while min(written) < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert upgrade_on_server(older, tmp_path / "migrations") is True
    before = sum(written)
    while sum(written) < before + 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    go_on.set()
    joined(*crowd)
    assert errors == []
    kept = "SELECT succeeded FROM job WHERE name LIKE 'script %' ORDER BY name"
    assert [count for (count,) in postgres_kit.raw(older, kept)] == written


@pytest.mark.slow
def test_a_program_in_the_way_is_waited_for_not_longer_than_writers_are(older: PostgresLocation) -> None:
    with closing(postgres_kit.connect(older)) as frozen:
        frozen.execute("BEGIN; SELECT count(*) FROM job")
        began = time.monotonic()
        with pytest.raises(StoreBusy):
            server_store.upgrade(older)
        assert time.monotonic() - began < 10
    assert server_store.upgrade(older) is True


def test_a_newer_store_is_left_alone_by_programs_of_this_version(older: PostgresLocation) -> None:
    server_store.upgrade(older)
    postgres_kit.raw(older, "UPDATE alembic_version SET version_num = '0099'")
    for use in (ensure_store, server_store.upgrade):
        with pytest.raises(StoreTooNew, match=r"newer jobdash \(schema 0099.*Upgrade jobdash"):
            use(older)


def test_a_store_that_is_not_there_is_not_upgraded(older: PostgresLocation) -> None:
    with pytest.raises(StoreMissing, match="jobdash store init"):
        server_store.upgrade(replace(older, schema="nothing"))
