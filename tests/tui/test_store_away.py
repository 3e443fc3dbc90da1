"""A dashboard over a store on a server that goes away: rows stay, and it goes on by itself."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import postgres_kit
import pytest
from shared.deadlines import LONG, stopped
from shared.small_disk import server_on_small_disk
from tui_kit import account, dashboard, jobs, make_store

from jobdash.demo.emulator import OPENAI_KEY, BatchScript, Emulator, EmulatorServer
from jobdash.domain.status import Tab
from jobdash.store import server_store
from jobdash.store.copying import copy_store
from jobdash.store.location import PostgresLocation

AWAY = "store away since "
FULL = "No space left on device"


@pytest.fixture
def served(path: Path) -> Iterator[tuple[postgres_kit.Server, PostgresLocation]]:
    """A server of the test's own, with a store of three jobs."""
    folder = Path(tempfile.mkdtemp(prefix="jobdash-pg-tui-"))
    running = postgres_kit.start(folder)
    running.run("CREATE DATABASE jobs")
    location = PostgresLocation(running.url("jobs"), folder=path.parent)
    server_store.create(location)
    copy_store(make_store(path, jobs("in_progress", "failed", "completed")), location)
    yield running, location
    running.process.kill()
    running.process.wait(LONG)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.postgres
async def test_the_rows_stay_while_the_store_is_away(
    served: tuple[postgres_kit.Server, PostgresLocation],
) -> None:
    server, location = served
    async with dashboard(location) as dash:
        await dash.until(lambda: len(dash.names) == 3)
        postgres_kit.raw(location, "UPDATE job SET name = 'renamed' WHERE name = 'job-001'")
        await dash.until(lambda: "renamed" in dash.names)

        server.stop()
        await dash.until(lambda: AWAY in dash.app.main._banner.plain)
        began = time.monotonic()
        await dash.press("down", "up", "1", "0", "slash", "escape")
        assert time.monotonic() - began < 4.0, "no key waits for a network"
        assert "renamed" in dash.names

        again = postgres_kit.start(server.folder)
        try:
            await dash.until(lambda: not dash.app.main._banner.plain)
            postgres_kit.raw(location, "UPDATE job SET name = 'once more' WHERE name = 'renamed'")
            await dash.until(lambda: "once more" in dash.names)
        finally:
            again.process.kill()
            again.process.wait(LONG)


@pytest.mark.slow
@pytest.mark.postgres
async def test_a_connection_that_is_ended_is_made_anew(
    served: tuple[postgres_kit.Server, PostgresLocation],
) -> None:
    _, location = served
    ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'jobdash'"
    async with dashboard(location) as dash:
        await dash.until(lambda: len(dash.names) == 3)
        postgres_kit.raw(location, ends)
        postgres_kit.raw(location, "UPDATE job SET name = 'renamed' WHERE name = 'job-001'")
        await dash.until(lambda: "renamed" in dash.names and not dash.app.main._banner.plain)


@pytest.mark.slow
@pytest.mark.postgres
async def test_a_server_that_is_frozen_holds_up_no_key(
    served: tuple[postgres_kit.Server, PostgresLocation],
) -> None:
    _, location = served
    asked = "SELECT pid FROM pg_stat_activity WHERE application_name = 'jobdash'"
    async with dashboard(location) as dash:
        await dash.until(lambda: len(dash.names) == 3)
        pids = [pid for (pid,) in postgres_kit.raw(location, asked)]
        with stopped(pids):
            await dash.until(lambda: AWAY in dash.app.main._banner.plain)
            began = time.monotonic()
            await dash.press("down", "up", "2", "0")
            assert time.monotonic() - began < 2.0
        await dash.until(lambda: not dash.app.main._banner.plain)


@pytest.mark.slow
@pytest.mark.postgres
async def test_a_full_disk_is_told_while_the_rows_stay_and_ends_by_itself(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:
    emulator.openai.add_batch(BatchScript(name="first", created_at=emulator.clock.now() - 60))
    with server_on_small_disk() as (running, disk):
        location = PostgresLocation(running.url("jobs"), folder=path.parent)
        server_store.create(location)
        async with dashboard(location, [account("openai", server, OPENAI_KEY)]) as dash:
            await dash.until(lambda: dash.names == ["first"])
            disk.fill()
            for number in range(200):
                words = {f"k{n}": f"{number}".ljust(500, "x") for n in range(14)}
                created = emulator.clock.now() - 30 + number / 100
                script = BatchScript(name=f"big {number}", metadata=words, created_at=created)
                emulator.openai.add_batch(script)
            await dash.press("f5")
            await dash.until(lambda: "openai ✗ The store postgresql" in dash.line("accounts"))
            (health,) = dash.app.context.browser.accounts()
            assert FULL in (health.error or "")
            assert "first" in dash.names
            await dash.press("down", "enter", "escape", "1", "0")
            assert "first" in dash.names, "what is there can be read"
            disk.free()
            await dash.press("f5")
            await dash.until(lambda: dash.count(Tab.ALL) == 201, 30)
            await dash.until(lambda: "openai ✓" in dash.line("accounts"))
