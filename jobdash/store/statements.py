"""Statements of the writer as committed text: named in `schema.statements`, compiled by `schema.generate`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from jobdash.store.dialects.base import Connection, Rows

STATEMENT_FILES = {
    name: Path(__file__).parent / "dialects" / f"{name}.sql" for name in ("sqlite", "postgresql")
}
"""By dialect, the committed texts."""
_TEXTS_KEPT = 256
"""One for each set of columns, and each number of words, that is written at once."""

_PARAMETER = re.compile(r":(\w+)")


class Statement:
    """One of `schema.statements.STATEMENTS`, given to the driver as it is: it is run by the thousand.

    Values are given by name at each run. Methods raise `StoreError`.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._setting = lru_cache(_TEXTS_KEPT)(self._with_columns)
        self._among = lru_cache(_TEXTS_KEPT)(self._with_words)
        self._sqlite = self._text("sqlite")

    def _text(self, dialect: str) -> str:
        return _texts(dialect)[self._name]

    @property
    def parameters(self) -> Sequence[str]:
        """The names of its values."""
        return tuple(dict.fromkeys(_PARAMETER.findall(self._sqlite)))

    def run(self, connection: Connection, **values: Any) -> Rows:
        """Run it."""
        return connection.execute(self._text(connection.dialect.name), values)

    def run_many(self, connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run it once for each row of values."""
        connection.executemany(self._text(connection.dialect.name), rows)

    def set_columns(self, connection: Connection, columns: Mapping[str, Any], **values: Any) -> Rows:
        """Run an update that sets columns, which are named at each run."""
        sql = self._setting(connection.dialect.name, tuple(columns))
        return connection.execute(sql, {**columns, **values})

    def run_among(self, connection: Connection, words: Sequence[Any], **values: Any) -> Rows:
        """Run it for at most `MAX_PARAMETERS` words, of which a row has to have one."""
        numbered = {f"word_{number}": word for number, word in enumerate(words)}
        return connection.execute(self._among(connection.dialect.name, len(words)), {**numbered, **values})

    def _with_columns(self, dialect: str, names: Sequence[str]) -> str:
        return self._text(dialect).replace("{columns}", ", ".join(f"{name} = :{name}" for name in names))

    def _with_words(self, dialect: str, number: int) -> str:
        words = ", ".join(f":word_{place}" for place in range(number))
        return self._text(dialect).replace("{words}", words)


@cache
def _texts(dialect: str) -> dict[str, str]:
    blocks = STATEMENT_FILES[dialect].read_text(encoding="utf-8").split("-- ")[1:]
    named = (block.split("\n", 1) for block in blocks)
    return {name: text.strip().removesuffix(";") for name, text in named}
