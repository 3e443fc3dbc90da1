"""Leases go by the database's clock, however far this computer's is from it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import postgres_kit
import pytest
from cli_kit import Cli
from shared.local_kit import LAPSED, begin

from jobdash.domain.time import HOUR
from jobdash.operations.job_lookup import open_browser
from jobdash.store.location import PostgresLocation
from jobdash.tui.context import DashboardContext

pytestmark = [pytest.mark.postgres, pytest.mark.parametrize("apart", [-HOUR, HOUR])]


@pytest.fixture
def store(cli: Cli, tmp_path: Path) -> PostgresLocation:
    location = postgres_kit.empty_store(tmp_path)
    cli.patch.setenv("JOBDASH_DATABASE", location.address)
    return location


@pytest.fixture
def wrong_clock(monkeypatch: pytest.MonkeyPatch, apart: int) -> Iterator[None]:
    """Set this computer's clock, but not the server's, by an hour."""
    right = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: right() + apart * 1_000_000)
    yield
    monkeypatch.setattr(time, "time_ns", right)


@pytest.mark.usefixtures("wrong_clock")
def test_commands_go_by_the_clock_of_the_store(cli: Cli, store: PostgresLocation) -> None:
    begin(store, "running")
    begin(store, "stalled", lease_ms=LAPSED)
    assert {job["name"]: job["shown_status"] for job in cli.json("list")["jobs"]} == {
        "running": "running",
        "stalled": "stalled",
    }
    assert [job["name"] for job in cli.json("list", "-f", "status:stalled")["jobs"]] == ["stalled"]
    ages = [line for line in cli("list").out.splitlines() if "running" in line]
    assert "1h" not in ages[0]
    refused = cli("retry", cli.json("list", "-f", "running")["jobs"][0]["id"], "--yes")
    assert "still running" in refused.out


@pytest.mark.usefixtures("wrong_clock")
def test_the_dashboard_goes_by_the_clock_of_the_store(cli: Cli, store: PostgresLocation, apart: int) -> None:
    opened = open_browser(store)
    context = DashboardContext.of(_config(cli), opened.browser, None)
    try:
        assert abs(context.clock() - (time.time_ns() // 1_000_000 - apart)) < 2_000
        assert abs(context.situation().now - context.clock()) < 2_000
    finally:
        opened.browser.close()


def _config(cli: Cli):  # type: ignore[no-untyped-def]
    from jobdash.config.settings import load

    return load(cli.config)


@pytest.mark.usefixtures("wrong_clock")
def test_a_poll_is_written_and_judged_by_the_clock_of_the_store(
    cli: Cli, store: PostgresLocation, apart: int
) -> None:
    cli.add(name="one")
    assert cli("sync", "--account", "openai").code == 0
    polls = "SELECT asked_at, next_poll_at FROM account WHERE name = 'openai'"
    ((asked, due),) = postgres_kit.raw(store, polls)
    right = time.time_ns() // 1_000_000 - apart
    assert abs(asked - right) < 60_000
    assert 0 < due - right < HOUR


@pytest.mark.usefixtures("wrong_clock")
def test_the_doctor_tells_how_far_the_clocks_are_apart(cli: Cli, store: PostgresLocation, apart: int) -> None:
    del store
    way = "behind" if apart > 0 else "ahead of"
    assert f"the server's clock is 3,600.0 s {way} this computer's" in cli("doctor").out
