"""The base of the screens that are made of lines: lines can be clicked, and stay in sight under toasts."""

from __future__ import annotations

from textual import on
from textual.widget import Widget

from jobdash.tui.host import host_of
from jobdash.tui.terminal.exact_updates import ExactScreen
from jobdash.tui.widgets.line import Line

_BETWEEN_TOASTS = 1
"""Lines above a toast."""


class LineScreen(ExactScreen):
    """A screen whose lines, the footer above all, can be clicked, and whose first lines no toast covers."""

    def on_mount(self) -> None:
        """Fit the toasts after every layout."""
        self.screen_layout_refresh_signal.subscribe(self, self._fit_toasts)

    def on_screen_resume(self) -> None:
        """Show what was held while a dialog was in front."""
        host_of(self).show_held_toasts()

    def _fit_toasts(self, _screen: object) -> None:
        """Hide the oldest toasts where all of them are higher than half of the screen; the newest stays.

        They stand at the bottom, so that the lines at the top are free then. A limit of their container would
        cut off the newest.
        """
        room = self.size.height // 2
        for place, holder in enumerate(reversed(self.query("ToastHolder"))):
            room -= sum(toast.region.height + _BETWEEN_TOASTS for toast in holder.children)
            if place and room < 0:
                holder.display = False

    @on(Line.Clicked)
    async def _clicked(self, event: Line.Clicked) -> None:
        event.stop()
        await self.namespace_of(event.action).run_action(event.action)

    def namespace_of(self, _action: str) -> Widget:
        """Return the widget that has the method of an action."""
        return self
