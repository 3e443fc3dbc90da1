"""The screen of a job that a script runs: items, errors, details, log and output, followed live."""

from __future__ import annotations

import os
import random
import re
import sqlite3
import time
from contextlib import closing
from dataclasses import fields
from pathlib import Path

import pytest
from scripts_kit import script
from shared.local_kit import ELSEWHERE, LAPSED, begin
from tui_kit import Dash, account, change, dashboard, jobs, make_store

from jobdash.config.settings import UiSettings
from jobdash.domain.items import ItemErrorGroup, ItemErrors, ItemRow, ItemStatus
from jobdash.domain.job import JobRow
from jobdash.domain.status import Status
from jobdash.tui.render.script_job_details import error_lines
from jobdash.tui.screens.job import JobScreen
from jobdash.tui.widgets.item_list import ItemList
from jobdash.tui.widgets.items import ItemsPage

KEYS = [f"photos/img_{number:03}.jpg" for number in range(8)]


@pytest.fixture(autouse=True)
def _nobodys_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


async def opened(dash: Dash, name: str = "resize") -> JobScreen:
    await dash.until(lambda: name in dash.names)
    dash.select(name)
    await dash.press("enter")
    await dash.until(lambda: isinstance(dash.app.screen, JobScreen) and dash.line("job-head"))
    assert isinstance(dash.app.screen, JobScreen)
    return dash.app.screen


async def scrolled(dash: Dash) -> None:
    """Wait until the lines stand still: keys scroll them little by little."""
    view = dash.app.screen.query_one("#job-lines")
    await dash.until(lambda: view.scroll_y == view.scroll_target_y)
    await dash.settle()


def items(dash: Dash) -> ItemList:
    return dash.app.screen.query_one("#items", ItemList)


def on_screen(view: ItemList) -> list[ItemRow]:
    first = round(view.scroll_y)
    found = (view.window.item(index) for index in range(first, first + view.size.height))
    return [item for item in found if item is not None]


def outcomes(dash: Dash) -> list[tuple[str, str]]:
    return [(item.key, str(item.outcome)) for item in on_screen(items(dash))]


def look_at(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path, timeout=5)) as connection:
        return connection.execute(sql).fetchall()


async def test_bar_counts_and_items_follow_the_script(path: Path) -> None:
    """C-1, D-6"""
    make_store(path)
    with script(path, KEYS) as resize:
        async with dashboard(path, working=False) as dash:
            await opened(dash)
            await dash.until(lambda: "0 / 8 files  0%" in dash.line("job-progress"))
            await dash.until(lambda: outcomes(dash) == [(key, "waiting") for key in KEYS])
            resize.go("ok", "error", "skip", "ok")
            await dash.until(lambda: "4 / 8 files  50%" in dash.line("job-progress"))
            await dash.until(lambda: dash.screen.count("✔ photos") == 2)
            for text in (
                "✖ photos/img_001.jpg",
                "ValueError: no such colour",
                "↷ photos/img_002.jpg",
                "12 KB",
            ):
                assert text in dash.screen
            assert "1 failed" in dash.line("job-progress")
            assert "left" in dash.line("job-progress")
            assert dash.screen.count("◌ photos") == 4
            assert "all 8   ✔ ok 2   ✖ error 1   ↷ skipped 1   ◌ unprocessed 4" in dash.line("item-filter")
            resize.go("ok", "ok", "ok", "ok")
            await dash.until(lambda: "partial" in dash.line("job-head"))
            await dash.press("escape")
            await dash.until(lambda: any("resize: partial, 1 failed" in toast for toast in dash.toasts))


