"""`jobdash.batches`: the life of a batch from Python, beside the commands, over one store."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_kit import HOUR, Cli

from jobdash import batches
from jobdash.batches import aio
from jobdash.demo.emulator import BatchFailure, BatchPlan, Ending, ErrorAnswer
from jobdash.errors import ConfigError, JobNotFound, StoreMissing, UsageError


def requests(number: int) -> list[dict[str, Any]]:
    body = {"model": "gpt-x", "input": "a haiku"}
    return [
        {"custom_id": f"r{n}", "method": "POST", "url": "/v1/responses", "body": body}
        for n in range(1, number + 1)
    ]


def test_from_submit_to_the_last_result(cli: Cli) -> None:
    made = batches.submit(requests(3), account="openai", name="haikus", tags={"run": "42"})
    assert (made.name, made.total, made.finished, made.tags["run"]) == ("haikus", 3, False, "42")
    assert cli.job(made.id)["remote_id"] == made.remote_id
    cli.clock.advance(24 * HOUR)
    (ended,) = batches.wait(made, timeout=30)
    assert (ended.status, ended.succeeded, ended.finished) == ("completed", 3, True)
    found = list(batches.results(ended))
    assert [result.key for result in found] == ["r1", "r2", "r3"]
    assert {result.outcome for result in found} == {"ok"}
    assert found[0].request == requests(1)[0]
    assert found[0].response is not None
    assert cli.job(made.id)["fetched_at"] is not None
    known = batches.get(made.id)
    assert (known.input_tokens, known.output_tokens) == (60, 90)
    assert known.cost == cli.job(made.id)["cost"]
    assert "submit" in cli("log", made.id).out


@pytest.mark.parametrize("tags", [{"run": 42}, {"run": None}, {1: "a"}, {"a=b": "c"}, {"": "c"}, {"a": ""}])
def test_a_tag_that_cannot_be_one_is_a_usage_error_before_anything_is_sent(cli: Cli, tags: Any) -> None:
    with pytest.raises(UsageError, match="tag "):
        batches.submit(requests(1), account="openai", tags=tags)
    assert cli.calls() == 0


def test_failed_and_missing_requests_are_results_too(cli: Cli) -> None:
    batch = cli.add_finished(
        total=6, failures=(BatchFailure(2),), ending=Ending.EXPIRES, reached=4, age=30 * HOUR
    )
    by_outcome: dict[str, list[batches.Result]] = {}
    for result in batches.results(batch):
        by_outcome.setdefault(result.outcome, []).append(result)
    assert by_outcome.keys() >= {"ok", "error"}
    assert all(result.error and result.error["message"] for result in by_outcome["error"])
    assert sum(map(len, by_outcome.values())) == 6


def test_identical_requests_are_sent_again_only_where_that_is_meant(cli: Cli) -> None:
    made = batches.submit(requests(2), account="openai", name="haikus")
    with pytest.raises(batches.BatchFailed, match=r"identical file was sent .* ago.*again=True") as raised:
        batches.submit(requests(2), account="openai", name="haikus")
    assert raised.value.batch is not None
    assert raised.value.batch.id == made.id
    assert len(cli.emulator.journal.calls("POST", "/v1/batches")) == 1
    assert batches.submit(requests(2), account="openai", again=True).id != made.id


def test_results_that_are_here_are_not_fetched_again_wherever_they_are(cli: Cli, tmp_path: Path) -> None:
    batch = cli.add_finished(total=6)
    cli("sync")
    cli("fetch", batch, "--out", str(tmp_path / "elsewhere"))
    before = len(cli.emulator.journal.calls("GET", "*/content"))
    assert len(list(batches.results(batch))) == 6
    assert len(cli.emulator.journal.calls("GET", "*/content")) == before


def test_a_batch_is_named_by_any_of_its_ids_and_listed(cli: Cli) -> None:
    remote = cli.add(name="nightly", metadata={"team": "search"})
    known = batches.get(remote)
    assert batches.get(known.id[:5]) == batches.get(known) == batches.get(remote)
    cli.add("work", name="other")
    assert [batch.name for batch in batches.list(sync=True)] == ["other", "nightly"]
    assert [batch.name for batch in batches.list("tag:search", limit=5)] == ["nightly"]
    with pytest.raises(JobNotFound):
        batches.get("batch_none")


def test_a_cancel_is_asked_for_and_not_asked_twice(cli: Cli) -> None:
    batch = cli.add(name="nightly")
    asked = batches.cancel(batch, reason="wrong prompt")
    assert asked.status == "cancelling"
    assert batches.cancel(asked).status == "cancelling"
    assert cli.calls("POST", "/v1/batches/*/cancel") == 1
    cli.clock.advance(HOUR)
    assert batches.get(asked).status == "cancelled"
    assert batches.cancel(asked).status == "cancelled"


def test_what_is_wrong_is_an_exception_with_a_sentence(cli: Cli) -> None:
    with pytest.raises(UsageError, match="account= has to say which"):
        batches.submit(requests(1))
    with pytest.raises(ConfigError, match="no account 'home'"):
        batches.submit(requests(1), account="home")
    with pytest.raises(UsageError, match="was used in line 1 already"):
        batches.submit([*requests(1), *requests(1)], account="openai")
    with pytest.raises(UsageError, match="requests have to be a list of dicts, or a file; not int"):
        batches.submit(5, account="openai")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="has to be a Batch or a text that names it, not list"):
        batches.results(["a batch"])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="request 1 is of type str, not a dict"):
        batches.submit(["a"], account="openai")  # type: ignore[list-item]
    with pytest.raises(UsageError, match="request 1 cannot be written as JSON"):
        batches.submit([{"custom_id": "a", "body": object()}], account="openai")
    running = batches.get(cli.add(name="nightly"))
    with pytest.raises(batches.BatchFailed, match="not finished") as caught:
        batches.results(running)
    assert caught.value.batch == running
    with pytest.raises(TimeoutError):
        batches.wait(running, timeout=0.2)
    cli.fault(ErrorAnswer(401), "/v1/files", "POST")
    with pytest.raises(ConfigError):
        batches.submit(requests(1), account="openai")


def test_what_failed_is_sent_again_as_a_linked_batch(cli: Cli) -> None:
    made = batches.submit(requests(4), account="openai", name="haikus")
    cli.emulator.openai.plan = BatchPlan()
    with pytest.raises(batches.BatchFailed, match="cancel it there first"):
        batches.resume(made)
    cli.clock.advance(24 * HOUR)
    cli("sync")  # a wait would poll in 15 s
    batches.wait(made)
    with pytest.raises(batches.BatchFailed):
        batches.resume(made)
    with pytest.raises(UsageError, match="only='broken'"):
        batches.resume(made, only=["broken"])
    cli.emulator.openai.plan = BatchPlan(failures=(BatchFailure(3),))
    partial = batches.submit(requests(4), account="openai", name="poems", again=True)
    cli.clock.advance(24 * HOUR)
    cli("sync")  # a wait would poll in 15 s
    batches.wait(partial)
    child = batches.resume(partial)
    assert (child.total, child.account) == (3, "openai")
    assert cli.job(child.id)["parent_id"] == partial.id
    cli.clock.advance(24 * HOUR)
    cli("sync")  # a wait would poll in 15 s
    batches.wait(child)
    again = batches.resume(partial)  # what is left of both
    assert cli.job(again.id)["parent_id"] == child.id


def test_the_results_of_a_batch_and_its_retries_are_read_in_one(cli: Cli) -> None:
    cli.emulator.openai.plan = BatchPlan(failures=(BatchFailure(3),))
    made = batches.submit(requests(4), account="openai", name="poems")
    cli.clock.advance(24 * HOUR)
    cli("sync")
    cli.emulator.openai.plan = BatchPlan(failures=(BatchFailure(1),))
    child = batches.resume(made)
    cli.clock.advance(24 * HOUR)
    cli("sync")
    assert batches.get(made.id).children == (child.id,)
    assert batches.get(child.id).parent == made.id
    found = list(batches.results(made, merged=True))
    assert [result.key for result in found] == ["r1", "r2", "r3", "r4"]
    assert sorted(result.outcome for result in found) == ["error", "ok", "ok", "ok"]
    assert [result.request for result in found] == requests(4)


async def test_coroutines_and_functions_do_the_same_where_a_loop_runs(cli: Cli) -> None:
    made = await aio.submit(requests(2), account="openai")
    assert batches.get(made, sync=False).id == made.id
    cli.clock.advance(24 * HOUR)
    await aio.wait(made)
    assert [result.key async for result in aio.results(made)] == ["r1", "r2"]


def test_the_import_costs_next_to_nothing() -> None:
    code = "import sys; from jobdash import batches; print('\\n'.join(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"openai", "google.genai", "sqlalchemy", "httpx2", "textual", "click"} & set(out.split())


def test_another_store_can_be_named(cli: Cli, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    made = batches.submit(requests(1), account="openai", database=other)
    assert batches.list() == []
    assert [batch.id for batch in batches.list(database=other)] == [made.id]
    assert json.loads(cli("list", "--json", "--db", str(other)).out)["total"] == 1


CALLS: dict[str, Callable[[Path], Any]] = {
    "get": lambda path: batches.get("batch_1", database=path),
    "list": lambda path: batches.list(database=path),
    "wait": lambda path: batches.wait("batch_1", database=path),
    "cancel": lambda path: batches.cancel("batch_1", database=path),
    "resume": lambda path: batches.resume("batch_1", database=path),
    "results": lambda path: batches.results("batch_1", database=path),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_store_that_is_named_and_not_there_is_made_by_no_call_for_batches_in_it(
    cli: Cli, tmp_path: Path, call: str
) -> None:
    for path in (tmp_path / "other.db", tmp_path / "new" / "other.db"):
        with pytest.raises(StoreMissing, match=f"no store at {path}"):
            CALLS[call](path)
    assert not list(tmp_path.glob("other.db*"))
    assert not (tmp_path / "new").exists()
    assert cli.calls() == 0


def test_a_store_is_made_by_what_sends_or_asks_and_no_folder_for_it(cli: Cli, tmp_path: Path) -> None:
    cli.add()
    assert len(batches.list(sync=True, database=tmp_path / "other.db")) == 1
    mistyped = tmp_path / "new" / "other.db"
    with pytest.raises(StoreMissing, match="no folder in which it could be made"):
        batches.submit(requests(1), account="openai", database=mistyped)
    assert not mistyped.parent.exists()
    assert cli.calls("POST") == 0
