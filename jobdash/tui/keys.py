"""The keys of the footer: which there are, what they are called, and which the current job accepts."""

from __future__ import annotations

from collections.abc import Mapping

from textual.binding import Binding
from textual.keys import format_key

from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, Choices, decide
from jobdash.tui.chrome import KeyHint
from jobdash.tui.context import Context

_FOOTER = (
    "job.cancel", "job.cancel_all", "job.force_fail", "job.remove", "job.cancel_delete", "view.mark",
    "view.filter", "job.open", "app.help", "app.quit", "job.undo", "view.sort", "view.mark_all", "view.pause",
    "app.sync", "app.log",
)  # fmt: skip
"""Binding ids in the order they are given up when there is no room."""
_ACCEPTS = {
    "job.cancel": (Action.CANCEL, Choices()),
    "job.force_fail": (Action.FORCE_FAIL, Choices()),
    "job.remove": (Action.REMOVE, Choices()),
    "job.cancel_delete": (Action.REMOVE, Choices(cancel_first=True)),
}
_CHANGING = frozenset({*_ACCEPTS, "job.cancel_all", "job.undo"})


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


def accepts(name: str, row: JobRow | None, context: Context) -> bool:
    """Whether a job accepts the action behind a binding now; bindings that act on no job are always there."""
    if name in _CHANGING and context.read_only:
        return False
    if name not in _ACCEPTS:
        return True
    action, choices = _ACCEPTS[name]
    return row is not None and decide(action, row, context.situation(), choices).acts


def footer_hints(
    bindings: Mapping[str, Binding], current: JobRow | None, marked: bool, context: Context
) -> list[KeyHint]:
    """Return the footer: every key with its word, dim where the current job does not accept it.

    With marked jobs every action is offered: the plan says which of them accept it.
    """
    hints: list[KeyHint] = []
    for name in _FOOTER:
        binding = bindings[name]
        enabled = accepts(name, current, context) or (marked and not context.read_only)
        key = key_name(binding, context.config.keys)
        hints.append(KeyHint(key, binding.description, binding.action, enabled))
    return hints
