"""The log: who did what, to which job, when, with which result."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from jobdash.tui.context import DashboardContext
from jobdash.tui.host import reports_errors
from jobdash.tui.render import header_footer
from jobdash.tui.render.log_lines import log_lines
from jobdash.tui.render.text import Span, gap
from jobdash.tui.screens.line_screen import LineScreen
from jobdash.tui.widgets.line import Line
from jobdash.tui.widgets.text_views import LinesView

EVENTS_SHOWN = 2_000
POLL_EVERY = 1.0


class LogScreen(LineScreen):
    """The newest events of all jobs."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,l", "close", "Close", key_display="esc")]

    def __init__(self, context: DashboardContext) -> None:
        super().__init__()
        self.context = context
        self._newest = -1

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield Line(id="log-head")
        yield LinesView(id="log-lines")
        yield Line(id="keys")

    def on_mount(self) -> None:
        """Read the log, and poll the store for more."""
        self.query_one("#log-head", Line).over = self.query_one("#keys", Line).over = "bar"
        self.query_one("#keys", Line).put(
            header_footer.key_spans([header_footer.KeyHint("esc", "Close", "close")], 80)
        )
        self.query_one("#log-lines").focus()
        self.set_interval(POLL_EVERY, self.poll)
        self.call_after_refresh(self.poll)

    def on_resize(self) -> None:
        """Fit the lines to the new width."""
        self._newest = -1
        self.call_after_refresh(self.poll)

    @reports_errors
    def poll(self) -> None:
        """Read the log again when it has grown."""
        browser = self.context.browser
        newest = browser.events(limit=1)
        last = newest[0].id if newest else 0
        if last == self._newest:
            return
        self._newest = last
        events = browser.events(limit=EVENTS_SHOWN)
        number = f"the last {EVENTS_SHOWN:,}" if len(events) == EVENTS_SHOWN else f"{len(events):,} entries"
        head = [Span(" log ", "chip"), gap(2), Span("who did what, when, with which result", "muted")]
        self.query_one("#log-head", Line).put(head, [Span(f"{number} ", "muted")])
        lines = log_lines(events, self.size.width - 4, names=True, more=self.context.symbols.more)
        self.query_one("#log-lines", LinesView).put(lines)

    def action_close(self) -> None:
        """Go back to the table."""
        self.dismiss(None)
