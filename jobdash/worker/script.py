"""The script that runs a job: the name it gives to a job, its work, its command line, and its user."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path, PurePath
from types import FrameType

from jobdash.domain.text import encodable
from jobdash.store.leases.work_identity import WorkIdentity
from jobdash.store.owner import current_owner, owner_of
from jobdash.store.sanitize import distinct

_DIGEST_LETTERS = 32
_turns: dict[tuple[str, WorkIdentity], Iterator[int]] = {}
"""The number of loops of each work in this process."""
_root: str | None = None
"""What `_root_process` returned first."""


def name_of(frame: FrameType) -> str:
    """Return the name of a job without one: the script and line that track it, ``resize.py:12``."""
    file = frame.f_code.co_filename
    known = "interactive" if file.startswith("<") else Path(file).name
    return f"{known}:{frame.f_lineno}"


def place_of(frame: FrameType) -> str:
    """Return the whole path of the script, which distinguishes it from others of the same file name."""
    file = frame.f_code.co_filename
    try:
        return str(Path(file).absolute())
    except OSError:  # the current folder has been deleted
        return file


def work_of(frame: FrameType, *, named: bool) -> WorkIdentity | None:
    """Return the identity of the work of the code that calls `jobdash.track`; None for code without a file.

    A prompt, a notebook's cell and ``python -c`` have none, and neither has what they call: two programs
    would look alike.
    """
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    file = frame.f_code.co_filename
    if not isinstance(main, str) or not _is_in_a_file(main) or not _is_in_a_file(file):
        return None
    return WorkIdentity(
        script=distinct(os.path.realpath(main)),
        file=distinct(os.path.realpath(file)),
        function=distinct(frame.f_code.co_qualname),
        line=None if named else frame.f_lineno,
        arguments=_digest(sys.argv[1:]),
        root="",
    )


def arguments_of(frame: FrameType) -> tuple[object, ...]:
    """Return a function's arguments that are texts, whole numbers or paths: every run has the same."""
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if not names:
        return ()
    values = (frame.f_locals.get(name) for name in names)
    return tuple(value if isinstance(value, str | int | PurePath) else None for value in values)


def numbered_work(work: WorkIdentity, name: str, items: str, arguments: tuple[object, ...]) -> WorkIdentity:
    """Return the work of a loop that begins now, inside of ``items``: with its number in this process."""
    work = work._replace(item=distinct(items))
    turn = next(_turns.setdefault((name, work), count()))
    known = _digest([str(value) for value in arguments]) if turn else ""
    return work._replace(root=_root_process(), turn=turn, given=known)


def _is_in_a_file(file: str) -> bool:
    """Whether code is in a regular file, or in an archive that is one."""
    path = Path(file)
    try:
        return any(one.is_file() for one in (path, *path.parents))
    except (OSError, ValueError):
        return False


def _digest(arguments: list[str]) -> str:
    if not arguments:
        return ""
    from hashlib import sha256  # takes long to import, and most scripts have no arguments

    return sha256("\0".join(arguments).encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_LETTERS]


def _root_process() -> str:
    """Return the process that this one belongs to: a pool's parent, or the one that forked it."""
    global _root  # noqa: PLW0603  a forked child inherits it
    if _root is None:
        parent = multiprocessing_parent()
        _root = (current_owner() if parent is None else owner_of(parent)).encode()
    return _root


def user_at_host() -> str:
    """Return the user of this process as the log names them."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container without a name for its user
        user = "unknown"
    return encodable(f"{user}@{_host()}")


def _host() -> str:
    if hasattr(os, "uname"):
        return os.uname().nodename or "unknown"
    import platform

    return platform.node() or "unknown"


def command_line() -> tuple[str, ...] | None:
    """Return the command line that starts this script again; None where there is none.

    A prompt, a notebook, ``python -c``, a child of ``multiprocessing`` and a run of tests cannot be started
    again by their command line.
    """
    arguments = sys.orig_argv[1:]
    main = sys.modules.get("__main__")
    if multiprocessing_parent() is not None:  # a forked one has its parent's command line
        return None
    if "PYTEST_CURRENT_TEST" in os.environ or not getattr(main, "__file__", None) or not sys.executable:
        return None
    for word in arguments:
        if word == "-c":
            return None
        if word == "-m" or not word.startswith("-"):
            return (sys.executable, *arguments)
    return None


def multiprocessing_parent() -> int | None:
    """Return the process id of the parent in a child of ``multiprocessing``, None elsewhere."""
    process = sys.modules.get("multiprocessing.process")  # it is loaded in every child
    parent = None if process is None else process.parent_process()
    return None if parent is None else int(parent.pid)


def folder() -> str | None:
    """Return the folder that the command line was given in; None for one that cannot be named.

    It may have been deleted, or have half a character in its name. The current one may be another by now. For
    a script with a relative name it is what the absolute name has before the relative one.
    """
    whole = str(getattr(sys.modules.get("__main__"), "__file__", ""))
    named = os.path.normpath(sys.argv[0] if sys.argv else "")  # a program around Python may give it none
    relative = Path(whole).is_absolute() and not Path(named).is_absolute()
    if relative and whole.endswith(os.sep + named):
        here = whole.removesuffix(named).rstrip(os.sep) or os.sep
    else:
        try:
            here = str(Path.cwd())
        except OSError:
            return None
    return here if encodable(here) == here else None