async def test_a_cancel_lets_the_item_finish_and_lists_what_was_not_processed(path: Path) -> None:
    """C-2, C-4, C-6, C-13"""
    make_store(path)
    with script(path, KEYS) as resize:
        async with dashboard(path) as dash:
            await dash.until(lambda: dash.app.runs._ready)
            await opened(dash)
            resize.go("ok", "error")
            await dash.until(lambda: "2 / 8 files" in dash.line("job-progress"))
            await dash.press("c")
            await dash.until_dialog()
            assert "items under way finish, no new ones start" in dash.screen
            await dash.press("y")
            await dash.until(lambda: "Cancelling… items under way finish" in dash.line("job-summary"))
            assert "cancelling" in dash.line("job-head")
            resize.go("ok")
            ended = "Job was cancelled: 3 of 8 done, 5 not processed"
            await dash.until(lambda: ended in dash.line("job-summary"))
            assert "c Cancel" not in dash.line("keys")
            await dash.press("o", "o", "o", "o")
            await dash.until(lambda: outcomes(dash) == [(key, "waiting") for key in KEYS[3:]])
            await dash.until(resize.ended)
        async with dashboard(path, working=False) as dash:  # C-7
            await opened(dash)
            await dash.until(lambda: ended in dash.line("job-summary"))


@pytest.mark.slow
async def test_declining_changes_nothing(path: Path) -> None:
    """C-3"""
    run = begin(make_store(path), total=4)
    run.expects(4)
    run.did("ok")
    before = look_at(path, "SELECT * FROM job")
    async with dashboard(path, working=False) as dash:
        await opened(dash)
        for key in ("c", "f", "X"):
            await dash.press(key)
            await dash.until_dialog()
            await dash.press("escape")
            await dash.until_table()
    assert look_at(path, "SELECT * FROM job") == before


async def test_many_presses_are_one_cancel(path: Path) -> None:
    """C-11"""
    make_store(path)
    with script(path, KEYS) as resize:
        async with dashboard(path) as dash:
            await dash.until(lambda: dash.app.runs._ready)
            await opened(dash)
            for _ in range(5):
                await dash.send("c")
            await dash.until_dialog()
            for key in "yyyyy":
                await dash.send(key)
            await dash.until_table()
            await dash.until(lambda: "cancelling" in dash.line("job-head"))
            await dash.press("c", "c")
            await dash.until(lambda: any("already asked" in toast for toast in dash.toasts))
        resize.leave()
    assert look_at(path, "SELECT count(*) FROM event WHERE action = 'cancel'") == [(1,)]


async def test_the_running_job_is_found_again_after_a_restart(path: Path) -> None:
    """C-7"""
    make_store(path)
    with script(path, KEYS) as resize:
        for done in (1, 2):
            resize.go("ok")
            async with dashboard(path, working=False) as dash:
                await opened(dash)
                await dash.until(lambda n=done: f"{n} / 8 files" in dash.line("job-progress"))  # type: ignore[misc]
                assert "running" in dash.line("job-head")


@pytest.mark.parametrize(
    ("end", "offered", "absent"),
    [
        (
            None,
            ("c Cancel", "f Force-fail", "X Cancel & delete", "d Fetch", "esc Close"),
            ("r Retry", "x Remove"),
        ),
        ("cancelled", ("r Retry", "d Fetch", "x Remove", "esc Close"), ("c Cancel", "f Force-fail", "X ")),
        ("failed", ("r Retry", "d Fetch", "x Remove", "esc Close"), ("c Cancel", "f Force-fail", "X ")),
        ("completed", ("r Retry", "d Fetch", "x Remove", "esc Close"), ("c Cancel", "f Force-fail", "X ")),
    ],
)
async def test_what_is_offered_depends_on_the_state(
    path: Path, end: str | None, offered: tuple[str, ...], absent: tuple[str, ...]
) -> None:
    """C-2, C-12, E-5, E-6"""
    run = begin(make_store(path), total=3)
    run.did("ok", "error", "ok")
    if end:
        run.ends(end)
    async with dashboard(path, working=False) as dash:
        await opened(dash)
        await dash.until(lambda: all(words in dash.line("keys") for words in offered))
        assert not [words for words in absent if words in dash.line("keys")]


async def test_errors_are_grouped(path: Path) -> None:
    run = begin(make_store(path), total=5)
    run.did("ok", "error", "error", "ok", "error")
    run.ends("failed", "OSError: the disk is full")
    async with dashboard(path, working=False) as dash:
        await opened(dash)
        await dash.press("2")
        await dash.until(lambda: "3 × ValueError" in dash.screen)
        assert "no such colour" in dash.screen
        assert "first: key 1" in dash.screen
        assert "OSError: the disk is full" in dash.screen
        await dash.press("e")
        assert "No provider to ask" in dash.toast


