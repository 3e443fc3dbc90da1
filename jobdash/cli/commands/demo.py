"""``jobdash demo``: the dashboard without any account, or just the emulator, or a store full of samples."""

from __future__ import annotations

import errno
from pathlib import Path

import click

from jobdash.cli.command import command_with_context, pass_context
from jobdash.cli.context import CliContext
from jobdash.cli.require_terminal import require_terminal
from jobdash.errors import JobdashError, UsageError

_PORT_ERRORS = frozenset({errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL, errno.EPERM})


@command_with_context(
    "demo",
    "jobdash demo",
    "jobdash demo --emulator-only --port 8080 > env.sh &",
    "jobdash demo --emulator-only --empty --speed 60",
    "jobdash demo --jobs 1000000 --db many.db && jobdash --db many.db",
)
@click.option(
    "--emulator-only", is_flag=True, help="Only the emulator; prints how to reach it, until Ctrl-C."
)
@click.option("--port", type=click.IntRange(0, 65_535), help="The emulator's port; else a free one.")
@click.option(
    "--speed",
    type=click.FloatRange(min=0.01, max=100_000),
    metavar="N",
    help="The emulator's batches move on N times as fast: 60 makes a minute a second.",
)
@click.option("--empty", is_flag=True, help="The emulator begins without sample batches.")
@click.option(
    "--jobs", type=click.IntRange(min=1), metavar="N", help="Fill a new store (--db) with N sample jobs."
)
@pass_context
def command(
    context: CliContext,
    emulator_only: bool,
    port: int | None,
    speed: float | None,
    empty: bool,
    jobs: int | None,
) -> int:
    """Try the dashboard on a built-in emulator of the providers: no key, no network, no config.

    All of it is thrown away at the end, but for results that are fetched. With --jobs, a store is
    filled instead, and kept.

    To have a batch fail in part: of requests like {"custom_id", "method", "url", "body"} one whose
    custom_id holds "emulate-error" fails, and one with "emulate-cut-off" is cut off, unless all requests of
    their batch hold one of these. So a retry of them succeeds.
    """
    for name, given in {"--port": port is not None, "--speed": speed is not None, "--empty": empty}.items():
        if given and not emulator_only:
            raise UsageError(f"{name} goes with --emulator-only")
    if jobs is not None:
        if emulator_only:
            raise UsageError("--emulator-only or --jobs, not both")
        _fill(context, jobs)
    elif emulator_only:
        _serve(port or 0, speed or 1.0, empty=empty)
    else:
        return _dashboard(context)
    return 0


def _fill(context: CliContext, count: int) -> None:
    from jobdash.cli.output import document, print_error, print_text
    from jobdash.config.paths import store_location
    from jobdash.demo.generated_jobs import fill_store
    from jobdash.domain.time import system_clock

    if context.database is None:
        raise UsageError("--jobs wants --db, the new store to fill")
    path = store_location(context.database)
    if not isinstance(path, Path):
        raise UsageError("sample jobs go into a new file: name one with --db")
    made = fill_store(path, count, system_clock(), print_error)
    if context.as_json:
        document({"jobs": made, "database": str(path)})
    else:
        print_text(f"{made:,} sample jobs in {path}")


def _serve(port: int, speed: float, *, empty: bool) -> None:
    from jobdash.demo.emulator.emulator import Emulator, new_seed
    from jobdash.demo.emulator.server import serve
    from jobdash.demo.samples import plan_submitted, seed_emulator

    emulator = Emulator(speed=speed, seed=new_seed())
    if empty:
        plan_submitted(emulator)
    else:
        seed_emulator(emulator, emulator.clock.now())
    try:
        serve(emulator, port=port)
    except OSError as error:
        if error.errno not in _PORT_ERRORS:
            raise
        raise JobdashError(f"port {port} cannot be used: {error.strerror}") from error


def _dashboard(context: CliContext) -> int:
    if context.as_json or context.database is not None:
        raise UsageError("the demo's dashboard has a store of its own, and prints no JSON")
    require_terminal("the demo wants a terminal", "jobdash demo --emulator-only does without")
    from jobdash.demo.environment import DemoScripts, demo_world
    from jobdash.demo.known_batches import KnownBatches
    from jobdash.tui.run import run_dashboard
    from jobdash.tui.terminal.exit_signals import ExitSignals

    with ExitSignals() as signals, demo_world() as config:
        signals.leftovers = config.store_path.parent
        with DemoScripts(config.store_path.parent) as scripts, KnownBatches(config) as batches:

            def behind() -> None:
                scripts.begin()
                batches.begin()

            return run_dashboard(config, demo=True, behind=behind, signals=signals)
