"""The doctor: the state of the store, the settings, and each account as it answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from jobdash.config.settings import Config
from jobdash.domain.account import Account
from jobdash.domain.text import clean
from jobdash.errors import JobdashError
from jobdash.operations.doctor import (
    AccountFacts,
    StoreFacts,
    account_facts,
    engine_problem,
    file_owners,
    server_warnings,
    store_facts,
    worker_lines,
)
from jobdash.operations.providers import account_hint
from jobdash.tui.context import DashboardContext
from jobdash.tui.host import Host
from jobdash.tui.render import header_footer
from jobdash.tui.render.symbols import Symbols
from jobdash.tui.render.text import Span, TextLine, gap, pairs
from jobdash.tui.screens.line_screen import LineScreen
from jobdash.tui.widgets.line import Line
from jobdash.tui.widgets.text_views import LinesView

_MEGABYTE = 1_000_000


class DoctorScreen(LineScreen):
    """Facts about store, settings and accounts; an account that hangs delays only its own lines."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "Close", key_display="esc"),
        Binding("f5", "ask", "Ask again", key_display="F5"),
    ]

    app: Host

    def __init__(self, context: DashboardContext) -> None:
        super().__init__()
        self.context = context
        self._answers: dict[str, AccountFacts] = {}

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield Line(id="doctor-head")
        yield LinesView(id="doctor-lines")
        yield Line(id="keys")

    def on_mount(self) -> None:
        """Read the facts about the store, and ask every account."""
        self.query_one("#doctor-head", Line).over = self.query_one("#keys", Line).over = "bar"
        self.query_one("#doctor-lines").focus()
        self.call_after_refresh(self.action_ask)

    def on_resize(self) -> None:
        """Fit the lines to the new width."""
        self.call_after_refresh(self.draw)

    def action_ask(self) -> None:
        """Ask every account."""
        self._answers.clear()
        self.draw()
        for account in self.context.config.accounts:
            if account.name in self.app.runtime.accounts:
                self.run_worker(self._ask(account), name=f"doctor {account.name}")

    async def _ask(self, account: Account) -> None:
        one = replace(self.context.config, accounts=(account,))
        (facts,) = await account_facts(one, self.app.runtime.accounts)
        self._answers[account.name] = facts
        self.draw()

    def draw(self) -> None:
        """Draw what is known so far."""
        context = self.context
        head = [Span(" doctor ", "chip"), gap(2), Span("store, settings, accounts", "muted")]
        self.query_one("#doctor-head", Line).put(head)
        hints = [
            header_footer.KeyHint("esc", "Close", "close"),
            header_footer.KeyHint("F5", "Ask again", "ask"),
        ]
        self.query_one("#keys", Line).put(header_footer.key_spans(hints, self.size.width))
        try:
            store = store_facts(context.config, context.browser, context.read_only)
        except JobdashError as error:
            self.query_one("#doctor-lines", LinesView).put([((clean(str(error)), "error"),)])
            return
        asked = frozenset(self.app.runtime.accounts)
        lines = doctor_lines(
            context.config, store, self._answers, asked, self.size.width - 4, context.symbols
        )
        self.query_one("#doctor-lines", LinesView).put(lines)

    def action_close(self) -> None:
        """Go back to the table."""
        self.dismiss(None)


def _server(store: StoreFacts) -> Iterator[str]:
    if (server := store.server) is not None:
        way = f"{'on this computer, ' if server.is_local else ''}{server.tls or 'not encrypted'}"
        yield f"PostgreSQL {server.version}, as {server.user}, {way}"
        yield from server_warnings(server)


def doctor_lines(
    config: Config,
    store: StoreFacts,
    answers: Mapping[str, AccountFacts],
    asked: frozenset[str],
    width: int,
    symbols: Symbols,
) -> list[TextLine]:
    """Return all that was found; ``asked`` are the accounts an answer is awaited of."""
    where = "" if config.exists else " (there is none; the environment alone counts)"
    found: list[tuple[str, str]] = [
        ("store", f"{clean(store.path)}  {store.size / _MEGABYTE:,.1f} MB, schema {store.schema}"),
        ("", f"{store.jobs:,} jobs, {store.unfinished:,} unfinished"),
        ("", f"read only: {clean(store.read_only)}" if store.read_only else "can be written"),
        *(("" if place else "server", clean(line)) for place, line in enumerate(_server(store))),
        *(("" if place else "functions", clean(line)) for place, line in enumerate(worker_lines(store))),
        *(
            ("" if place else "owners", f"{clean(file)}: {who}, mode {mode}")
            for place, (file, who, mode) in enumerate(file_owners(config.database))
        ),
        ("settings", f"{clean(str(config.path))}{where}"),
        *(
            ("warning", clean(warning))
            for warning in (*config.warnings, *map(str, config.faulty), *config.half_set)
        ),
    ]
    if problem := engine_problem(store):
        found.append(("warning", problem))
    if store.unknown_words:
        words = ", ".join(clean(word, 40) for word in store.unknown_words)
        found.append(("unknown words", f"the providers say {words}: shown with ?, never taken for an end"))
    lines = [*pairs(found, width), ()]
    for account in config.accounts:
        lines += _account_lines(account, answers.get(account.name), account.name in asked, width, symbols)
    lines += [
        ((unusable.name.ljust(20), "strong"), (f"{symbols.bad} not used: {unusable.reason}", "error"))
        for unusable in config.unusable
    ]
    lines += [
        ((clean(other.name, 18).ljust(20), "strong"), (f"{symbols.dot} another person's, {other}", "muted"))
        for other in config.others
    ]
    if not config.accounts:
        lines.append(((f"no account: {account_hint()}", "warning"),))
    return lines


def _account_lines(
    account: Account, facts: AccountFacts | None, asked: bool, width: int, symbols: Symbols
) -> list[TextLine]:
    if facts is None:
        mark, tone, words = symbols.more, "muted", "asking" if asked else "not asked: nothing can be written"
    elif facts.error is not None:
        mark, tone, words = symbols.bad, "error", clean(facts.error, 300)
    else:
        mark, tone, words = symbols.ok, "success", "answers"
    head: TextLine = ((clean(account.name, 18).ljust(20), "strong"), (f"{mark} {words}", tone))
    key = "is set" if account.api_key is not None else "is not set"
    more = [("", f"{account.provider}, key {clean(account.key_env)} {key}")]
    if account.shown_url:
        more.append(("", f"at {clean(account.shown_url)}"))
    if facts is not None and facts.profile:
        more.append(("", f"profile {facts.profile}"))
    if facts is not None:
        more += [("", deviation) for deviation in facts.deviations]
    if facts is not None and facts.duplicate_of:
        more.append(("", f"the same key as {clean(facts.duplicate_of)}: asked once"))
    return [head, *pairs(more, width), ()]
