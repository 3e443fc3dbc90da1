"""``jobdash run`` and ``jobdash worker``."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cli_kit import Cli
from shared.local_kit import LAPSED

from jobdash.store.bootstrap import open_for_worker
from jobdash.store.leases.lease import ItemWrite
from jobdash.store.leases.parts import claim_part, due
from jobdash.store.owner import current_owner

_MODULE = """
import jobdash

@jobdash.job(key=lambda item: item["n"])
def paint(item):
    if item["n"] == 2:
        raise ValueError("no such colour")
    return item["n"] * 10
"""


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "painted.py").write_text(_MODULE)
    (tmp_path / "items.jsonl").write_text('{"n": 1}\n\n{"n": 2}\n{"n": 3}\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("painted", None)


def test_items_become_a_job_that_waits_for_a_worker(cli: Cli) -> None:
    ran = cli("run", "painted:paint", "items.jsonl", "--name", "walls", "--parts", "2", "--tag", "team=x")
    assert ran.code == 0
    public = ran.out.split()[0]
    assert "walls: 3 items in 2 parts; jobdash worker painted runs it" in ran.out
    shown = cli("show", public).out
    assert "pending · waits for a worker" in shown
    assert "painted:paint" in shown
    assert "done 0, running 0, waiting 2" in shown
    assert cli.json("list", "-f", "function:paint tag:team=x")["total"] == 1
    assert "job functions: 0 workers at 0 parts, 1 job waiting for a worker" in cli("doctor").out
    assert cli.json("doctor")["store"]["workers"] == {"workers": 0, "parts": 0, "waiting": 1, "jobs": 1}
    assert cli("retry", public, "--yes").out.startswith("skipped")
    assert cli("cancel", public, "--yes").code == 0
    assert cli.job(public)["status"] == "cancelled"


def test_the_doctor_warns_where_no_worker_can_run(cli: Cli) -> None:
    cli.config.write_text(cli.config.read_text() + '\n[worker]\nengine = "acme"\n')
    assert "engine" not in cli("doctor").out
    cli("run", "painted:paint", "items.jsonl")
    lines = [line for line in cli("doctor").out.splitlines() if "engine" in line]
    assert lines == [
        "! job functions: the engine of [worker] is not installed here: no worker can run on this computer"
    ]


def test_of_a_functions_job_is_shown_who_began_it_and_where_its_errors_are(cli: Cli) -> None:
    public = cli("run", "painted:paint", "items.jsonl").out.split()[0]
    with closing(open_for_worker(cli.database)) as store:
        (key,) = due(store, ["painted:paint"], 10)
        claimed = claim_part(store, key, current_owner(), "ann@desk", 60_000, {"painted:paint"})
        assert claimed is not None
        claimed.lease.write_items([ItemWrite("1", "error", error_type="ValueError", error="no")])
        shown = cli("show", public).out
        assert "done 0, running 1, waiting 0" in shown
        assert re.search(r"Begun by +ann@desk\n", shown)
        assert "Run by" not in shown
        assert ", pid" not in shown
        assert f"\n1 failed item: jobdash show {public} --items --outcome error --limit 0\n" in shown
        assert cli("force-fail", public, "--yes").code == 0
    assert "done 0, left 1" in cli("show", public).out
    assert cli.job(public)["parts"] == {"done": 0, "running": 0, "waiting": 1}


def test_a_wait_for_a_job_whose_workers_are_gone_says_how_it_goes_on(cli: Cli) -> None:
    public = cli("run", "painted:paint", "items.jsonl").out.split()[0]
    with closing(open_for_worker(cli.database)) as store:
        (key,) = due(store, ["painted:paint"], 10)
        assert claim_part(store, key, current_owner(), "ann@desk", LAPSED, {"painted:paint"}) is not None
    ran = cli("wait", public)
    words = "stalled: no worker of it is heard of any more; start a worker: jobdash worker painted"
    assert (ran.code, f"{public} paint: {words}" in ran.err) == (1, True), ran.err


@pytest.mark.parametrize(
    ("function", "lines", "words"),
    [
        ("painted", "1", "a function is named MODULE:FUNCTION"),
        ("painted:draw", "1", "painted has no job function 'draw'; it has painted:paint"),
        ("nowhere:draw", "1", "module nowhere cannot be imported"),
        ("json:loads", "1", "module json has no job function"),
        ("painted:paint", "", "there are no items"),
        ("painted:paint", '{"n": 1}\n{"n": ', "line 2 is not JSON"),
        ("painted:paint", '{"n": 1}\n{"n": 1}', "item 2 has the key '1', as an earlier one"),
    ],
)
def test_what_cannot_be_run_is_named_and_nothing_is_made(
    cli: Cli, tmp_path: Path, function: str, lines: str, words: str
) -> None:
    (tmp_path / "items.jsonl").write_text(lines)
    ran = cli("run", function, "items.jsonl")
    assert ran.code == 2
    assert words in ran.err
    assert cli.json("list")["total"] == 0


def test_an_item_without_what_its_key_is_made_of_is_named(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").write_text('{"n": 1}\n{"m": 1}\n')
    ran = cli("run", "painted:paint", "items.jsonl")
    assert ran.code == 2
    assert "item 2: key= failed: KeyError: 'n'" in ran.err


def test_a_worker_without_a_module_or_an_engine_says_so(cli: Cli) -> None:
    assert cli("worker").code == 2
    ran = cli("worker", "nowhere")
    assert (ran.code, "module nowhere cannot be imported" in ran.err) == (2, True)
    ran = cli("worker", "painted", "--engine", "celery", "--once")
    assert (ran.code, "no engine is called 'celery'" in ran.err) == (5, True)
