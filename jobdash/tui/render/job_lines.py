"""The lines of the table of jobs: what decides how one looks, and its pieces from edge to edge."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import NamedTuple

from rich.cells import cell_len

from jobdash.domain.job import JobRow
from jobdash.tui.models.families import FamilyWindow
from jobdash.tui.render import job_cells
from jobdash.tui.render.columns import MARGIN, ColumnLayout
from jobdash.tui.render.job_cells import FamilyMark
from jobdash.tui.render.symbols import Symbols
from jobdash.tui.render.text import Piece
from jobdash.tui.terminal.app import display_error


class LineStyle(NamedTuple):
    """All that decides how a line looks; a line is drawn again when this differs."""

    job_id: int
    revision: int
    clock: tuple[str, ...]
    """What follows from the time alone."""
    cursor: bool
    marked: bool
    word: str
    dim: bool
    """It is a job of another person's account."""
    family: FamilyMark | None
    """Its place in a family; None where families are not drawn, and for a job in none."""

    @property
    def over(self) -> str:
        """The style that the line is drawn over."""
        return "cursor" if self.cursor else "line"


class JobLines:
    """Draws the lines of a window of jobs; a line of a closed family shows the values of all its members."""

    def __init__(self, window: FamilyWindow, symbols: Symbols) -> None:
        self._window = window
        self._symbols = symbols

    def style(
        self,
        row: JobRow,
        layout: ColumnLayout,
        now: int,
        marked: AbstractSet[int],
        queued: AbstractSet[int],
        *,
        cursor: bool,
        dim: bool = False,
    ) -> LineStyle:
        """Return all that decides how the line of a job looks; ``marked`` and ``queued`` are ids of jobs."""
        symbols = self._symbols
        ids: tuple[int, ...] = (row.id,)
        try:
            mark = self._family_mark(row)
            closed = None if mark is None else self._window.closed_family(row)
            if closed is not None:
                ids, row = tuple(member.id for member in closed.members), closed.row
            clock = tuple(
                job_cells.CELLS[place.column](row, place.width, now, symbols)[0] for place in layout.timed
            )
            waits = not queued.isdisjoint(ids)
            word = "queued" if waits else job_cells.status_words(row, now, symbols)[1]
        except Exception as error:  # noqa: BLE001 - the data of one job must not end the table
            mark, clock, word = None, (), display_error(error)
        return LineStyle(row.id, row.revision, clock, cursor, not marked.isdisjoint(ids), word, dim, mark)

    def sign_cells(self, layout: ColumnLayout) -> range:
        """Return the cells of the sign that a family opens, or is open."""
        start = next(place.start for place in layout.places if place.column == "name")
        return range(start, start + cell_len(self._symbols.opens) + 1)

    def _family_mark(self, row: JobRow) -> FamilyMark | None:
        """Return how a line shows its family; None for a job in none, and where each has a row of its own."""
        if row.family_id is None or not self._window.scope.folded:
            return None
        if row.folded:
            return FamilyMark()
        family = self._window.family(row)
        if family is None:
            return None
        if self._window.is_open(row):
            return FamilyMark(self._symbols.closes, family.size)
        return FamilyMark(self._symbols.opens, family.size, family.revision, family.unknown_costs > 0)

    def pieces(
        self, row: JobRow, layout: ColumnLayout, now: int, style: LineStyle, width: int
    ) -> list[Piece]:
        """Return the line of a job, ``width`` cells wide."""
        if style.family is not None and (closed := self._window.closed_family(row)) is not None:
            row = closed.row
        symbols = self._symbols
        pieces: list[Piece] = [
            (symbols.cursor if style.cursor else " ", "pointer"),
            (f"{symbols.mark if style.marked else ' '} ", "mark"),
        ]
        widths = {place.column: place.width for place in layout.places}
        queued = style.word == "queued"
        drawn = job_cells.line(row, widths, now, symbols, queued=queued, dim=style.dim, family=style.family)
        end = MARGIN
        for place in layout.places:
            pieces.append((" " * (place.start - end), "text"))
            pieces += drawn[place.column]
            end = place.start + place.width
        pieces.append((" " * (width - end), "text"))
        return pieces


def only_later(before: LineStyle | None, now: LineStyle | None) -> bool:
    """Whether a line differs in what follows from the time alone."""
    if before is None or now is None:
        return False
    return before == now._replace(clock=before.clock)
