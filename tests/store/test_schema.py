"""The schema: one definition, one file made from it, and expressions equal to the domain's functions."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from shared.store_files import build_store
from sqlmodel import Session, select
from store_kit import ORIGIN, START, one, put, raw, remote, remote_error

from jobdash.domain.fields import JOB_FIELDS, Kind
from jobdash.domain.status import FORCE_FAILED, Status, effective, tab_number
from jobdash.store.dialects.sqlite import open_engine
from jobdash.store.reader import Reader
from jobdash.store.rows import ROW_COLUMNS
from jobdash.store.schema.base import table
from jobdash.store.schema.current import SCHEMA_VERSION
from jobdash.store.schema.generate import SILENT, UNSEEN, files
from jobdash.store.schema.migrate import MIGRATIONS, upgrade
from jobdash.store.schema.tables import METADATA, JobRecord
from jobdash.store.sort_orders import SORT_ORDERS, Sort, key_of
from jobdash.store.writer import Writer

pytestmark = pytest.mark.sqlite_only


def test_the_committed_files_are_made_of_the_tables() -> None:
    made = files()
    assert {file.name for file in made} == {
        "schema.sql", "schema.postgresql.sql", "sqlite.sql", "postgresql.sql",
    }  # fmt: skip
    for file, text in made.items():
        assert file.read_bytes() == text.encode()
    assert files() == made


def _described(path: Path) -> dict[str, Any]:
    """Everything that makes two stores equal, whatever the order in which it was made."""
    found: dict[str, Any] = {
        "master": sorted(
            (kind, name, " ".join(sql.split()) if sql else "")
            for kind, name, sql in raw(path, "SELECT type, name, sql FROM sqlite_master")
        )
    }
    for (name,) in raw(path, "SELECT name FROM sqlite_master WHERE type = 'table'"):
        found[name] = (
            raw(path, f"PRAGMA table_xinfo({name})"),
            sorted(row[1:] for row in raw(path, f"PRAGMA index_list({name})")),
            raw(path, f"PRAGMA foreign_key_list({name})"),
        )
    for (index,) in raw(path, "SELECT name FROM sqlite_master WHERE type = 'index'"):
        found[index] = raw(path, f"PRAGMA index_xinfo({index})")
    first = "SELECT revision, notified_event, folded, length(secret) FROM meta"
    found["first rows"] = [raw(path, sql) for sql in (first, "SELECT * FROM alembic_version")]
    return found


def test_a_store_upgraded_from_nothing_equals_a_fresh_one(path: Path, tmp_path: Path) -> None:
    upgraded = tmp_path / "upgraded.db"
    build_store(upgraded, "")
    upgrade(upgraded)
    assert raw(upgraded, "SELECT version_num FROM alembic_version") == [(SCHEMA_VERSION,)]
    assert _described(upgraded) == _described(path)


def test_writer_and_reader_read_the_same_from_every_column(
    path: Path, writer: Writer, reader: Reader
) -> None:
    job = one(
        writer,
        reader,
        Status.COMPLETED,
        **{name: n for n, name in enumerate(("total", "succeeded", "failed", "cancelled", "expired"))},
        started_at=START,
        finished_at=START + 1,
        expires_at=START + 2,
        model="gpt-x",
        endpoint="/v1/x",
        errors=(remote_error("broken", "bad_line"),),
        usage={"tokens": 3},
        files={"input": "file-1"},
        metadata={"subject": "maths"},
        submit_key="key-1",
    )
    (values,) = raw(path, f"SELECT {', '.join(_columns(path))} FROM job")
    types = table(JobRecord).columns
    known = zip(_columns(path), values, strict=True)
    empty = [name for name, value in known if value is None and types[name].computed is None]
    filled: dict[str, Any] = {
        name: 1 if types[name].type.python_type is int else f"<{name}>" for name in empty
    }
    filled |= {"verdict": FORCE_FAILED, "parent_id": job.id, "superseded_by": job.id}
    filled |= dict.fromkeys(("cancel_doubt", "attempt", "fence"), 1)
    raw(path, f"UPDATE job SET {', '.join(f'{name} = ?' for name in filled)}", list(filled.values()))

    with Session(open_engine(path, "NORMAL")) as session:
        record = session.exec(select(JobRecord)).one()
    (values,) = raw(path, f"SELECT {', '.join(_columns(path))} FROM job")
    by_driver = dict(zip(_columns(path), values, strict=True))
    by_model = {name: getattr(record, name) for name in _columns(path)}
    assert by_model == by_driver

    seen = reader.job(job.id)
    assert seen is not None
    for name in ROW_COLUMNS:
        assert getattr(seen.row, name) == by_model[name], name
    for field in JOB_FIELDS:
        if field.stored and field.kind in {Kind.TEXT, Kind.NUMBER, Kind.TIME}:
            assert getattr(seen, field.source) == by_model[field.stored], field.name
    assert seen.parent == seen.superseded_by == job.public_id
    assert seen.children == (job.public_id,)
    assert seen.errors == ({"message": "broken", "code": "bad_line", "line": None, "param": None},)
    assert (seen.usage, seen.files, seen.metadata) == (
        {"tokens": 3},
        {"input": "file-1"},
        {"subject": "maths"},
    )
    assert seen.tags == {"subject": "maths"}


def _columns(path: Path) -> list[str]:
    return [name for _, name, *_ in raw(path, "PRAGMA table_xinfo(job)")]


def test_status_and_tab_equal_the_domain_for_every_input(path: Path) -> None:
    inputs = list(
        itertools.product(Status, (None, START), (None, FORCE_FAILED), (None, START), (None, START))
    )
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany(
            "INSERT INTO job (public_id, provider, account, origin, name, raw_status, created_at,"
            " remote_status, cancel_requested_at, verdict, gone_at, removed_at)"
            " VALUES (?, 'p', 'a', 'o', 'n', '', 0, ?, ?, ?, ?, ?)",
            [(str(n), str(word), *rest) for n, (word, *rest) in enumerate(inputs)],
        )
        connection.commit()
        found = connection.execute("SELECT status, tab, shown FROM job ORDER BY id").fetchall()
    for (word, asked, verdict, gone, removed), (status, tab, shown) in zip(inputs, found, strict=True):
        expected = effective(word, asked, verdict)
        number = tab_number(expected, gone=gone is not None, removed=removed is not None)
        assert (status, tab, shown) == (expected, number, int(removed is None))


@pytest.mark.parametrize("order", SORT_ORDERS)
def test_the_key_of_a_row_is_the_key_of_its_index(
    path: Path, writer: Writer, reader: Reader, order: str
) -> None:
    put(
        writer,
        remote("a", total=None, succeeded=None),
        remote("b", name="ÄRGER Zwei", total=0, succeeded=0, failed=0),
        remote("c", total=3, succeeded=1, failed=None),
        remote("d", total=7, succeeded=None, failed=2),
        remote("e", total=10, succeeded=20, failed=1),
        remote("f", total=10, succeeded=None, failed=None),
    )
    for walk_key, id_ in raw(path, f"SELECT {_key_column(order)}, id FROM job"):
        row = reader.rows([id_])[id_]
        assert key_of(row, Sort(order)).value == walk_key


def _key_column(order: str) -> str:
    return SORT_ORDERS[order].column


@pytest.mark.parametrize(
    "change",
    ["remote_status = 'paused'", "verdict = 'maybe'", "total = -1", "cancel_doubt = 2", "name = NULL"],
)
def test_what_cannot_be_is_refused_by_the_schema(path: Path, writer: Writer, change: str) -> None:
    put(writer, remote())
    with pytest.raises(sqlite3.IntegrityError):
        raw(path, f"UPDATE job SET {change}")


def test_one_batch_of_one_server_is_one_row_whatever_its_account(path: Path, writer: Writer) -> None:
    put(writer, remote("batch_1"), account="openai")
    put(writer, remote("batch_1"), account="other name, same key")
    writer.upsert("work", "openai", "https://another.example", [remote("batch_1")], START)
    assert raw(path, "SELECT account, origin FROM job ORDER BY id") == [
        ("openai", ORIGIN),
        ("work", "https://another.example"),
    ]


def test_every_written_column_makes_a_revision_or_is_silent() -> None:
    """A column added later must be decided on: it makes a revision unless it is named as silent."""
    written = {column.name for column in table(JobRecord).columns if column.computed is None}
    assert written >= UNSEEN
    assert {"seen_at", "not_found_at"} < SILENT
    assert (
        set(ROW_COLUMNS) - {"id", "public_id", "status", "updated_at", "revision", "done_before", "function"}
        <= written - SILENT
    )


def test_no_foreign_tables_are_in_our_metadata() -> None:
    assert "job" in METADATA.tables
    assert len(METADATA.tables) == 12


def test_to_write_a_row_makes_no_temporary_tables(path: Path) -> None:
    # Some 90 KB each: ten of them a commit cost a loop two thirds of its speed.
    for write in (
        "UPDATE job SET lease_until = 1, succeeded = 1, remote_status = 'completed' WHERE id = 1",
        "INSERT INTO item (job_id, seq, key, outcome, attempt, at) VALUES (1, 0, 'a', 'ok', 1, 1)",
        "UPDATE intent SET kind = 'cancel' WHERE id = 1",
    ):
        made = [row for row in raw(path, f"EXPLAIN {write}") if row[1] == "OpenEphemeral"]
        assert not made, write


def test_an_open_connection_reads_the_schema_of_an_upgrade(tmp_path: Path) -> None:
    store = tmp_path / "jobs.db"
    build_store(store, "")
    with closing(sqlite3.connect(store)) as other:
        other.execute("SELECT * FROM sqlite_master").fetchall()
        upgrade(store)
        assert other.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert other.execute("SELECT count(*) FROM job").fetchone() == (0,)


def test_the_families_of_an_older_store_are_found(tmp_path: Path) -> None:
    old, scripts = tmp_path / "old.db", tmp_path / "migrations"
    since = {file.name for file in (MIGRATIONS / "versions").iterdir() if file.name >= "0012"}
    shutil.copytree(MIGRATIONS, scripts, ignore=lambda _, names: since & set(names))
    build_store(old, "")
    upgrade(old, scripts)
    rows = [
        # id, parent, family, removed
        (1, None, None, None),
        (2, None, None, 5),
        (3, 2, None, None),
        (4, 3, None, None),
        (5, None, "j5", None),
        (6, None, "j5", None),
        (7, 6, "j5", None),
        (8, None, None, None),
    ]
    with closing(sqlite3.connect(old)) as connection:
        connection.executemany(
            "INSERT INTO job (id, public_id, provider, account, origin, name, raw_status, created_at,"
            " remote_status, parent_id, family, removed_at)"
            " VALUES (?1, 'j' || ?1, 'p', 'a', 'o', 'n', '', 0, 'completed', ?2, ?3, ?4)",
            rows,
        )
        connection.commit()
    before = raw(old, "SELECT id, revision, updated_at FROM job")
    upgrade(old)
    found = raw(old, "SELECT id, family_id, listed, family FROM job ORDER BY id")
    assert found == [
        (1, None, 1, None), (2, 2, 0, "j2"), (3, 2, 1, "j2"), (4, 2, 2, "j2"),
        (5, 5, 1, "j5"), (6, 5, 2, "j5"), (7, 5, 2, "j5"), (8, None, 1, None),
    ]  # fmt: skip
    assert raw(old, "SELECT folded FROM meta") == [(3,)]
    assert raw(old, "SELECT id, revision, updated_at FROM job") == before
