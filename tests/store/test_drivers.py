"""The driver is imported in one place, which another database can replace."""

from __future__ import annotations

import re
from pathlib import Path

import jobdash

DRIVER = re.compile(r"^\s*(?:import|from) sqlite3\b|PRAGMA |BEGIN IMMEDIATE\"|SQLITE_[A-Z]+", re.MULTILINE)


PACKAGE = Path(jobdash.__file__).parent
ELSEWHERE = ("engines/", "demo/")
"""Where tables and servers of another kind are: those of the engines, of their checks, and of the demo."""


def using(pattern: re.Pattern[str]) -> set[str]:
    """The modules outside of those whose text matches."""
    names = {module.relative_to(PACKAGE).as_posix(): module for module in PACKAGE.rglob("*.py")}
    return {
        name
        for name, module in names.items()
        if not name.startswith(ELSEWHERE) and pattern.search(module.read_text(encoding="utf-8"))
    }


def test_only_the_dialect_uses_the_driver_and_its_settings() -> None:
    assert using(DRIVER) == {"store/dialects/sqlite.py"}


def test_only_the_dialect_imports_the_driver_of_postgresql() -> None:
    found = using(re.compile(r"^\s*(?:import|from) psycopg\b", re.MULTILINE))
    assert found == {f"store/dialects/postgres{part}.py" for part in ("", "_admin", "_errors", "_upgrade")}
