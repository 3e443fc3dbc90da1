"""The driver is imported in one place, which another database can replace."""

from __future__ import annotations

import re
from pathlib import Path

import jobdash

DRIVER = re.compile(r"^\s*(?:import|from) sqlite3\b|PRAGMA |BEGIN IMMEDIATE\"|SQLITE_[A-Z]+", re.MULTILINE)


def test_only_the_dialect_uses_the_driver_and_its_settings() -> None:
    package = Path(jobdash.__file__).parent
    found = {
        module.relative_to(package).as_posix()
        for module in package.rglob("*.py")
        if DRIVER.search(module.read_text(encoding="utf-8"))
    }
    assert found == {"store/dialects/sqlite.py"}


def test_only_the_dialect_imports_the_driver_of_postgresql() -> None:
    package = Path(jobdash.__file__).parent
    found = {
        module.relative_to(package).as_posix()
        for module in package.rglob("*.py")
        if module.parent.name not in {"engines", "demo"}  # with tables, and a server, of their own
        and re.search(r"^\s*(?:import|from) psycopg\b", module.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert found == {f"store/dialects/postgres{part}.py" for part in ("", "_admin", "_errors", "_upgrade")}
