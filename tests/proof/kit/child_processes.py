"""The parent's end: processes that are born, tell, and are killed."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kit.barrier import GO_ON
from kit.tasks import Task

HERE = Path(__file__).resolve().parent.parent
REPOSITORY = HERE.parents[1]
TIMEOUT_S = 60.0


def environment(**more: str) -> dict[str, str]:
    """The environment of a process of ours: jobdash and this kit can be imported, nobody's keys are in it."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONPATH": f"{REPOSITORY}:{HERE}", "PYTHONUTF8": "1", **more}


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> str:
        return self.out + self.err


class Life:
    """One worker, from its birth to its death."""

    def __init__(self, pid: int, events: queue.Queue[dict[str, Any]]) -> None:
        self.pid = pid
        self._events = events

    def wait(self, event: str) -> dict[str, Any]:
        """Return what it told; whatever else it tells first is a failure."""
        told = self._events.get(timeout=TIMEOUT_S)
        assert told["event"] == event, told
        return told

    def kill(self) -> bool:
        """Kill it and wait for its end; return whether it was still there to be killed."""
        with contextlib.suppress(ProcessLookupError):  # it ended at this very moment, and is reaped already
            os.kill(self.pid, signal.SIGKILL)
        return int(self.wait("dead")["code"]) == -signal.SIGKILL

    def code(self) -> int:
        """Let it come to its end; return its exit code, or the signal that killed it as a negative number."""
        return int(self.wait("dead")["code"])

    def ends_within(self, seconds: float) -> int | None:
        """Return its exit code if it ends in that time."""
        try:
            told = self._events.get(timeout=seconds)
        except queue.Empty:
            return None
        assert told["event"] == "dead", told
        return int(told["code"])

    def goes_on(self) -> None:
        """Let one that was stopped go on."""
        os.kill(self.pid, signal.SIGCONT)

    def release(self) -> None:
        """Let it pass its gate."""
        os.kill(self.pid, GO_ON)

    def end(self) -> dict[str, Any]:
        """Tell it to end; return what it has done."""
        os.kill(self.pid, signal.SIGTERM)
        return self.finish()

    def finish(self) -> dict[str, Any]:
        """Let it come to its end; return what it has done."""
        done = self.wait("done")
        self.wait("dead")
        return done


class ForkServer:
    """Starts workers; ``with ForkServer() as fork_server``."""

    def __init__(self, module: str = "kit.fork_server") -> None:
        self._module = module

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            text=True,
            bufsize=1,
        )
        self._new: queue.Queue[int] = queue.Queue()
        self._events: dict[int, queue.Queue[dict[str, Any]]] = {}
        self._ready = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()
        assert self._ready.wait(TIMEOUT_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(TIMEOUT_S)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            if told["event"] == "ready":
                self._ready.set()
            elif told["event"] == "born":
                self._events[told["pid"]] = queue.Queue()  # here, where it is also filled
                self._new.put(told["pid"])
            else:
                self._events[told["pid"]].put(told)

    def jobdash(self, *args: str, env: dict[str, str]) -> Ran:
        """Run a command to its end, with no terminal anywhere."""
        with tempfile.TemporaryDirectory() as folder:
            task = Task("command", args=list(args), env=environment(**env), output=folder)
            done = self.begin(task).finish()
            out, err = ((Path(folder) / name).read_bytes().decode("utf-8") for name in ("stdout", "stderr"))
        return Ran(done["code"], out, err)

    def begin(self, task: Task) -> Life:
        """Start a worker."""
        assert self._process.stdin is not None
        self._process.stdin.write(task.encode() + "\n")
        self._process.stdin.flush()
        pid = self._new.get(timeout=TIMEOUT_S)
        return Life(pid, self._events[pid])
