"""Statements made of the tables, compiled once and given to SQLite as they are.

What a bulk action runs by the thousand: SQLAlchemy's own way to the driver costs several times what SQLite
needs for one row, and in an interpreter with one lock the requests on the network wait for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Delete, Insert, Select, Update
from sqlalchemy.dialects.sqlite import dialect

from jobdash.store.dialects.sqlite import Cursor, driver_of

Statement = Select[*tuple[Any, ...]] | Insert | Update | Delete
_TEXTS_KEPT = 256
"""One for each set of columns that is written at once."""
_SQLITE = dialect(paramstyle="named")


class CompiledStatement:
    """A statement of texts and numbers alone; every value is given by name at each run.

    Its columns have no default that Python makes: what is not given is what the schema says.
    """

    def __init__(self, statement: Statement) -> None:
        self._statement = statement
        self._text = lru_cache(_TEXTS_KEPT)(self._compile)

    def run(self, connection: Connection, **values: Any) -> Cursor:
        """Run it; an insert or update sets those of its table's columns that are named.

        Raises what SQLite raises.
        """
        text, constants = self._text(tuple(values))
        return driver_of(connection).execute(text, {**constants, **values})

    def _compile(self, names: Sequence[str]) -> tuple[str, dict[str, Any]]:
        keys = None if isinstance(self._statement, Select) else names
        compiled = self._statement.compile(dialect=_SQLITE, column_keys=keys)
        return str(compiled), {name: value for name, value in compiled.params.items() if value is not None}
