"""What tables and statements are made of: the base class, kinds of columns and indexes, inserts."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Column, Computed, Index, Integer, MetaData, String, Table, bindparam, column, text
from sqlalchemy import table as table_clause
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

NOW_MS = "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"
"""The time in milliseconds UTC, in nothing but SQL: triggers must work in any process."""


def generated_column(
    name: str, expression: str, kind: type[Integer] | type[String] = Integer, *, nullable: bool = False
) -> Any:
    """Return a column that the database computes from others of its row."""
    computed = Column(name, kind, Computed(expression, persisted=False), nullable=nullable)
    return Field(default=None, sa_column=computed)


def partial_index(name: str, *columns: str, where: str) -> Index:
    """Return an index of the rows that match a condition."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


def server_default(value: str) -> dict[str, Any]:
    """Return the arguments of a column with a default in the schema, as SQL."""
    return {"server_default": text(value)}


class Base(SQLModel, registry=registry(metadata=MetaData())):
    """The base class of all tables; its metadata is not shared with a user's SQLModel classes."""

    metadata: ClassVar[MetaData]


def table(record: type[Base]) -> Table:
    """Return the Core table of a class, whose columns know their SQL types."""
    return Base.metadata.tables[str(record.__tablename__)]


def words() -> Any:
    """Return the parameter of a list of values, as ``IN`` takes it."""
    return bindparam("words", expanding=True)


def insert_into(into: Table, names: list[str] | None = None) -> Insert:
    """Return an insert of these columns alone: what is left out has the default of the schema."""
    wanted = names or given_columns(into)
    columns = table_clause(into.name, *(column(name) for name in wanted))
    return insert(columns).values({name: bindparam(name) for name in wanted})


def given_columns(into: Table) -> list[str]:
    """Return the columns of a table that an insert of a whole row gives."""
    return [each.name for each in into.columns if each.name not in {"id", "given"} and each.computed is None]
