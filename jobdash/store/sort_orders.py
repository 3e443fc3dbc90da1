"""The sort orders, and the SQL that reads one page of an order by key."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from jobdash.domain.fields import JOB_FIELDS, JobField, Kind, in_order
from jobdash.domain.status import Tab
from jobdash.domain.text import ascii_lower

if TYPE_CHECKING:
    from jobdash.domain.filter.conditions import Conditions
    from jobdash.domain.job import JobRow


class Listed(IntEnum):
    """How a job is listed where a family is one row: the store's column ``listed``."""

    REMOVED = 0
    HEAD = 1
    """A job of its own, or the member that stands for its family."""
    FOLDED = 2
    """A member that another stands for."""


UNKNOWN_KEY = -1
"""The sort key of an unknown number."""
TEXT_INDEX = "job_text"
"""Ids, names and ids of providers in the order of the table, without its long texts."""
Values = list[str | int]
NONE_NEEDS_ATTENTION: Mapping[int, Collection[str]] = {}


_FIRST = ("created_at", "updated_at", "name", "account", "total", "failed")
_ORDERED = [(field, field.order) for field in in_order(JOB_FIELDS, _FIRST) if field.order is not None]
SORT_ORDERS = {order.name: order for _, order in _ORDERED}
"""What a table can be sorted by."""


class Sort(NamedTuple):
    """An order and its direction; ties are broken by id in the same direction."""

    order: str = "created"
    """One of `SORT_ORDERS`."""
    descending: bool = True


NEWEST = Sort()


class SortKey(NamedTuple):
    """A row's place in an order."""

    value: int | str
    id: int


class Scope(NamedTuple):
    """The jobs of a view: those of a tab that a filter accepts."""

    tab: Tab = Tab.ALL
    conditions: Conditions | None = None
    removed: bool = False
    """Removed jobs too. They are in no tab, so the tab must be All."""
    folded: bool = False
    """A family is one row: its head alone. Only of the tab All without a condition: whatever a tab or a
    filter asks for is found by itself, so that no match hides in the row of a job that does not match."""

    @property
    def filtered(self) -> bool:
        """Whether there is a condition besides the tab."""
        return self.conditions is not None and not self.conditions.empty

    @property
    def scans(self) -> bool:
        """Whether some condition is a search for text, which no index answers."""
        return self.conditions is not None and self.conditions.free_text

    def partitions(self) -> tuple[tuple[str, str, int], ...]:
        """Return the parts of the scope that one index can read, as (index prefix, column, value)."""
        if self.tab is not Tab.ALL:
            return (("job_tab", "tab", self.tab.number),)
        parts = [Listed.HEAD] if self.folded else [Listed.HEAD, Listed.FOLDED]
        if self._with_removed:
            parts.append(Listed.REMOVED)
        return tuple(("job_listed", "listed", part) for part in parts)

    def halves(self) -> tuple[tuple[str, str, int], ...]:
        """Return the parts of the scope where none is read in its order, as `partitions` does."""
        if self.tab is not Tab.ALL or self.folded:
            return self.partitions()
        shown = (1, 0) if self._with_removed else (1,)
        return tuple((TEXT_INDEX, "shown", half) for half in shown)

    @property
    def _with_removed(self) -> bool:
        return self.removed or (self.conditions is not None and self.conditions.removed)

    def condition(self, now: int, attention: Mapping[int, Collection[str]]) -> tuple[str, Values]:
        """Return the filter as `` AND …`` (or nothing) and its parameters; see `Conditions.sql`."""
        if self.conditions is None or self.conditions.empty:
            return "", []
        fragment, values = self.conditions.sql(now, attention)
        return f" AND ({fragment})", values


def key_of(row: JobRow, sort: Sort) -> SortKey:
    """Return a row's place in an order: equal to what the store's columns hold."""
    return SortKey(_KEYS[sort.order](row), row.id)


def _key(field: JobField, column: str) -> Callable[[JobRow], int | str]:
    """Return what makes the key of a row: see `SortOrder.column`."""
    read: Callable[[JobRow], Any] = attrgetter(field.source)
    if column == field.source:
        return read
    if field.kind is Kind.TEXT:
        return lambda row: ascii_lower(read(row) or "")
    return lambda row: UNKNOWN_KEY if (value := read(row)) is None else value


_KEYS = {order.name: _key(field, order.column) for field, order in _ORDERED}


