"""What the tests of the commands share: the real program, a real store, and emulated providers on a port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from shared.deadlines import within

from jobdash.cli.main import run
from jobdash.demo.emulator import (
    BatchPlan,
    BatchScript,
    Emulator,
    EmulatorServer,
    Ending,
    FaultRule,
    ManualClock,
    Switches,
    Timing,
)
from jobdash.demo.emulator.faults import Effect

ROOT = Path(__file__).parents[2]
KEYS = {
    "openai": "sk-canary-openai-0123456789abcdef",
    "gemini": "canary-gemini-0123456789abcdef",
    "work": "canary-work-0123456789abcdef",
}
HOUR = 3600.0


@dataclass(frozen=True)
class Ran:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its one document."""
        return json.loads(self.out)


def _hears_ctrl_c() -> None:
    """Undo what a background job of a shell inherits: there, Ctrl-C is ignored from the start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass
class Cli:
    """The program, run in this process with a person's environment."""

    folder: Path
    emulator: Emulator
    clock: ManualClock
    server: EmulatorServer
    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    @property
    def database(self) -> Path:
        return self.folder / "data" / "jobs.db"

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    def __call__(self, *args: str) -> Ran:
        """Run a command whose stdin is no terminal."""
        self.capture.readouterr()
        with self.patch.context() as patch, open(os.devnull) as nothing:  # noqa: PTH123
            patch.setattr(sys, "stdin", nothing)
            code = run(args)
        told = self.capture.readouterr()
        return Ran(code, told.out, told.err)

    def at_terminal(self, answer: str, *args: str) -> Ran:
        """Run a command whose stdin is a terminal at which ``answer`` is typed."""
        self.capture.readouterr()
        with _terminal(answer) as stdin, self.patch.context() as patch:
            patch.setattr(sys, "stdin", stdin)
            code = run(args)
        told = self.capture.readouterr()
        return Ran(code, told.out, told.err)

    def json(self, *args: str) -> Any:
        """Run a command that goes well; return its document."""
        ran = self(*args, "--json")
        assert ran.code == 0, ran.err
        return ran.json

    def start(self, *args: str, **settings: Any) -> subprocess.Popen[str]:
        """Start the program as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "jobdash", *args],
            cwd=ROOT,
            text=True,
            preexec_fn=_hears_ctrl_c,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **settings},
        )

    def asked(self, process: subprocess.Popen[str]) -> None:
        """Wait until a process asks for a confirmation."""
        assert process.stderr is not None
        told = ""
        while "[y/N]" not in told:
            piece = within(partial(process.stderr.read, 1))
            assert piece, told
            told += piece

    # ── the providers ─────────────────────────────────────────────────────────────────────────────

    def add(
        self,
        account: str = "openai",
        name: str = "",
        *,
        total: int = 100,
        age: float = 60.0,
        running: float = HOUR,
        cancelling: float = 10.0,
        ending: Ending = Ending.COMPLETES,
        switches: Switches | None = None,
        metadata: dict[str, str] | None = None,
        **plan: Any,
    ) -> str:
        """Add a batch; return its provider's id."""
        timing = Timing(running=running, cancelling=cancelling)
        script = BatchScript(
            name=name,
            total=total,
            metadata=metadata or {},
            created_at=self.clock.now() - age,
            plan=BatchPlan(timing=timing, ending=ending, switches=switches, **plan),
        )
        provider = self.emulator.gemini if account == "gemini" else self.emulator.openai
        return provider.add_batch(script, key=KEYS[account])

    def add_finished(
        self, account: str = "openai", name: str = "", *, age: float = 2 * HOUR, **settings: Any
    ) -> str:
        return self.add(account, name, age=age, running=60.0, **settings)

    def fault(self, effect: Effect, path: str = "*", method: str = "*", **rule: Any) -> None:
        self.emulator.faults.add(FaultRule(effect=effect, method=method, path=path, **rule))

    def calls(self, method: str = "*", path: str = "*") -> int:
        return len(self.emulator.journal.calls(method, path))

    # ── the store ─────────────────────────────────────────────────────────────────────────────────

    def job(self, word: str) -> Any:
        """Everything known of a job, as ``show`` tells it."""
        return self.json("show", word)

    def id_of(self, remote_id: str) -> str:
        return str(self.job(remote_id)["id"])


@contextmanager
def _terminal(answer: str) -> Iterator[Any]:
    master, slave = os.openpty()
    try:
        os.write(master, answer.encode())
        with os.fdopen(slave, "r", encoding="utf-8") as stdin:
            yield stdin
    finally:
        os.close(master)


@contextmanager
def emulated() -> Iterator[tuple[Emulator, ManualClock, EmulatorServer]]:
    """The providers, at the time it is now; it goes on only when a test says so."""
    clock = ManualClock(time.time())
    emulator = Emulator(clock=clock)
    with EmulatorServer(emulator) as server:
        yield emulator, clock, server


def environment(folder: Path, server: EmulatorServer) -> dict[str, str]:
    """A person's environment: three accounts, a config file, a store; nothing of whoever runs the tests."""
    return {
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_DATA_HOME": str(folder / "data"),
        "JOBDASH_CONFIG": str(folder / "config.toml"),
        "JOBDASH_DATABASE": str(folder / "data" / "jobs.db"),
        "OPENAI_API_KEY": KEYS["openai"],
        "OPENAI_BASE_URL": server.openai_base_url,
        "GEMINI_API_KEY": KEYS["gemini"],
        "GOOGLE_GEMINI_BASE_URL": server.gemini_base_url,
        "WORK_KEY": KEYS["work"],
        "COLUMNS": "200",
    }


def config_text(server: EmulatorServer) -> str:
    return f"""
[accounts.work]
provider = "openai"
api_key_env = "WORK_KEY"
base_url = "{server.openai_base_url}"
"""