async def test_details_name_attempts_worker_and_lease(path: Path, tmp_path: Path) -> None:
    begin(make_store(path), total=3).did("ok", "error", "ok")
    change(path, "UPDATE job SET lease_until = 1, owner = ?", ELSEWHERE.encode())
    begin(path, argv=["python", "resize.py", "--all"], cwd=tmp_path, tags={"kind": "photos"})
    async with dashboard(path, working=False) as dash:
        await opened(dash)
        await dash.press("3")
        for text in ("attempt 2", "attempt 1", "resize.py --all", "tag kind", str(tmp_path), "it is jobdash"):
            assert text in dash.screen, text
        assert "is at it; stalled in 59m unless it is heard of before" in dash.screen
        assert re.search(rf"machine +{re.escape(os.uname().nodename)} ", dash.screen)


async def test_the_output_of_a_script_is_followed(path: Path, tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    log.write_text("".join(f"line {number}\n" for number in range(500)) + "0%\r10%\r20%\x1b[31m")
    begin(make_store(path), total=3, log_file=str(log))
    async with dashboard(path, working=False) as dash:
        await opened(dash)
        await dash.press("5")
        await dash.until(lambda: "line 499" in dash.screen)
        assert "10%" not in dash.screen
        assert "20%␛[31m" in dash.screen
        with log.open("a") as more:
            more.write("\nand on it goes\n")
        await dash.until(lambda: "and on it goes" in dash.screen)
        log.unlink()
        await dash.until(lambda: "cannot be read" in dash.screen)


@pytest.mark.slow
async def test_the_output_is_followed_until_a_person_scrolls_up(path: Path, tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    log.write_text("".join(f"line {number}\n" for number in range(100)))

    def on(words: str) -> None:
        with log.open("a") as more:
            more.write(f"{words}\n")

    begin(make_store(path), total=3, log_file=str(log))
    async with dashboard(path, working=False, size=(100, 30)) as dash:
        await opened(dash)
        await dash.press("5")
        await dash.until(lambda: "line 99" in dash.screen)
        await dash.pilot.resize_terminal(100, 22)
        await dash.until(lambda: "line 99" in dash.screen)
        on("behind a smaller terminal")
        await dash.until(lambda: "behind a smaller terminal" in dash.screen)
        await dash.press("up")
        await dash.until(lambda: "behind a smaller terminal" not in dash.screen)
        await scrolled(dash)
        first = dash.screen
        on("unseen")
        looks = dash.app.screen._polls  # type: ignore[attr-defined]
        await dash.until(lambda: dash.app.screen._polls > looks + 5)  # type: ignore[attr-defined]
        assert dash.screen == first
        await dash.press("end")
        await dash.until(lambda: "unseen" in dash.screen)


async def test_without_a_log_file_there_is_no_output_page(path: Path) -> None:
    begin(make_store(path), total=3)
    async with dashboard(path, working=False) as dash:
        screen = await opened(dash)
        assert screen._view.pages() == ("items", "errors", "details", "log")
        await dash.press("5")
        assert screen.page == "items"
        await dash.press("left")
        assert screen.page == "log"


async def test_the_screen_of_a_batch_that_runs_has_no_items_yet(path: Path) -> None:
    async with dashboard(path, [account("openai")], rows=jobs("in_progress"), working=False) as dash:
        screen = await opened(dash, "job-001")
        assert screen._view.pages() == ("errors", "details", "log", "items")
        await dash.press("4")
        await dash.until(lambda: "No results yet" in dash.screen)
        assert "40 ok of 100 requests, as its provider counts" in dash.screen
        await dash.press("r")
        await dash.until(lambda: "cancel it there first, or it is billed twice" in dash.toast)


async def test_a_loop_without_keys_has_counts_only(path: Path) -> None:
    begin(make_store(path), total=9, keyed=False).claimed.lease.write_counts(4, 0)
    async with dashboard(path, working=False) as dash:
        await opened(dash)
        await dash.until(lambda: "Counts only" in dash.screen)
        assert "give track() a key= and items appear here" in dash.screen
        assert "4 / 9" in dash.line("job-progress")


async def test_ascii_has_marks_for_items_too(path: Path) -> None:
    run = begin(make_store(path), total=4)
    run.expects(4)
    run.did("ok", "error", "skipped")
    async with dashboard(path, working=False, ui=UiSettings(ascii=True)) as dash:
        await opened(dash)
        await dash.until(lambda: "+ key 0" in dash.screen)
        for mark in ("x key 1", "/ key 2", ". key 3"):
            assert mark in dash.screen
        assert dash.screen.isascii()


async def test_hostile_keys_are_text(path: Path) -> None:
    run = begin(make_store(path))
    from jobdash.store.leases.lease import ItemWrite

    run.claimed.lease.write_items(
        [
            ItemWrite("[/] \x1b[31m\u202ekey", "error", None, "Err[b]", "\x00\nmessage"),
            ItemWrite("k" * 5_000, "ok"),
        ]
    )
    async with dashboard(path, working=False, size=(80, 24)) as dash:
        await opened(dash)
        await dash.until(lambda: "[/] ␛[31m" in dash.screen)
        assert "\x1b" not in dash.screen
        await dash.press("2")
        await dash.until(lambda: "Err[b]" in dash.screen)


async def test_a_stalled_job_shows_it_and_what_to_do(path: Path) -> None:
    begin(make_store(path), total=4, lease_ms=LAPSED - 120_000, owner=ELSEWHERE).did("ok")
    change(path, "UPDATE job SET lease_until = lease_until - 3600000")
    async with dashboard(path, working=False) as dash:
        await dash.until(lambda: "⚠ stalled" in dash.screen)
        assert "its script has not been heard of for 1h" in dash.line("summary")
        assert "f fails it" in dash.line("summary")
        await opened(dash)
        assert "⚠ stalled" in dash.line("job-head")
        assert "left" not in dash.line("job-progress")
        assert "r Retry" in dash.line("keys")


async def test_a_cancelling_job_without_a_worker_is_drawn_cancelled_and_then_closed(path: Path) -> None:
    run = begin(make_store(path), total=4, owner=ELSEWHERE)
    run.did("ok")
    change(path, "UPDATE job SET cancel_requested_at = 5, lease_until = 6")
    async with dashboard(path, working=False) as dash:
        await dash.until(lambda: "⊘ cancelled" in dash.screen)
        await opened(dash)
        assert "cancelled (worker gone)" in dash.line("job-head")
    async with dashboard(path) as dash:
        await dash.until(lambda: look_at(path, "SELECT remote_status FROM job") == [("cancelled",)])
        await dash.until(lambda: "resize: cancelled" in dash.toasts)


# ── the list ───────────────────────────────────────────────────────────────────────────────────────────────


def fill(path: Path, count: int) -> int:
    """A job with many items, as many runs would leave them: every 7th failed, every 11th not processed."""
    run = begin(path, total=count)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.create_function("now_ms", 0, lambda: int(time.time() * 1000))
        connection.execute("BEGIN")
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)"
            " INSERT INTO item (job_id, seq, key, outcome, attempt, at)"
            " SELECT ?, i, printf('key %07d', i),"
            " CASE WHEN i % 11 = 0 THEN 'waiting' WHEN i % 7 = 0 THEN 'error' ELSE 'ok' END, 1, 5 FROM n",
            (count, run.id),
        )
        connection.execute(
            "UPDATE job SET failed = (SELECT count(*) FROM item WHERE outcome = 'error'),"
            " succeeded = (SELECT count(*) FROM item WHERE outcome = 'ok')"
        )
        connection.execute("COMMIT")
    return run.id


