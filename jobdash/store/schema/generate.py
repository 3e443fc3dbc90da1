"""The triggers, and the committed SQL: ``python -m jobdash.store.schema.generate`` writes it.

``schema.sql`` and ``schema.postgresql.sql`` make fresh stores, ``dialects/*.sql`` have the statements of the
writer.

The triggers keep revisions, ``updated_at`` and the tally in whatever process writes: a statement of ours can
forget to count, a trigger cannot. None of them uses a function of ours, so that any program that opens the
store leaves it right.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Table, create_mock_engine
from sqlalchemy.schema import ExecutableDDLElement

from jobdash.store.schema.base import NOW_MS
from jobdash.store.schema.compilation import POSTGRES_DIALECT, SQLITE, postgres_tables, statements_sql
from jobdash.store.schema.current import POSTGRES_SCHEMA_FILE, SCHEMA_FILE, SCHEMA_VERSION
from jobdash.store.schema.postgres_triggers import FUNCTIONS, postgres_triggers
from jobdash.store.schema.statements import STATEMENTS
from jobdash.store.schema.tables import METADATA
from jobdash.store.sort_orders import TEXT_INDEX, Listed
from jobdash.store.statements import STATEMENT_FILES

SILENT = frozenset(
    {
        "id", "public_id", "seen_at", "not_found_at", "updated_at", "revision", "done_before",
        "unchanged_polls", "cost_stale", "estimated_tokens", "queued", "function",
    }
)  # fmt: skip
"""Columns of a job whose change makes no new revision: no row is read again for them."""
UNSEEN = SILENT | {
    "fence", "owner", "last_owner", "lease_until", "submit_key", "origin", "cost", "cost_is_upper_bound",
    "family_id", "folded", "profile",
}  # fmt: skip
"""Columns that are not shown, or computed here: their change makes a revision, and leaves ``updated_at``."""

_TALLY_COLUMNS = "account, remote_status, cancel_requested_at, verdict, gone_at, removed_at"
_TALLY_UP = (
    "INSERT INTO tally (account, tab, n) VALUES (new.account, new.tab, 1) "
    "ON CONFLICT (account, tab) DO UPDATE SET n = n + 1;"
)
_TALLY_DOWN = "UPDATE tally SET n = n - 1 WHERE account = old.account AND tab = old.tab;"
_FAMILY = "SELECT min(id) FROM job WHERE family_id = {row}.family_id AND listed"
_NEXT_HEAD = f"({_FAMILY} = {Listed.FOLDED})"
_LOWEST = f"({_FAMILY} <> {Listed.REMOVED})"
_NEXT_REVISION = "UPDATE meta SET revision = revision + 1;"
_THIS_REVISION = "(SELECT revision FROM meta)"
_FIRST_ROW = "INSERT INTO meta (id, revision, secret) VALUES (1, 0, {})"
_SECRET, _POSTGRES_SECRET = "lower(hex(randomblob(16)))", "replace(gen_random_uuid()::text, '-', '')"
_VERSION = f"INSERT INTO alembic_version (version_num) VALUES ('{SCHEMA_VERSION}')"


def _written(job: Table, without: frozenset[str]) -> list[str]:
    return [column.name for column in job.columns if column.computed is None and column.name not in without]


def _differs(columns: list[str]) -> str:
    return " OR ".join(f"old.{column} IS NOT new.{column}" for column in columns)


def triggers(job: Table) -> list[str]:
    """Return the triggers and the first rows of a store, in the order of their making."""
    loud = _written(job, SILENT)
    seen = _differs(_written(job, UNSEEN))
    inserted = (
        "CREATE TRIGGER job_inserted AFTER INSERT ON job BEGIN\n"
        f"  {_NEXT_REVISION}\n"
        f"  UPDATE job SET revision = {_THIS_REVISION} WHERE id = new.id;\n"
        f"  {_TALLY_UP}\n"
        "END"
    )
    changed = (
        f"CREATE TRIGGER job_changed AFTER UPDATE OF {', '.join(loud)} ON job\n"
        f"WHEN {_differs(loud)} BEGIN\n"
        f"  {_NEXT_REVISION}\n"
        f"  UPDATE job SET revision = {_THIS_REVISION},\n"
        f"    updated_at = CASE WHEN {seen}\n"
        f"      THEN {NOW_MS} ELSE updated_at END\n"
        "  WHERE id = new.id;\n"
        "END"
    )
    moved = (
        f"CREATE TRIGGER job_moved AFTER UPDATE OF {_TALLY_COLUMNS} ON job\n"
        "WHEN old.account IS NOT new.account OR old.tab IS NOT new.tab BEGIN\n"
        f"  {_TALLY_DOWN}\n"
        f"  {_TALLY_UP}\n"
        "END"
    )
    deleted = (
        f"CREATE TRIGGER job_deleted AFTER DELETE ON job BEGIN\n  {_NEXT_REVISION}\n  {_TALLY_DOWN}\n"
        f"  UPDATE meta SET folded = folded - 1 WHERE old.listed = {Listed.FOLDED};\n"
        f"  UPDATE job SET folded = 0 WHERE old.listed = {Listed.HEAD}"
        f" AND id = {_NEXT_HEAD.format(row='old')};\n"
        "END"
    )
    return [inserted, changed, moved, deleted, *family_triggers(), _FIRST_ROW.format(_SECRET)]


def family_triggers() -> list[str]:
    """Return the triggers that keep who is in a family, and which member stands for it: the oldest shown.

    The first part of a file, or the batch that was sent again, begins a family when another follows it.
    """
    root = "coalesce(new.parent_id, (SELECT id FROM job WHERE public_id = new.family))"
    joined = (
        "CREATE TRIGGER job_joined AFTER INSERT ON job\n"
        "WHEN new.parent_id IS NOT NULL OR new.family <> new.public_id BEGIN\n"
        f"  UPDATE job SET family_id = id WHERE id = {root} AND family_id IS NULL;\n"
        f"  UPDATE job SET family_id = (SELECT family_id FROM job WHERE id = {root}) WHERE id = new.id;\n"
        f"  UPDATE job SET folded = 1 WHERE id = new.id AND id > (SELECT min(id) FROM job AS head"
        f" WHERE head.family_id = job.family_id AND head.listed = {Listed.HEAD});\n"
        "END"
    )
    left = (
        "CREATE TRIGGER job_left AFTER UPDATE OF removed_at ON job\n"
        f"WHEN old.listed = {Listed.HEAD} AND new.listed = {Listed.REMOVED} AND new.family_id IS NOT NULL"
        " BEGIN\n"
        f"  UPDATE job SET folded = 0 WHERE id = {_NEXT_HEAD.format(row='new')};\n"
        "END"
    )
    lowest = _LOWEST.format(row="new")
    returned = (
        "CREATE TRIGGER job_returned AFTER UPDATE OF removed_at ON job\n"
        f"WHEN old.listed = {Listed.REMOVED} AND new.listed <> {Listed.REMOVED}"
        " AND new.family_id IS NOT NULL BEGIN\n"
        f"  UPDATE job SET folded = 1 WHERE family_id = new.family_id AND listed = {Listed.HEAD}"
        f" AND id > {lowest};\n"
        f"  UPDATE job SET folded = 0 WHERE folded AND id = {lowest};\n"
        "END"
    )
    counted = (
        "CREATE TRIGGER job_folded AFTER UPDATE OF folded, removed_at ON job\n"
        f"WHEN (old.listed = {Listed.FOLDED}) <> (new.listed = {Listed.FOLDED}) BEGIN\n"
        f"  UPDATE meta SET folded = folded + (new.listed = {Listed.FOLDED})"
        f" - (old.listed = {Listed.FOLDED});\n"
        "END"
    )
    return [joined, left, returned, counted]


def schema_sql() -> str:
    """Return the DDL of a complete store, one statement a paragraph."""
    statements: list[str] = []

    def collect(element: ExecutableDDLElement, *_: Any, **__: Any) -> None:
        text = str(element.compile(dialect=engine.dialect)).strip()
        statements.append("\n".join(line.rstrip() for line in text.splitlines()))

    engine = create_mock_engine("sqlite://", collect)
    METADATA.create_all(engine, checkfirst=False)
    statements.sort(key=_place)
    statements += triggers(METADATA.tables["job"])
    statements.append(_VERSION)
    return "\n\n".join(f"{statement};" for statement in statements) + "\n"


def _place(statement: str) -> tuple[bool, str]:
    """Tables first, in the order they need each other; indexes, which SQLAlchemy keeps in a set, by name."""
    return (False, "") if statement.startswith("CREATE TABLE") else (True, statement)


def postgres_schema_sql() -> str:
    """Return the DDL of a complete store in a schema of PostgreSQL, one statement a paragraph."""
    job = METADATA.tables["job"]
    statements = [
        *FUNCTIONS,
        *postgres_tables(METADATA, frozenset({TEXT_INDEX})),
        *postgres_triggers(job, _TALLY_COLUMNS, _written(job, SILENT), _written(job, UNSEEN)),
        _FIRST_ROW.format(_POSTGRES_SECRET),
        _VERSION,
    ]
    return "\n\n".join(f"{statement};" for statement in statements) + "\n"


def files() -> dict[Path, str]:
    """Return every committed file that is made here, with its text."""
    return {
        SCHEMA_FILE: schema_sql(),
        POSTGRES_SCHEMA_FILE: postgres_schema_sql(),
        STATEMENT_FILES["sqlite"]: statements_sql(STATEMENTS, SQLITE),
        STATEMENT_FILES["postgresql"]: statements_sql(STATEMENTS, POSTGRES_DIALECT),
    }


def main() -> None:
    """Write the files."""
    for file, text in files().items():
        file.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
