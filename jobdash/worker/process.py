"""Signals, forks and the end of the interpreter, as far as running jobs are concerned.

Ctrl-C and SIGTERM are a cancel request to oneself, as long as a job runs; the second one is as Python has it.
Handlers are installed in the main thread only, never over one of the user's own, and taken back when the
last job has ended. The end of a job is written before a second Ctrl-C is raised, see `uninterrupted`.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import cache, update_wrapper
from types import CodeType, FrameType
from typing import ParamSpec, Protocol, TypeVar

from jobdash.store.leases.lease import Lease
from jobdash.worker import terminal
from jobdash.worker.cancellation import Token
from jobdash.worker.store_connection import StoreConnection

Handler = Callable[[int, FrameType | None], object] | int | None
P = ParamSpec("P")
R = TypeVar("R")

_REASONS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
_STDERR = 2
_DEFERRED_FOR_S = 3.0
"""Seconds that Ctrl-C waits for the end of a job to be written; then it is raised in the middle of that."""
_active: list[Token] = []
_inherited: list[Token] = []
"""In a forked child: the tokens of the parent's jobs, which Ctrl-C in the terminal means too."""
_before: dict[int, Handler] = {}
_uninterrupted: set[CodeType] = set()
"""The code of functions that Ctrl-C waits for."""
_deferred_at: float | None = None
"""When the first deferred Ctrl-C came (`time.monotonic`)."""
live: set[ProcessRun] = set()
"""Runs whose end is not written."""
left_early: deque[ProcessRun] = deque(maxlen=100)
"""Plain loops that were left early, for a reason that may show at the end of the script."""
_fork_lock = threading.RLock()
"""Held from before a fork until after it: two threads may fork at once."""
_untouched: list[Lease] = []
"""Connections of a parent process: closing one in a child could disturb the parent's."""


def listen(token: Token) -> None:
    """Let signals cancel a job from now on."""
    _active.append(token)
    if not _in_main_thread():
        return
    for number in _REASONS:
        before = signal.getsignal(number)
        if number not in _before and _may_replace(before):
            _before[number] = before
            signal.signal(number, _on_signal)


def stop_listening(token: Token) -> None:
    """Stop signals from cancelling a job."""
    with contextlib.suppress(ValueError):
        _active.remove(token)
    if not _in_main_thread():
        return
    for number in list(_before):
        if not _meant_by(number):
            _restore(number)


