"""`python -m jobdash.demo.emulator`: the emulator by itself, empty or filled for a benchmark."""

from __future__ import annotations

import argparse
import math
import random

from jobdash.demo.emulator.batch_plan import BatchFailure, BatchPlan, BatchScript, Ending, Timing
from jobdash.demo.emulator.emulator import Emulator, new_seed
from jobdash.demo.emulator.server import serve

YOUNGEST, SPAN = 3 * 3600.0, 30 * 24 * 3600.0
"""The youngest batch is so many seconds old, and the oldest so many more: by now all of them have ended."""

_ENDINGS = {Ending.COMPLETES: 92, Ending.FAILS: 4, Ending.EXPIRES: 4}
"""How often each occurs, in percent."""


def fill(
    emulator: Emulator,
    count: int,
    *,
    running: bool = False,
    requests: int | None = None,
    answer_size: int = 0,
) -> None:
    """Add `count` batches to the default account of each provider, spread over the last 30 days.

    With ``running`` none of them ever ends by itself. With ``requests`` each has so many, and all of them
    completed, with answers of at least ``answer_size`` characters.
    """
    # Not for secrets: it has to be the same in every run.
    chance = random.Random(count)  # noqa: S311
    now = emulator.clock.now()
    for number in range(count):
        created = now - YOUNGEST - SPAN * number / count
        if requests is None:
            script = _script(number, created, chance, running)
        else:
            plan = BatchPlan(answer_size=answer_size)
            script = BatchScript(name=f"batch-{number:05}", total=requests, created_at=created, plan=plan)
        for provider in emulator.providers:
            provider.add_batch(script)


def _script(number: int, created: float, chance: random.Random, running: bool) -> BatchScript:
    ending = Ending.STALLS if running else chance.choices(tuple(_ENDINGS), tuple(_ENDINGS.values()))[0]
    total = chance.randint(10, 5_000)
    failures = (BatchFailure(chance.randint(1, 10)),) if chance.random() < 0.2 else ()
    timing = Timing(running=chance.uniform(600, 7_200), expires_after=math.inf if running else YOUNGEST)
    plan = BatchPlan(timing=timing, ending=ending, reached=total // 2, failures=failures)
    return BatchScript(name=f"batch-{number:05}", total=total, created_at=created, plan=plan)


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(prog="python -m jobdash.demo.emulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds every answer takes")
    parser.add_argument("--batches", type=int, default=0, help="so many in the account of each provider")
    parser.add_argument("--running", action="store_true", help="none of them ever ends by itself")
    parser.add_argument("--requests", type=int, help="each has so many, and has completed all of them")
    parser.add_argument("--answer-size", type=int, default=0, help="characters of each of their answers")
    options = parser.parse_args()
    emulator = Emulator(latency=options.latency, seed=new_seed())
    fill(
        emulator,
        options.batches,
        running=options.running,
        requests=options.requests,
        answer_size=options.answer_size,
    )
    serve(emulator, port=options.port)


if __name__ == "__main__":
    main()
