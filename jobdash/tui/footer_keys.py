"""The keys of the footer: which there are, what they are called, and which the current job accepts."""

from __future__ import annotations

from collections.abc import Mapping

from textual.binding import Binding
from textual.keys import format_key

from jobdash.domain.decide import decide
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, Choices
from jobdash.tui.context import Context
from jobdash.tui.header_footer import KeyHint

_FOOTER = (
    "job.cancel", "job.cancel_all", "job.force_fail", "job.retry", "job.remove", "job.fetch", "view.mark",
    "view.filter", "job.cancel_delete", "job.undo", "view.sort", "view.mark_all", "view.pause", "app.sync",
    "app.log", "job.open", "app.help", "app.quit",
)  # fmt: skip
"""Binding ids as they stand there; the last ones are given up first when there is no room, but for these:"""
_ALWAYS = frozenset({"job.open", "app.help", "app.quit"})
_ACCEPTS = {
    "job.cancel": (Action.CANCEL, Choices()),
    "job.force_fail": (Action.FORCE_FAIL, Choices()),
    "job.retry": (Action.RETRY, Choices(restart=True)),
    "job.remove": (Action.REMOVE, Choices()),
    "job.cancel_delete": (Action.REMOVE, Choices(cancel_first=True)),
}
_ACTING = frozenset(_ACCEPTS)
_CHANGING = _ACTING | {"job.cancel_all", "job.fetch", "job.undo"}


def bindings_by_id(*holders: type) -> dict[str, Binding]:
    """Return the bindings of some widgets and screens by their ids."""
    return {
        binding.id: binding
        for holder in holders
        for binding in getattr(holder, "BINDINGS", ())
        if isinstance(binding, Binding) and binding.id
    }


def key_name(binding: Binding, keymap: Mapping[str, str]) -> str:
    """Return a binding's key as a person reads it, after their own keymap."""
    own = keymap.get(binding.id or "")
    if own is None and binding.key_display:
        return binding.key_display
    return format_key((own or binding.key).split(",")[0])


def unavailable(row: JobRow | None, context: Context) -> frozenset[str]:
    """Return the bindings that do nothing now: the job does not accept them, or nothing can be written."""
    if context.read_only:
        return _CHANGING
    if row is None:
        return _ACTING | {"job.fetch"}
    situation = context.situation()
    off = {
        name
        for name, (action, choices) in _ACCEPTS.items()
        if not decide(action, row, situation, choices).acts
    }
    if row.terminal:
        off.add("job.cancel_delete")  # nothing is left to cancel; x removes it
    return frozenset(off if row.local and row.done else {*off, "job.fetch"})


class Footer:
    """The keys of the main screen with their words, dim where the current job does not accept them."""

    def __init__(self, bindings: Mapping[str, Binding], context: Context) -> None:
        self._context = context
        self._hints = {
            name: KeyHint(
                key_name(bindings[name], context.config.keys),
                bindings[name].description,
                bindings[name].action,
                always=name in _ALWAYS,
            )
            for name in _FOOTER
        }

    def hints(self, current: JobRow | None, marked: bool) -> tuple[KeyHint, ...]:
        """Return every key; with marked jobs all are offered: the plan says which of them accept it."""
        offered = marked and not self._context.read_only
        off = frozenset[str]() if offered else unavailable(current, self._context)
        return tuple(
            hint._replace(enabled=False) if name in off else hint for name, hint in self._hints.items()
        )
