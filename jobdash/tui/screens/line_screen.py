"""The base of the screens that are made of lines: what is clicked on a line is run, as its key would be."""

from __future__ import annotations

from textual import on
from textual.widget import Widget

from jobdash.tui.terminal.exact_updates import ExactScreen
from jobdash.tui.widgets.line import Line


class LineScreen(ExactScreen):
    """A screen whose lines, the footer above all, can be clicked."""

    @on(Line.Clicked)
    async def _clicked(self, event: Line.Clicked) -> None:
        event.stop()
        await self.namespace_of(event.action).run_action(event.action)

    def namespace_of(self, _action: str) -> Widget:
        """Return the widget that has the method of an action."""
        return self
