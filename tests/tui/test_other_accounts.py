"""The dashboard over a store with other people's accounts."""

from __future__ import annotations

from pathlib import Path

from tui_kit import account, change, dashboard, job, now_ms

from jobdash.tui.widgets.job_table import JobTable


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
