"""The triggers, and the committed SQL: ``python -m jobdash.store.schema.generate`` writes it.

``schema.sql`` makes fresh stores, ``dialects/sqlite.sql`` has the statements of the writer.

The triggers keep revisions, ``updated_at`` and the tally in whatever process writes: a statement of ours can
forget to count, a trigger cannot. None of them uses a function of ours, so that any program that opens the
store leaves it right.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Table, create_mock_engine
from sqlalchemy.dialects.sqlite import dialect
from sqlalchemy.schema import ExecutableDDLElement

from jobdash.store.bootstrap import SCHEMA_FILE, SCHEMA_VERSION
from jobdash.store.schema.statements import statements_sql
from jobdash.store.schema.tables import NOW_MS, Base
from jobdash.store.statements import STATEMENTS_FILE

SILENT = frozenset(
    {
        "id", "public_id", "seen_at", "not_found_at", "updated_at", "revision", "done_before",
        "unchanged_polls", "cost_stale", "estimated_tokens", "queued",
    }
)  # fmt: skip
"""Columns of a job whose change makes no new revision: no row is read again for them."""
UNSEEN = SILENT | {
    "fence", "owner", "last_owner", "lease_until", "submit_key", "origin", "cost", "cost_is_upper_bound",
}  # fmt: skip
"""Columns that are not shown, or computed here: their change makes a revision, and leaves ``updated_at``."""

_TALLY_COLUMNS = "account, remote_status, cancel_requested_at, verdict, gone_at, removed_at"
_TALLY_UP = (
    "INSERT INTO tally (account, tab, n) VALUES (new.account, new.tab, 1) "
    "ON CONFLICT (account, tab) DO UPDATE SET n = n + 1;"
)
_TALLY_DOWN = "UPDATE tally SET n = n - 1 WHERE account = old.account AND tab = old.tab;"
_NEXT_REVISION = "UPDATE meta SET revision = revision + 1;"
_THIS_REVISION = "(SELECT revision FROM meta)"


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
        f"CREATE TRIGGER job_deleted AFTER DELETE ON job BEGIN\n  {_NEXT_REVISION}\n  {_TALLY_DOWN}\nEND"
    )
    return [inserted, changed, moved, deleted, "INSERT INTO meta (id, revision) VALUES (1, 0)"]


def schema_sql() -> str:
    """Return the DDL of a complete store, one statement a paragraph."""
    statements: list[str] = []

    def collect(element: ExecutableDDLElement, *_: Any, **__: Any) -> None:
        text = str(element.compile(dialect=engine.dialect)).strip()
        statements.append("\n".join(line.rstrip() for line in text.splitlines()))

    engine = create_mock_engine("sqlite://", collect)
    Base.metadata.create_all(engine, checkfirst=False)
    statements.sort(key=_place)
    statements += triggers(Base.metadata.tables["job"])
    statements.append(f"INSERT INTO alembic_version (version_num) VALUES ('{SCHEMA_VERSION}')")
    return "\n\n".join(f"{statement};" for statement in statements) + "\n"


def _place(statement: str) -> tuple[bool, str]:
    """Tables first, in the order they need each other; indexes, which SQLAlchemy keeps in a set, by name."""
    return (False, "") if statement.startswith("CREATE TABLE") else (True, statement)


def main(schema: Path = SCHEMA_FILE, statements: Path = STATEMENTS_FILE) -> None:
    """Write both files."""
    schema.write_text(schema_sql(), encoding="utf-8", newline="\n")
    text = statements_sql(dialect(paramstyle="named"))
    statements.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
