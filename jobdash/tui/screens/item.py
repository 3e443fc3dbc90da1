"""The screen of one fetched result: the request and its answer side by side."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from jobdash.domain.items import ITEM_WORDS, ItemRow, ItemStatus
from jobdash.domain.text import clean
from jobdash.errors import StoreError
from jobdash.operations.results.items import ItemTexts
from jobdash.tui.commands import Place, bindings, item_hints
from jobdash.tui.context import DashboardContext
from jobdash.tui.host import Host
from jobdash.tui.models.result_loader import ResultLoader
from jobdash.tui.render import header_footer
from jobdash.tui.render.text import Span, TextLine, gap, wrapped
from jobdash.tui.screens.line_screen import LineScreen
from jobdash.tui.widgets.item_list import OUTCOME_TONES
from jobdash.tui.widgets.line import Line
from jobdash.tui.widgets.text_views import LinesView

SHOWN_MOST = 200_000
"""Characters of a text that are drawn; $PAGER shows all of it."""
_MISSING = {
    "request": "The request is not known: no copy of the batch's input file is here.",
    "answer": "There is neither an answer nor an error.",
}
"""What stands in place of each side, where that is not here."""


class ItemScreen(LineScreen):
    """One request and its answer, and the keys to the neighbours."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Place.ITEM)
    app: Host

    def __init__(
        self, context: DashboardContext, results: ResultLoader, outcome: ItemStatus | None, item: ItemRow
    ) -> None:
        super().__init__()
        self.context = context
        self.item = item
        self._results = results
        self._outcome = outcome
        self._texts: ItemTexts | None = None
        self._wrapped: tuple[int, ItemTexts] | None = None

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield Line(id="item-head")
        with Horizontal(id="item-sides"):
            for title in _MISSING:
                with Vertical(classes="item-side"):
                    yield Line(id=f"{title}-title")
                    yield LinesView(id=f"{title}-lines")
        yield Line(id="keys")

    def on_mount(self) -> None:
        """Read what is shown."""
        self.query_one("#item-head", Line).over = self.query_one("#keys", Line).over = "bar"
        self.query_one("#answer-lines").focus()
        self._read()

    def on_resize(self) -> None:
        """Wrap for another width."""
        self.call_after_refresh(self._draw)

    # ── what is shown ──────────────────────────────────────────────────────────────────────────────────────

    def _read(self) -> None:
        self.run_worker(self._read_texts(self.item), group="texts", exclusive=True)

    async def _read_texts(self, item: ItemRow) -> None:
        try:
            texts = await self._results.texts(item.seq)
        except (OSError, StoreError) as error:
            self.notify(clean(f"It cannot be read: {error}", 300), severity="error")
            return
        self._texts = texts
        for title in _MISSING:
            self.query_one(f"#{title}-lines", LinesView).start(grows=False)
        self._draw()

    def _draw(self) -> None:
        width = self.query_one("#answer-lines", LinesView).size.width - 2
        if width > 0:
            self._draw_head()
            self._draw_keys()
            if self._texts is not None:
                self.run_worker(self._wrap(width, self._texts), group="wrap", exclusive=True)

    async def _wrap(self, width: int, texts: ItemTexts) -> None:
        """Wrap the texts off this thread, since an answer may be a megabyte, and show them."""
        if self._wrapped == (width, texts):
            return
        found: dict[str, list[TextLine]] = {}
        for (title, words), text in zip(_MISSING.items(), (texts.request, texts.answer), strict=True):
            if text is None:
                found[title] = [((part, "muted"),) for part in wrapped(words, width)]
            else:
                found[title] = await asyncio.to_thread(text_lines, text, width)
        self._wrapped = (width, texts)
        for title, lines in found.items():
            self.query_one(f"#{title}-lines", LinesView).put(lines)

    def _draw_head(self) -> None:
        item, symbols = self.item, self.context.symbols
        left = [Span(" item ", "chip"), gap(1), Span(clean(item.key, 80), "strong"), gap(2)]
        tokens = [
            f"{number:,} tokens {which}"
            for which, number in (("in", item.input_tokens), ("out", item.output_tokens))
            if number is not None
        ]
        left.append(Span(f" {symbols.dot} ".join(tokens), "muted"))
        mark = f"{symbols.items[item.outcome]} {ITEM_WORDS[item.outcome]} "
        self.query_one("#item-head", Line).put(left, [Span(mark, OUTCOME_TONES[item.outcome])])
        for title in _MISSING:
            tone = "accent" if self.query_one(f"#{title}-lines").has_focus else "muted"
            self.query_one(f"#{title}-title", Line).put([gap(1), Span(title.capitalize(), tone)])

    def _draw_keys(self) -> None:
        self.query_one("#keys", Line).put(header_footer.key_spans(item_hints(self.context), self.size.width))

    # ── keys ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _side(self) -> str:
        """The side in focus."""
        return "request" if self.query_one("#request-lines").has_focus else "answer"

    @property
    def _text(self) -> str | None:
        """The text of the side in focus; None where it is not here."""
        if self._texts is None:
            return None
        return self._texts.request if self._side == "request" else self._texts.answer

    def action_other_side(self) -> None:
        """Turn to the other side."""
        other = "answer" if self._side == "request" else "request"
        self.query_one(f"#{other}-lines").focus()
        self.call_after_refresh(self._draw_head)

    def action_step(self, by: int) -> None:
        """Go to the next item, or the one before, of those that the list shows."""
        items = self._results.items
        if items is None:
            return
        total = sum(items.counts().values()) if self._outcome is None else items.counts()[self._outcome]
        place = items.position(self._outcome, self.item.seq) + by
        if 0 <= place < total:
            (self.item,) = items.at(self._outcome, place, total, 1)
            self._read()

    def action_copy_text(self) -> None:
        """Copy the text of the side in focus."""
        if self._text is None:
            self.notify(f"There is no {self._side} here to copy", severity="warning")
            return
        self.app.copy_to_clipboard(self._text)
        self.notify(f"Copied the {self._side}: {len(self._text):,} characters", timeout=2)

    def action_pager(self) -> None:
        """Show the text of the side in focus in the person's pager."""
        if self._text is None:
            self.notify(f"There is no {self._side} here to show", severity="warning")
            return
        try:
            self._page(self._text)
        except SuspendNotSupported:
            self.notify("This terminal cannot be handed to a pager", severity="warning")
        except (OSError, ValueError) as error:  # it is not there, or its quotes do not match
            self.notify(clean(f"$PAGER: {error}", 200), severity="error")

    def _page(self, text: str) -> None:
        """Hand the terminal to the pager, and take it back when that has ended."""
        command = shlex.split(os.environ.get("PAGER") or "less")
        with tempfile.TemporaryDirectory(prefix="jobdash-") as folder:
            file = Path(folder) / f"{self._side}.json"
            # Gated line by line: a pager may hand control characters on to the terminal.
            lines = (clean(line, len(line) + 1) for line in text.split("\n"))
            file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            with self.app.suspend():
                subprocess.run([*command, str(file)], check=False)  # noqa: S603 - the person's own setting

    def action_close(self) -> None:
        """Go back to the list."""
        self.dismiss(None)


def text_lines(text: str, width: int) -> list[TextLine]:
    """Return a text, sanitized and wrapped; of a very long one the beginning."""
    lines: list[TextLine] = []
    for line in text[:SHOWN_MOST].split("\n"):
        shown = clean(line, SHOWN_MOST)
        indent = shown[: len(shown) - len(shown.lstrip(" "))][: width // 2]
        parts = wrapped(shown.lstrip(" "), max(1, width - len(indent)))
        lines += [((f"{indent}{part}", "text"),) for part in parts]
    if len(text) > SHOWN_MOST:
        lines.append(((f"the first {SHOWN_MOST:,} of {len(text):,} characters; o opens all", "muted"),))
    return lines
