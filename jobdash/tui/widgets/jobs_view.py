"""Tabs, filter, headers and table together: what is looked at, kept live."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input

from jobdash.domain.filter import Conditions, parse
from jobdash.domain.status import Tab
from jobdash.domain.text import clean
from jobdash.domain.wording import jobs
from jobdash.errors import FilterError
from jobdash.operations.browse import Counts, IntentKind, Order, Scope, Sort
from jobdash.tui import chrome
from jobdash.tui.context import Context, Selection
from jobdash.tui.search import AGAIN_AFTER, Answer, Searcher
from jobdash.tui.widgets.empty import EmptyState
from jobdash.tui.widgets.job_table import JobTable
from jobdash.tui.widgets.line import Line, Span, gap
from jobdash.tui.window import Found

MARKS_MOST = 50_000
"""Jobs that can be marked, and so acted on, at once."""
RESORT_AFTER_MS = 5_000
_CHANGES_MOST = 1_000
_ORDERS = list(Order)
_ASCENDING = frozenset({Order.NAME, Order.ACCOUNT})


class FilterInput(Input):
    """The filter's own line; Enter or ↓ keeps it, Escape clears it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "keep", "Keep the filter", show=False),
        Binding("escape", "clear", "Clear the filter", show=False),
    ]

    class Left(Message):
        """The keyboard goes back to the table."""

    def action_keep(self) -> None:
        """Keep the filter and go to the table."""
        self.post_message(self.Left())

    def action_clear(self) -> None:
        """Clear the filter and go to the table."""
        self.value = ""
        self.post_message(self.Left())

    async def action_submit(self) -> None:
        """Keep the filter and go to the table."""
        self.post_message(self.Left())


