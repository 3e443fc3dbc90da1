"""The files of a store: those beside it, their identity, and their owners."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from jobdash.domain.text import clean
from jobdash.errors import StoreError
from jobdash.store.location import PostgresLocation, StoreLocation

SIDE_FILES = ("-wal", "-shm", "-journal")
"""What SQLite appends to a store's name: the write-ahead log, its index, and the rollback journal."""
_SHOWN = 200

Identity = tuple[int, int]
"""Device and inode: what distinguishes a file from another one of the same name."""


def identity(path: StoreLocation) -> Identity | None:
    """Return the identity of a file; None when there is none, or it cannot be read, and for no file."""
    if isinstance(path, PostgresLocation):
        return None
    try:
        found = os.stat(path)  # noqa: PTH116 - called four times a second; a third of the time
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def refuse_replaced(path: StoreLocation, opened: Identity | None) -> None:
    """Raise `StoreError` when ``path`` is not the file that was opened: what SQLite writes would be lost.

    A server's own errors say that a store is gone.
    """
    if isinstance(path, PostgresLocation):
        return
    if opened is None or identity(path) != opened:
        raise replaced(path)


def replaced(path: StoreLocation) -> StoreError:
    """Return the error for a store that is not the one that was opened."""
    return StoreError(
        f"The store {clean(str(path), _SHOWN)} was deleted, moved or replaced while it was in use:"
        " nothing more is written. Put it back if you can, and start again."
    )


def real_path(path: Path) -> Path:
    """Return where a store really is: SQLite follows links, and puts its other files beside the target."""
    return Path(os.path.realpath(path))


def make_private_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, for their owner alone. Raises OSError."""
    missing = [part for part in (folder, *folder.parents) if not part.exists()]
    for part in reversed(missing):
        with suppress(FileExistsError):
            part.mkdir(mode=0o700)
            part.chmod(0o700)  # mkdir's mode is cut by the umask
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def side_files(path: Path) -> list[Path]:
    """Return the files that SQLite has left, or uses, beside a store."""
    return [
        file for file in (path.with_name(f"{path.name}{end}") for end in SIDE_FILES) if os.path.lexists(file)
    ]


def refuse_foreign(path: Path) -> None:
    """Raise `StoreError` when another user owns a store or its folder, or may write there.

    A user who may write a store can put a job into it whose command line a retry would start; one who may
    write its folder can replace the file, or put a log beside it that SQLite replays. In a folder with the
    sticky bit (``/tmp``) users can replace only their own files: there a store is used whose files, those
    beside it too, are all one's own. Root may do anything anyway, so that root's folders are trusted.
    """
    for reason in _reasons(path):
        raise StoreError(f"The store {clean(str(path), _SHOWN)} is not used: {reason}")


def _reasons(path: Path) -> Iterator[str]:
    if not hasattr(os, "geteuid"):  # Windows, whose folders of users are their own
        return
    real = real_path(path)
    for folder in dict.fromkeys((path.parent, real.parent)):
        yield from _folder_reasons(folder)
    # A link can be turned to another file by its owner.
    for file in dict.fromkeys((path, real, *side_files(real))):
        yield from _file_reasons(file)


def _folder_reasons(folder: Path) -> Iterator[str]:
    try:
        found = folder.stat()
    except OSError:
        return
    name = clean(str(folder), _SHOWN)
    if found.st_uid not in {os.geteuid(), 0}:
        yield f"its folder {name} belongs to {owner_name(found.st_uid)}. {_ANOTHER}"
    elif _may_write(found) and not found.st_mode & stat.S_ISVTX:
        from shlex import quote  # only for what is shown of a store that cannot be used

        yield (
            f"{_writers(found)} may write to its folder {name}, and so replace it. If the folder is yours"
            f" alone: chmod go-w {quote(name)}. {_ANOTHER}"
        )


def _file_reasons(file: Path) -> Iterator[str]:
    try:
        found = file.lstat()
    except OSError:
        return
    name = clean(str(file), _SHOWN)
    is_link = stat.S_ISLNK(found.st_mode)
    if found.st_uid != os.geteuid() and not (is_link and found.st_uid == 0):
        yield f"{name} belongs to {owner_name(found.st_uid)}. {_ANOTHER}"
    elif not is_link and _may_write(found):
        from shlex import quote  # only for what is shown of a store that cannot be used

        yield (
            f"{_writers(found)} may write to {name}. If no other user has written to it:"
            f" chmod go-w {quote(name)}. {_ANOTHER}"
        )


_ANOTHER = "Or name another store with --db, or JOBDASH_DATABASE."


def _may_write(found: os.stat_result) -> bool:
    """Whether another user may write; a group of the user alone, as some systems have, does not count."""
    if found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and not _own_group(found.st_gid)


def _writers(found: os.stat_result) -> str:
    return "everybody" if found.st_mode & stat.S_IWOTH else f"the group {group_name(found.st_gid)}"


def _own_group(gid: int) -> bool:
    if os.geteuid() == 0:
        return False
    import grp
    import pwd

    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    return user.pw_gid == gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


def owner_name(uid: int) -> str:
    """Return a user as ``bob (uid 1001)``."""
    import pwd

    try:
        return f"{clean(pwd.getpwuid(uid).pw_name, 40)} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def group_name(gid: int) -> str:
    """Return a group as ``staff (gid 50)``."""
    import grp

    try:
        return f"{clean(grp.getgrgid(gid).gr_name, 40)} (gid {gid})"
    except KeyError:
        return f"gid {gid}"


def owners(path: Path) -> tuple[tuple[str, str, str], ...]:
    """Return path, owner and group, and mode (``0600``) of a store, the files beside it, and its folder."""
    if not hasattr(os, "geteuid"):
        return ()
    real = real_path(path)
    found: list[tuple[str, str, str]] = []
    for file in dict.fromkeys((path, real, *side_files(real), path.parent, real.parent)):
        try:
            status = file.lstat()
        except OSError:
            continue
        who = f"{owner_name(status.st_uid)}, group {group_name(status.st_gid)}"
        found.append((os.fspath(file), who, f"{stat.S_IMODE(status.st_mode):04o}"))
    return tuple(found)
