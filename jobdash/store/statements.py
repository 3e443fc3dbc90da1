"""Statements of the writer as committed text: named in `schema.statements`, compiled by `schema.generate`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from jobdash.store.dialects.base import Connection, Rows

STATEMENTS_FILE = Path(__file__).parent / "dialects" / "sqlite.sql"
_TEXTS_KEPT = 256
"""One for each set of columns, and each number of words, that is written at once."""

_PARAMETER = re.compile(r":(\w+)")


class Statement:
    """One statement, given to the driver as it is: it is run by the thousand in a bulk action.

    Values are given by name at each run. Methods raise `StoreError`.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._setting = lru_cache(_TEXTS_KEPT)(self._with_columns)
        self._among = lru_cache(_TEXTS_KEPT)(self._with_words)

    @property
    def parameters(self) -> Sequence[str]:
        """The names of its values."""
        return tuple(dict.fromkeys(_PARAMETER.findall(self._text)))

    def run(self, connection: Connection, **values: Any) -> Rows:
        """Run it."""
        return connection.execute(self._text, values)

    def run_many(self, connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run it once for each row of values."""
        connection.executemany(self._text, rows)

    def set_columns(self, connection: Connection, columns: Mapping[str, Any], **values: Any) -> Rows:
        """Run an update that sets columns, which are named at each run."""
        return connection.execute(self._setting(tuple(columns)), {**columns, **values})

    def run_among(self, connection: Connection, words: Sequence[Any], **values: Any) -> Rows:
        """Run it for at most `MAX_PARAMETERS` words, of which a row has to have one."""
        numbered = {f"word_{number}": word for number, word in enumerate(words)}
        return connection.execute(self._among(len(words)), {**numbered, **values})

    def _with_columns(self, names: Sequence[str]) -> str:
        return self._text.replace("{columns}", ", ".join(f"{name} = :{name}" for name in names))

    def _with_words(self, number: int) -> str:
        return self._text.replace("{words}", ", ".join(f":word_{place}" for place in range(number)))


def statement(name: str) -> Statement:
    """Return a statement of `schema.statements.STATEMENTS`; KeyError when the committed file has none."""
    return Statement(_texts()[name])


@cache
def _texts() -> dict[str, str]:
    blocks = STATEMENTS_FILE.read_text(encoding="utf-8").split("-- ")[1:]
    named = (block.split("\n", 1) for block in blocks)
    return {name: text.strip().removesuffix(";") for name, text in named}
