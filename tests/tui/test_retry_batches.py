"""``r`` on batches: the dialog says what is sent again, and both rows say that they belong together."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from tui_kit import Dash, account, dashboard

from jobdash.demo.emulator import (
    OPENAI_KEY,
    BatchFailure,
    BatchPlan,
    BatchScript,
    Emulator,
    EmulatorServer,
    Timing,
)
from jobdash.domain.status import Tab

ENDED = Timing(validating=0, running=10, finalizing=0)


def add_batch(emulator: Emulator, **plan: Any) -> None:
    plans = BatchPlan(timing=ENDED, **plan)
    emulator.openai.add_batch(BatchScript(name="nightly", total=20, created_at=time.time() - 60, plan=plans))


async def shown(dash: Dash) -> None:
    await dash.until(lambda: dash.count(Tab.ALL) == 1, 20)
    await dash.until(lambda: "✓" in dash.line("accounts"))


async def test_the_rest_of_a_batch_is_sent_again_after_a_dialog(
    emulator: Emulator, server: EmulatorServer, path: Path
) -> None:  # C-13
    add_batch(emulator, failures=(BatchFailure(3),))
    emulator.openai.plan = BatchPlan(timing=Timing(validating=0, running=3600))
    async with dashboard(path, [account("openai", server, OPENAI_KEY)]) as dash:
        await shown(dash)
        await dash.press("r")
        await dash.until_dialog()
        assert "3 of 20 sent again: 3 errors · linked to nightly" in " ".join(dash.screen.split())
        assert "Don't retry" in dash.screen
        await dash.press("y")
        await dash.until(lambda: "nightly: 3 of 20 sent again: 3 errors, as " in dash.toast, 20)
        await dash.until(lambda: dash.count(Tab.ALL) == 2)
        child = dash.toast.rpartition(" ")[2]
        await dash.until(lambda: "nightly (2)" in dash.screen)
        await dash.press("right", "down")
        await dash.until(lambda: "sent again from" in dash.line("summary"))
        await dash.press("up")
        await dash.until(lambda: f"its rest was sent again as {child}" in dash.line("summary"))
        await dash.press("r")
        await dash.until(lambda: "of the same requests, is still" in dash.toast)
    assert len(emulator.journal.calls("POST", "/v1/batches")) == 1


async def test_earlier_results_are_fetched_to_the_folder_of_the_settings(
    emulator: Emulator, server: EmulatorServer, path: Path, tmp_path: Path
) -> None:
    add_batch(emulator, failures=(BatchFailure(3),))
    usual = tmp_path / "usual"
    async with dashboard(path, [account("openai", server, OPENAI_KEY)], results=usual) as dash:
        await shown(dash)
        await dash.press("r")
        await dash.until_dialog()
        await dash.press("y")
        await dash.until(lambda: "3 of 20 sent again" in dash.toast, 20)
    assert [place.name.partition("-")[0] for place in usual.iterdir()] == ["nightly"]


async def test_what_was_cut_off_can_be_chosen(
    emulator: Emulator, server: EmulatorServer, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    add_batch(emulator, failures=(BatchFailure(3),), cut_off=4)
    async with dashboard(path, [account("openai", server, OPENAI_KEY)]) as dash:
        await shown(dash)
        await dash.press("d")
        await dash.until(lambda: "fetched: 13 ok" in dash.line("summary"), 20)
        await dash.press("r")
        await dash.until_dialog()
        assert "4 answers cut off" in dash.screen
        await dash.press("tab", "tab", "space")
        await dash.until(lambda: "7 of 20 sent again: 3 errors, 4 cut off" in " ".join(dash.screen.split()))
        await dash.press("escape")


async def test_a_whole_batch_has_nothing_to_send_again(
    emulator: Emulator, server: EmulatorServer, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    add_batch(emulator)
    async with dashboard(path, [account("openai", server, OPENAI_KEY)]) as dash:
        await shown(dash)
        await dash.press("d")
        await dash.until(lambda: "fetched: 20 ok" in dash.line("summary"), 20)
        await dash.press("r")
        await dash.until(lambda: "nightly: every request has its answer" in dash.toast)


async def test_a_closed_family_is_fetched_in_one(
    emulator: Emulator, server: EmulatorServer, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    add_batch(emulator, failures=(BatchFailure(3),))
    emulator.openai.plan = BatchPlan(timing=Timing(validating=0, running=0.05, finalizing=0))
    async with dashboard(path, [account("openai", server, OPENAI_KEY)]) as dash:
        await shown(dash)
        await dash.press("r")
        await dash.until_dialog()
        await dash.press("y")
        await dash.until(lambda: "nightly (2)" in dash.screen, 20)
        await dash.press("f5")
        await dash.until(lambda: "2 completed" in dash.line("summary"), 20)
        await dash.press("d")
        await dash.until(lambda: "nightly: 20 ok, of 2 batches in " in dash.toast, 20)
    assert len(merged_lines(tmp_path)) == 20


def merged_lines(place: Path) -> list[str]:
    (folder,) = place.glob("nightly-*-merged")
    return (folder / "results.jsonl").read_text().splitlines()
