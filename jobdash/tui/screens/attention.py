"""The jobs and accounts that need attention, each with the reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from jobdash.domain.attention import AccountAttention, Attention, AttentionReason
from jobdash.domain.status import Tab
from jobdash.domain.text import clean, quantity
from jobdash.domain.time import short_span
from jobdash.errors import StoreError
from jobdash.operations.attention import set_reviewed
from jobdash.tui.context import DashboardContext
from jobdash.tui.host import Host, reports_errors
from jobdash.tui.models.attention import AttentionModel
from jobdash.tui.render import header_footer
from jobdash.tui.render.symbols import Symbols
from jobdash.tui.render.text import Span, fit, gap
from jobdash.tui.screens.dialog import AskScreen
from jobdash.tui.screens.line_screen import LineScreen
from jobdash.tui.widgets.line import Line
from jobdash.tui.widgets.virtual_list import MOVING_KEYS, VirtualList

POLL_EVERY = 1.0
_GRAVE = frozenset({AttentionReason.FAILED, AttentionReason.STALLED})
_HINTS = [
    header_footer.KeyHint("enter", "Open", "open"),
    header_footer.KeyHint("z", "Dismiss", "set_aside"),
    header_footer.KeyHint("Z", "Dismiss all", "set_all_aside"),
    header_footer.KeyHint("esc", "Close", "close", always=True),
]
_ACCOUNT_MOST, _NAME_MOST, _SINCE = 14, 40, 6
_Found = AccountAttention | Attention


@dataclass(frozen=True, slots=True)
class _Entry:
    """All that decides how a line looks."""

    name: str
    account: str
    words: str
    tone: str
    since: str
    cursor: bool


class AttentionList(VirtualList[_Entry], can_focus=True):
    """Jobs with the reasons, one a line, and a cursor that stays on its job."""

    BINDINGS: ClassVar[list[BindingType]] = MOVING_KEYS

    class Opened(Message):
        """A line was double-clicked."""

    def __init__(self, symbols: Symbols, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._symbols = symbols
        self._found: Sequence[_Found] = ()
        self._now = 0
        self._longest = 0
        """The cells of the longest name; of all jobs, so that columns stand still while one scrolls."""
        self.cursor = 0

    @property
    def current(self) -> _Found | None:
        """What is under the cursor."""
        return self._found[self.cursor] if self.cursor < len(self._found) else None

    def put(self, found: Sequence[_Found], now: int) -> None:
        """Show these; the cursor stays on its line, else in its place."""
        keep = self.current
        before, after = self._longest, max((cell_len(_name(each)) for each in found), default=0)
        self._found, self._now, self._longest = found, now, after
        keys = [_key(each) for each in found]
        if keep is not None and _key(keep) in keys:
            self.cursor = keys.index(_key(keep))
        self.cursor = max(0, min(self.cursor, len(found) - 1))
        self.fit_total()
        if before == after:
            self.draw_changes()
        else:
            self.draw_all()

    @property
    def total(self) -> int:
        """The number of lines."""
        return len(self._found)

    @property
    def position(self) -> int:
        """The line that keys move from."""
        return self.cursor

    def go(self, index: int) -> bool:
        """Move the cursor to a line, which stays in sight; returns whether that was a move."""
        index = max(0, min(index, self.total - 1))
        if index == self.cursor:
            return False
        self.cursor = index
        top = max(min(self.top, index), index - self.page_height + 1)
        if top != self.top:
            self.scroll_now(top)
        self.draw_changes()
        return True

    def entry(self, index: int) -> _Entry | None:
        """Return a line."""
        if index >= len(self._found):
            return None
        found = self._found[index]
        since = short_span(max(0, self._now - found.since))
        if isinstance(found, AccountAttention):
            account, grave = found.health.provider, True
        else:
            account, grave = found.row.account, not _GRAVE.isdisjoint(found.reasons)
        tone = "error" if grave else "warning"
        return _Entry(_name(found), clean(account), found.words, tone, since, index == self.cursor)

    def draw_entry(self, _index: int, entry: _Entry) -> Strip:
        """Return a job, or an account, with its reason."""
        width, more = self.size.width, self._symbols.more
        over = "cursor" if entry.cursor else "line"
        name, account, rest = self._columns()
        pieces = [
            (f" {self._symbols.cursor if entry.cursor else ' '} ", "pointer"),
            (fit(entry.name, name, more), "text"),
            ("  ", "text"),
            (fit(entry.account, account, more), "muted"),
            (f"  {entry.since.rjust(_SINCE)}  ", "muted"),
            (fit(entry.words, rest, more), entry.tone),
        ]
        return self.strip(pieces, over).adjust_cell_length(width, self.blank(over))

    def heads(self) -> list[Span]:
        """Return the heads of the columns."""
        name, account, _ = self._columns()
        words = ("NAME".ljust(name), "ACCOUNT"[:account].ljust(account), "SINCE".rjust(_SINCE), "WHY")
        return [Span(f"   {'  '.join(words)}", "muted")]

    def _columns(self) -> tuple[int, int, int]:
        """Return the cells of a name, an account and a reason."""
        width = self.text_width
        name = max(12, min(_NAME_MOST, self._longest, width // 3))
        account = min(_ACCOUNT_MOST, max(6, width // 8))
        return name, account, max(0, width - name - account - _SINCE - 9)

    def on_click(self, event: object) -> None:
        """Put the cursor on the line; a double click opens it."""
        index = self.top + getattr(event, "y", 0)
        if index < self.total:
            self.go(index)
            if getattr(event, "chain", 1) > 1:
                self.post_message(self.Opened())


def _key(found: _Found) -> int | str:
    return found.health.name if isinstance(found, AccountAttention) else found.row.id


def _name(found: _Found) -> str:
    if not isinstance(found, AccountAttention):
        return clean(found.row.name)
    return clean(f"account {found.health.name}" if found.is_account else found.health.name)


class AttentionScreen(LineScreen):
    """The list of what needs attention, and why; opening a job, or dismissing a line, takes it out."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open"),
        Binding("z", "set_aside", "Dismiss"),
        Binding("Z", "set_all_aside", "Dismiss all"),
        Binding("escape,q,8", "close", "Close", key_display="esc"),
        *(Binding(str(tab.number), f"close_to({tab.number})", show=False) for tab in Tab),
    ]

    app: Host

    def __init__(
        self, context: DashboardContext, model: AttentionModel, turn_to: Callable[[int], None]
    ) -> None:
        super().__init__()
        self._turn_to = turn_to
        self.context = context
        self.model = model

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield Line(id="log-head")
        yield Line(id="attention-empty")
        yield Line(id="attention-heads")
        yield AttentionList(self.context.symbols, id="attention")
        yield Line(id="keys")

    def on_mount(self) -> None:
        """Read what needs attention, now and at intervals."""
        self.query_one("#log-head", Line).over = self.query_one("#keys", Line).over = "bar"
        self.query_one(AttentionList).focus()
        self.set_interval(POLL_EVERY, self._poll)
        self.call_after_refresh(self._read)

    def on_resize(self) -> None:
        """Draw for another width."""
        self.query_one(AttentionList).draw_all()
        self.draw()

    async def _poll(self) -> None:
        # The main screen, which goes on below this one, tells the model of changes.
        if self.model.due(asyncio.get_running_loop().time(), watched=True):
            await self.model.read()
        self.draw()

    async def _read(self) -> None:
        await self.model.read()
        self.draw()

    @reports_errors
    def draw(self) -> None:
        """Draw the lines that differ."""
        found, width = self.model.found, self.size.width
        head = [Span(" attention ", "chip"), gap(2), Span("what to look at, and why", "muted")]
        others = [each for each in found if isinstance(each, AccountAttention)]
        accounts = sum(each.is_account for each in others)
        numbers = [quantity(len(found) - len(others), "job")]
        if accounts:
            numbers.insert(0, quantity(accounts, "account"))
        if accounts < len(others):
            numbers.insert(0, quantity(len(others) - accounts, "setting"))
        number = f" {self.context.symbols.dot} ".join(numbers)
        self.query_one("#log-head", Line).put(head, [Span(f"{number} ", "muted")])
        entries = self.query_one(AttentionList)
        entries.put(found, self.context.clock())
        self.query_one("#attention-heads", Line).put(entries.heads() if found else [])
        empty = self.query_one("#attention-empty", Line)
        empty.put([] if found else [gap(2), Span("Nothing needs your attention", "muted")])
        empty.display = not found
        self.query_one("#keys", Line).put(header_footer.key_spans(_HINTS, width))

    @on(AttentionList.Opened)
    async def action_open(self) -> None:
        """Open the job, which marks it as reviewed; or the doctor, for an account."""
        current = self.query_one(AttentionList).current
        if current is None:
            return
        if isinstance(current, AccountAttention):
            from jobdash.tui.screens.doctor import DoctorScreen

            self.app.push_screen(DoctorScreen(self.context))
            return
        from jobdash.tui.screens.job import JobScreen

        await self._review([current])
        self.app.push_screen(JobScreen(current.row.id, self.context))

    async def action_set_aside(self) -> None:
        """Dismiss the line."""
        current = self.query_one(AttentionList).current
        if current is not None:
            await self._review([current])

    def action_set_all_aside(self) -> None:
        """Dismiss every line, after a question."""
        found = self.model.found
        words = "They come back when something new happens to them."
        names = [_name(each) for each in found]
        ask = AskScreen(f"Dismiss {quantity(len(found), 'line')}?", words, names, "Keep them", "Dismiss all")

        async def answered(agreed: bool | None) -> None:
            if agreed:
                await self._review(found)

        if found:
            self.app.push_screen(ask, answered)

    async def _review(self, seen: Sequence[_Found]) -> None:
        self.model.dismiss(seen)
        try:
            await self.app.with_store(lambda store: set_reviewed(seen, store))
        except StoreError as error:
            self.app.notify(str(self.context.store_error(error)), severity="warning")
            return
        await self._read()

    def action_close(self) -> None:
        """Go back to the table."""
        self.dismiss(None)

    def action_close_to(self, tab: int) -> None:
        """Go back to a tab of the table, as its key does there."""
        self.dismiss(None)
        self._turn_to(tab)
