"""What the tests of the dashboard share: the real app under Pilot, over a real store, and eyes to read it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot

from jobdash.config.settings import Config, SyncSettings, UiSettings
from jobdash.demo.emulator import EmulatorServer
from jobdash.domain.account import Account, Secret
from jobdash.domain.status import Tab
from jobdash.operations.job_lookup import open_browser
from jobdash.store.location import StoreLocation, beside
from jobdash.store.sample_loader import SAMPLE_COLUMNS, SampleRow, build_sample_store
from jobdash.tui.app import JobdashApp
from jobdash.tui.context import DashboardContext
from jobdash.tui.terminal import exact_updates
from jobdash.tui.widgets.job_table import JobTable
from jobdash.tui.widgets.line import Line

exact_only = pytest.mark.skipif(not exact_updates.EXACT, reason="on this version Textual draws by itself")
MINUTE = 60_000
HOUR = 60 * MINUTE
DEADLINE_S = 8.0
_CHARACTERS = {"space": " ", "slash": "/", "question_mark": "?"}


def now_ms() -> int:
    return int(time.time() * 1000)


def job(number: int, status: str = "in_progress", **more: Any) -> SampleRow:
    """One job as the store keeps it; the higher the number, the newer. Its name is ``job-007``."""
    created = more.pop("created_at", now_ms() - HOUR * 1000 + number * MINUTE)
    facts: dict[str, Any] = {
        "provider": "openai",
        "account": "openai",
        "origin": "https://api.openai.com/v1",
        "remote_id": f"batch_{number:024d}",
        "name": f"job-{number:03d}",
        "remote_status": status,
        "raw_status": status,
        "model": "gpt-x",
        "endpoint": "/v1/chat/completions",
        "total": 100,
        "succeeded": {"completed": 100, "pending": 0, "validating": 0}.get(status, 40),
        "failed": 0,
        "created_at": created,
        "started_at": created + MINUTE,
        "updated_at": created + MINUTE,
        "seen_at": now_ms(),
    }
    if status == "cancelling":
        facts["cancel_requested_at"] = now_ms() - MINUTE
    facts |= more
    return tuple(facts.get(column) for column in SAMPLE_COLUMNS)


def jobs(*statuses: str) -> list[SampleRow]:
    """Jobs 1, 2, …, the last one on top of the table."""
    return [job(number, status) for number, status in enumerate(statuses, start=1)]


def make_store(path: Path, rows: Iterable[SampleRow] = ()) -> Path:
    build_sample_store(path, rows)
    return path


def change(path: Path, sql: str, *values: Any) -> None:
    """Change the store as another process does."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as connection:
        connection.execute(sql, values)


def add(path: Path, *rows: SampleRow) -> None:
    """Add jobs to a store in use."""
    columns = ", ".join(SAMPLE_COLUMNS)
    marks = ", ".join("?" * len(SAMPLE_COLUMNS))
    with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as connection:
        for row in rows:
            public = f"z{abs(hash(row)) % 10**7:07d}"
            connection.execute(f"INSERT INTO job (public_id, {columns}) VALUES (?, {marks})", (public, *row))


def add_retry(path: Path, parent: int, row: SampleRow) -> None:
    """Add a job that was sent again from another."""
    columns, marks = ", ".join(SAMPLE_COLUMNS), ", ".join("?" * len(SAMPLE_COLUMNS))
    insert = f"INSERT INTO job (public_id, parent_id, {columns}) VALUES (?, ?, {marks})"
    with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as connection:
        public = f"y{abs(hash((parent, row))) % 10**7:07d}"
        made = connection.execute(insert, (public, parent, *row)).lastrowid
        connection.execute("UPDATE job SET superseded_by = ? WHERE id = ?", (made, parent))


def account(name: str, server: EmulatorServer | None = None, key: str = "sk-test", **more: Any) -> Account:
    provider = more.pop("provider", "openai")
    base = None
    if server is not None:
        base = server.gemini_base_url if provider == "gemini" else server.openai_base_url
    return Account(name, provider, "TEST_KEY", Secret(key), base, **more)


