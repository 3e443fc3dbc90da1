"""The index of fetched results: a file beside them that has the place and the outcome of each."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, Self

from jobdash.domain.failures import KEYS_OF_A_GROUP, FailureGroup
from jobdash.domain.items import BATCH_OUTCOMES, ItemErrorGroup, ItemErrors, ItemRow, ItemStatus
from jobdash.errors import StoreError
from jobdash.store.dialects import sqlite
from jobdash.store.dialects.base import chunks, placeholders, transaction
from jobdash.store.rows import item_rows

VERSION = "1"
"""The version of the file's format; an index of another one is made anew."""
_FACTS = "CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
_RESULTS = (
    "CREATE TABLE result (seq INTEGER PRIMARY KEY, key TEXT NOT NULL, outcome TEXT NOT NULL, start INTEGER,"
    " size INTEGER, request_start INTEGER, request_size INTEGER, input_tokens INTEGER,"
    " output_tokens INTEGER, preview TEXT, code TEXT, message TEXT)"
)
_INSERT = f"INSERT INTO result VALUES ({', '.join('?' * 12)})"
_ITEM = "seq, key, outcome, NULL, preview, code, message, NULL, input_tokens, output_tokens"
"""The columns of an `ItemRow`."""
_MOST_GROUPS = 100
_SEARCHED = ("key", "preview", "code", "message")
Places = dict[ItemStatus | None, "array[int]"]
"""Places of requests in their order, by outcome; under None all of them."""
_ESCAPE = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})


class Extent(NamedTuple):
    """The place of a line in a file, in bytes."""

    start: int
    size: int


_NOWHERE = (None, None)


class IndexedResult(NamedTuple):
    """One request of a batch, and where its answer and the request itself are; None: nowhere here."""

    key: str
    outcome: str
    """The value of an `ItemStatus`."""
    answer: Extent | None
    request: Extent | None
    input_tokens: int | None
    output_tokens: int | None
    preview: str | None
    """The beginning of the answer's text."""
    code: str | None
    message: str | None
    """Of an error."""


def write_index(path: Path, facts: Mapping[str, str], results: Iterable[IndexedResult]) -> None:
    """Write an index into a new file. Raises StoreError when it cannot be written."""
    with closing(sqlite.connect_file(path)) as connection:
        sqlite.prepare_bulk_load(connection)
        for statement in (_FACTS, _RESULTS):
            connection.execute(statement)
        with transaction(connection):
            connection.executemany(_INSERT, (_values(seq, each) for seq, each in enumerate(results)))
            connection.execute("CREATE INDEX result_outcome ON result (outcome, seq)")
            connection.executemany("INSERT INTO fact VALUES (?, ?)", [*facts.items(), ("version", VERSION)])


def _values(seq: int, result: IndexedResult) -> tuple[Any, ...]:
    key, outcome, answer, request, *others = result
    return (seq, key, outcome, *(answer or _NOWHERE), *(request or _NOWHERE), *others)


class ResultIndex:
    """An index, open for reading in one thread at a time; StoreError when it is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = sqlite.connect_reader(path)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _all(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, values).fetchall()

    def agrees(self, facts: Mapping[str, str]) -> bool:
        """Whether it was made of files with these facts, in the present form."""
        try:
            return dict(self._all("SELECT name, value FROM fact")) == {**facts, "version": VERSION}
        except StoreError:
            return False

    def outcomes(self) -> dict[str, ItemStatus]:
        """Return the outcome of every request by key."""
        words = {str(outcome): outcome for outcome in BATCH_OUTCOMES}
        return {key: words[word] for key, word in self._all("SELECT key, outcome FROM result ORDER BY seq")}

    def answers(self) -> Iterator[tuple[str, ItemStatus, Extent]]:
        """Yield the requests that have an answer or an error, in their order: key, outcome, place."""
        words = {str(outcome): outcome for outcome in BATCH_OUTCOMES}
        sql = "SELECT key, outcome, start, size FROM result WHERE start IS NOT NULL ORDER BY seq"
        for key, word, start, size in self._all(sql):
            yield key, words[word], Extent(start, size)

    def places(self, text: str = "") -> Places:
        """Return the places of the requests that have a text in key, answer or error, by outcome.

        Of an answer only its beginning is searched. Upper and lower case are alike in ASCII.
        """
        found: Places = {outcome: array("q") for outcome in (None, *BATCH_OUTCOMES)}
        where = " OR ".join(f"{name} LIKE ? ESCAPE '\\'" for name in _SEARCHED) if text else "1"
        values = [f"%{text.translate(_ESCAPE)}%"] * len(_SEARCHED) if text else []
        for seq, word in self._all(f"SELECT seq, outcome FROM result WHERE {where} ORDER BY seq", values):
            found[None].append(seq)
            found[ItemStatus(word)].append(seq)
        return found

    def items(self, places: Sequence[int]) -> list[ItemRow]:
        """Return the requests at some places, in that order."""
        found: dict[int, ItemRow] = {}
        for some in chunks(places):
            sql = f"SELECT {_ITEM} FROM result WHERE seq IN ({placeholders(some)})"
            found |= {item.seq: item for item in item_rows(self._all(sql, some))}
        return [found[place] for place in places if place in found]

    def extents(self, place: int) -> tuple[Extent | None, Extent | None]:
        """Return where the request at a place, and its answer, are."""
        sql = "SELECT request_start, request_size, start, size FROM result WHERE seq = ?"
        found = self._all(sql, (place,))
        if not found:
            return None, None
        request_start, request_size, start, size = found[0]
        request = None if request_start is None else Extent(request_start, request_size)
        return request, None if start is None else Extent(start, size)

    def errors(self) -> ItemErrors:
        """Return the errors grouped by code and message, the most frequent first."""
        found = self._all(
            "SELECT code, message, count(*), min(seq), key FROM result WHERE outcome = 'error'"
            " GROUP BY code, message ORDER BY count(*) DESC, min(seq)"
        )
        groups = tuple(ItemErrorGroup(*values) for values in found[:_MOST_GROUPS])
        return ItemErrors(groups, sum(values[2] for values in found), len(groups) == len(found))

    def failures(self) -> list[FailureGroup]:
        """Return those groups with the keys of the first requests of each."""
        sql = (
            "SELECT key FROM result WHERE outcome = 'error' AND code IS ? AND message IS ?"
            " ORDER BY seq LIMIT ?"
        )
        return [
            FailureGroup(
                group.error_type,
                group.error or "",
                group.count,
                keys=tuple(
                    key for (key,) in self._all(sql, (group.error_type, group.error, KEYS_OF_A_GROUP))
                ),
            )
            for group in self.errors().groups
        ]
