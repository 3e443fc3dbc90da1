"""The help: every key, and what the words and glyphs mean."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from jobdash.domain.attention import AttentionReason
from jobdash.domain.filter.language import FIELDS
from jobdash.domain.money import cost_text
from jobdash.domain.status import LABELS, Status
from jobdash.tui.commands import COMMANDS, HelpGroup
from jobdash.tui.context import DashboardContext
from jobdash.tui.render.text import TextLine, pairs
from jobdash.tui.widgets.text_views import LinesView

_MEANINGS = {
    Status.PENDING: "waits at its provider; a retried job of your own script, for its script",
    Status.VALIDATING: "its file is being checked",
    Status.IN_PROGRESS: "requests are being answered, items worked on",
    Status.FINALIZING: "results are being put together",
    Status.CANCELLING: "a cancel was asked, the provider or the script has not confirmed it",
    Status.COMPLETED: "ended",
    Status.FAILED: "ended without results, its script ended with an error, or force-failed here",
    Status.EXPIRED: "not done in its time; finished requests are billed",
    Status.CANCELLED: "the provider or the script confirmed the cancel, or no process ran it any more",
    Status.UNKNOWN: "a word of the provider we do not know, shown raw",
}

_MOVED = (
    "beside the order: so many rows would stand elsewhere by now; they keep their lines while you look,"
    " Home sorts again"
)
_FAMILY = (
    "a family: the parts of one file, or a batch and its retries, as one row with the sums over them;"
    " keys act on all of them. In the tab All, without a filter, sorted by age, name or account;"
    " elsewhere each job has its own row"
)


class HelpScreen(ModalScreen[None]):
    """The help; any of its keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "close", "Close", show=False)
    ]

    def __init__(self, context: DashboardContext) -> None:
        super().__init__()
        self.context = context

    def compose(self) -> ComposeResult:
        """Lay out the dialog."""
        with Vertical(id="dialog", classes="help") as dialog:
            dialog.border_title = Content(" Help ")
            dialog.border_subtitle = Content(" esc closes ")
            yield LinesView(id="help-lines")

    def on_mount(self) -> None:
        """Show the lines in the width there is."""
        self.query_one("#help-lines").focus()
        self.call_after_refresh(self._draw)

    def on_resize(self) -> None:
        """Wrap the lines again."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        view = self.query_one("#help-lines", LinesView)
        view.put(self.lines(max(20, view.size.width - 2)))

    def lines(self, width: int) -> list[TextLine]:
        """Return the text of the help."""
        found: list[TextLine] = []
        for group in HelpGroup:
            found.append(((group.value, "accent"),))
            rows = [
                (f"  {command.key_name(self.context.config.keys)}", command.help or command.label)
                for command in COMMANDS
                if command.group is group
            ]
            found += [*pairs(rows, width, 14), ()]
        moves = [("  ↑ ↓ j k", "one line"), ("  PgUp PgDn", "one screen"), ("  Home End g G", "first, last")]
        moves += [("  0 … 7", "tabs"), ("  ctrl+p", "palette: what has no key")]
        moves += [("  ctrl+z", "back to the shell; fg comes back here")]
        moves += [("  1 … 5", "on a job's own screen: its pages")]
        moves += [("  o / enter", "there: items by outcome; fetched results by text, and one of them whole")]
        found += [(("Moving", "accent"),), *pairs(moves, width, 16), ()]
        found.append((("Filter", "accent"),))
        rows = [
            ("  words", "in name and ids; all must hold, - in front negates, commas mean or"),
            ("  field:value", f"fields: {', '.join(FIELDS)}"),
            ("  for example", "status:failed,expired account!=work older:2h failed>0 tag:nightly"),
            ("  status", "any word of those below; all failed is written all_failed"),
            ("  cost, tokens", "cost>1.50 in dollars; tokens>1000000"),
            ("  attention", f"yes, no, or why: {', '.join(AttentionReason)}"),
            ("  created", "2026-11-01 or 2026-11-01T12:00 in local time, or with +02:00, or Z"),
        ]
        found += [*pairs(rows, width, 16), (), (("Words", "accent"),)]
        symbols = self.context.symbols
        words = [(f"  {symbols.status[s]} {LABELS[s]}", meaning) for s, meaning in _MEANINGS.items()]
        words += [
            (f"  {symbols.status[Status.COMPLETED]} partial", "completed; some of its requests failed"),
            (f"  {symbols.status[Status.FAILED]} all failed", "completed; every request of it failed"),
        ]
        words.append(
            (
                f"  {symbols.warning} stalled",
                "its script or workers were not heard of; f fails it, r retries it",
            )
        )
        at_most = cost_text(1_200_000, True, symbols.at_most)
        words.append((f"  {at_most}", "at most so much: no batch price is known for all of it"))
        words.append(("  3 moved", _MOVED))
        words.append((f"  {symbols.opens} name (3)", _FAMILY))
        return [*found, *pairs(words, width, 16)]

    def action_close(self) -> None:
        """Go back."""
        self.dismiss(None)