class JobsView(Vertical):
    """The jobs of one tab and filter in one order."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(tab.number), f"tab({tab.number})", tab.capitalize(), show=False, id=f"tab.{tab}")
            for tab in Tab
        ),
        Binding("slash", "filter", "Filter", key_display="/", id="view.filter", tooltip="Filter as you type"),
        Binding("s", "sort", "Sort", id="view.sort", tooltip="Sort by the next column"),
        Binding("S", "reverse", "Reverse the order", id="view.reverse"),
        Binding("space", "mark", "Mark", id="view.mark", tooltip="Mark or unmark this job"),
        Binding("a", "mark_all", "Mark all", id="view.mark_all", tooltip="Mark all in tab and filter"),
        Binding("escape", "clear", "Clear marks, then filter", show=False, id="view.clear"),
        Binding("p", "pause", "Pause", id="view.pause", tooltip="Stop drawing changes, or go on"),
    ]

    class Looked(Message):
        """Marks, counts, tab or filter have changed."""

    def __init__(self, context: Context, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.context = context
        self.browser = context.browser
        self.counts: Counts = self.browser.counts()
        self.scope = Scope()
        self.sort = first_sort(context.config.ui.sort)
        self.news: set[Tab] = set()
        self.paused = False
        self.held_changes = 0
        self._version = self.browser.data_version()
        self._revision = self.counts.revision
        self._answer: Answer | None = None
        self._mistake: str | None = None
        self._about = False
        self._searched_at = 0
        self._last_key_at = 0
        self._searcher = Searcher(context.open_browser, self._found_from_thread)

    def compose(self) -> ComposeResult:
        """Lay out the lines and the table."""
        context = self.context
        yield Line(id="tabs")
        with Horizontal(id="filter-line"):
            yield Line(id="filter-prompt")
            yield FilterInput(id="filter", compact=True, select_on_focus=False, placeholder="")
            yield Line(id="filter-count")
        yield Line(id="header")
        yield JobTable(self.browser, context.clock, context.symbols, context.config.ui.columns, id="table")
        yield EmptyState(id="empty")

    @property
    def table(self) -> JobTable:
        """The table itself."""
        return self.query_one("#table", JobTable)

    @property
    def filter_text(self) -> str:
        """The filter as typed."""
        return self.query_one("#filter", FilterInput).value

    def on_mount(self) -> None:
        """Show the first page at once."""
        self.query_one("#filter").display = False
        self._fit_accounts()
        self.table.show(self.scope, self.sort, self.counts.by_tab[self.scope.tab])
        self.draw_lines()

    def on_unmount(self) -> None:
        """Let no search outlive the screen."""
        self._searcher.stop()

    def on_resize(self) -> None:
        """Fit the lines to the new width."""
        self.call_after_refresh(self.draw_lines)

    # ── live ───────────────────────────────────────────────────────────────────────────────────────────────

    def look(self) -> bool:
        """Read what other connections have changed since the last look; returns whether anything had."""
        version = self.browser.data_version()
        if version == self._version:
            self._resort_when_idle()
            return False
        if self.paused:
            self.held_changes += 1 if self.counts.revision != self.browser.revision() else 0
            return False
        self._version = version
        before, self.counts = self.counts, self.browser.counts()
        if before.by_account.keys() != self.counts.by_account.keys():
            self._fit_accounts()
        if before.revision != self.counts.revision:
            self._reload()
        self._revision = self.counts.revision
        self.draw_lines()
        return True

    def _reload(self) -> None:
        table = self.table
        if self.scope.filtered:
            self._match_changes()
        else:
            table.reload(self.counts.by_tab[self.scope.tab])
        if table.marks:
            alive = self.browser.rows(list(table.marks)[:_CHANGES_MOST])
            table.marks -= {row.id for row in alive.values() if row.removed_at is not None}

    def _match_changes(self) -> None:
        """Keep a filter's rows right: what changed is matched singly, a whole search is not repeated at once."""
        answer, table = self._answer, self.table
        if answer is None or answer.ids is None:
            table.reload(max(answer.count if answer else 0, table.window.total))
            self._about = True
        else:
            changed = [row.id for row in self.browser.changed_since(self._revision, _CHANGES_MOST)]
            matching = {job_id for job_id in changed if self.browser.matches(job_id, self.scope)}
            kept = [i for i in answer.ids if i not in changed or i in matching]
            new = sorted(matching - set(answer.ids), reverse=True)
            ids = (*new, *kept)
            self._about = self._about or bool(new) or len(changed) == _CHANGES_MOST
            self._answer = Answer(answer.scope, answer.sort, ids, len(ids), answer.counted, answer.took)
            table.reload(len(ids), Found(ids))
        now = self.context.clock()
        took_ms = (answer.took if answer else 0) * 1000
        if self._about and now - self._searched_at > AGAIN_AFTER * took_ms:
            self._search()

    def _resort_when_idle(self) -> None:
        table = self.table
        idle = self.context.clock() - self._last_key_at > RESORT_AFTER_MS
        if table.moved and table.cursor == 0 and idle:
            self._show()

    def draw_ages(self) -> None:
        """Draw the lines whose age or time left reads differently by now."""
        if not self.paused:
            self.table.draw_changes()

    def on_key(self) -> None:
        """Remember that somebody is at the keyboard."""
        self._last_key_at = self.context.clock()

    def _fit_accounts(self) -> None:
        names = [*self.counts.by_account, *(account.name for account in self.context.config.accounts)]
        self.table.fit_accounts(max((len(clean(name)) for name in names), default=7))

    # ── what is looked at ──────────────────────────────────────────────────────────────────────────────────

    def action_tab(self, number: int) -> None:
        """Turn to a tab."""
        tab = list(Tab)[number]
        self.news.discard(tab)
        self.scope = Scope(tab, self.scope.conditions)
        self._show()

    def action_sort(self) -> None:
        """Sort by the next order; in an order that has moved on, sort again first."""
        if self.table.moved:
            self._show()
            return
        order = _ORDERS[(_ORDERS.index(self.sort.order) + 1) % len(_ORDERS)]
        self._sort(Sort(order, order not in _ASCENDING))

    def action_sort_by(self, order: str) -> None:
        """Sort by an order, or turn it round when it is that already."""
        if self.sort.order == order:
            self.action_reverse()
        else:
            self._sort(Sort(Order(order), Order(order) not in _ASCENDING))

    def action_reverse(self) -> None:
        """Turn the order round."""
        self._sort(Sort(self.sort.order, not self.sort.descending))

    def _sort(self, sort: Sort) -> None:
        self.sort = sort
        self._show()

    def _show(self) -> None:
        if self.scope.filtered:
            self._search()
            return
        self._answer = None
        self._about = False
        table = self.table
        table.show(self.scope, self.sort, self.counts.by_tab[self.scope.tab])
        self.draw_lines()
        row = table.current
        if row is not None and table.cursor >= table.window.start > 0:
            key, job_id = table.window.key_of(row), row.id
            tell = self.app.call_from_thread
            self._searcher.locate(self.scope, self.sort, key, lambda at: tell(table.counted, job_id, at))

    # ── filter ─────────────────────────────────────────────────────────────────────────────────────────────

    def action_filter(self) -> None:
        """Type a filter."""
        entry = self.query_one("#filter", FilterInput)
        entry.display = True
        entry.focus()
        self.draw_lines()

    @on(FilterInput.Left)
    def _filter_left(self) -> None:
        self.query_one("#filter").display = False
        self.table.focus()
        self.draw_lines()

    @on(Input.Changed, "#filter")
    def _filter_typed(self, event: Input.Changed) -> None:
        event.stop()
        try:
            conditions: Conditions | None = parse(event.value)
            self._mistake = None
        except FilterError as error:
            self._mistake = str(error)
            self.draw_lines()
            return
        self.scope = Scope(self.scope.tab, None if conditions is None or conditions.empty else conditions)
        self._show()

    def _search(self) -> None:
        self._searched_at = self.context.clock()
        self._about = False
        self._searcher.ask(self.scope, self.sort)
        self.draw_lines()

    def _found_from_thread(self, answer: Answer) -> None:
        self.app.call_later(self._found, answer)

    def _found(self, answer: Answer) -> None:
        if answer.scope != self.scope or answer.sort != self.sort:
            return
        first = self._answer is None or self._answer.scope != answer.scope or self._answer.sort != answer.sort
        self._answer = answer
        found = None if answer.ids is None else Found(answer.ids)
        if first or found is not None:
            self.table.show(self.scope, self.sort, answer.count, found)
        else:
            self.table.reload(answer.count)
        self.draw_lines()

    # ── marks ──────────────────────────────────────────────────────────────────────────────────────────────

    def action_mark(self) -> None:
        """Mark or unmark the job under the cursor, and go to the next one."""
        row = self.table.current
        if row is None:
            return
        self.table.marks ^= {row.id}
        self.table.action_move(1)
        self._marked()

    def action_mark_all(self) -> None:
        """Mark every job of the tab and filter."""
        table = self.table
        before = len(table.marks)
        for ids in self.browser.iter_ids(self.scope):
            table.marks.update(ids[: MARKS_MOST - len(table.marks)])
            if len(table.marks) >= MARKS_MOST:
                self.notify(f"Marked {MARKS_MOST:,}: no more at once", markup=False, severity="warning")
                break
        if len(table.marks) == before:
            self.notify("No job here to mark", markup=False)
        self._marked()

    def action_clear(self) -> None:
        """Clear the marks; when there are none, the filter."""
        if self.table.marks:
            self.table.marks.clear()
            self._marked()
        elif self.scope.conditions is not None or self._mistake:
            self.query_one("#filter", FilterInput).value = ""

    def _marked(self) -> None:
        self.table.draw_changes()
        self.draw_lines()

    def selection(self) -> Selection:
        """Return the jobs an action is for, as the store has them now."""
        marks = self.table.marks
        if not marks:
            current = self.table.current
            return Selection((current,) if current is not None else (), False, frozenset())
        rows = self.browser.rows(sorted(marks))
        shown = self.scope
        hidden = frozenset(
            row.id
            for row in rows.values()
            if (shown.filtered or shown.tab is not Tab.ALL) and not self.browser.matches(row.id, shown)
        )
        return Selection(tuple(rows.values()), True, hidden)

    def action_pause(self) -> None:
        """Stop drawing changes, or go on."""
        self.paused = not self.paused
        if not self.paused:
            self.held_changes = 0
            self.look()
        self.draw_lines()

    def forget_marks(self, ids: Iterable[int]) -> None:
        """Unmark jobs that an action has been carried out on."""
        self.table.marks -= set(ids)
        self._marked()

    def queue(self, ids: Iterable[int]) -> None:
        """Let rows say that an action on them waits."""
        self.table.queued |= set(ids)
        self.table.draw_changes()

    def unqueue(self, ids: Iterable[int]) -> None:
        """Let rows show their status again."""
        self.table.queued -= set(ids)
        self.table.draw_changes()

    def tell_news(self, tab: Tab) -> None:
        """Put a mark on a tab that something ended in."""
        if self.scope.tab is not tab:
            self.news.add(tab)
            self.draw_lines()

    def removals_waiting(self) -> int:
        """Return how many removals wait for their provider to confirm a cancel."""
        return len(self.browser.open_intents(kind=IntentKind.REMOVE))

    # ── lines ──────────────────────────────────────────────────────────────────────────────────────────────

    def draw_lines(self) -> None:
        """Draw tabs, filter and headers where they differ."""
        if not self.is_mounted:
            return
        symbols, table = self.context.symbols, self.table
        self.query_one("#tabs", Line).put(
            chrome.tab_spans(self.counts, self.scope.tab, self.news, self.size.width, symbols)
        )
        self.query_one("#header", Line).put(chrome.header_spans(table.plan, self.sort, symbols))
        self._draw_filter_line()
        self._draw_empty()
        self.post_message(self.Looked())

    def _draw_filter_line(self) -> None:
        symbols, entry = self.context.symbols, self.query_one("#filter", FilterInput)
        text = clean(entry.value, 80)
        left = [Span(" / ", "key", "filter"), Span("filter ", "muted", "filter")]
        if entry.display:
            left = [Span(" / ", "key"), Span("filter ", "muted"), Span(symbols.prompt, "accent")]
        elif text:
            left += [Span(text, "bright", "filter"), Span("  esc clears", "muted", "clear")]
        prompt = self.query_one("#filter-prompt", Line)
        prompt.put(left)
        prompt.styles.width = sum(span.cells for span in left)
        self.query_one("#filter-count", Line).put(
            [gap(1)], [*self._count_spans(), gap(2), *self._sort_spans()]
        )

    def _count_spans(self) -> list[Span]:
        symbols, spans = self.context.symbols, list[Span]()
        if self._mistake:
            return [Span(clean(self._mistake, 200), "error")]
        if self.scope.filtered:
            answer = self._answer
            if answer is None or answer.scope != self.scope:
                spans.append(Span(symbols.more, "muted"))
            else:
                sign = "~" if self._about else ""
                plus = "" if answer.counted else "+"
                told = f"{sign}{answer.count:,}{plus} of {self.counts.by_tab[self.scope.tab]:,}"
                spans.append(Span(told, "text"))
        if marked := len(self.table.marks):
            spans += [Span(f" {symbols.dot} " if spans else "", "muted"), Span(f"{marked:,} marked", "mark")]
        return spans

    def _sort_spans(self) -> list[Span]:
        if self._mistake:
            return []
        return chrome.sort_spans(self.sort, self.table.moved, self.context.symbols)

    def _draw_empty(self) -> None:
        table, empty = self.table, self.query_one("#empty", EmptyState)
        answered = not self.scope.filtered or (self._answer is not None and self._answer.scope == self.scope)
        is_empty = answered and table.window.total == 0
        if is_empty:
            empty.say(*self._why_empty())
        if empty.display != is_empty:
            empty.display = is_empty
            self.query_one("#header").display = not is_empty

    def _why_empty(self) -> tuple[str, list[str]]:
        if self.scope.filtered:
            return "No job matches this filter", ["Escape clears it"]
        if self.counts.total:
            return f"No job is {self.scope.tab} now", [f"0 shows all {jobs(self.counts.total)}"]
        return self.first_words()

    def first_words(self) -> tuple[str, list[str]]:
        """Return what a store without any job says."""
        if not self.context.config.accounts:
            return "No account yet", [
                "",
                "export OPENAI_API_KEY=…   or   export GEMINI_API_KEY=…   then start jobdash again",
                "",
                "or try   jobdash demo   ·   what is missing:   jobdash doctor",
                "",
                f"settings are looked for in {clean(str(self.context.config.path))}",
            ]
        return "No batch yet", ["jobdash submit FILE sends one; what others submit appears here by itself"]


def first_sort(setting: str) -> Sort:
    """Return the order a setting names: ``created``, ``-name``, ``+total``; a word nobody knows is created."""
    word = setting.lstrip("+-")
    order = Order(word) if word in set(Order) else Order.CREATED
    if setting[:1] in "+-" and setting:
        return Sort(order, setting.startswith("-"))
    return Sort(order, order not in _ASCENDING)
