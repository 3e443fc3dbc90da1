"""Dialogs: a box that fits any terminal, buttons always in sight, keys dropped until it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Generic, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Static

from jobdash.domain.text import clean
from jobdash.tui.widgets.plan_list import PlanList

T = TypeVar("T")
_FRAME = 2
"""Lines of the border."""


class Dialog(ModalScreen[T], Generic[T]):
    """A dialog with a body that scrolls above a fixed foot with the buttons."""

    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,up", "app.focus_previous", show=False),
        Binding("right,down", "app.focus_next", show=False),
        # Before the widget in focus, even an entry, so that the body can always be scrolled.
        Binding("pageup", "scroll_body(-1)", show=False, priority=True),
        Binding("pagedown", "scroll_body(1)", show=False, priority=True),
        Binding("home", "scroll_to('home')", show=False, priority=True),
        Binding("end", "scroll_to('end')", show=False, priority=True),
    ]
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - Textual declares it so
        (0, "-slim"),
        (64, "-mid"),
        (104, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012
        (0, "-short"),
        (18, "-middle"),
        (30, "-tall"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.drawn = False
        """Whether a person can have read the dialog; keys before that are not meant for it."""

    def compose(self) -> ComposeResult:
        """Lay out the box."""
        with Vertical(id="dialog"):
            yield VerticalScroll(*self.body(), id="body", can_focus=False)
            with Vertical(id="foot"):
                yield from self.foot()
                yield Horizontal(*self.buttons(), id="buttons")

    def body(self) -> Iterator[Widget]:
        """Yield what can be scrolled."""
        yield from ()

    def foot(self) -> Iterator[Widget]:
        """Yield the fixed widgets above the buttons."""
        yield from ()

    def buttons(self) -> Iterator[Button]:
        """Yield the buttons, the safe one first."""
        raise NotImplementedError

    @on(Button.Pressed, "#keep")
    def action_keep(self) -> None:
        """Give the safe answer, by which nothing changes."""
        if self.drawn:
            self.dismiss(None)

    def set_title(self, words: str) -> None:
        """Write into the border."""
        self.query_one("#dialog").border_title = Content(f" {words} ")

    def on_mount(self) -> None:
        """Accept keys from the first drawing on."""
        self.call_after_refresh(self._arm)

    def _arm(self) -> None:
        self._fit()
        self.drawn = True
        self.focus_first()

    def focus_first(self) -> None:
        """Put the focus on the safe button."""
        self.query("#buttons Button").first().focus()

    def on_resize(self) -> None:
        """Let the body have what the foot leaves."""
        self.refit()

    def refit(self) -> None:
        """Fit the body again, after the foot has changed."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        dialog, foot = self.query_one("#dialog"), self.query_one("#foot")
        around = _FRAME + dialog.styles.padding.height + foot.outer_size.height + foot.styles.margin.height
        self.query_one("#body").styles.max_height = max(1, self.size.height - around)

    def _lists(self) -> list[PlanList]:
        return list(self.query(PlanList))

    def action_scroll_body(self, by: int) -> None:
        """Scroll by a screen: the list of jobs first, then the body around it."""
        body = self.query_one("#body")
        back = by < 0 and body.scroll_y > 0
        if back or not any(jobs.go_pages(by) for jobs in self._lists()):
            body.scroll_relative(y=by * max(1, body.size.height - 1), animate=False)

    def action_scroll_to(self, where: str) -> None:
        """Go to the first or the last job; from the last one to the end of the text."""
        body, end = self.query_one("#body"), where == "end"
        if not end:
            body.scroll_home(animate=False)
        moved = [jobs.go(jobs.total if end else 0) for jobs in self._lists()]
        if end and not any(moved):
            body.scroll_end(animate=False)


_NAMES_SHOWN = 8
_FOLLOW_EVERY_S = 0.2


class AskScreen(Dialog[bool | None]):
    """A question with a safe answer (None) and a bold one (True)."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "keep", "Keep", show=False),
        Binding("y", "act", "Act", show=False),
    ]

    def __init__(self, title: str, words: str, names: Sequence[str], safe: str, bold: str) -> None:
        super().__init__()
        self._title, self._words, self._safe, self._bold = title, words, safe, bold
        self._names = names

    def body(self) -> Iterator[Widget]:
        """Yield the question, and what it is about."""
        yield Static(self._words, markup=False, id="words")
        if len(self._names) > 1:
            shown = [f"  {clean(name, 70)}" for name in self._names[:_NAMES_SHOWN]]
            if len(self._names) > _NAMES_SHOWN:
                shown.append(f"  and {len(self._names) - _NAMES_SHOWN:,} more")
            yield Static("\n".join(shown), markup=False, classes="names")

    def buttons(self) -> Iterator[Button]:
        """Yield the safe button and the bold one."""
        yield Button(Content(self._safe), id="keep")
        yield Button(Content(self._bold), id="act", variant="primary")

    def on_mount(self) -> None:
        """Write the title."""
        self.set_title(self._title)

    @on(Button.Pressed, "#act")
    def action_act(self) -> None:
        """Give the bold answer."""
        if self.drawn:
            self.dismiss(True)


class QuitScreen(AskScreen):
    """The question before quitting; a second ``q`` quits at once."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q", "app.quit", "Quit", show=False)]

    def __init__(self, progress: Callable[[], str], bold: str) -> None:
        """``progress`` returns what is under way, empty once it has ended; ``bold`` is what quitting does."""
        super().__init__("Quit?", progress(), (), "Stay", bold)
        self._progress = progress
        self._leaving = False

    def on_mount(self) -> None:
        """Follow what is under way."""
        self.set_interval(_FOLLOW_EVERY_S, self._follow)

    def _follow(self) -> None:
        words = self._progress()
        if words:
            self.query_one("#words", Static).update(Content(words))
        elif self.drawn and self.is_current and not self._leaving:
            # Nothing is left that quitting would stop.
            self._leaving = True
            self.dismiss(True)