@dataclass
class Dash:
    """The dashboard while a test looks at it."""

    app: JobdashApp
    pilot: Pilot[None]
    path: Path
    toasts: list[str] = field(default_factory=list)

    async def press(self, *keys: str) -> None:
        """Press keys, each when the one before has been dealt with."""
        for key in keys:
            await self.send(key)
            await self.settle()

    async def send(self, key: str) -> None:
        """Press a key without waiting for what comes of it."""
        char = key if len(key) == 1 else _CHARACTERS.get(key)
        name = _character_to_key(key) if len(key) == 1 else key
        event = events.Key(name, char)
        event.set_sender(self.app)
        self.app.post_message(event)

    async def type(self, text: str) -> None:
        await self.press(*text)

    async def settle(self) -> None:
        """Let all messages be dealt with, and those they bring about.

        Unlike `Pilot.pause` it does not wait for the process to be idle, which threads keep it from being.
        """
        for _ in range(3):
            await self.pilot._wait_for_screen()
            await asyncio.sleep(0)
        self.app.screen._on_timer_update()

    async def until(self, condition: Callable[[], Any], seconds: float = DEADLINE_S) -> Any:
        """Wait for a condition; what it returns, or an AssertionError with the screen."""
        deadline = time.monotonic() + seconds
        if found := condition():
            return found
        pause = 0.005
        while True:
            await asyncio.sleep(pause)
            pause = min(1.4 * pause, 0.04)
            self.app.screen._on_timer_update()
            if condition():
                await self.settle()
                if found := condition():
                    return found
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {seconds} s in vain; toasts {self.toasts}\n{self.screen}")

    async def until_dialog(self) -> Any:
        """Wait until a dialog can be answered, and return it."""
        await self.until(lambda: self.app.screen.is_modal and getattr(self.app.screen, "drawn", False))
        await self.settle()
        return self.app.screen

    async def until_table(self) -> None:
        await self.until(lambda: not self.app.screen.is_modal)
        await self.settle()

    async def until_exit(self) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while self.app.is_running:
            assert time.monotonic() < deadline, "it goes on"
            await asyncio.sleep(0.005)

    @property
    def table(self) -> JobTable:
        return self.app.main.view.table

    @property
    def current(self) -> str:
        row = self.table.current
        return row.name if row else ""

    @property
    def marked(self) -> set[str]:
        return {row.name for row in self.app.context.browser.rows(list(self.table.marks)).values()}

    @property
    def names(self) -> list[str]:
        """The jobs on the screen, from top to bottom."""
        return [row.name for row in self.table.visible_rows]

    def statuses(self) -> dict[str, str]:
        return {row.name: row.status.value for row in self.table.visible_rows}

    def line(self, name: str) -> str:
        """One of the lines around the table: accounts, banner, tabs, header, title, summary, keys, …"""
        return self.app.screen.query_one(f"#{name}", Line).plain

    @property
    def filter_line(self) -> str:
        parts = ("filter-prompt", "filter-count")
        return " ".join(self.app.main.query_one(f"#{name}", Line).plain for name in parts)

    @property
    def screen(self) -> str:
        """Everything that can be seen, as text."""
        return screen_text(self.app)

    @property
    def toast(self) -> str:
        return self.toasts[-1] if self.toasts else ""

    def select(self, name: str) -> None:
        """Put the cursor on a job in sight."""
        self.table.go(round(self.table.scroll_y) + self.names.index(name))

    def count(self, tab: Tab) -> int:
        return self.app.main.view.model.counts.by_tab[tab]


def screen_text(app: JobdashApp) -> str:
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def make_config(
    path: StoreLocation,
    accounts: Sequence[Account] = (),
    ui: UiSettings | None = None,
    sync: SyncSettings | None = None,
    **more: Any,
) -> Config:
    return Config(
        path=beside(path).with_name("config.toml"),
        exists=False,
        database=path,
        accounts=tuple(accounts),
        ui=ui or UiSettings(ascii=False),
        sync=sync or SyncSettings(),
        **more,
    )


@asynccontextmanager
async def dashboard(
    path: StoreLocation,
    accounts: Sequence[Account] = (),
    *,
    rows: Iterable[SampleRow] | None = None,
    size: tuple[int, int] = (120, 36),
    working: bool = True,
    demo: bool = False,
    **settings: Any,
) -> AsyncIterator[Dash]:
    """Open the dashboard over a store; ``working=False`` keeps its threads from starting."""
    if rows is not None:
        assert isinstance(path, Path)
        make_store(path, rows)
    config = make_config(path, accounts, **settings)
    opened = open_browser(path)
    opened.browser.follow()
    app = JobdashApp(DashboardContext.of(config, opened.browser, opened.read_only, demo=demo))
    if not working:
        app.runtime.start = lambda: None  # type: ignore[method-assign]
    dash = Dash(app, None, path)  # type: ignore[arg-type]
    show = app.notify

    def notify(message: str, **more: Any) -> None:
        dash.toasts.append(message)
        show(message, **more)

    app.notify = notify  # type: ignore[method-assign]
    try:
        async with app.run_test(size=size, notifications=True) as pilot:
            dash.pilot = pilot
            await dash.until(lambda: app.main.query_one("#accounts", Line).plain)
            yield dash
            assert not app.display_errors, app.display_errors
    finally:
        opened.browser.close()


def machine_env(**more: str) -> dict[str, str]:
    """The environment for a dashboard of its own process: no settings, a real terminal."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {**kept, "TERM": "xterm-256color", "LANG": "C.UTF-8", "COLORTERM": "truecolor", **more}