def uninterrupted(function: Callable[P, R]) -> Callable[P, R]:
    """Let Ctrl-C wait until ``function`` has returned, for some seconds, while our handler is installed."""

    def run_to_its_end(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        finally:
            _raise_deferred(sys._getframe().f_back)  # noqa: SLF001 - the caller may be another such function

    _uninterrupted.add(run_to_its_end.__code__)
    return update_wrapper(run_to_its_end, function)


def _raise_deferred(caller: FrameType | None) -> None:
    global _deferred_at  # noqa: PLW0603  signals are the process's
    if _deferred_at is not None and _in_main_thread() and not _is_uninterrupted(caller):
        _deferred_at = None
        raise KeyboardInterrupt


def _is_uninterrupted(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code in _uninterrupted:
            return True
        frame = frame.f_back
    return False


def _signals_in_forked_child() -> None:
    """Restore the handler of SIGTERM: pools end their children by it. Ctrl-C still cancels gracefully."""
    _inherited.extend(_active)
    _active.clear()
    _restore(signal.SIGTERM)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _meant_by(number: int) -> list[Token]:
    if number == signal.SIGINT:
        return [token for token in (*_active, *_inherited) if not token.over]
    # A child may get the signal before its fork handler has run.
    return [token for token in _active if token.here]


def _restore(number: int) -> None:
    before = _before.pop(number, None)
    if before is not None and signal.getsignal(number) is _on_signal:
        signal.signal(number, before)


def _may_replace(handler: Handler) -> bool:
    if handler is signal.SIG_DFL or handler is signal.default_int_handler:
        return True
    # asyncio.run's own handler of Ctrl-C cancels the main task at once; it is what the second one gets.
    owner = getattr(getattr(handler, "func", None), "__self__", None)
    return type(owner).__module__.startswith("asyncio.")


def _on_signal(number: int, frame: FrameType | None) -> None:
    # Takes no lock: the interrupted code may hold it. The job's own thread writes to the store.
    waiting = [token for token in _meant_by(number) if token.own_cancel is None and not token.ending]
    if waiting:
        for token in waiting:
            token.request_cancel(_REASONS[signal.Signals(number)])
        if number == signal.SIGINT:
            _confirm(b"jobdash: stopping after what is under way; Ctrl-C again interrupts")
        return
    if number == signal.SIGINT and _is_uninterrupted(frame) and _defer():
        return
    before = _before.get(number)
    if callable(before):
        before(number, frame)
    else:
        _restore(number)
        os.kill(os.getpid(), number)


def _defer() -> bool:
    """Let a Ctrl-C wait for the end of a job; return whether it still may."""
    global _deferred_at  # noqa: PLW0603  signals are the process's
    now = time.monotonic()
    if _deferred_at is None:
        _deferred_at = now
        _confirm(b"jobdash: writing down how the job ended, then Ctrl-C is heard")
    return now - _deferred_at < _DEFERRED_FOR_S


def _confirm(sentence: bytes) -> None:
    """Write to a terminal, or a person would press again; not by the streams, which may be in use."""
    with contextlib.suppress(OSError):
        if os.isatty(_STDERR):
            os.write(_STDERR, b"\r\x1b[K" + sentence + b"\n")


class ProcessRun(Protocol):
    """A run as far as its process is concerned."""

    @property
    def recorder(self) -> StoreConnection:
        """Its connection to the store."""

    @property
    def ended(self) -> bool:
        """Whether it has ended, also when an interrupt kept that from being written."""

    def write_end(self) -> None:
        """Write how it ended, once more."""

    def abandon(self) -> None:
        """End it with the interpreter."""

    def fail_if_uncaught(self) -> None:
        """Turn its end into a failure when the exception that ended the script came from its loop."""

    def in_forked_child(self) -> Lease | None:
        """Do nothing more in the child; return the parent's connection."""


class _ForkState(threading.local):
    """The runs whose locks this thread holds for its fork."""

    def __init__(self) -> None:
        self.runs: list[ProcessRun] = []


_fork = _ForkState()


@cache
def prepare_process() -> None:
    """Register for the end of the interpreter and for forks, once a process."""
    atexit.register(_abandon_all)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


def end_interrupted() -> None:
    """Write the ends of jobs that an interrupt has kept from being written."""
    for run in tuple(live):
        if run.ended:
            run.write_end()


@uninterrupted
def _abandon_all() -> None:
    end_interrupted()
    for run in list(live):
        run.abandon()
    for run in left_early:
        run.fail_if_uncaught()


def _before_fork() -> None:
    # Ctrl-C may end this anywhere, and the process is forked all the same.
    _fork_lock.acquire()
    for run in list(live):
        _fork.runs.append(run)
        run.recorder.before_fork()


def _after_fork() -> None:
    # A lock is not held when the wait for it was interrupted, or the fork had begun when we registered.
    while _fork.runs:
        with contextlib.suppress(RuntimeError):
            _fork.runs.pop().recorder.after_fork()
    with contextlib.suppress(RuntimeError):
        _fork_lock.release()


def _in_child() -> None:
    global _fork_lock  # noqa: PLW0603  a process forks as a whole
    _fork_lock = threading.RLock()
    _signals_in_forked_child()
    terminal.in_forked_child()
    for run in {*_fork.runs, *live}:
        lease = run.in_forked_child()
        if lease is not None:
            _untouched.append(lease)
    _fork.runs.clear()
    live.clear()
    left_early.clear()
