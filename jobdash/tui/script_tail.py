"""The end of what a script wrote, as it is read: off the UI thread, gated, wrapped."""

from __future__ import annotations

import asyncio

from jobdash.domain.text import clean
from jobdash.operations.script_output import tail
from jobdash.tui.job_cells import Piece
from jobdash.tui.widgets.lines_view import TextLine, wrapped

_WIDTH = 2_000
"""Characters of a line; what stands behind them is cut."""


class ScriptTail:
    """The last lines of a log file that goes on growing."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self.reading = False

    async def read(self, file: str) -> None:
        """Read them anew; a disk takes the time it takes."""
        self.reading = True
        try:
            lines = await asyncio.to_thread(tail, file)
        except OSError as error:
            reason = f"{clean(file)} cannot be read: {clean(error.strerror or str(error))}"
            self._pieces = [(reason, "warning")]
        else:
            self._pieces = [(clean(line, _WIDTH), "text") for line in lines]
            self._pieces = self._pieces or [("Nothing was written yet", "muted")]
        finally:
            self.reading = False

    def lines(self, width: int) -> list[TextLine]:
        """Return them in lines of at most ``width`` cells."""
        return [((part, tone),) for text, tone in self._pieces for part in wrapped(text, width)]
