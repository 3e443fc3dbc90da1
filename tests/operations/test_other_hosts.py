"""Jobs of other hosts: all goes through the store, and neither processes nor files here are touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from local_world import LocalWorld
from operations_kit import World
from shared.local_kit import ELSEWHERE, begin

from jobdash.domain.backends.registry import rules_of
from jobdash.domain.plan import Action, ActionResult
from jobdash.domain.status import Status
from jobdash.operations.person import current_host
from jobdash.operations.results.collect import collect
from jobdash.operations.results.fetch_request import FetchRequest
from jobdash.operations.results.folder import kept_folder
from jobdash.operations.scripts.processes import log_here, log_place
from jobdash.operations.scripts.results import fetch_items
from jobdash.operations.storage import local_folders


@pytest.fixture
def on_host_b(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let scripts of this test be run by bob on another computer."""
    monkeypatch.setattr("shared.local_kit.current_actor", lambda _face: _Bob())


class _Bob:
    name = "bob@host-b"


@pytest.mark.usefixtures("on_host_b")
async def test_a_script_of_another_host_is_cancelled_failed_and_retried_but_never_stopped_or_started(
    local: LocalWorld, tmp_path: Path
) -> None:
    run = begin(local.path, owner=ELSEWHERE, total=3, argv=["python", "work.py"], cwd=tmp_path)
    run.did("ok")
    asked = await local.one(Action.CANCEL, run.id)
    assert (asked.result, asked.status_after) == (ActionResult.DONE, Status.CANCELLING)
    failed = await local.one(Action.FORCE_FAIL, run.id, stop_process=True)
    assert failed.reason == "failed here; 1 of 3 done; fenced only: it runs on host-b"
    started = await local.one(Action.RETRY, run.id, restart=True)
    assert started.result is ActionResult.FAILED
    assert started.reason == "2 of 3 left; not started: it ran on host-b; it waits for its script"
    assert local.row(run.id).status is Status.PENDING


@pytest.mark.usefixtures("on_host_b")
async def test_the_dialog_names_the_host_and_offers_neither_stop_nor_start(
    local: LocalWorld, tmp_path: Path
) -> None:
    run = begin(local.path, owner=ELSEWHERE, argv=["python", "work.py"], cwd=tmp_path)
    plan = local.plan(Action.FORCE_FAIL, [local.row(run.id)], stop_process=True)
    assert not plan.can_stop
    texts = [note.text for note in rules_of(local.row(run.id)).notes(plan)]
    assert "fenced only: it runs on host-b" in texts
    run.ends("failed")
    again = local.plan(Action.RETRY, [local.row(run.id)], restart=True)
    assert not again.can_restart
    (worker,) = again.workers.values()
    assert worker.cannot_start == "it ran on host-b"


@pytest.mark.usefixtures("on_host_b")
async def test_the_log_of_another_host_is_no_file_here(local: LocalWorld, tmp_path: Path) -> None:
    log = tmp_path / "resize.log"
    log.write_text("somebody else's\n")
    run = begin(local.path, owner=ELSEWHERE, log_file=str(log))
    (attempt,) = local.browser.attempts(run.id)
    assert attempt.host == "host-b"
    assert log_here(attempt) is None
    assert log_place(attempt) == f"on host-b: {log}"


@contextmanager
def as_host(patch: pytest.MonkeyPatch, host: str) -> Iterator[None]:
    """Be another computer, as far as files are concerned."""
    with patch.context() as patched:
        patched.setattr("jobdash.operations.person.current_host", lambda: host)
        yield


async def test_fetched_files_of_a_script_go_only_where_they_are(
    local: LocalWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    run = begin(local.path)
    run.did("ok")
    run.ends()
    fetched = await fetch_items(local.row(run.id), FetchRequest(tmp_path, local.browser.again, local.work))
    assert fetched.file is not None
    job = local.browser.job(run.id)
    assert job is not None
    here = None if database == "sqlite" else current_host()
    assert job.fetched_on == here
    with as_host(monkeypatch, "host-b"):
        removed = await local.one(Action.REMOVE, run.id, local_files=True)
    if database == "sqlite":  # a file is of one host, whatever that is called by now
        assert not fetched.file.exists()
        return
    assert fetched.file.exists(), "a file of that name there is another one"
    assert removed.result is ActionResult.FAILED
    assert f"{fetched.file} (on {here}) not deleted" in (local.row(run.id).left_behind or "")


async def test_fetched_results_of_a_batch_are_said_to_be_on_their_host(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    batch = world.add_finished(total=2)
    (row,) = await world.known(batch)
    request = FetchRequest(tmp_path / "here", world.browser.again, world.work)
    done = await collect(row, request)
    assert done.folder is not None
    job = world.browser.job(row.id)
    assert job is not None
    assert kept_folder(job) is not None
    if database == "sqlite":
        assert job.fetched_on is None
        return
    assert job.fetched_on == current_host()
    folders = local_folders(tmp_path / "x", tmp_path / "none", world.browser)
    assert any(each.name == "fetched results" for each in folders)
    with as_host(monkeypatch, "host-b"):
        assert kept_folder(job) is None
        removed = await world.one(Action.REMOVE, batch, local_files=True)
        assert f"{done.folder} (on {job.fetched_on})" in removed.reason
    assert json.loads((done.folder / "manifest.json").read_text())
