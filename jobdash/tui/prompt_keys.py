"""Keys that act when they arrive, unless one in front of them is still on its way.

Textual hands a key to the widget in focus and lets it climb from there to the app, a message a level, before
its binding is looked up: for a cursor that is a fifth of the time from the key to the screen.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial

from textual import events
from textual.actions import parse
from textual.binding import BindingsMap
from textual.message import Message
from textual.widget import Widget

from jobdash.tui.host import Host, reading


class PromptKeys(Widget):
    """A widget whose own bindings, all of plain methods, act at once; every other key goes Textual's way."""

    app: Host

    def post_message(self, message: Message) -> bool:
        """Act on a key of this widget's own, and queue everything else."""
        if isinstance(message, events.Key):
            act = self._own_keys.get(message.key)
            if act is not None and self.app.may_act_at_once(message):
                self.app.keys.arrived(message)
                self._act(act)
                return True
        return super().post_message(message)

    @reading
    def _act(self, act: Callable[[], None]) -> None:
        act()

    @cached_property
    def _own_keys(self) -> dict[str, Callable[[], None]]:
        """The widget's bindings by key, after the person's own keymap."""
        bindings = BindingsMap(self.BINDINGS)
        bindings.apply_keymap(self.app.own_keymap)
        keys: dict[str, Callable[[], None]] = {}
        for key, (binding, *_) in bindings.key_to_bindings.items():
            _, name, arguments = parse(binding.action)
            keys[key] = partial(getattr(self, f"action_{name}"), *arguments)
        return keys
