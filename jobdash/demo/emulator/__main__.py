"""`python -m jobdash.demo.emulator`: the emulator by itself, empty or filled for a benchmark."""

from __future__ import annotations

import argparse

from jobdash.demo.emulator.emulator import Emulator
from jobdash.demo.emulator.fill import fill
from jobdash.demo.emulator.process import serve


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(prog="python -m jobdash.demo.emulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds every answer takes")
    parser.add_argument("--batches", type=int, default=0, help="so many in the account of each provider")
    parser.add_argument("--running", action="store_true", help="none of them ever ends by itself")
    options = parser.parse_args()
    emulator = Emulator(latency=options.latency)
    fill(emulator, options.batches, running=options.running)
    serve(emulator, port=options.port)


if __name__ == "__main__":
    main()
