"""The dashboard over a store with other people's accounts."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import postgres_kit
import psycopg
import pytest
from textual.widgets import Checkbox
from tui_kit import account, change, dashboard, job, now_ms

from jobdash.store.dialects import postgres_admin
from jobdash.tui.commands import COMMANDS
from jobdash.tui.widgets.job_table import JobTable
from jobdash.tui.widgets.text_views import Notes


def polled_by(path: Path, person: str) -> None:
    change(
        path,
        "INSERT INTO account (name, provider, asked_at, ok_at, first_sync_done, fingerprint, polled_by)"
        " VALUES ('openai', 'openai', ?, ?, 1, '0123abcd', ?)",
        now_ms(),
        now_ms(),
        person,
    )


def name_style(table: JobTable, line: int) -> object:
    """The colour of a job's name, on a line that the cursor is not on."""
    row = table.window.row(line)
    assert row is not None
    (style,) = {segment.style for segment in table.render_line(line) if row.name in segment.text}
    assert style is not None
    return style.color


async def test_jobs_of_another_persons_account_are_dim_and_name_who_has_the_key(path: Path) -> None:
    rows = [job(1), job(2, account="mine"), job(3)]
    async with dashboard(path, [account("mine")], rows=rows, working=False) as dash:
        await dash.until(lambda: "account openai is not configured" in dash.line("title"))
        bright = name_style(dash.table, 2)
        polled_by(path, "bob@host-b")
        await dash.until(lambda: "needs the key of openai (bob@host-b)" in dash.line("title"))
        assert name_style(dash.table, 2) != bright
        assert name_style(dash.table, 1) == bright
        assert "openai" not in dash.line("accounts")
        await dash.press("c")
        await dash.until(lambda: "needs the key of openai (bob@host-b)" in dash.toast)
        await dash.press("down", "c")
        await dash.until_dialog()
        await dash.press("escape")
        await dash.until_table()
        dash.app.action_doctor()
        await dash.until(lambda: "another person's, needs the key of openai (bob@host-b)" in dash.screen)


async def test_a_dialog_offers_nothing_that_needs_another_persons_key(path: Path) -> None:
    rows = [job(1, status="completed"), job(2), job(3, account="mine", status="completed")]
    async with dashboard(path, [account("mine")], rows=rows, working=False) as dash:
        await dash.press("down")
        polled_by(path, "bob@host-b")
        await dash.until(lambda: "needs the key of openai (bob@host-b)" in dash.line("title"))

        async def offered(*keys: str) -> tuple[set[str | None], str]:
            await dash.press(*keys)
            screen = await dash.until_dialog()
            found = {box.id for box in screen.query(Checkbox)}, screen.query_one(Notes).plain
            await dash.press("escape")
            await dash.until_table()
            return found

        _, words = await offered("f")
        assert "no cancel is tried: needs the key of openai (bob@host-b)" in words
        assert "tried as well" not in words
        assert (await offered("down", "x"))[0] == {"choice-record"}
        assert (await offered("home", "x"))[0] == {"choice-record", "choice-remote"}


# ── who may only read ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.postgres_only
async def test_a_database_role_that_may_only_read_sees_everything_and_changes_nothing(
    tmp_path: Path, database: str
) -> None:
    assert database == "postgresql"
    path = postgres_kit.empty_store(tmp_path)
    with contextlib.suppress(psycopg.errors.DuplicateObject):
        postgres_kit.raw(path, "CREATE ROLE viewer LOGIN")
    postgres_admin.grant_reading(path, "viewer")
    seen = replace(path, url=path.url.replace("postgres@", "viewer@"))
    insert = (
        "INSERT INTO job (public_id, provider, account, origin, remote_id, name, remote_status, raw_status,"
        " created_at) VALUES (?, 'openai', 'openai', 'o', ?, ?, 'in_progress', 'x', 1)"
    )
    postgres_kit.raw(path, insert, ["j1", "b1", "first"])
    async with dashboard(seen, [account("openai")]) as dash:
        await dash.until(lambda: "this database role may only read" in dash.line("banner"))
        assert dash.names == ["first"]
        postgres_kit.raw(path, insert, ["j2", "b2", "second"])
        await dash.until(lambda: set(dash.names) == {"first", "second"})
        for key in ("c", "C", "f", "r", "d", "x", "X", "u", "n", "f5"):
            dash.toasts.clear()
            await dash.press(key)
            await dash.until(lambda: "this database role may only read" in dash.toast)
        assert not dash.app.screen.is_modal
    assert postgres_kit.raw(path, "SELECT count(*) FROM event")[0][0] == 0


async def test_with_read_only_the_footers_have_no_key_that_writes(path: Path) -> None:
    words = ("Cancel", "Force-fail", "Retry", "Remove", "Fetch", "Undo", "Submit", "Ask for errors")
    async with dashboard(path, [account("openai")], rows=[job(1, "failed"), job(2)], working=False) as dash:
        assert "Cancel" in dash.line("keys")
        dash.app.stop_writing("read_only is set in here")
        for _ in range(2):
            await dash.until(lambda: not any(word in dash.line("keys") for word in words))
            assert "Open" in dash.line("keys")
            await dash.press("enter")
            await dash.until(lambda: "Close" in dash.line("keys"))
            assert not any(word in dash.line("keys") for word in words), dash.line("keys")
            await dash.press("escape", "down")


async def test_with_read_only_every_key_says_why_not(path: Path) -> None:
    why = "read_only is set in here"
    async with dashboard(path, [account("openai")], rows=[job(1), job(2, "failed")]) as dash:
        dash.app.stop_writing(why)
        changing = {command.key.split(",")[0] for command in COMMANDS if command.changes or command.acts}
        for key in sorted(changing - {""}):
            dash.toasts.clear()
            await dash.press(key)
            await dash.until(lambda: why in dash.toast)
            assert not dash.app.screen.is_modal, key
