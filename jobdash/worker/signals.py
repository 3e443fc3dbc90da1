"""Ctrl-C and SIGTERM as a cancel request to oneself, as long as a job runs; the second one as Python has it.

Handlers are installed in the main thread only, never over one of the user's own, and taken back when the
last job has ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

from jobdash.worker.token import Token

Handler = Callable[[int, FrameType | None], object] | int | None

_REASONS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
_STDERR = 2
_active: list[Token] = []
_inherited: list[Token] = []
"""In a forked child: the tokens of the parent's jobs, which Ctrl-C in the terminal means too."""
_before: dict[int, Handler] = {}


def listen(token: Token) -> None:
    """Let signals cancel a job from now on."""
    _active.append(token)
    if threading.current_thread() is not threading.main_thread():
        return
    for number in _REASONS:
        before = signal.getsignal(number)
        if number not in _before and _may_replace(before):
            _before[number] = before
            signal.signal(number, _on_signal)


def listen_no_more(token: Token) -> None:
    """Let signals cancel a job no longer."""
    with contextlib.suppress(ValueError):
        _active.remove(token)
    if threading.current_thread() is not threading.main_thread():
        return
    for number in list(_before):
        if not _meant_by(number):
            _restore(number)


def in_forked_child() -> None:
    """Give SIGTERM back: pools end their children by it. Ctrl-C goes on to cancel gracefully."""
    _inherited.extend(_active)
    _active.clear()
    _restore(signal.SIGTERM)


def _meant_by(number: int) -> list[Token]:
    if number == signal.SIGINT:
        return [token for token in (*_active, *_inherited) if not token.over]
    # A child may get the signal before it has been told that it is one.
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
    # Takes no lock: the interrupted code may hold it. The job's own thread tells the store.
    waiting = [token for token in _meant_by(number) if token.asked is None]
    if waiting:
        for token in waiting:
            token.ask(_REASONS[signal.Signals(number)])
        if number == signal.SIGINT:
            _say_that_it_was_heard()
        return
    before = _before.get(number)
    if callable(before):
        before(number, frame)
    else:
        _restore(number)
        os.kill(os.getpid(), number)


def _say_that_it_was_heard() -> None:
    """Tell a person at a terminal, who would press again; without the streams that may be in use just now."""
    with contextlib.suppress(OSError):
        if os.isatty(_STDERR):
            os.write(_STDERR, b"\r\x1b[Kjobdash: stopping after what is under way; Ctrl-C again interrupts\n")
