"""Whatever one job holds, in every time zone: no screen ends for it, and the other jobs are shown."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tui_kit import dashboard, job, jobs, make_store

from jobdash.tui.terminal.app import display_error

END_OF_9999_MS = 253_402_300_799_999
ZONES = ("UTC", "Pacific/Kiritimati", "Etc/GMT+12", "UTC-23:59:59", "UTC+23:59:59")
TIMES = ("created_at", "started_at", "finished_at", "expires_at", "updated_at", "seen_at", "gone_at",
         "cancel_requested_at", "lease_until", "removed_at", "verdict_at")  # fmt: skip
FAR = (END_OF_9999_MS, -END_OF_9999_MS, -62_135_596_800_000, 2**63 - 1, -(2**63), 0, 1)
NO_JSON = ("{", "[1, 2", "7", "null", "[1, null, {}]", '{"a": {"b": [1]}}', "[" * 100_000)


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def write(path: Path, number: int, column: str, value: Any) -> None:
    """Set what a job holds, whatever the schema allows."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(f"UPDATE job SET {column} = ? WHERE name = ?", (value, f"job-{number:03d}"))


async def look_at_all(path: Path, number: int) -> None:
    """Open every page of the newest jobs, and the log."""
    async with dashboard(path, working=False, size=(120, 40)) as dash:
        await dash.press("home")
        for _ in range(number):
            await dash.press("enter", "1", "2", "3", "escape", "down")
        await dash.press("l", "escape", "end")
        assert "job-001" in dash.screen
        assert "cannot be shown" not in dash.screen


@pytest.mark.slow
async def test_times_beyond_every_calendar(path: Path, zone: str) -> None:
    cases = [(column, value) for column in TIMES for value in FAR]
    make_store(path, jobs(*["in_progress"] * (len(cases) + 1)))
    for number, (column, value) in enumerate(cases, start=2):
        write(path, number, column, value)
    await look_at_all(path, len(cases) - len(FAR))


async def test_a_batch_that_never_expires_east_of_utc(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        make_store(path, [job(1, expires_at=END_OF_9999_MS)])
        async with dashboard(path, working=False) as dash:
            await dash.press("enter", "2")
            assert "expires" in dash.screen
            assert "job-001" in dash.screen
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.slow
async def test_columns_of_json_that_hold_none(path: Path) -> None:
    cases = [
        (column, value) for column in ("usage", "errors", "files", "remote_metadata") for value in NO_JSON
    ]
    make_store(path, jobs(*["failed"] * (len(cases) + 1)))
    for number, (column, value) in enumerate(cases, start=2):
        write(path, number, column, value)
    await look_at_all(path, len(cases))


@pytest.mark.slow
async def test_words_and_counts_that_do_not_add_up(path: Path) -> None:
    cases: list[tuple[str, Any]] = [
        ("raw_status", ""), ("total", -5), ("succeeded", 2**62), ("failed", 2**62),
        ("cancelled", -1), ("verdict", "no"), ("error", "\x1b[2J" * 5_000), ("name", ""), ("account", ""),
        ("attempt", -1), ("model", "\u202e" * 3_000), ("endpoint", "\n" * 3_000),
    ]  # fmt: skip
    make_store(path, jobs(*["in_progress"] * (len(cases) + 1)))
    for number, (column, value) in enumerate(cases, start=2):
        write(path, number, column, value)
    await look_at_all(path, len(cases))


async def test_what_the_code_itself_cannot_draw_hides_one_line(path: Path) -> None:
    """Values of other types stand for every mistake that is not known yet."""
    make_store(path, jobs("in_progress", "in_progress", "in_progress"))
    write(path, 2, "model", b"\xff")
    write(path, 2, "expires_at", "soon")
    write(path, 2, "started_at", "then")
    async with dashboard(path, working=False) as dash:
        assert {"job-001", "job-003"} <= {name for name in dash.names if name in dash.screen}
        assert "cannot be shown" in dash.screen
        await dash.press("down")
        await dash.press("enter", "1", "2", "3", "2")
        assert "cannot be shown" in dash.screen
        await dash.press("escape")
        assert dash.app.is_running
        await dash.press("down")
        assert dash.current == "job-001"
        assert dash.app.display_errors
        dash.app.display_errors.clear()


async def test_whatever_the_store_holds_one_can_leave(path: Path) -> None:
    async with dashboard(path, rows=jobs("in_progress"), working=False) as dash:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute(
                "INSERT INTO intent (kind, account, job_id, owner, actor, opened_at, deadline, choices)"
                " VALUES ('remove', 'openai', 1, 'nobody', 'x', 1, 1, '{')"
            )
        await dash.press("q")
        await dash.until_exit()


async def test_an_action_that_fails_unforeseen_ends_nothing(path: Path) -> None:
    wrong = display_error(KeyError("x"))
    async with dashboard(path, rows=jobs("in_progress"), working=False) as dash:

        def fail(*_: object) -> None:
            raise KeyError("x")

        dash.app.main.open_job = fail  # type: ignore[method-assign]
        await dash.press("enter")
        assert dash.toast == wrong
        await dash.press("enter")
        assert len(dash.toasts) == 1
        assert dash.app.display_errors == [wrong]
        dash.app.display_errors.clear()
