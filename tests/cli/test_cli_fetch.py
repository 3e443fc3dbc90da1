"""``jobdash fetch`` of batches: from the provider to files on disk, or into a pipe."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import time
from pathlib import Path

import pytest
from cli_kit import Cli
from shared.deadlines import killed, within

from jobdash.demo.emulator import BatchFailure, Ending, Switches
from jobdash.demo.emulator.faults import Delay, ErrorAnswer


def test_a_batch_is_fetched_into_a_folder_and_shown_as_fetched(cli: Cli, tmp_path: Path) -> None:
    # D-4 A-13
    batch = cli.add_finished(name="nightly", total=20, failures=(BatchFailure(3),), cut_off=2)
    cli("sync", "--account", "openai")
    ran = cli("fetch", batch, "--out", str(tmp_path / "out"))
    assert ran.code == 0
    job = cli.job(batch)
    folder = tmp_path / "out" / f"nightly-{job['id']}"
    assert f"15 ok · 2 cut off · 3 errors: {folder}" in ran.out
    assert "Fetched: 1 · Skipped: 0 · Failed: 0" in ran.out
    assert len((folder / "results.jsonl").read_text().splitlines()) == 20
    again = cli("fetch", batch, "--out", str(tmp_path / "out"))
    assert again.code == 0
    assert "already here" in again.out


def test_the_json_of_a_fetch_has_the_counts(cli: Cli, tmp_path: Path) -> None:
    batch = cli.add_finished(total=4, cut_off=1)
    cli("sync", "--account", "openai")
    (job,) = cli.json("fetch", batch, "--out", str(tmp_path))["jobs"]
    assert (job["result"], job["partial"], job["items"]) == ("done", False, 4)
    assert Path(job["file"]) == Path(job["folder"]) / "results.jsonl"
    assert job["results"] == {
        "ok": 3,
        "error": 0,
        "cut_off": 1,
        "missing": 0,
        "unknown_keys": 0,
        "duplicate_keys": 0,
        "input_tokens": 80,
        "output_tokens": 120,
        "cached_tokens": None,
    }


def test_a_pipe_gets_the_results_and_nothing_else(cli: Cli) -> None:
    batch = cli.add_finished(total=3, switches=Switches(shuffled=True))
    cli("sync", "--account", "openai")
    ran = cli("fetch", batch, "--out", "-")
    assert ran.code == 0
    keys = [json.loads(line)["key"] for line in ran.out.splitlines()]
    assert keys == ["request-1", "request-2", "request-3"]
    assert cli.job(batch)["fetched_at"] is None
    table = list(csv.DictReader(io.StringIO(cli("fetch", batch, "--out", "-", "--format", "csv").out)))
    assert [row["key"] for row in table] == keys


def test_a_pipe_takes_neither_json_nor_parquet(cli: Cli) -> None:
    batch = cli.add_finished(total=3)
    cli("sync", "--account", "openai")
    assert cli("fetch", batch, "--out", "-", "--json").code == 2
    assert cli("fetch", batch, "--out", "-", "--format", "parquet").code == 2


def test_many_are_fetched_and_each_fails_by_itself(cli: Cli, tmp_path: Path) -> None:
    good = cli.add_finished(name="good", total=3)
    cli.add("openai", name="running", total=3)
    cli.add_finished(name="expired", total=4, ending=Ending.EXPIRES, reached=1, age=2 * 24 * 3600.0)
    gone = cli.add_finished(name="gone", total=3)
    cli("sync", "--account", "openai")
    cli.fault(ErrorAnswer(410), f"*/{cli.job(gone)['files']['output']}/content")
    ran = cli("fetch", "-f", "account:openai", "--out", str(tmp_path / "out"))
    assert ran.code == 1
    assert "results were deleted at the provider" in ran.out
    assert "not finished" in ran.out
    assert "1 ok · 3 errors, partial (expired)" in ran.out
    assert ran.out.splitlines()[-1] == "Fetched: 2 · Skipped: 0 · Failed: 2"
    assert sorted(each.name.split("-")[0] for each in (tmp_path / "out").iterdir()) == ["expired", "good"]
    assert cli.job(good)["results"]["ok"] == 3


def test_wait_fetches_for_an_account_that_says_so(cli: Cli) -> None:
    cli.config.write_text(
        cli.config.read_text() + f'auto_fetch = true\n[results]\nfolder = "{cli.folder / "kept"}"\n'
    )
    batch = cli.add_finished("work", "nightly", total=3)
    cli("sync")
    ran = cli("wait", batch)
    assert ran.code == 0
    assert f"fetched: 3 ok: {cli.folder / 'kept'}" in ran.err
    (folder,) = (cli.folder / "kept").iterdir()
    assert cli.job(batch)["results_folder"] == str(folder)
    assert "fetched" not in cli("wait", batch).err


def test_a_submitted_file_is_kept_and_results_are_joined_with_it(cli: Cli, tmp_path: Path) -> None:
    requests = tmp_path / "requests.jsonl"
    line = '{{"custom_id":"r{0}","method":"POST","url":"/v1/responses","body":{{"model":"gpt-x"}}}}\n'
    requests.write_text("".join(line.format(number) for number in (3, 1, 2)))
    assert cli("submit", str(requests), "--account", "openai", "--name", "kept").code == 0
    (copy,) = (cli.database.parent / "inputs").iterdir()
    assert copy.read_bytes() == requests.read_bytes()
    assert copy.stat().st_mode & 0o777 == 0o600
    assert requests.stat().st_mode & 0o777 != 0o600
    requests.unlink()
    cli.clock.advance(2 * 3600)
    cli("sync")
    (job,) = cli.json("fetch", "-f", "name:kept", "--out", str(tmp_path / "out"))["jobs"]
    manifest = json.loads((Path(job["folder"]) / "manifest.json").read_text())
    assert manifest["input"] == "copy"
    keys = [json.loads(each)["key"] for each in Path(job["file"]).read_text().splitlines()]
    assert keys == ["r3", "r1", "r2"]


def test_no_copy_is_kept_where_it_is_not_wanted_or_no_batch_came(cli: Cli, tmp_path: Path) -> None:
    requests = tmp_path / "requests.jsonl"
    requests.write_text('{"custom_id":"a","method":"POST","url":"/v1/responses","body":{"model":"gpt-x"}}\n')
    assert cli("submit", str(requests), "--account", "openai", "--no-keep-input").code == 0
    cli.config.write_text(cli.config.read_text() + "keep_input = false\n")
    assert cli("submit", str(requests), "--account", "work", "--yes").code == 0
    assert not (cli.database.parent / "inputs").exists()
    cli.fault(ErrorAnswer(400), "/v1/batches", "POST")
    assert cli("submit", str(requests), "--account", "openai", "--yes").code == 1
    assert list((cli.database.parent / "inputs").iterdir()) == []


def test_a_pipe_gets_what_was_fetched_before_also_when_the_provider_has_deleted_it(
    cli: Cli, tmp_path: Path
) -> None:
    batch = cli.add_finished(total=3)
    cli("sync", "--account", "openai")
    cli("fetch", batch, "--out", str(tmp_path / "out"))
    cli.fault(ErrorAnswer(404))
    ran = cli("fetch", batch, "--out", "-")
    assert (ran.code, len(ran.out.splitlines()), ran.err) == (0, 3, "")


def test_two_processes_may_fetch_the_same_job_at_once(cli: Cli, tmp_path: Path) -> None:
    batch = cli.add_finished(total=200)
    cli("sync", "--account", "openai")
    both = [cli.start("fetch", batch, "--out", str(tmp_path / "out"), "--json") for _ in range(2)]
    told = [(process.communicate(timeout=60), process.returncode) for process in both]
    assert [code for _, code in told] == [0, 0]
    results = [json.loads(out)["jobs"][0] for (out, _), _ in told]
    assert sorted(job["reason"] for job in results) == ["200 ok", "already here"]
    (folder,) = (tmp_path / "out").iterdir()
    assert len((folder / "results.jsonl").read_text().splitlines()) == 200
    assert not list(folder.glob("*.part"))


def test_a_removal_deletes_fetched_files_and_the_copy_of_the_input_and_nothing_else(
    cli: Cli, tmp_path: Path
) -> None:  # B-9 B-14
    requests = tmp_path / "requests.jsonl"
    requests.write_text('{"custom_id":"a","method":"POST","url":"/v1/responses","body":{"model":"gpt-x"}}\n')
    assert cli("submit", str(requests), "--account", "openai", "--name", "kept").code == 0
    cli.clock.advance(2 * 3600)
    cli("sync")
    (job,) = cli.json("fetch", "-f", "name:kept", "--out", str(tmp_path / "out"))["jobs"]
    folder = Path(job["folder"])
    (folder / "notes.txt").write_text("mine")
    ran = cli("remove", job["id"], "--files", "--keep-record", "--yes")
    assert ran.code == 0
    assert "deleted 5 files here" in ran.out
    assert [each.name for each in folder.iterdir()] == ["notes.txt"]
    assert list((cli.database.parent / "inputs").iterdir()) == []
    assert requests.exists()
    known = cli.job(job["id"])
    assert (known["fetched_at"], known["results_folder"], known["results"]) == (None, None, None)


def test_a_partial_batch_whose_results_are_here_says_where_its_errors_are(cli: Cli, tmp_path: Path) -> None:
    batch = cli.add_finished(total=9, failures=(BatchFailure(2),))
    cli("sync", "--account", "openai")
    cli("fetch", batch, "--out", str(tmp_path / "out"))
    shown = cli("show", batch).out
    assert f"2 failed requests: jobdash show {cli.id_of(batch)} --items --outcome error" in shown
    assert "the first 0" not in shown
    assert "Items  7 ok · 2 errors" in cli("show", batch, "--items").out


def test_what_is_in_the_results_folder_goes_too_when_it_was_fetched_elsewhere_later(
    cli: Cli, tmp_path: Path
) -> None:
    usual = tmp_path / "usual"
    cli.config.write_text(cli.config.read_text() + f'[results]\nfolder = "{usual}"\n')
    batch, other = cli.add_finished(total=3), cli.add_finished(total=3)
    cli("sync", "--account", "openai")
    cli("fetch", batch, other, "--out", str(usual))
    cli("fetch", batch, "--out", str(tmp_path / "out"))
    assert "deleted 8 files here" in cli("remove", batch, "--files", "--yes").out
    assert list((tmp_path / "out").iterdir()) == []
    assert [folder.name for folder in usual.iterdir()] == [f"{other}-{cli.id_of(other)}"]


def test_a_copy_that_cannot_be_kept_is_said_and_the_batch_is_sent_all_the_same(
    cli: Cli, tmp_path: Path
) -> None:
    requests = tmp_path / "requests.jsonl"
    requests.write_text('{"custom_id":"a","method":"POST","url":"/v1/responses","body":{"model":"gpt-x"}}\n')
    cli("list")  # makes the store
    (cli.database.parent / "inputs").write_text("in the way")
    ran = cli("submit", str(requests), "--account", "openai")
    assert ran.code == 0
    assert "no copy of its input is kept: " in ran.err
    assert cli.calls("POST", "/v1/batches") == 1


def test_fetched_results_are_shown_as_items(cli: Cli, tmp_path: Path) -> None:
    batch = cli.add_finished(total=6, failures=(BatchFailure(1),), cut_off=1)
    cli("sync", "--account", "openai")
    assert "none are kept" in cli("show", batch, "--items").out
    cli("fetch", batch, "--out", str(tmp_path / "out"))
    ran = cli("show", batch, "--items")
    assert "Items  4 ok · 1 cut off · 1 error" in ran.out
    assert "ok       request-" in ran.out
    assert "(20 in, 30 out)" in ran.out
    items = cli.json("show", batch, "--items")["items"]
    assert [item["key"] for item in items] == [f"request-{number}" for number in range(1, 7)]
    (cut,) = cli.json("show", batch, "--items", "--outcome", "cut_off")["items"]
    assert (cut["input_tokens"], cut["output_tokens"], cut["error"]) == (20, 30, None)
    (error,) = cli.json("show", batch, "--items", "--outcome", "error")["items"]
    assert (error["error_type"], error["output_tokens"]) == ("rate_limit_exceeded", None)
    assert cli.json("show", batch, "--items", "--outcome", "waiting")["items"] == []


def test_an_index_of_other_results_is_made_anew(cli: Cli, tmp_path: Path) -> None:
    batch = cli.add_finished(total=3)
    cli("sync", "--account", "openai")
    cli("fetch", batch, "--out", str(tmp_path / "out"))
    assert cli.json("show", batch, "--items")["items"][0]["key"] == "request-1"
    (folder,) = (tmp_path / "out").iterdir()
    results = folder / "results.jsonl"
    results.write_bytes(results.read_bytes().replace(b"request-1", b"request-9"))  # as long as before
    assert cli.json("show", batch, "--items")["items"][0]["key"] == "request-9"


def test_an_index_that_is_gone_or_damaged_is_made_anew(cli: Cli, tmp_path: Path) -> None:
    batch = cli.add_finished(total=3)
    cli("sync", "--account", "openai")
    cli("fetch", batch, "--out", str(tmp_path / "out"))
    (folder,) = (tmp_path / "out").iterdir()
    for damage in (b"", b"nothing of an index", None):
        assert len(cli.json("show", batch, "--items")["items"]) == 3
        index = folder / "results.index"
        assert index.stat().st_mode & 0o777 == 0o600
        if damage is None:
            index.unlink()
        else:
            index.write_bytes(damage)
    ran = cli("remove", batch, "--files", "--yes")
    assert ran.code == 0
    assert not folder.exists()


def test_a_fetch_that_is_killed_is_made_whole_by_the_next_one(cli: Cli, tmp_path: Path) -> None:
    batch = cli.add_finished(total=20, failures=(BatchFailure(3),))
    cli("sync", "--account", "openai")
    errors = cli.job(batch)["files"]["error"]
    cli.fault(Delay(30), f"*/{errors}/content", times=1)
    process = cli.start("fetch", batch, "--out", str(tmp_path / "out"))
    deadline = time.monotonic() + 30
    while not list((tmp_path / "out").glob("*/output.jsonl.part")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    killed(process)
    cli.emulator.faults.clear()  # else the next one meets it, when this one had not got that far
    (folder,) = (tmp_path / "out").iterdir()
    assert not (folder / "manifest.json").exists()
    assert "17 ok · 3 errors" in cli("fetch", batch, "--out", str(tmp_path / "out")).out
    assert not list(folder.glob("*.part"))


@pytest.mark.slow
def test_a_fetch_that_waits_for_another_one_says_so(cli: Cli, tmp_path: Path) -> None:
    batch = cli.add_finished(name="nightly", total=3)
    cli("sync")
    folder = tmp_path / "out" / f"nightly-{cli.id_of(batch)}"
    folder.mkdir(parents=True)
    other = os.open(folder, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    fetch = cli.start("fetch", batch, "--out", str(tmp_path / "out"))
    try:
        assert fetch.stderr is not None
        words = f"nightly: waiting for another jobdash, which is fetching into {folder}\n"
        assert within(fetch.stderr.readline) == words
        os.close(other)
        out, err = fetch.communicate(timeout=20)
        assert (fetch.returncode, err) == (0, "")
        assert "fetched" in out
    finally:
        killed(fetch)
