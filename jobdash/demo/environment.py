"""The environment of the demo: an emulator, a temporary store, accounts, and worker processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import jobdash
from jobdash.config.settings import Config
from jobdash.demo.emulator import Emulator, EmulatorServer
from jobdash.demo.known_batches import QUEUE_LIMIT, seed_known_batches, seed_retry, seed_unconfirmed
from jobdash.demo.samples import KEYS, MINUTE, PRICES, UNCONFIRMED_AGE, seed_emulator
from jobdash.demo.script_process import SCRIPTS, WORKERS
from jobdash.domain.account import Account, Secret
from jobdash.domain.time import system_clock
from jobdash.operations.person import current_actor
from jobdash.operations.providers import servers
from jobdash.providers.registry import BUNDLED
from jobdash.store.sample_loader import build_sample_store
from jobdash.store.writer import Writer

_REJECTED = "archive"
"""An account whose key is rejected."""
_PATIENCE_S = 2.0
_OUTPUT = "output"
_REAP_EVERY_S = 1.0
"""How often those that have ended are asked how: until then they stay in the table of processes."""


@contextmanager
def demo_world() -> Iterator[Config]:
    """Yield the settings of a demo; reads no environment and no config file, and leaves no files."""
    emulator = Emulator(keys=frozenset(KEYS.values()))
    now = emulator.clock.now()
    seed_emulator(emulator, now)
    with (
        tempfile.TemporaryDirectory(prefix="jobdash-demo-", ignore_cleanup_errors=True) as folder,
        EmulatorServer(emulator) as server,
    ):
        keys = KEYS | {_REJECTED: "sk-emulated-revoked"}
        accounts = tuple(demo_account(name, key, server) for name, key in keys.items())
        database = Path(folder) / "demo.db"
        origins = servers(accounts)
        build_sample_store(database, seed_known_batches(emulator, origins, now))
        with Writer(database, system_clock, current_actor("tui")) as writer:
            seed_retry(emulator, writer, origins["work"], now)
        begun, until = (round((now - UNCONFIRMED_AGE + after) * 1000) for after in (0, 45 * MINUTE))
        with Writer(database, lambda: begun, current_actor("tui")) as writer:
            seed_unconfirmed(writer, origins["anthropic"], until)
        yield Config(
            path=Path(folder) / "config.toml",
            exists=False,
            database=database,
            accounts=accounts,
            prices=PRICES,
            demo=True,
        )


def demo_account(name: str, key: str, server: EmulatorServer) -> Account:
    """Return an account of the demo; one that is called as no provider is OpenAI's."""
    provider = name if name in BUNDLED else "openai"
    url = getattr(server, f"{provider}_base_url")
    return Account(
        name,
        provider,
        f"DEMO_{name.upper()}_KEY",
        Secret(key),
        url,
        auto_fetch=name == "openai",  # so that some batch is collected within minutes
        enqueued_limit=QUEUE_LIMIT if name == "work" else None,
    )


class DemoScripts:
    """The worker processes of one demo, each a script.

    Those that the dashboard starts again are ended as well: they have recorded their process ids.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        (self._folder / WORKERS).mkdir()
        (self._folder / WORKERS / "config.toml").touch()
        (self._folder / _OUTPUT).mkdir(mode=0o700)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(self) -> None:
        """Start them, without waiting for it."""
        # The kernel ends a process with the *thread* that started it: this one lasts as long as the demo.
        self._thread = threading.Thread(target=self._run, name="jobdash-scripts", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End every one of them, also the stopped one, and those that were started again."""
        with self._lock:
            self._over.set()
        for process in self._processes:
            process.kill()
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_PATIENCE_S)
        known = {process.pid for process in self._processes}
        for pid in self._recorded_pids() - known:
            if _is_ours(pid, self._folder):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)

    def _run(self) -> None:
        for name in SCRIPTS:
            with self._lock:
                if self._over.is_set():
                    return
                self._processes.append(self._start(name))
        while not self._over.wait(_REAP_EVERY_S):
            for process in self._processes:
                process.poll()

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        log = self._folder / _OUTPUT / f"{name}.log"
        # From where `-m` finds the very package that runs here, installed or not.
        home = Path(jobdash.__file__).parents[1]
        command = (
            sys.executable,
            "-m",
            "jobdash.demo.script_process",
            name,
            str(self._folder),
            str(os.getpid()),
        )
        with log.open("ab") as output:
            return subprocess.Popen(  # noqa: S603 - our own module
                command,
                cwd=home,
                env=os.environ | {"JOBDASH_LOG_FILE": str(log)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _recorded_pids(self) -> set[int]:
        with contextlib.suppress(OSError):
            return {int(file.name) for file in (self._folder / WORKERS).iterdir() if file.name.isdecimal()}
        return set()


def _is_ours(pid: int, folder: Path) -> bool:
    """Whether a process is a script of this demo, and not another that has its number by now."""
    try:
        return str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