def model(path: Path, outcome: ItemStatus | None) -> list[str]:
    where = "" if outcome is None else f"WHERE outcome = '{outcome}'"
    return [str(key) for (key,) in look_at(path, f"SELECT key FROM item {where} ORDER BY seq")]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.slow
async def test_the_list_equals_the_store_wherever_it_is(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    fill(make_store(path), 3_000)
    async with dashboard(path, working=False, size=(90, 24)) as dash:
        await opened(dash)
        page, view = dash.app.screen.query_one(ItemsPage), items(dash)
        await dash.until(lambda: on_screen(view))
        for _ in range(40):
            act = chance.choice(("down", "up", "pagedown", "pageup", "home", "end", "o", "scroll", "change"))
            if act == "scroll":
                view.scroll_to(y=chance.randrange(max(1, view.virtual_size.height)), animate=False)
                await dash.settle()
            elif act == "change":
                change(path, "UPDATE item SET outcome = 'ok' WHERE seq = ?", chance.randrange(3_000))
                change(
                    path,
                    "UPDATE job SET failed = (SELECT count(*) FROM item WHERE outcome = 'error'),"
                    " succeeded = (SELECT count(*) FROM item WHERE outcome = 'ok')",
                )
            else:
                await dash.press(act)
            revision = dash.app.context.browser.revision()
            await dash.until(lambda r=revision: page._seen and page._seen[0] == r)  # type: ignore[misc]
            await dash.settle()
            wanted = model(path, page.outcome)
            first = round(view.scroll_y)
            assert view.virtual_size.height == len(wanted)
            assert [item.key for item in on_screen(view)] == wanted[first : first + view.size.height]
            assert len(view.window.items) <= 300


async def test_scrolled_items_stay_in_place_when_others_leave(path: Path) -> None:
    fill(make_store(path), 2_000)
    async with dashboard(path, working=False, size=(90, 24)) as dash:
        await opened(dash)
        dash.app.screen.query_one(ItemsPage).turn(ItemStatus.ERROR)
        view = items(dash)
        await dash.press("pagedown", "pagedown", "pagedown")
        top = on_screen(view)[0].key
        change(path, "UPDATE item SET outcome = 'ok' WHERE seq IN (7, 14)")
        change(path, "UPDATE job SET failed = failed - 2, succeeded = succeeded + 2")
        await dash.until(
            lambda: "key 0000014" not in model(path, ItemStatus.ERROR) and view.window.total < 260
        )
        await dash.settle()
        assert on_screen(view)[0].key == top


async def test_keys_reach_the_list_behind_an_outcome_nothing_has(path: Path) -> None:
    fill(make_store(path), 500)
    async with dashboard(path, working=False, size=(90, 24)) as dash:
        await opened(dash)
        view = items(dash)
        await dash.press("o", "o", "o")
        await dash.until(lambda: "No item was skipped" in dash.screen)
        await dash.press("o", "end")
        assert on_screen(view)[-1].key == "key 0000495"
        await dash.press("2", "1", "home")
        assert on_screen(view)[0].key == "key 0000000"


async def test_an_outcome_that_nothing_has_is_described_in_a_sentence(path: Path) -> None:
    run = begin(make_store(path), total=1)
    run.did("skipped")
    async with dashboard(path, working=False) as dash:
        await opened(dash)
        for text in ("No item has succeeded", "No item has failed"):
            await dash.press("o")
            await dash.until(lambda text=text: text in dash.screen)
        run.did("ok", first=0)
        for text in ("No item was skipped", "No item is unprocessed"):
            await dash.press("o")
            await dash.until(lambda text=text: text in dash.screen)


async def test_a_list_at_its_end_stays_there(path: Path) -> None:
    run = begin(make_store(path))
    run.did(*["ok"] * 60)
    async with dashboard(path, working=False, size=(90, 24)) as dash:
        await opened(dash)
        await dash.until(lambda: "key 59" in dash.screen)
        run.did(*["ok"] * 10, first=60)
        await dash.until(lambda: "key 69" in dash.screen)
        await dash.press("home")
        run.did("error", first=70)
        await dash.until(lambda: "71 / " in dash.line("job-progress") or "71" in dash.line("item-filter"))
        assert "key 0" in dash.screen
        await dash.press("end")
        assert "key 70" in dash.screen


@pytest.mark.slow
@pytest.mark.parametrize("outcome", [None, ItemStatus.OK])
async def test_a_million_items_open_and_scroll_like_a_hundred(path: Path, outcome: ItemStatus | None) -> None:
    """C-1: what is loaded does not grow with the items."""
    fill(make_store(path), 1_000_000)
    async with dashboard(path, working=False) as dash:
        await opened(dash)
        dash.app.screen.query_one(ItemsPage).turn(outcome)
        view = items(dash)
        took: list[float] = []
        for key in ("end", "pageup", "home", "pagedown", "end", "pageup", "pageup", "down") * 3:
            began = time.perf_counter()
            await dash.press(key)
            took.append(time.perf_counter() - began)
            assert len(view.window.items) <= 300
        view.scroll_to(y=500_000, animate=False)
        await dash.settle()
        assert len(on_screen(view)) == view.size.height
        print(f"a key: {sorted(took)[len(took) // 2] * 1000:.1f} ms, the slowest {max(took) * 1000:.1f} ms")


# ── what a reviewer found ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["local", "provider"])
async def test_ages_on_the_details_page_go_on_when_the_job_has_ended(path: Path, kind: str) -> None:
    if kind == "local":
        run = begin(make_store(path), total=2)
        run.ends("completed")
    else:
        make_store(path, jobs("completed"))
    async with dashboard(path, [account("openai")], working=False) as dash:
        screen = await opened(dash, "resize" if kind == "local" else "job-001")
        await dash.press("3" if kind == "local" else "2")
        assert screen.page == "details"
        before = dash.screen
        clock = dash.app.context.clock
        screen.context.clock = lambda: clock() + 7 * 3_600_000
        await dash.until(lambda: dash.screen != before)


async def test_a_part_of_the_errors_is_marked_first_and_long_messages_are_cut(path: Path) -> None:
    run = begin(make_store(path), total=3)
    from jobdash.store.leases.lease import ItemWrite

    run.claimed.lease.write_items([ItemWrite("a", "error", None, "Long", "word " * 800)])
    run.claimed.lease.write_items([ItemWrite("b", "error", None, "Other", "short")])
    async with dashboard(path, working=False) as dash:
        await opened(dash)
        await dash.press("2")
        await dash.until(lambda: "1 × Other" in dash.screen)
        assert "first: a" in dash.screen
        assert "first: b" in dash.screen


def test_what_the_errors_are_of_stands_above_them() -> None:
    groups = (ItemErrorGroup("E", "m", 201, 343, "photo 344"),)
    row = next(iter(local_rows(failed=14_286)))
    lines = [
        "".join(text for text, _ in line) for line in error_lines(row, ItemErrors(groups, 10_000, False), 80)
    ]
    assert lines[0] == "Of 14,286 failed items the first 10,000:"
    assert "    first: photo 344" in lines


def local_rows(**facts: object) -> list[JobRow]:
    plain = {field.name: None for field in fields(JobRow)}
    given = {"id": 1, "name": "x", "status": Status.IN_PROGRESS, "error": None, "failed": 0}
    return [JobRow(**{**plain, **given, **facts})]  # type: ignore[arg-type]


@pytest.mark.slow
async def test_output_wraps_and_stays_while_one_reads_further_up(path: Path, tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    log.write_text("".join(f"line {number}\n" for number in range(300)) + "x" * 150 + "END\n")
    begin(make_store(path), total=3, log_file=str(log))
    async with dashboard(path, working=False, size=(100, 30)) as dash:
        await opened(dash)
        await dash.press("5")
        await dash.until(lambda: "END" in dash.screen)
        await dash.press("pageup", "pageup")
        await scrolled(dash)
        top = dash.screen
        with log.open("a") as more:
            more.write("more\n" * 50)
        for _ in range(6):
            dash.app.screen.poll()  # type: ignore[attr-defined]
            await dash.settle()
        assert dash.screen == top
        await dash.press("end")
        await dash.until(lambda: "more" in dash.screen)
