"""Every fault of a server at each call of a submit, a fetch and a removal: no loss, nothing sent twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from operations_kit import KEYS, World

from jobdash.demo.emulator import CutBody, Delay, EmptyJson, ErrorAnswer, MalformedJson, Reset
from jobdash.demo.emulator.faults import Effect
from jobdash.domain.plan import Action, ActionResult
from jobdash.domain.status import Status
from jobdash.operations.fetch import fetch
from jobdash.operations.job_lookup import Browser
from jobdash.operations.results.fetch_request import FetchRequest
from jobdash.operations.submission.request import order
from jobdash.operations.submission.submit import submit

pytestmark = pytest.mark.slow

FAULTS: dict[str, Effect] = {
    **{
        str(status): ErrorAnswer(status)
        for status in (400, 401, 403, 404, 409, 410, 413, 418, 500, 502, 503, 504)
    },
    "429": ErrorAnswer(429, retry_after=2),
    "quota": ErrorAnswer(429, code="insufficient_quota"),
    "html": ErrorAnswer(502, "<html>Bad Gateway</html>"),
    "reset before": Reset(applied=False),
    "reset after": Reset(applied=True),
    "cut": CutBody(),
    "malformed": MalformedJson(),
    "empty": EmptyJson(),
    "late": Delay(0.05),
}
CALLS = {
    "openai": {
        "upload": ("POST", "/v1/files"),
        "create": ("POST", "/v1/batches"),
        "download": ("GET", "/v1/files/*/content"),
        "delete": ("DELETE", "*"),
    },
    "gemini": {
        "upload": ("POST", "/upload/*"),
        "create": ("POST", "*:batchGenerateContent"),
        "download": ("GET", "*:download"),
        "delete": ("DELETE", "*"),
    },
}
TIMES = {"once": 1, "always": None}
EVERY_FAULT = pytest.mark.parametrize("fault", FAULTS)
HOW_OFTEN = pytest.mark.parametrize("times", TIMES)
PROVIDERS = pytest.mark.parametrize("account", CALLS)
TOTAL = 30


def apply(world: World, account: str, call: str, fault: str, times: str) -> None:
    method, path = CALLS[account][call]
    world.fault(FAULTS[fault], path, method, times=TIMES[times])


def batches_there(world: World, account: str) -> set[str]:
    ledger = world._provider(account).account(KEYS[account]).batches
    return {batch.id for batch in ledger.page(100).batches}


def input_file(folder: Path, account: str) -> Path:
    line: dict[str, object] = {"key": "a", "request": {"contents": []}}
    if account == "openai":
        line = {"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": {"model": "gpt-x"}}
    path = folder / "input.jsonl"
    path.write_text(json.dumps(line) + "\n")
    return path


@EVERY_FAULT
@HOW_OFTEN
@PROVIDERS
@pytest.mark.parametrize("call", ["upload", "create"])
async def test_a_submit_makes_one_batch_at_most_and_it_is_the_jobs(
    world: World, tmp_path: Path, account: str, call: str, fault: str, times: str
) -> None:  # A-13 B-16
    apply(world, account, call, fault, times)
    found = world.config.account(account)
    assert found is not None
    model = "gemini-x" if account == "gemini" else None
    wanted = order(input_file(tmp_path, account), found, model=model)
    done = await submit(wanted, world.accounts[account], world.work)
    world.emulator.faults.clear()
    for _ in range(2):
        world.pass_time(50 * 60)
        await world.sync(account)

    there = batches_there(world, account)
    assert len(there) <= 1
    assert world.open_intents() == []
    assert done.row is not None, done
    row = world.browser.rows([done.row.id])[done.row.id]
    assert {row.remote_id} == (there or {None})
    if not there:
        assert row.status is Status.FAILED or row.raw_status == "unconfirmed", row
        assert done.reason


@EVERY_FAULT
@HOW_OFTEN
@PROVIDERS
async def test_a_fetch_leaves_whole_files_or_none_and_the_next_one_has_everything(
    world: World, tmp_path: Path, account: str, fault: str, times: str
) -> None:  # D-4
    (row,) = await world.known(world.add_finished(account, total=TOTAL))
    assert row.remote_id is not None
    apply(world, account, "download", fault, times)
    request = FetchRequest(tmp_path, lambda: Browser(world.config.database, world.ms), world.work)
    (first,) = await fetch([row], request)
    if first.result is ActionResult.FAILED:
        assert first.reason
        assert written(tmp_path, "results.jsonl") == []
        assert world.row(row.remote_id).collected is None
    world.emulator.faults.clear()
    if times == "always" and fault in {"malformed", "empty"}:  # the same file, twice: as a wrong count is
        assert "fewer answers than its provider counts" in first.reason
        return
    (second,) = await fetch([row], request)

    assert second.counts is not None, (first.reason, second.reason)
    assert (second.counts.ok, second.counts.error) == (TOTAL, 0), (first.reason, second.reason)
    (results,) = written(tmp_path, "results.jsonl")
    assert len(results.read_bytes().splitlines()) == TOTAL
    assert written(tmp_path, "*.part") == []


def written(folder: Path, name: str) -> list[Path]:
    return list(folder.glob(f"*/{name}"))


@EVERY_FAULT
@HOW_OFTEN
@PROVIDERS
async def test_a_removal_that_fails_keeps_the_job_and_can_be_tried_again(
    world: World, account: str, fault: str, times: str
) -> None:  # B-9
    (row,) = await world.known(world.add_finished(account, total=TOTAL))
    assert row.remote_id is not None
    apply(world, account, "delete", fault, times)
    first = await world.one(Action.REMOVE, row.remote_id, remote=True)
    world.emulator.faults.clear()
    now = world.row(row.remote_id)
    assert (now.removed_at is None) == (first.result is ActionResult.FAILED)
    if now.removed_at is None:
        assert first.reason
        # Gemini never deletes files of results: there the record goes by itself.
        second = await world.one(Action.REMOVE, row.remote_id, remote=account == "openai")
        assert second.result is ActionResult.DONE, (first.reason, second.reason)
    assert world.row(row.remote_id).removed_at is not None
    assert world.open_intents() == []
