"""The script that runs a job: its name for a job without one, its command line, and whose it is."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from types import FrameType

from jobdash.domain.text import encodable


def name_of(frame: FrameType) -> str:
    """Return what a job without a name is called: the script and line that track it, ``resize.py:12``."""
    file = frame.f_code.co_filename
    known = "interactive" if file.startswith("<") else Path(file).name
    return f"{known}:{frame.f_lineno}"


def place_of(frame: FrameType) -> str:
    """Return what tells a script from another of the same file name: its whole path."""
    file = frame.f_code.co_filename
    try:
        return str(Path(file).absolute())
    except OSError:  # the current folder has been deleted
        return file


def user_at_host() -> str:
    """Return who runs this process, as the log names them."""
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
    given = sys.orig_argv[1:]
    main = sys.modules.get("__main__")
    if _is_child_of_multiprocessing():  # a forked one has its parent's command line
        return None
    if "PYTEST_CURRENT_TEST" in os.environ or not getattr(main, "__file__", None) or not sys.executable:
        return None
    for word in given:
        if word == "-c":
            return None
        if word == "-m" or not word.startswith("-"):
            return (sys.executable, *given)
    return None


def _is_child_of_multiprocessing() -> bool:
    process = sys.modules.get("multiprocessing.process")  # it is loaded in every child
    return process is not None and process.parent_process() is not None


def folder() -> str | None:
    """Return the folder that the command line was given in; None for one that cannot be named.

    It may have been deleted, or have half a character in its name. The current one may be another by now. For
    a script with a relative name that does no harm: what its whole name has in front of the one that was
    given is where it was given.
    """
    whole = str(getattr(sys.modules.get("__main__"), "__file__", ""))
    given = os.path.normpath(sys.argv[0] if sys.argv else "")  # a program around Python may give it none
    relative = Path(whole).is_absolute() and not Path(given).is_absolute()
    if relative and whole.endswith(os.sep + given):
        here = whole.removesuffix(given).rstrip(os.sep) or os.sep
    else:
        try:
            here = str(Path.cwd())
        except OSError:
            return None
    return here if encodable(here) == here else None
