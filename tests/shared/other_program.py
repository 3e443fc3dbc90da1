"""Another program at a store, whichever database it is in: it changes rows, or lets the store refuse some."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import postgres_kit

from jobdash.store.dialects.postgres_sql import native_sql
from jobdash.store.location import StoreLocation


class Program(Protocol):
    """A connection of the driver's own."""

    def execute(self, sql: str, values: Any = ..., /) -> Any: ...


class _Postgres:
    def __init__(self, location: Any) -> None:
        self._connection = postgres_kit.connect(location)

    def execute(self, sql: str, values: Any = (), /) -> Any:
        return self._connection.execute(native_sql(sql), values) if values else self._connection.execute(sql)

    def close(self) -> None:
        self._connection.close()


def _connect_file(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=20, check_same_thread=False)


@contextmanager
def other_program(store: StoreLocation) -> Iterator[Program]:
    """Open a store without jobdash; each statement is committed at once."""
    made = _connect_file(store) if isinstance(store, Path) else _Postgres(store)
    with closing(made):
        yield made


def hold(program: Program, store: StoreLocation) -> None:
    """Keep all others from writing jobs, until ``COMMIT``."""
    if isinstance(store, Path):
        program.execute("BEGIN IMMEDIATE")
    else:
        program.execute("BEGIN")
        program.execute("LOCK TABLE job IN EXCLUSIVE MODE")


@contextmanager
def refusing(store: StoreLocation, *whens: str) -> Iterator[Callable[[], None]]:
    """Let the store refuse some writes with the words ``no room``, as it does when it is full.

    ``whens`` are like ``UPDATE OF closed_at ON intent WHEN new.kind = 'cancel'``. Yields what ends it.
    """
    names = [f"refuse_{number}" for number in range(len(whens))]
    with other_program(store) as program:
        for name, when in zip(names, whens, strict=True):
            refuse(program, store, when, name)

        def lift() -> None:
            for name, when in zip(names, whens, strict=True):
                table = when.partition(" ON ")[2].split()[0]
                program.execute(
                    f"DROP TRIGGER IF EXISTS {name}{'' if isinstance(store, Path) else f' ON {table}'}"
                )

        yield lift
        lift()


def refuse(program: Program, store: StoreLocation, when: str, name: str = "refuse") -> None:
    """Let a store refuse some writes from now on."""
    if isinstance(store, Path):
        program.execute(f"CREATE TRIGGER {name} BEFORE {when} BEGIN SELECT RAISE(ABORT, 'no room'); END")
        return
    program.execute(
        "CREATE OR REPLACE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RAISE EXCEPTION 'no room'; END $$"
    )
    head, word, condition = when.partition(" WHEN ")
    only = f" WHEN ({condition})" if word else ""
    # Its name lets it run before those of the store.
    program.execute(f"CREATE TRIGGER {name} BEFORE {head} FOR EACH ROW{only} EXECUTE FUNCTION no_room()")
