"""Keep what an SDK warns, logs or deprecates off the terminal: it may repeat a server's own words."""

from __future__ import annotations

import logging
import warnings


def silence_sdks() -> None:
    """Show no warning of this process, and no record of a log that nobody has configured; may be repeated.

    google-genai warns of a state it does not know with the state itself, escape sequences included, and
    anything on stderr would be drawn across the dashboard. A warning that is an error stays one.
    """
    warnings.showwarning = _show_nothing
    root = logging.getLogger()
    # Without any handler `logging` writes warnings to stderr; with one, `OPENAI_LOG` adds none of its own.
    if not any(isinstance(handler, logging.NullHandler) for handler in root.handlers):
        root.addHandler(logging.NullHandler())


def _show_nothing(*_args: object, **_more: object) -> None:
    pass
