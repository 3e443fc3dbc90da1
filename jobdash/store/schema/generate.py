"""``python -m jobdash.store.schema.generate`` writes ``schema.sql``, of which a fresh store is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import create_mock_engine
from sqlalchemy.schema import ExecutableDDLElement

from jobdash.store.bootstrap import SCHEMA_FILE, SCHEMA_VERSION
from jobdash.store.schema.tables import Base
from jobdash.store.schema.triggers import hang_on

hang_on(Base.metadata)


def schema_sql() -> str:
    """Return the DDL of a complete store, one statement a paragraph."""
    statements: list[str] = []

    def collect(element: ExecutableDDLElement, *_: Any, **__: Any) -> None:
        text = str(element.compile(dialect=engine.dialect)).strip()
        statements.append("\n".join(line.rstrip() for line in text.splitlines()))

    engine = create_mock_engine("sqlite://", collect)
    Base.metadata.create_all(engine, checkfirst=False)
    statements.append(f"INSERT INTO alembic_version (version_num) VALUES ('{SCHEMA_VERSION}')")
    return "\n\n".join(f"{statement};" for statement in sorted(statements, key=_place)) + "\n"


def _place(statement: str) -> tuple[int, str]:
    """Tables first, in the order they need each other; indexes, which SQLAlchemy keeps in a set, by name."""
    if statement.startswith("CREATE TABLE"):
        return 0, ""
    if " INDEX " in statement.partition("(")[0]:
        return 1, statement
    return 2, ""


def main(target: Path = SCHEMA_FILE) -> None:
    """Write the file."""
    target.write_text(schema_sql(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