@dataclass(frozen=True, slots=True)
class KeysetWalk:
    """A walk through one partition of a scope: an index, read forwards or backwards."""

    index: str
    column: str
    value: int
    key: str
    descending: bool
    condition: str
    values: Values

    def page(
        self, columns: str, behind: SortKey | None, limit: int, *, sorts_arms: bool = False
    ) -> tuple[str, Values]:
        """Return the query of up to ``limit`` rows strictly after a key, or from the start.

        ``columns`` must hold ``id``; the key comes last. Two arms, because a comparison of (key, id) as one
        value would walk through all ties of the key; each is in order, so that SQLite only merges them. For
        ``sorts_arms`` see `Dialect`. What is the same for all keys is text: PostgreSQL then finds that one
        plan is good for all, and planning takes longer than reading.
        """
        order = f"{_order(self)} LIMIT {limit:d}"
        source = (
            f"SELECT {columns}, {self.key} AS place FROM job INDEXED BY {self.index}"
            f" WHERE {self.column} = {self.value:d}"
        )
        if behind is None:
            return f"{source}{self.condition} {order}", self.values
        beyond = "<" if self.descending else ">"
        ties = f"{source} AND {self.key} = ? AND id {beyond} ?{self.condition}"
        rest = f"{source} AND {self.key} {beyond} ?{self.condition}"
        arms = [_arm(arm, order) for arm in (ties, rest)] if sorts_arms else [ties, rest]
        values = [behind.value, behind.id, *self.values, behind.value, *self.values]
        return f"{' UNION ALL '.join(arms)} {order}", values

    def every(self, columns: str, *, scan: bool = False) -> tuple[str, Values]:
        """Return the query of all rows, in no order; ``scan`` when they are found by a piece of text."""
        source = TEXT_INDEX if scan else self.index
        return (
            f"SELECT {columns} FROM job INDEXED BY {source} WHERE {self.column} = ?{self.condition}",
            [self.value, *self.values],
        )

    def count(self, *, scan: bool) -> tuple[str, Values]:
        """Return the query that counts all rows; ``scan`` when they are found by a piece of text."""
        return self.every("count(*)", scan=scan)

    def newest(self, limit: int) -> tuple[str, Values]:
        """Return the query of up to ``limit`` ids, newest first, reading in the order of the table."""
        sql, values = self.every("id", scan=True)
        return f"{sql} ORDER BY id DESC LIMIT ?", [*values, limit]

    def one(self, row_id: int) -> tuple[str, Values]:
        """Return the query that finds one row if it is in the scope."""
        return (
            f"SELECT id FROM job WHERE id = ? AND {self.column} = ?{self.condition}",
            [row_id, self.value, *self.values],
        )

    def count_in_front(self, key: SortKey) -> tuple[str, Values]:
        """Return the query that counts the rows before a key."""
        nearer = ">" if self.descending else "<"
        source = f"SELECT count(*) FROM job INDEXED BY {self.index} WHERE {self.column} = ?"
        ties = f"{source} AND {self.key} = ? AND id {nearer} ?{self.condition}"
        rest = f"{source} AND {self.key} {nearer} ?{self.condition}"
        values = [self.value, key.value, key.id, *self.values, self.value, key.value, *self.values]
        return f"SELECT ({ties}) + ({rest})", values


def _order(walk: KeysetWalk) -> str:
    way = "DESC" if walk.descending else "ASC"
    return f"ORDER BY place {way}, id {way}"


def _arm(sql: str, order: str) -> str:
    return f"SELECT * FROM ({sql} {order}) AS arm"


def merged(
    walks: Sequence[KeysetWalk], limit: int, offset: int, *, sorts_arms: bool = False
) -> tuple[str, Values]:
    """Return the query of ids with their keys over several walks, merged in their order."""
    order = f"{_order(walks[0])} LIMIT ?"
    arms, parameters = [], Values()
    for walk in walks:
        sql, values = walk.every(f"id, {walk.key} AS place")
        arms.append(_arm(sql, order) if sorts_arms else sql)
        parameters += [*values, limit + offset] if sorts_arms else values
    return f"{' UNION ALL '.join(arms)} {order} OFFSET ?", [*parameters, limit, offset]


def page_of_all(
    walks: Sequence[KeysetWalk], columns: str, behind: SortKey | None, limit: int
) -> tuple[str, Values]:
    """Return the query of a page over several walks in one statement, merged in their order."""
    arms, parameters = [], Values()
    for walk in walks:
        sql, values = walk.page(columns, behind, limit, sorts_arms=True)
        arms.append(f"SELECT * FROM ({sql}) AS part")
        parameters += values
    return f"{' UNION ALL '.join(arms)} {_order(walks[0])} LIMIT {limit:d}", parameters


def walks(
    scope: Scope,
    sort: Sort,
    now: int,
    attention: Mapping[int, Collection[str]] = NONE_NEEDS_ATTENTION,
    *,
    backwards: bool = False,
    unordered: bool = False,
) -> list[KeysetWalk]:
    """Return how to read a scope in an order (or against it): one walk for each partition.

    ``unordered``: the order does not matter, and there may be fewer walks.
    """
    condition, values = scope.condition(now, attention)
    return [
        KeysetWalk(
            f"{prefix}_{sort.order}",
            column,
            value,
            SORT_ORDERS[sort.order].column,
            sort.descending is not backwards,
            condition,
            values,
        )
        for prefix, column, value in (scope.halves() if unordered else scope.partitions())
    ]
