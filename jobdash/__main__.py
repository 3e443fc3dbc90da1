"""``jobdash`` and ``python -m jobdash``: the version without importing anything, else the commands."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run one command and exit with its code."""
    if sys.argv[1:] == ["--version"] and sys.stdout is not None:
        from jobdash import __version__

        sys.stdout.write(f"jobdash {__version__}\n")
        try:
            sys.stdout.flush()
        except OSError as error:
            from jobdash.cli.output import Output, print_error

            print_error(f"jobdash: standard output cannot be written: {error.strerror}")
            Output(sys.stdout).forget()
            sys.exit(1)
        return
    try:
        code = _run()
    except KeyboardInterrupt:  # while something is imported
        code = 130
    sys.exit(code)


def _run() -> int:
    # There is no garbage in imports, nor in what is left at the end: looking for it takes a tenth of the time
    # of a short command. Whatever runs longer looks for it again (`cli.loop`, `tui.run`).
    gc.disable()
    from jobdash.cli.main import run

    code = run(sys.argv[1:])
    _ignore_interrupts()
    gc.freeze()
    return code


def _ignore_interrupts() -> None:
    """Ignore Ctrl-C from now on: all is done, and nothing interrupts the exit itself."""
    import signal  # click has imported it already

    # CPython reports a signal that comes while it is being ignored ("ignored due to race condition", with a
    # traceback); the report goes to this hook.
    reports, sys.unraisablehook = sys.unraisablehook, lambda _: None
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.unraisablehook = reports


if __name__ == "__main__":
    main()
