"""Find a usable store: create a missing one, upgrade an older one, refuse what must not be used."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from jobdash.domain.text import clean
from jobdash.errors import StoreError, StoreMissing, StoreReadOnly
from jobdash.store.connections import connect_worker
from jobdash.store.dialects import sqlite
from jobdash.store.dialects.base import Connection
from jobdash.store.files import make_private_folder, real_path, refuse_foreign, side_files
from jobdash.store.location import PostgresLocation, StoreLocation
from jobdash.store.schema.current import SCHEMA_FILE, SCHEMA_VERSION, refuse_newer

SCRIPT_OPTION = "db= or JOBDASH_DATABASE"
"""How a script names another store."""
_URL = r"(?i)([a-z][a-z0-9+:]+):/"
"""The URL of a database that cannot be used, as it reads once it was made a path."""

Notice = Callable[[str], None]
"""Called with a sentence that a person has to read."""


def ignore(_sentence: str) -> None:
    """Report nothing."""


def ensure_store(
    path: StoreLocation, *, read_only: bool = False, make: bool = True, notice: Notice | None = None
) -> str | None:
    """Make the store if there is none, upgrade an older one; return why it can only be read, or None.

    One in PostgreSQL is neither made nor upgraded: that takes a person's word, as other people work with it,
    too: ``jobdash store init`` and ``upgrade``. ``read_only`` is for a
    caller who must not write, ``make=False`` for one to whom an empty store is of no use; ``notice`` is given
    a sentence when files of an earlier store had to be moved away. Raises `StoreTooNew` for the store of a
    newer jobdash, which stays untouched, and `StoreError` for whatever else cannot be used.
    """
    if isinstance(path, PostgresLocation):
        from jobdash.store import server_store

        return server_store.check_usable(path)
    refuse_unusable(path)
    if not path.exists():
        if read_only or not make:
            raise StoreReadOnly(f"There is no store at {path}, and none may be made.")
        create_store(path, notice or ignore)
    reason = "opened for reading only" if read_only else read_only_reason(path)
    version = stored_version(path)
    if version == SCHEMA_VERSION:
        return reason
    refuse_newer(path, version)
    if reason is not None:
        raise StoreReadOnly(f"The store {path} needs an upgrade and cannot be written: {reason}.")
    from jobdash.store.schema.migrate import upgrade

    upgrade(path)
    return None


def refuse_missing(path: StoreLocation, *, make: bool) -> None:
    """Raise `StoreMissing` for a place that a person has named, and where no store is.

    Where one may be made there (``make``), its folder has to exist: with a mistyped path, all of it would be
    made. Of a store on a server its connection says whether it is there.
    """
    # What is not absolute is the URL of another database, which the store refuses by its name.
    if not isinstance(path, Path) or not path.is_absolute() or path.exists():
        return
    if not make:
        raise StoreMissing(f"no store at {path}")
    if not path.parent.is_dir():
        raise StoreMissing(f"no store at {path}, and no folder in which it could be made")


def open_for_worker(path: StoreLocation, notice: Notice = ignore) -> Connection:
    """Open the store for a worker, make it if there is none; it is never upgraded in a user's process.

    ``notice`` is given a sentence when files of an earlier store had to be moved away. Raises `StoreError`
    for a store that cannot be written by this version, or that another user owns or may write.
    """
    if isinstance(path, PostgresLocation):
        from jobdash.store import server_store

        return server_store.open_for_worker(path, SCRIPT_OPTION)
    refuse_unusable(path)
    if not path.exists():
        create_store(path, notice)
    connection = connect_worker(path, SCRIPT_OPTION)
    try:
        _check_tables(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_tables(path: Path, connection: Connection) -> None:
    needed = ("job", "alembic_version")
    query = f"SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN {needed}"
    if connection.execute(query).fetchone()[0] < len(needed):
        raise StoreError(f"{path} is not a jobdash store. Name another file with {SCRIPT_OPTION}.")
    if not connection.execute("SELECT 1 FROM pragma_table_info('attempt') WHERE name = 'work'").fetchone():
        raise StoreError(
            f"The store {path} was made by an older jobdash. Run `jobdash list` once: it upgrades the store."
        )


def refuse_unusable(path: Path) -> None:
    """Raise `StoreError` for what cannot be, or must not be, used as a store.

    That is the URL of another database, a name no file can have, too old an SQLite, and a file that
    another user owns or may write (`refuse_foreign`).
    """
    if ":/" in str(path) and (scheme := re.match(_URL, str(path))):
        raise StoreError(f"{scheme[1]}://… cannot be used: a store is a file, or in PostgreSQL.")
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise StoreError(f"{clean(str(path), 80)} cannot be used: {error.strerror}.") from None
    sqlite.refuse_old_library()
    if not is_folder:  # which is refused as what it is when it is opened
        refuse_foreign(path)


def read_only_reason(path: Path) -> str | None:
    """Return why the store at ``path`` cannot be written, None when it can."""
    if not os.access(path, os.W_OK):
        return f"{path.name} is not writable"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return f"the folder {path.parent} is not writable"
    return None


def stored_version(path: Path) -> str:
    """Return the schema version of a store; writes nothing."""
    with contextlib.closing(sqlite.connect_reader(path)) as connection:
        rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    if len(rows) != 1 or not str(rows[0][0]).isdecimal():
        raise StoreError(f"{path} is not a jobdash store: its version cannot be read.")
    return str(rows[0][0])


def create_store(path: Path, notice: Notice = ignore) -> None:
    """Make a fresh store at ``path``; if another process is faster, its store is used.

    It is built complete under a temporary name and linked to its own, so that no process ever sees half a
    store and racing starters never meet a locked one. What an earlier store has left beside it is moved away,
    and ``notice`` is given a sentence about it. A link that leads nowhere is followed.
    """
    with filled_file(real_path(path), None, notice) as connection:
        connection.executescript(f"BEGIN;\n{SCHEMA_FILE.read_text(encoding='utf-8')}\nCOMMIT;")
        sqlite.use_wal(connection)


def temporary_name(path: Path) -> Path:
    """Return a name beside ``path`` for a store in the making."""
    # Not `secrets`: importing it takes 4 ms of a script's start.
    return path.with_name(f".{path.name}.{os.urandom(8).hex()}.new")


def new_file(path: Path) -> None:
    """Make an empty file of mode 0600, whatever the umask; SQLite gives the files beside it the same."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    try:
        with contextlib.suppress(AttributeError):  # Windows before 3.13 has no fchmod, and no modes
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def filled_file(path: Path, exists: str | None, notice: Notice = ignore) -> Iterator[sqlite.Connection]:
    """Make a store at ``path`` that appears when the block has filled it, or not at all.

    Yields a connection to an empty file. Where a store is there already, raises `StoreError` with the words
    ``exists``; None: that one stays.
    """
    try:
        make_way(path)
        temporary = temporary_name(path)
        try:
            new_file(temporary)
            with contextlib.closing(sqlite.connect_file(temporary)) as connection:
                yield connection
            try:
                publish(temporary, path, notice)
            except FileExistsError:
                if exists is not None:
                    raise StoreError(exists) from None
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"The store {path} cannot be made: {error.strerror or error}.") from error


