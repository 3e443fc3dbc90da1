"""The lines around the table as spans: accounts, tabs, column headers, order, keys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from rich.cells import cell_len

from jobdash.domain.fields import COLUMNS
from jobdash.domain.job import AccountHealth
from jobdash.domain.provider_info import LOCAL
from jobdash.domain.status import Status, Tab
from jobdash.domain.text import clean, short_count
from jobdash.domain.time import MINUTE, short_span
from jobdash.errors import ConfigError
from jobdash.operations.job_lookup import Counts, Sort
from jobdash.tui.context import UnderWay
from jobdash.tui.render.columns import COLUMN_ORDERS, GAP, ColumnLayout
from jobdash.tui.render.symbols import Symbols
from jobdash.tui.render.text import Span, cut, gap

LATE_MS = 20 * MINUTE
"""An account that has not answered for this long shows its age."""
_TAB_STATUS = {
    Tab.RUNNING: (Status.IN_PROGRESS, "success"),
    Tab.PENDING: (Status.PENDING, "text"),
    Tab.CANCELLING: (Status.CANCELLING, "warning"),
    Tab.COMPLETED: (Status.COMPLETED, "done"),
    Tab.FAILED: (Status.FAILED, "error"),
    Tab.CANCELLED: (Status.CANCELLED, "muted"),
    Tab.EXPIRED: (Status.EXPIRED, "warning"),
}
_SHORT_TABS = {
    Tab.ALL: "All",
    Tab.RUNNING: "Run",
    Tab.PENDING: "Pend",
    Tab.CANCELLING: "Canc'g",
    Tab.COMPLETED: "Done",
    Tab.FAILED: "Fail",
    Tab.CANCELLED: "Canc'd",
    Tab.EXPIRED: "Exp",
}
_SHORTEST_TABS = {tab: word[:1] for tab, word in _SHORT_TABS.items()} | {
    Tab.CANCELLING: "Cg",
    Tab.COMPLETED: "D",
    Tab.CANCELLED: "Cd",
}


_REASON_CELLS = (100, 60, 30, 20, 12, 1)
"""Cells for the health of an account, tried from the most to the least until all fit."""
_FEW_CELLS = (20, 12, 1)
"""The same where there are too many accounts for the line."""


def account_spans(
    accounts: Sequence[str],
    health: dict[str, AccountHealth],
    under_way: UnderWay,
    now: int,
    symbols: Symbols,
    room: int,
    read_only: str | None = None,
) -> list[Span]:
    """Return the accounts with their health: ✓ while fresh, an age when late, ✗ with the reason.

    Those that fail come first. The account of a person's own scripts, which comes last, is well as long as
    the store can be written. ``room`` is the number of cells there are for all of them: reasons are cut
    before an account is left out, and those left out are counted.
    """
    own = Span(symbols.ok, "success") if read_only is None else Span(f"{symbols.bad} read-only", "error")
    for longest in _REASON_CELLS:
        whole = longest == _REASON_CELLS[0]
        shown = [
            _AccountState(name, *_health(name, health.get(name), under_way, now, symbols, whole=whole))
            for name in accounts
        ]
        states = sorted([*shown, _AccountState(LOCAL, own)], key=lambda state: not state.fails)
        drawn = [state.spans(longest, symbols.more, 3 if place else 2) for place, state in enumerate(states)]
        if _cells(drawn) <= room:
            return list(chain.from_iterable(drawn))
    return _as_many_as_fit(states, symbols, room)


class _AccountState(NamedTuple):
    """An account, its health, and the age of the last answer where it cannot be reached."""

    name: str
    how: Span
    age: str = ""

    @property
    def fails(self) -> bool:
        return self.how.tone == "error"

    def spans(self, longest: int, more: str, apart: int = 2) -> list[Span]:
        """Return it with at most ``longest`` cells for how it is, ``apart`` from what is in front."""
        words = cut(self.how.text, max(longest - cell_len(self.age), longest // 2), more)
        words = cut(f"{words}{self.age}", longest, more) if longest > 1 else self.how.text[:1]
        return [gap(apart), Span(f"{clean(self.name, 20)} ", "text"), Span(words, self.how.tone)]


def _as_many_as_fit(states: Sequence[_AccountState], symbols: Symbols, room: int) -> list[Span]:
    """Return the first accounts, and how many there are beyond them; ✗ with it where one of those fails.

    Reasons have a few cells where all that fail fit with them, else none.
    """
    failing = sum(state.fails for state in states)
    for longest in _FEW_CELLS:
        drawn = [state.spans(longest, symbols.more) for state in states]
        number = len(drawn)
        while number and _cells([*drawn[:number], _beyond(states[number:], symbols)]) > room:
            number -= 1
        if number >= failing or longest == _FEW_CELLS[-1]:
            break
    rest = _beyond(states[number:], symbols)
    return [*chain.from_iterable(drawn[:number]), *(rest if _cells([*drawn[:number], rest]) <= room else [])]


def _beyond(states: Sequence[_AccountState], symbols: Symbols) -> list[Span]:
    """Return ``+3``, or ``+3 ✗`` where one of these accounts fails; the doctor lists them all."""
    bad = any(state.fails for state in states)
    words = f"+{len(states)} {symbols.bad}" if bad else f"+{len(states)}"
    return [gap(2), Span(words, "error" if bad else "muted", "app.doctor")] if states else []


def _cells(parts: Iterable[Sequence[Span]]) -> int:
    return sum(span.cells for part in parts for span in part)


def _health(
    name: str, health: AccountHealth | None, under_way: UnderWay, now: int, symbols: Symbols, *, whole: bool
) -> tuple[Span, str]:
    """Return the health of an account, and the age of the last answer where it cannot be reached."""
    if health is not None and health.error is not None and under_way.waiting.get(name, 0) <= now:
        old = health.ok_at is not None and now - health.ok_at > MINUTE
        age = f" {symbols.dot} as of {short_span(now - (health.ok_at or 0))} ago" if old else ""
        reason = health.error if whole else _short_reason(health.error, health.error_kind)
        return Span(f"{symbols.bad} {clean(reason, _REASON_CELLS[0])}", "error"), age
    return _well(name, health, under_way, now, symbols), ""


def _well(name: str, health: AccountHealth | None, under_way: UnderWay, now: int, symbols: Symbols) -> Span:
    waiting_until, found = under_way.waiting.get(name, 0), under_way.found.get(name, 0)
    if waiting_until > now:
        return Span(f"waiting {short_span(waiting_until - now)}", "warning")
    if health is None or not health.first_sync_done:
        return Span(f"{symbols.more} {found:,} found" if found else symbols.more, "muted")
    age_ms = now - (health.ok_at or 0)
    if age_ms > LATE_MS:
        return Span(f"{symbols.ok} {short_span(age_ms)} ago", "warning")
    return Span(symbols.ok, "success")


def _short_reason(error: str, kind: str | None) -> str:
    """Return why an account failed, without the details.

    Those of a key that may well be right, and of a mistake in the settings, are kept.
    """
    whole = error.startswith("key rejected") or kind == ConfigError.__name__
    return error if whole else error.partition(": ")[0]


def attention_spans(
    number: int, key: str, symbols: Symbols, room: int, accounts: Sequence[str]
) -> list[Span]:
    """Return how much needs attention behind the key that lists it, in ``room`` cells; nothing for none.

    It is short where the ``accounts``, which share the line, need the room.
    """
    if not number:
        return []
    need = "needs" if number == 1 else "need"
    for words, spare in (
        (f"{number:,} {need} attention", sum(cell_len(clean(name, 20)) + 5 for name in (*accounts, LOCAL))),
        (f"{number:,}", 0),
    ):
        spans = [
            Span(f"{key} ", "muted", "app.attention"),
            Span(f"{symbols.warning} {words} ", "warning", "app.attention"),
            Span(f"{symbols.dot} ", "muted"),
        ]
        if sum(span.cells for span in spans) + spare <= room:
            return spans
    return []


def tab_spans(
    counts: Counts, current: Tab, unseen: Collection[Tab], width: int, symbols: Symbols
) -> list[Span]:
    """Return the eight tabs with their live counts, in the longest words that fit."""
    spans: list[Span] = []
    for form in _TAB_FORMATS:
        spans = [gap(1)]
        for tab in Tab:
            count = counts.by_tab[tab]
            spans += [
                *_tab(tab, count, form, symbols, current=tab is current, unseen=tab in unseen),
                gap(form.between),
            ]
        spans.pop()
        if sum(span.cells for span in spans) <= width:
            break
    return spans


@dataclass(frozen=True)
class _TabFormat:
    """The format of a tab: how much of it is shown."""

    words: Mapping[Tab, str]
    keys: bool = True
    glyphs: bool = False
    between: int = 2
    count: Callable[[int], str] = "{:,}".format


_LONG_TABS = {tab: tab.capitalize() for tab in Tab}
_TAB_FORMATS = (
    _TabFormat(_LONG_TABS, glyphs=True, between=4),
    _TabFormat(_LONG_TABS, glyphs=True, between=3),
    _TabFormat(_LONG_TABS, glyphs=True),
    _TabFormat(_LONG_TABS, between=3),
    _TabFormat(_LONG_TABS),
    _TabFormat(_SHORT_TABS),
    _TabFormat(_SHORT_TABS, keys=False),
    _TabFormat(_SHORT_TABS, keys=False, count=short_count),
    _TabFormat(_SHORT_TABS, keys=False, between=1, count=short_count),
    _TabFormat(_SHORTEST_TABS, keys=False, between=1, count=short_count),
)
"""From the fullest to the shortest; the last one stands where nothing fits."""


def _tab(
    tab: Tab, count: int, form: _TabFormat, symbols: Symbols, *, current: bool, unseen: bool
) -> list[Span]:
    action = f"tab({tab.number})"
    status, tone = _TAB_STATUS.get(tab, (None, "muted"))
    tone = tone if count else "muted"
    spans: list[Span] = []
    if form.keys:
        spans.append(Span(f"{tab.number} ", "muted" if form.glyphs else tone, action))
    if status is not None and form.glyphs:
        spans.append(Span(f"{symbols.status[status]} ", tone, action))
    spans.append(Span(f"{form.words[tab]} ", "strong" if current else "text", action))
    spans.append(Span(form.count(count), "accent" if current else "muted" if form.keys else tone, action))
    if unseen:
        spans.append(Span(symbols.unseen, "accent", action))
    return spans


def header_spans(layout: ColumnLayout, sort: Sort, symbols: Symbols) -> list[Span]:
    """Return the headers, each exactly over its column; a click sorts."""
    spans: list[Span] = []
    x = 0
    arrow = symbols.down if sort.descending else symbols.up
    for place in layout.places:
        spec, order = COLUMNS[place.column], COLUMN_ORDERS.get(place.column)
        chosen = order == sort.order
        # Only in its order does the column beside the bar need a name.
        text = spec.heading or (place.column.upper() if chosen else "")
        if chosen:
            apart = " " if len(text) + len(arrow) < place.width else ""
            text = f"{text}{apart}{arrow}" if not spec.right else f"{arrow}{apart}{text}"
        text = text.rjust(place.width) if spec.right else text.ljust(place.width)
        spans.append(gap(place.start - x))
        tone = "accent" if chosen else "header"
        spans.append(Span(text[: place.width + GAP], tone, f"sort_by('{order}')" if order else None))
        x = place.start + max(place.width, len(text[: place.width + GAP]))
    return spans


def sort_spans(layout: ColumnLayout, sort: Sort, moved: int, symbols: Symbols) -> list[Span]:
    """Return ``sort created ↓``, and how many rows would stand elsewhere by now.

    It stands out where no header shows it: the order has no column, or none that is drawn.
    """
    arrow = symbols.down if sort.descending else symbols.up
    shown = any(COLUMN_ORDERS.get(place.column) == sort.order for place in layout.places)
    tone = "text" if shown else "accent"
    spans = [Span("sort ", "muted", "sort"), Span(f"{sort.order} {arrow}", tone, "reverse")]
    if moved:
        spans.append(Span(f" {symbols.dot} {moved:,} moved", "muted"))
    return [*spans, gap(1)]


class KeyHint(NamedTuple):
    """One key of the footer."""

    key: str
    label: str
    action: str
    enabled: bool = True
    tone: str = "text"
    always: bool = False
    """It keeps its place in any width, as help and quit do."""


def key_spans(hints: Sequence[KeyHint], width: int) -> list[Span]:
    """Return the footer: keys with their words, as many as fit.

    What is not possible now is dim, and goes first where there is no room for all.
    """
    spans = [gap(1)]
    shown = _fitting(hints, width - 1)
    for hint in (hint for place, hint in enumerate(hints) if place in shown):
        label = f"{hint.label}  "
        if hint.enabled:
            spans += [Span(f"{hint.key} ", "barkey", hint.action), Span(label, hint.tone, hint.action)]
        else:
            spans.append(Span(f"{hint.key} {label}", "barmuted", hint.action))
    return spans


def _fitting(hints: Sequence[KeyHint], room: int) -> Collection[int]:
    """Return the places of the keys that fit: those that stay always, those that are possible, the others."""
    shown: set[int] = set()
    for place, hint in sorted(enumerate(hints), key=lambda one: (not one[1].always, not one[1].enabled)):
        room -= _key_cells(hint)
        if room < 0 and not hint.always:  # and it stays so: no short one jumps the queue
            break
        shown.add(place)
    return shown


def _key_cells(hint: KeyHint) -> int:
    return cell_len(hint.key) + cell_len(hint.label) + 3
