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
    import signal  # click has imported it already

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done: no Ctrl-C interrupts the exit itself
    gc.freeze()
    return code


if __name__ == "__main__":
    main()