def publish(temporary: Path, path: Path, notice: Notice = ignore) -> None:
    """Give a complete store its name; raises FileExistsError when there is one already.

    The log of an earlier store, left by a process that was killed, is moved away before: SQLite would write
    its pages over those of the new store. Raises `StoreError` when it cannot be moved.
    """
    with _locked(path.parent) as locked:
        if path.exists():
            raise FileExistsError(path)
        if left := side_files(path):
            # Without the lock, a log of a store that was published meanwhile could be taken for an old one.
            notice(_move_away(path, left, may_move=locked))
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links: the race is narrower, not gone
            if path.exists():
                raise FileExistsError(path) from None
            temporary.rename(path)
    _sync_folder(path.parent)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold a folder against other processes that make a store in it; yields whether that is possible here."""
    try:
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            locked = False
        else:
            locked = True
        yield locked
    finally:
        os.close(descriptor)  # which unlocks it


def _move_away(path: Path, left: list[Path], *, may_move: bool) -> str:
    """Move what an earlier store has left beside its place; return a sentence about it."""
    shown, names = clean(str(path), 200), _names(left)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    new = path.with_name(f"{path.name}.left-{stamp}-{os.urandom(2).hex()}")
    moved = [new.with_name(f"{new.name}{file.name.removeprefix(path.name)}") for file in left]
    try:
        if not may_move:
            raise OSError("the folder cannot be locked")
        for file, target in zip(left, moved, strict=True):
            file.rename(target)
    except OSError as error:
        raise StoreError(
            f"No store can be made at {shown}: {names} of an earlier one cannot be moved away"
            f" ({error.strerror or error}). Move them to where that store is now, under its name, or delete"
            " them if it is gone for good."
        ) from error
    return (
        f"There was no store at {shown}, but {names} of an earlier one: moved to {_names(moved)}. If you"
        f" still have that store, name it {clean(new.name, 120)} in the same folder: its last changes are in"
        " them. A new store was made."
    )


def _names(files: list[Path]) -> str:
    return " and ".join(clean(file.name, 120) for file in files)


def _sync_folder(folder: Path) -> None:
    """Flush the folder, so that a power cut does not lose the new name, and the first intents with it."""
    with contextlib.suppress(OSError):  # not every system opens folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_way(path: Path) -> None:
    """Make the folders for a store, for their owner alone.

    Raises `StoreError` when another user may write there.
    """
    make_private_folder(path.parent)
    refuse_foreign(path)
