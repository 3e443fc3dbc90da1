"""The arguments and errors of `jobdash.batches`: a wrong argument ends a call before anything is sent."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_kit import HOUR, ROOT, Cli

from jobdash import batches
from jobdash.demo.emulator import BatchFailure, BatchPlan
from jobdash.errors import FilterError, StoreError, StoreFull, UsageError

NAN, INF = float("nan"), float("inf")


def request(key: str = "r1", **more: Any) -> dict[str, Any]:
    body = {"model": "gpt-x", "input": "a haiku"}
    return {"custom_id": key, "method": "POST", "url": "/v1/responses", "body": body, **more}


WRONG: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    *((batches.submit, {word: 5}, f"{word}=") for word in ("account", "name", "model", "endpoint")),
    (batches.submit, {"tags": ["a"]}, "tags= has to be a dict of texts, not ['a']"),
    (batches.submit, {"tags": "a"}, "tags="),
    (batches.submit, {"again": "no"}, "again= has to be True or False, not 'no'"),
    (batches.submit, {"again": 1}, "again="),
    (batches.submit, {"database": 5}, "database= has to be a path, not 5"),
    (batches.submit, {"database": ""}, "database="),
    (batches.submit, {"config": 5}, "config="),
    (batches.get, {"sync": "no"}, "sync="),
    (batches.get, {"database": 5}, "database="),
    (batches.list, {"limit": -1}, "limit= has to be a whole number from 0 on, or None for all, not -1"),
    (batches.list, {"limit": "5"}, "limit="),
    (batches.list, {"limit": 1.5}, "limit="),
    (batches.list, {"limit": True}, "limit="),
    (batches.list, {"sync": 1}, "sync="),
    *((batches.wait, {"timeout": wrong}, "timeout=") for wrong in ("5", INF, NAN, -1, True, 1e300)),
    (batches.cancel, {"reason": 5}, "reason="),
    (
        batches.resume,
        {"only": "failed"},
        "only= has to be one or more of failed, missing, cut-off, as a list",
    ),
    *((batches.resume, {"only": wrong}, "only=") for wrong in ((), 5, [5], ["broken"], None)),
    (batches.resume, {"requests": 5}, "requests= has to be a path"),
    (batches.results, {"partial": "no"}, "partial="),
    (batches.fetch, {"merged": "no"}, "merged="),
]


@pytest.mark.parametrize(("call", "wrong", "words"), WRONG)
def test_a_wrong_argument_is_a_usage_error_before_anything_is_opened(
    cli: Cli, tmp_path: Path, call: Callable[..., Any], wrong: dict[str, Any], words: str
) -> None:
    first = {batches.submit: ([request()],), batches.list: ()}.get(call, ("batch_1",))
    with pytest.raises(UsageError) as raised:
        call(*first, **wrong)
    assert str(raised.value).startswith(words)
    assert cli.calls() == 0
    assert not cli.database.exists()
    assert not Path("5").exists()


@pytest.mark.parametrize("wrong", [None, 5, ["tag:a"]])
def test_a_filter_is_a_text(cli: Cli, wrong: Any) -> None:
    with pytest.raises(UsageError, match="filter= has to be a text"):
        batches.list(wrong)


def test_a_limit_of_nothing_is_nothing_and_none_is_all(cli: Cli) -> None:
    cli.add()
    cli.add()
    assert len(batches.list(sync=True)) == 2
    assert (len(batches.list(limit=1)), batches.list(limit=0)) == (1, [])


def test_the_place_of_a_mistake_is_in_the_filter_that_was_given(cli: Cli) -> None:
    with pytest.raises(batches.FilterError) as raised:
        batches.list("name:a nope:b")
    assert isinstance(raised.value, FilterError)
    assert (raised.value.text, raised.value.position) == ("name:a nope:b", 7)


def test_one_fault_is_named_as_many_are(cli: Cli) -> None:
    with pytest.raises(batches.FileFaults, match="requests, line 1: ") as one:
        batches.submit([request(body=5)], account="openai")
    with pytest.raises(batches.FileFaults, match="requests has 2 wrong lines: line 1") as two:
        batches.submit([request(body=5), request("r2", body=5)], account="openai")
    assert [len(raised.value.faults) for raised in (one, two)] == [1, 2]
    assert one.value.faults[0] == two.value.faults[0]
    path = cli.folder / "x.jsonl"
    path.write_text(json.dumps(request(body=5)))
    assert f"jobdash: {path}, line 1: " in cli("submit", str(path), "--account", "openai").err


def test_what_the_help_names_is_there() -> None:
    texts = [batches.__doc__, *(getattr(batches, name).__doc__ for name in batches.__all__)]
    named = {word for text in texts for word in re.findall(r"`([A-Z]\w+)`", text or "")}
    assert named <= set(batches.__all__)
    assert {"FileFaults", "JobAmbiguous", "WaitTimeout"} <= named


@pytest.mark.parametrize(
    ("account", "requests", "more", "words"),
    [
        ("gemini", [{"key": "a", "request": {"contents": []}}], {}, "a Gemini batch wants model=: its lines"),
        ("openai", [request()], {"model": "gpt-y"}, "model='gpt-y': the lines name the model"),
        ("openai", [request()], {"endpoint": "/v1/embeddings"}, "endpoint='/v1/embeddings': the lines say"),
    ],
)
def test_a_message_names_arguments(
    cli: Cli, account: str, requests: list[Any], more: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        batches.submit(requests, account=account, **more)


def test_a_message_about_a_batch_or_a_store_names_arguments(cli: Cli, tmp_path: Path) -> None:
    cli.emulator.openai.plan = BatchPlan(failures=(BatchFailure(1),))
    made = batches.submit([request()], account="openai")
    cli.clock.advance(24 * HOUR)
    batches.fetch(made)
    with pytest.raises(batches.BatchFailed, match=r"there are .*: only=\['failed'\]"):
        batches.resume(made, only=["cut-off"])
    with pytest.raises(StoreError, match="Name a file with database=") as raised:
        batches.list(database=tmp_path)
    assert not isinstance(raised.value, StoreFull)


def test_batches_and_results_can_be_kept_in_sets(cli: Cli) -> None:
    made = batches.get(cli.add_finished(total=3))
    assert {made, batches.get(made)} == {made}
    assert len(set(batches.results(made))) == 3


def test_fetched_results_are_a_file(cli: Cli) -> None:
    fetched = batches.fetch(cli.add_finished(total=3))
    assert isinstance(fetched, batches.FetchedBatch)
    assert len(fetched.results.read_text().splitlines()) == 3


@pytest.mark.parametrize("name", ["", "  ", "\t\n", "\u3000"])
def test_a_name_in_which_nothing_is_to_be_seen_is_none(cli: Cli, batch_file: Path, name: str) -> None:
    assert batches.submit([request()], account="openai", name=name).name == "requests"
    assert cli("submit", str(batch_file), "--account", "openai", "--name", name).code == 0
    assert batches.list("name:nightly")[0].name == "nightly"


def test_an_error_is_one_traceback(cli: Cli) -> None:
    program = "from jobdash import batches; batches.get('batch_none')"
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.stderr.count("Traceback") == 1
    assert "jobdash.errors.JobNotFound" in ran.stderr
