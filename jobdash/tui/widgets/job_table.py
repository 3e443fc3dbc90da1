"""The table of jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from jobdash.domain.job import JobRow
from jobdash.domain.time import Clock
from jobdash.operations.job_lookup import Browser, Scope, Sort, SortKey
from jobdash.tui.commands import Place, bindings
from jobdash.tui.host import reports_errors
from jobdash.tui.models.families import FamilyWindow
from jobdash.tui.models.windows import SLACK, FoundRows
from jobdash.tui.render.columns import ColumnLayout, column_layout, toggled
from jobdash.tui.render.job_lines import JobLines, LineStyle, only_later
from jobdash.tui.render.symbols import Symbols
from jobdash.tui.widgets.virtual_list import PromptKeys, VirtualList


class JobTable(VirtualList[LineStyle], PromptKeys, can_focus=True):
    """Jobs, one a line. Cursor, marks and scroll belong to jobs, not to line numbers."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Place.TABLE)

    class Opened(Message):
        """A job was double-clicked."""

        def __init__(self, row: JobRow) -> None:
            super().__init__()
            self.row = row

    plan: reactive[ColumnLayout] = reactive(column_layout(80), repaint=False)
    """The columns; the headers follow it, so that both always stand in the same places."""

    def __init__(
        self,
        browser: Browser,
        clock: Clock,
        symbols: Symbols,
        columns: tuple[str, ...] = (),
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self.window = FamilyWindow(browser)
        self._lines = JobLines(self.window, symbols)
        self.on_row: Callable[[], None] = lambda: None
        """Called when another job, or another state of it, is under the cursor. Not a message: what depends
        on it is drawn in the same frame as the cursor."""
        self.on_home: Callable[[], None] = lambda: None
        """Called before a move to the first job: a snapshot of an order is then sorted again."""
        self.on_move: Callable[[], None] = lambda: None
        """Called when the cursor was moved and everything that shows it is ready to be drawn."""
        self._reported: JobRow | None = None
        self.marks: set[int] = set()
        self.others: frozenset[str] = frozenset()
        """Accounts whose keys other people have: their jobs are dim."""
        self.queued: set[int] = set()
        """Jobs whose action waits for its turn, which their rows show."""
        self.cursor = 0
        self.touched = False
        """A person has moved in it; until then the cursor stays on the first line."""
        self.moved_at = 0
        """When a person last did, milliseconds UTC."""
        self.moved = 0
        """In an order that is a snapshot: rows that would stand elsewhere by now, or have no line in it."""
        self._newcomers = 0
        self._clock = clock
        self._time = clock()
        """The moment that ages are drawn for: that of the last poll. What is written of a line is what
        differed then; a line drawn for a later moment would hide what was not written from the next poll."""
        self._laid_out = (80, 7, columns)
        """What the columns depend on: their width, that of account names, and which are shown."""
        self.set_reactive(JobTable.plan, column_layout(*self._laid_out))

    # ── what is shown ──────────────────────────────────────────────────────────────────────────────────────

    @property
    def current(self) -> JobRow | None:
        """The job under the cursor."""
        return self.window.row(self.cursor)

    @property
    def visible_rows(self) -> list[JobRow]:
        """The jobs on the screen."""
        rows = map(self.window.row, range(self.top, self.top + self.size.height))
        return [row for row in rows if row is not None]

    def show(self, scope: Scope, sort: Sort, total: int, found: FoundRows | None = None) -> None:
        """Turn to another scope or order; the cursor stays on its job if that is in it, else is on top."""
        keep = self.current if self.touched else None
        line = max(0, min(self.cursor - self.top, self.page_height - 1))
        self.window.show(scope, sort, total, found)
        self.moved = self._newcomers = 0
        self.cursor = 0
        place = 0
        if keep is not None and total:
            keep = self.window.shown_as(keep)
            index = self.window.load_around(keep, 0, line + SLACK, self.page_height + SLACK)
            row = self.window.row(index)
            if row is not None and row.id == keep.id:
                self.cursor = index
                place = max(0, index - line)
            else:
                self.window.show(scope, sort, total, found)
        self._settle(place)

    def reload(self, total: int, found: FoundRows | None = None) -> None:
        """Read the visible rows again; everything stays on its job and only lines that differ are drawn."""
        window = self.window
        if window.snapshot and found is None:
            self._newcomers = window.count_newcomers(total, self._newcomers)
            self.moved = window.moved + self._newcomers
            self._settle(self.top)
            return
        top = self.top
        anchor, place = self._anchor()
        if found is not None:
            window.show(window.scope, window.sort, len(found.ids), found)
        window.resize(total)
        if anchor is None or not (self.touched or top):
            window.show(window.scope, window.sort, total, found)
            self.cursor = 0
            self._settle(0)
            return
        index = window.load_around(anchor, place, place - top + SLACK, self.page_height + SLACK)
        shift = index - place
        self.cursor += shift
        stays_at_top = top == 0 and self.cursor < self.page_height
        self._settle(0 if stays_at_top else top + shift)

    def counted(self, job_id: int, exact: int) -> None:
        """Correct the index of a job; nothing moves on the screen but the scroll bar."""
        index = self.window.find(job_id)
        if index is None:
            return
        self._shift(self.window.rebase(index, exact))

    def draw_changes(self) -> None:
        """Draw the lines that look different from what is on the screen, as of now."""
        self._time = self._clock()
        super().draw_changes()

    def changed_region(self, y: int, before: LineStyle | None, now: LineStyle | None) -> Region:
        """Return the cells of a line that differ: where only the time has passed, those of the age."""
        start = self.plan.clock_start if only_later(before, now) else 0
        return Region(start, y, self._line_width - start, 1)

    @property
    def _line_width(self) -> int:
        """The cells of a line, which is as long as the table where no scroll bar is."""
        return self.plan.width if self.show_vertical_scrollbar else self.size.width

    def _anchor(self) -> tuple[JobRow | SortKey | None, int]:
        """Return the job whose line stays in place, and its index."""
        top = self.top
        current = self.current
        if current is not None and top <= self.cursor < top + self.page_height:
            return current, self.cursor
        visible = self.window.row(top)
        return (visible, top) if visible is not None else (current, self.cursor)

    def _settle(self, top: int) -> None:
        """Bring sizes, scroll and cursor in line with changed rows, and draw what differs."""
        self.cursor = max(0, min(self.cursor, self.total - 1))
        self.fit_total()
        top = max(0, min(top, self.total - self.page_height))
        if self.top != top:
            self.scroll_now(top)
        self.load(top)
        self.draw_changes()
        self._report()

    @reports_errors
    def load(self, top: int) -> None:
        """Load the rows of a screen."""
        self._shift(self.window.load(top, self.page_height))
        self.fit_total()

    def _shift(self, by: int) -> None:
        """Move cursor and scroll by the correction of the window's estimate."""
        if by:
            self.cursor = max(0, min(self.cursor + by, self.window.total - 1))
            top = max(0, self.top + by)
            self._drawn.clear()
            self.scroll_now(top)

    def _report(self) -> None:
        current = self.current
        if current != self._reported:
            self._reported = current
            self.on_row()

    # ── moving ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def total(self) -> int:
        """The number of jobs."""
        return self.window.total

    @property
    def position(self) -> int:
        """The line of the cursor."""
        return self.cursor

    def action_home(self) -> None:
        """Go to the first job."""
        self.on_home()
        self.go(0)

    def go(self, index: int) -> bool:
        """Move the cursor to a line; returns whether that was a move."""
        self.touched, self.moved_at = True, self._clock()
        window = self.window
        if not window.total:
            return False
        index = max(0, min(index, window.total - 1))
        before = self.cursor
        self.cursor = index
        top = self.top
        if index < top:
            self._scroll(index)
        elif index >= top + self.page_height:
            self._scroll(index - self.page_height + 1)
        else:
            for line in {before - top, index - top}:
                if 0 <= line < self.size.height:
                    self.refresh(Region(0, line, self._line_width, 1))
        self._report()
        self.on_move()
        return index != before

    def _scroll(self, top: int) -> None:
        self.load(max(0, top))
        self.scroll_now(top)

    async def on_click(self, event: events.Click) -> None:
        """Put the cursor on a line; a double click opens it, a click on the sign of a family that."""
        index = self.top + event.y
        if index >= self.window.total or event.y >= self.size.height:
            return
        self.go(index)
        row = self.current
        if row is None:
            return
        if event.x in self._lines.sign_cells(self.plan) and self.window.family(row) is not None:
            if self.window.is_open(row):
                self.action_fold()
            else:
                self.action_unfold()
        elif event.chain == 2:
            self.post_message(self.Opened(row))

    def action_unfold(self) -> None:
        """Open the family that the line stands for: its other members come beneath, into sight."""
        size = 0 if self.current is None else self.window.open(self.current)
        if size:
            self._folded(self.cursor, size)

    def action_fold(self) -> None:
        """Close the family that the line belongs to; the cursor goes to its head."""
        index = None if self.current is None else self.window.close(self.current)
        if index is not None:
            self._folded(index)

    def _folded(self, index: int, lines: int = 1) -> None:
        self.touched, self.moved_at = True, self._clock()
        self.cursor = index
        self._reported = None
        self._settle(min(index, max(self.top, index + lines - self.page_height)))
        self.on_move()

    # ── drawing ────────────────────────────────────────────────────────────────────────────────────────────

    def on_resize(self, event: events.Resize) -> None:
        """Fit the columns; the cursor stays in sight."""
        self.fit(self.scrollable_content_region.width)
        top = self.top
        if self.cursor >= top + event.size.height > 0:
            top = self.cursor - event.size.height + 1
        self._settle(top)

    def fit(self, width: int) -> None:
        """Fit the columns to a width in cells."""
        self._lay_out(width, *self._laid_out[1:])

    def fit_accounts(self, width: int) -> None:
        """Make room for the longest account name."""
        self._lay_out(self._laid_out[0], width, self._laid_out[2])

    def toggle_costs(self) -> None:
        """Show the column of costs, or no longer."""
        width, account_width, columns = self._laid_out
        self._lay_out(width, account_width, toggled(columns, "cost"))

    def _lay_out(self, width: int, account_width: int, columns: tuple[str, ...]) -> None:
        if (width, account_width, columns) != self._laid_out:
            self._laid_out = (width, account_width, columns)
            self.plan = column_layout(*self._laid_out)
            self.draw_all()

    def entry(self, index: int) -> LineStyle | None:
        """Return all that decides how a line looks."""
        row = self.window.row(index)
        if row is None:
            return None
        cursor = index == self.cursor
        dim = row.account in self.others
        return self._lines.style(row, self.plan, self._time, self.marks, self.queued, cursor=cursor, dim=dim)

    def draw_entry(self, index: int, entry: LineStyle) -> Strip:
        """Return a line as a strip."""
        row = self.window.row(index)
        assert row is not None
        width, over = self.size.width, entry.over
        pieces = self._lines.pieces(row, self.plan, self._time, entry, width)
        return self.strip(pieces, over).adjust_cell_length(width, self.blank(over))
