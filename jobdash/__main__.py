"""``jobdash`` and ``python -m jobdash``: the version without importing anything, else the commands."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run one command and exit with its code."""
    if sys.argv[1:] == ["--version"]:
        from jobdash import __version__

        sys.stdout.write(f"jobdash {__version__}\n")
        return
    # There is no garbage in imports, nor in what is left at the end: looking for it takes a tenth of the time
    # of a short command. Whatever runs longer looks for it again (`cli.loop`, `tui.run`).
    gc.disable()
    from jobdash.cli.main import run

    code = run(sys.argv[1:])
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    main()
