"""The emulator as a process of its own: prints how to reach it, and serves until it is told to end."""

from __future__ import annotations

import signal
import sys
import threading

from jobdash.demo.emulator.emulator import Emulator
from jobdash.demo.emulator.server import EmulatorServer


def serve(emulator: Emulator, *, port: int = 0) -> None:
    """Serve until SIGINT or SIGTERM; only in a main thread. Raises OSError when the port is taken."""
    told_to_end = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: told_to_end.set()) for number in numbers]
    try:
        with EmulatorServer(emulator, port=port) as server:
            for name, value in server.environment().items():
                sys.stdout.write(f"export {name}={value}\n")
            # Whoever reads this through a pipe waits for it.
            sys.stdout.flush()
            told_to_end.wait()
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
