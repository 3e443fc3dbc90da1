"""What the tests of the worker share: a look into the store, another person's hand, and scripts of users."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import postgres_kit

from jobdash.store.location import StoreLocation, written

REPOSITORY = Path(__file__).resolve().parents[2]
TIMEOUT_S = 30.0
_READS_WITHIN_S = 0.3


def until(done: Callable[[], Any], what: str = "it") -> Any:
    """Ask again and again until something is so, and return it."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        if found := done():
            return found
        threading.Event().wait(0.005)
    raise AssertionError(f"{what} did not come about")


@dataclass
class Seen:
    """Reads the store directly, and writes as another process would."""

    path: StoreLocation

    def ask(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        if not isinstance(self.path, Path):
            return postgres_kit.raw(self.path, sql, values)
        with closing(sqlite3.connect(self.path, isolation_level=None, timeout=20)) as connection:
            return connection.execute(sql, values).fetchall()

    def job(self, name: str) -> dict[str, Any]:
        """The newest job of a name."""
        found = self.ask("SELECT * FROM job WHERE name = ? ORDER BY id DESC LIMIT 1", (name,))
        return dict(zip(self._columns(), found[0], strict=True)) if found else {}

    def _columns(self) -> list[str]:
        if isinstance(self.path, Path):
            return [name for _, name, *_ in self.ask("PRAGMA table_xinfo(job)")]
        sql = (
            "SELECT attname FROM pg_attribute WHERE attrelid = 'job'::regclass AND attnum > 0 ORDER BY attnum"
        )
        return [name for (name,) in self.ask(sql)]

    def counts(self, name: str) -> tuple[str, int | None, int, int]:
        row = self.job(name)
        return row["status"], row["total"], row["succeeded"], row["failed"]

    def items(self, name: str) -> dict[str, str]:
        found = self.ask(
            "SELECT key, outcome FROM item WHERE job_id = ? ORDER BY seq", (self.job(name)["id"],)
        )
        return dict(found)

    def attempts(self, name: str) -> list[tuple[int, str | None]]:
        return self.ask(
            "SELECT number, ended FROM attempt WHERE job_id = ? ORDER BY fence", (self.job(name)["id"],)
        )

    def events(self, name: str) -> list[tuple[str, str]]:
        return self.ask("SELECT action, result FROM event WHERE job_name = ? ORDER BY id", (name,))

    def cancel(self, name: str) -> None:
        self.ask(
            "UPDATE job SET cancel_requested_at = 1, cancel_reason = 'test' WHERE id = ?",
            (self.job(name)["id"],),
        )

    def remove(self, name: str) -> None:
        self.ask(
            "UPDATE job SET remote_status = 'cancelled', removed_at = 1, fence = fence + 1,"
            " last_owner = owner, owner = NULL, lease_until = NULL WHERE id = ?",
            (self.job(name)["id"],),
        )

    def force_fail(self, name: str, actor: str = "ann@desk") -> None:
        row = self.job(name)
        # The event first: a worker may look at once, and these are two transactions.
        self.ask(
            "INSERT INTO event (at, actor, face, action, job_id, result)"
            " VALUES (1, ?, 'cli', 'force-fail', ?, 'done')",
            (actor, row["id"]),
        )
        self.ask(
            "UPDATE job SET remote_status = 'failed', verdict = 'force_failed', fence = fence + 1,"
            " last_owner = owner, owner = NULL, lease_until = NULL WHERE id = ?",
            (row["id"],),
        )


class Script:
    """A script of a user, running."""

    def __init__(
        self, file: Path, env: dict[str, str], folder: Path, stderr_to: Any = subprocess.PIPE
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(file)],
            env=env,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr_to,
            text=True,
            bufsize=1,
            preexec_fn=_hear_interrupts,
            process_group=0,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self.out: list[str] = []
        self._err = ""
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._read, self._read_err)]
        for reader in self._readers:
            reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))

    def _read_err(self) -> None:
        if self.process.stderr is not None:
            self._err = self.process.stderr.read()

    def wait_for(self, line: str) -> None:
        """Wait until the script says something."""
        while True:
            try:
                read = self._lines.get(timeout=TIMEOUT_S)
            except queue.Empty:
                raise AssertionError(f"never said {line!r}: {self.out} {self.finish()}") from None
            self.out.append(read)
            if read == line:
                return

    def go_on(self) -> None:
        """Let it take one more line from its input."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def send(self, number: signal.Signals) -> None:
        """Send a signal once the script waits for its input.

        Python does not notice one that comes between its last look for signals and the call that waits.
        """
        reads = Path(f"/proc/{self.process.pid}/wchan")
        deadline = time.monotonic() + _READS_WITHIN_S
        while reads.exists() and "pipe_read" not in reads.read_text() and time.monotonic() < deadline:
            threading.Event().wait(0.002)
        os.kill(self.process.pid, number)

    def finish(self) -> tuple[int, str]:
        """Wait for its end; returns its code and its standard error."""
        try:
            code = self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait(TIMEOUT_S)
        for reader in self._readers:
            reader.join(TIMEOUT_S)
        left = any(reader.is_alive() for reader in self._readers)
        if left:
            self.kill()
        while not self._lines.empty():
            self.out.append(self._lines.get())
        assert not left, f"a child of the script did not end: {self.out} {self._err}"
        return code, self._err

    def kill(self) -> None:
        """Kill it and its children, whose pipes are its own; else to read them would not end."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(TIMEOUT_S)
        for reader in self._readers:
            reader.join(TIMEOUT_S)


def _hear_interrupts() -> None:
    # A shell's background job is born deaf to Ctrl-C, and so would be its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Scripts:
    """Starts scripts, and leaves none behind."""

    def __init__(self, path: StoreLocation, folder: Path) -> None:
        self._folder = folder
        self._env = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONUTF8": "1",
            "JOBDASH_DATABASE": written(path),
            "JOBDASH_CONFIG": str(folder / "config.toml"),
        }
        self._all: list[Script] = []

    def start(
        self, code: str, name: str = "script.py", stderr_to: Any = subprocess.PIPE, **env: str
    ) -> Script:
        file = self._folder / name
        file.write_text("import jobdash, sys\n" + textwrap.dedent(code), encoding="utf-8")
        script = Script(file, {**self._env, **env}, self._folder, stderr_to)
        self._all.append(script)
        return script

    def run(self, code: str, **env: str) -> tuple[int, str, list[str]]:
        """Run one to its end: its code, standard error, and what it printed."""
        script = self.start(code, **env)
        code_, err = script.finish()
        return code_, err, script.out

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for script in self._all:
            script.kill()
            for pipe in (script.process.stdin, script.process.stdout, script.process.stderr):
                if pipe is not None:
                    pipe.close()
