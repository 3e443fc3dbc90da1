"""Collecting batches: files as they were sent, joined by key, from every end, and nothing lost on the way."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from operations_kit import World

from jobdash.demo.emulator import (
    OPENAI_KEY,
    BatchFailure,
    BatchPlan,
    BatchScript,
    CancelBehaviour,
    Ending,
    Switches,
    Timing,
)
from jobdash.demo.emulator.faults import CutBody, Delay, EmptyJson, ErrorAnswer, FaultRule, MalformedJson
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, ActionResult
from jobdash.domain.results import ResultCounts, ResultFormat
from jobdash.errors import JobdashError, StoreBusy, UsageError
from jobdash.operations.fetch import fetch
from jobdash.operations.job_lookup import Browser
from jobdash.operations.results.fetch_request import FetchedResults, FetchRequest
from jobdash.operations.results.folder import folder_of
from jobdash.operations.results.formats import check_format
from jobdash.operations.results.held_folder import HeldFolder
from jobdash.operations.results.join import JoinedResults, join_results
from jobdash.store.records import ActionRequest
from jobdash.store.writer import Writer

CONTENT = "*/content"
DONE, SKIPPED, FAILED = ActionResult.DONE, ActionResult.SKIPPED, ActionResult.FAILED


async def collected(
    world: World,
    row: JobRow,
    folder: Path,
    *,
    partial: bool = False,
    wanted: ResultFormat = ResultFormat.JSONL,
    on_progress: Callable[[JobRow, int], None] = lambda _row, _size: None,
) -> FetchedResults:
    request = FetchRequest(
        folder,
        lambda: Browser(world.config.database, world.ms),
        world.work,
        partial=partial,
        format=wanted,
        on_progress=on_progress,
    )
    (done,) = await fetch([row], request)
    return done


async def finished(world: World, account: str = "openai", **settings: Any) -> JobRow:
    (row,) = await world.known(world.add_finished(account, **settings))
    return row


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def names(folder: Path | None) -> list[str]:
    assert folder is not None
    return sorted(each.name for each in folder.iterdir())


def folders(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir() if each.is_dir()]


def content(world: World, row: JobRow, role: str = "output") -> str:
    """The path of a file's content at the emulator."""
    job = world.browser.job(row.id)
    assert job is not None
    return f"*/{job.files[role]}/content"


def sent(world: World, row: JobRow, role: str) -> bytes:
    """What the emulator sent for a file of a batch."""
    job = world.browser.job(row.id)
    assert job is not None
    file = world.emulator.openai.account(OPENAI_KEY).files.get(job.files[role])
    from jobdash.demo.emulator.openai_view import file_content

    assert file is not None
    content = file_content(world.emulator.openai, file)
    assert content is not None
    return content


def input_gone(world: World, row: JobRow) -> None:
    job = world.browser.job(row.id)
    assert job is not None
    world.emulator.openai.remove_file(job.files["input"], key=OPENAI_KEY)


async def test_a_batch_is_collected_as_it_was_sent_and_joined_in_the_order_of_its_requests(
    world: World, tmp_path: Path
) -> None:  # D-4
    row = await finished(
        world,
        name="nightly",
        total=40,
        failures=(BatchFailure(3),),
        cut_off=5,
        switches=Switches(shuffled=True),
    )
    done = await collected(world, row, tmp_path)

    assert (done.result, done.reason) == (DONE, "32 ok · 5 cut off · 3 errors")
    folder = tmp_path / f"nightly-{row.public_id}"
    assert done.folder == folder
    assert names(folder) == [
        "errors.jsonl",
        "manifest.json",
        "missing.jsonl",
        "output.jsonl",
        "results.jsonl",
    ]
    assert (folder / "output.jsonl").read_bytes() == sent(world, row, "output")
    assert (folder / "errors.jsonl").read_bytes() == sent(world, row, "error")
    results = lines(folder / "results.jsonl")
    assert [line["key"] for line in results] == [f"request-{number}" for number in range(1, 41)]
    cut = next(line for line in results if line["outcome"] == "cut_off")
    assert (cut["finish_reason"], cut["output_tokens"]) == ("length", 30)
    failed = next(line for line in results if line["outcome"] == "error")
    assert (failed["response"], failed["error"]["code"]) == (None, "rate_limit_exceeded")
    assert all(each.stat().st_mode & 0o777 == 0o600 for each in folder.iterdir())


async def test_the_manifest_and_the_store_say_what_was_collected(world: World, tmp_path: Path) -> None:
    row = await finished(world, total=10, failures=(BatchFailure(2),), cut_off=1)
    done = await collected(world, row, tmp_path)
    assert done.folder is not None
    manifest = json.loads((done.folder / "manifest.json").read_text())

    assert manifest["complete"] is True
    assert manifest["job"]["remote_id"] == row.remote_id
    assert manifest["counts"] == {
        "ok": 7,
        "error": 2,
        "cut_off": 1,
        "missing": 0,
        "unknown_keys": 0,
        "duplicate_keys": 0,
        "input_tokens": 160,
        "output_tokens": 240,
        "cached_tokens": None,
    }
    for name, facts in manifest["files"].items():
        content = (done.folder / name).read_bytes()
        assert facts == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    now = world.row(row.remote_id or "")
    assert now.fetched_at == world.ms()
    assert now.collected == ResultCounts(7, 2, 1, 0, input_tokens=160, output_tokens=240, cached_tokens=0)
    job = world.browser.job(row.id)
    assert job is not None
    assert job.results_folder == str(done.folder)
    assert world.events(row.remote_id or "")[0].action == "fetch"


async def test_without_the_input_results_stand_as_they_came_and_the_total_tells_what_is_missing(
    world: World, tmp_path: Path
) -> None:
    row = await finished(world, total=30, switches=Switches(shuffled=True, odd_keys=True))
    input_gone(world, row)
    done = await collected(world, row, tmp_path)
    assert done.folder is not None
    assert "missing.jsonl" not in names(done.folder)
    raw = list(dict.fromkeys(line["custom_id"] for line in lines(done.folder / "output.jsonl")))
    assert [line["key"] for line in lines(done.folder / "results.jsonl")] == raw
    assert done.counts is not None
    assert (done.counts.ok, done.counts.missing, done.counts.duplicate_keys) == (29, 1, 1)


async def test_keys_that_are_odd_are_counted_and_named_and_nothing_is_joined_by_position(
    world: World, tmp_path: Path
) -> None:
    row = await finished(world, total=10, switches=Switches(odd_keys=True, garbage_lines=True))
    done = await collected(world, row, tmp_path)
    assert done.folder is not None
    assert done.counts == ResultCounts(
        8, 0, 0, 2, unknown_keys=2, duplicate_keys=1, input_tokens=200, output_tokens=300
    )
    assert done.reason == "8 ok · 2 missing, not counted: 2 with an unknown key, 1 with a key used before"
    manifest = json.loads((done.folder / "manifest.json").read_text())
    assert manifest["unknown_keys"] == ["(line 3 of the output file)", "nobody-asked"]
    assert manifest["duplicate_keys"] == ["request-1"]
    missing = lines(done.folder / "missing.jsonl")
    assert [line["custom_id"] for line in missing] == ["request-2", "request-3"]
    assert missing[0]["body"]["model"] == "model-x"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            {"ending": Ending.EXPIRES, "reached": 1, "age": 3 * 24 * 3600.0},
            "1 ok · 9 errors, partial (expired)",
        ),
        ({"failures": (BatchFailure(10),)}, "0 ok · 10 errors"),
    ],
)
async def test_expired_batches_and_those_with_errors_alone_are_collected(
    world: World, tmp_path: Path, settings: dict[str, Any], reason: str
) -> None:  # D-3 D-4
    row = await finished(world, total=10, **settings)
    done = await collected(world, row, tmp_path)
    assert (done.result, done.reason) == (DONE, reason)


async def test_a_cancelled_batch_is_collected_as_far_as_it_came(world: World, tmp_path: Path) -> None:
    # D-3 D-4 C-13
    batch = world.add(total=100, age=1805.0)
    await world.known(batch)
    await world.one(Action.CANCEL, batch)
    world.pass_time(60)
    (row,) = await world.known(batch)
    done = await collected(world, row, tmp_path)
    assert done.counts is not None
    assert 0 < done.counts.ok < 100
    assert done.counts.missing == 100 - done.counts.ok
    assert done.folder is not None
    assert len(lines(done.folder / "missing.jsonl")) == done.counts.missing
    assert done.partial
    assert done.reason.endswith("partial (cancelled)")


async def test_a_job_that_was_failed_here_is_collected_when_its_provider_has_ended_it(
    world: World, tmp_path: Path
) -> None:
    late = Switches(cancel=CancelBehaviour.LOSES_RACE)
    batch = world.add(total=10, running=3600, switches=late)
    await world.known(batch)
    await world.one(Action.FORCE_FAIL, batch)
    refused = await collected(world, world.row(batch), tmp_path)
    assert (refused.result, refused.reason) == (FAILED, "not finished: 0 of 10 so far")
    world.pass_time(2 * 3600)
    await world.sync(full=True)
    row = world.row(batch)
    assert row.force_failed
    done = await collected(world, row, tmp_path)
    assert done.result is DONE


async def test_an_unfinished_batch_is_refused_and_with_partial_its_provider_may_have_nothing(
    world: World, tmp_path: Path
) -> None:  # D-4
    (row,) = await world.known(world.add(total=100, age=1805.0))
    done = await collected(world, row, tmp_path / "out")
    assert done.result is FAILED
    assert done.reason.startswith("not finished: ")
    done = await collected(world, row, tmp_path / "out", partial=True)
    assert done.refused
    assert done.reason == "not finished, and OpenAI has no results before a batch has ended"
    assert list((tmp_path / "out").iterdir()) == []


async def test_a_batch_that_never_began_has_no_results_and_leaves_no_folder(
    world: World, tmp_path: Path
) -> None:
    row = await finished(world, total=10, ending=Ending.FAILS)
    done = await collected(world, row, tmp_path)
    assert (done.result, done.refused) == (SKIPPED, False)
    assert done.reason.startswith("no results: it failed")
    assert folders(tmp_path) == []


@pytest.mark.parametrize("inline", [False, True])
async def test_gemini_is_collected_from_its_file_and_inline_by_one_request(
    world: World, tmp_path: Path, inline: bool
) -> None:
    script = BatchScript(
        name="answers",
        total=12,
        inline=inline,
        created_at=world.clock.now() - 7200,
        plan=BatchPlan(timing=Timing(running=60), failures=(BatchFailure(2),), cut_off=3),
    )
    world.used.add("gemini")
    (row,) = await world.known(world.emulator.gemini.add_batch(script))
    asked = world.calls("GET", "*/batches/*")
    done = await collected(world, row, tmp_path)
    assert done.reason == "7 ok · 3 cut off · 2 errors"
    assert world.calls("GET", "*/batches/*") - asked == (1 if inline else 0)
    assert done.folder is not None
    assert len(lines(done.folder / "output.jsonl")) == 12


async def test_inline_results_that_are_too_large_are_said_to_be_so(world: World, tmp_path: Path) -> None:
    script = BatchScript(
        total=2, inline=True, created_at=world.clock.now() - 7200, plan=BatchPlan(timing=Timing(running=60))
    )
    world.used.add("gemini")
    (row,) = await world.known(world.emulator.gemini.add_batch(script))
    world.fault(ErrorAnswer(504), "*/batches/*", "GET")
    done = await collected(world, row, tmp_path)
    assert done.result is FAILED
    assert done.reason.startswith(
        "its inline results are too large for Gemini to hand out; submit by file (504)"
    )


@pytest.mark.parametrize("status", [404, 410])
async def test_results_deleted_at_the_provider_are_said_to_be_so_and_are_no_error_of_the_account(
    world: World, tmp_path: Path, status: int
) -> None:
    row = await finished(world, total=10)
    world.fault(ErrorAnswer(status), CONTENT)
    done = await collected(world, row, tmp_path)
    assert (done.result, done.reason) == (FAILED, "results were deleted at the provider (404)")
    assert [health.error for health in world.browser.accounts() if health.error] == []
    assert folders(tmp_path) == []


async def test_only_the_files_of_an_ended_batch_are_asked_for(world: World, tmp_path: Path) -> None:
    row = await finished(world, total=10)
    asked = world.calls()
    assert (await collected(world, row, tmp_path)).result is DONE
    assert world.calls() - asked == 2


async def test_a_second_fetch_finds_the_results_and_asks_nobody(world: World, tmp_path: Path) -> None:
    row = await finished(world, total=10)
    first = await collected(world, row, tmp_path)
    asked = world.calls()
    again = await collected(world, row, tmp_path)
    assert (again.result, again.reason, again.folder) == (SKIPPED, "already here", first.folder)
    assert world.calls() == asked
    assert first.folder is not None
    (first.folder / "results.jsonl").unlink()
    assert (await collected(world, row, tmp_path)).result is DONE


async def test_a_download_that_breaks_off_leaves_nothing_and_the_next_fetch_is_whole(
    world: World, tmp_path: Path
) -> None:
    row = await finished(world, total=200)
    world.fault(CutBody(0.5), content(world, row), times=3)
    done = await collected(world, row, tmp_path)
    assert done.result is FAILED
    assert folders(tmp_path) == []
    folder = tmp_path / f"{row.name}-{row.public_id}"
    folder.mkdir()
    (folder / "output.jsonl.part").write_text("what a killed process left")
    done = await collected(world, row, tmp_path)
    assert done.reason == "200 ok"
    assert [name for name in names(done.folder) if name.endswith(".part")] == []


async def test_a_download_that_breaks_off_once_is_begun_anew(world: World, tmp_path: Path) -> None:
    row = await finished(world, total=200)
    world.fault(CutBody(0.5), content(world, row), times=1)
    done = await collected(world, row, tmp_path)
    assert done.reason == "200 ok"
    assert done.folder is not None
    assert (done.folder / "output.jsonl").read_bytes() == sent(world, row, "output")


async def test_a_large_download_that_breaks_off_once_is_whole_with_the_right_digests(
    world: World, tmp_path: Path
) -> None:
    # Digests are taken while it is downloaded, here of a first half that is then downloaded anew.
    row = await finished(world, total=200, answer_size=120_000)
    world.fault(CutBody(0.7), content(world, row), times=1)
    folder = (await collected(world, row, tmp_path)).folder
    assert folder is not None
    assert (folder / "output.jsonl").read_bytes() == sent(world, row, "output")
    assert len(lines(folder / "results.jsonl")) == 200
    for name, facts in json.loads((folder / "manifest.json").read_text())["files"].items():
        file = (folder / name).read_bytes()
        assert facts == {"bytes": len(file), "sha256": hashlib.sha256(file).hexdigest()}


async def test_another_jobs_files_are_never_overwritten(world: World, tmp_path: Path) -> None:
    row = await finished(world, total=10)
    done = await collected(world, row, tmp_path)
    assert done.folder is not None
    before = {name: (done.folder / name).read_bytes() for name in names(done.folder)}
    other = await collected(world, replace(row, remote_id="batch_of_another_store"), tmp_path)
    assert other.result is FAILED
    assert "has the results of another job" in other.reason
    assert before == {name: (done.folder / name).read_bytes() for name in names(done.folder)}
    (done.folder / "manifest.json").unlink()
    foreign = await collected(world, row, tmp_path)
    assert "holds other files: choose another folder" in foreign.reason


@pytest.mark.parametrize("name", ["../../escape", "/etc/passwd", "..", "a\x1b[31m/b", "CON\n", "x" * 500])
async def test_a_name_cannot_leave_the_folder(world: World, tmp_path: Path, name: str) -> None:
    row = await finished(world, name=name, total=2)
    done = await collected(world, row, tmp_path / "out")
    assert done.folder is not None
    assert done.folder.parent == tmp_path / "out"
    assert done.folder.resolve().parent == (tmp_path / "out").resolve()
    assert done.folder.name.isprintable()


@pytest.mark.parametrize("other", ["notes.txt", "film.part"])
async def test_half_written_files_of_others_stay(world: World, tmp_path: Path, other: str) -> None:
    row = await finished(world, name="nightly", total=3)
    folder = tmp_path / f"nightly-{row.public_id}"
    folder.mkdir()
    for name in (other, "download.part"):
        (folder / name).write_text("mine")
    done = await collected(world, row, tmp_path)
    assert (done.result, "holds other files" in done.reason) == (FAILED, True)
    assert names(folder) == sorted({other, "download.part"})


async def test_what_was_fetched_is_used_when_its_provider_has_deleted_it_and_results_are_lost(
    world: World, tmp_path: Path
) -> None:
    row = await finished(world, name="nightly", total=10, failures=(BatchFailure(3),), cut_off=1)
    folder = (await collected(world, row, tmp_path, wanted=ResultFormat.CSV)).folder
    assert folder is not None
    before = {name: (folder / name).read_bytes() for name in names(folder)}
    (folder / "results.jsonl").unlink()
    world.fault(ErrorAnswer(404), CONTENT)
    done = await collected(world, row, tmp_path)
    assert (done.result, done.reason) == (DONE, "6 ok · 1 cut off · 3 errors")
    assert names(folder) == sorted(before)
    for name in ("output.jsonl", "errors.jsonl", "results.csv", "missing.jsonl"):
        assert (folder / name).read_bytes() == before[name]
    assert len(lines(folder / "results.jsonl")) == 10


async def test_what_a_killed_fetch_has_named_is_used_when_its_provider_has_deleted_it(
    world: World, tmp_path: Path
) -> None:
    row = await finished(world, name="nightly", total=10, failures=(BatchFailure(3),), cut_off=1)
    folder = (await collected(world, row, tmp_path)).folder
    assert folder is not None
    # As a kill leaves it that comes when the raw files have their names, and nothing else has.
    (folder / "manifest.json").rename(folder / "manifest.json.part")
    (folder / "results.jsonl").unlink()
    world.fault(ErrorAnswer(404), CONTENT)
    done = await collected(world, row, tmp_path)
    assert (done.result, done.reason) == (DONE, "6 ok · 1 cut off · 3 errors")
    assert len(lines(folder / "results.jsonl")) == 10
    assert "manifest.json.part" not in names(folder)


async def test_a_folder_that_is_a_link_is_not_followed(world: World, tmp_path: Path) -> None:
    row = await finished(world, name="n", total=2)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"n-{row.public_id}").symlink_to(tmp_path / "elsewhere")
    done = await collected(world, row, tmp_path)
    assert done.result is FAILED
    assert names(tmp_path / "elsewhere") == []


async def test_two_fetches_of_one_job_at_once_do_not_get_into_each_others_way(
    world: World, tmp_path: Path
) -> None:
    row = await finished(world, total=50)
    both = await asyncio.gather(*(collected(world, row, tmp_path) for _ in range(2)))
    assert sorted(done.reason for done in both) == ["50 ok", "already here"]
    (folder,) = {done.folder for done in both if done.folder}
    assert folder is not None
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, facts in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == facts["sha256"]


async def test_a_folder_that_another_fetch_holds_for_long_is_refused(world: World, tmp_path: Path) -> None:
    row = await finished(world, total=2)
    folder = folder_of(tmp_path, row)
    refused = pytest.raises(JobdashError, match="another jobdash is fetching into")
    with folder.locked(), refused, folder.locked(patience=0.1):
        pass


async def test_a_folder_deleted_meanwhile_hides_no_other_failure(world: World, tmp_path: Path) -> None:
    row = await finished(world, total=10)
    folder = folder_of(tmp_path, row)

    def fail() -> None:
        with folder.locked():
            shutil.rmtree(folder.path)
            raise JobdashError("the first")

    with pytest.raises(JobdashError, match="the first"):
        fail()


async def test_a_folder_that_cannot_be_written_is_said_in_a_sentence(world: World, tmp_path: Path) -> None:
    row = await finished(world, total=2)
    (tmp_path / "file").write_text("")
    done = await collected(world, row, tmp_path / "file")
    assert done.result is FAILED
    assert done.reason == f"{tmp_path / 'file'} cannot be written: Not a directory"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
async def test_a_full_disk_is_said_in_a_sentence(world: World, tmp_path: Path) -> None:
    import resource

    row = await finished(world, total=400)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        target = tmp_path / "out"
        done = await collected(world, row, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert done.result is FAILED
    assert done.reason == f"{target} cannot be written: File too large"
    assert list(target.iterdir()) == []
    assert (await collected(world, row, target)).reason == "400 ok"


async def test_a_job_removed_while_it_is_fetched_loses_nothing(world: World, tmp_path: Path) -> None:
    row = await finished(world, total=10)

    def remove(_row: JobRow, _size: int) -> None:
        loop.call_soon(lambda: removals.append(loop.create_task(removal())))

    async def removal() -> None:
        await world.store.write(Writer.hide, ActionRequest(row.id, row.fence))

    loop, removals = asyncio.get_running_loop(), list[asyncio.Task[None]]()
    done = await collected(world, row, tmp_path, on_progress=remove)
    await asyncio.gather(*removals, return_exceptions=True)
    assert done.result is DONE
    assert done.folder is not None
    assert len(lines(done.folder / "results.jsonl")) == 10
    assert world.row(row.remote_id or "").removed_at is not None


async def test_a_fetch_that_is_stopped_leaves_nothing_behind(world: World, tmp_path: Path) -> None:
    row = await finished(world, total=10)
    world.stop.set()
    done = await collected(world, row, tmp_path)
    assert done.result is not DONE
    assert folders(tmp_path) == []


async def test_a_fetch_cancelled_while_it_names_its_files_takes_none_of_the_next_fetch(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await finished(world, total=50)
    reached, goes_on, fsync = threading.Event(), threading.Event(), os.fsync

    def slow(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name == "manifest.json.part":
            reached.set()
            assert goes_on.wait(10)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    first = asyncio.create_task(collected(world, row, tmp_path))
    assert await asyncio.to_thread(reached.wait, 10)
    monkeypatch.setattr("jobdash.operations.results.held_folder._GIVEN_UP_SECONDS", 0.01)
    first.cancel()
    await asyncio.wait([first], timeout=10)
    assert first.cancelled(), "it ends at once"
    second = asyncio.create_task(collected(world, row, tmp_path))
    await asyncio.sleep(0)
    assert "output.jsonl.part" in names(folder_of(tmp_path, row).path)
    goes_on.set()
    assert (await asyncio.wait_for(second, 10)).reason in {"50 ok", "already here"}
    manifest = json.loads((folder_of(tmp_path, row).path / "manifest.json").read_text())
    assert {*names(folder_of(tmp_path, row).path)} == {"manifest.json", *manifest["files"]}


async def test_a_fetch_cancelled_while_it_cleans_up_leaves_nothing_behind(
    world: World, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, await finished(world, total=2))
    closing, goes_on = threading.Event(), threading.Event()

    def close() -> None:
        closing.set()
        goes_on.wait(10)

    async def hold() -> None:
        async with HeldFolder(folder, close):
            folder.part("output.jsonl").touch()

    holding = asyncio.create_task(hold())
    assert await asyncio.to_thread(closing.wait, 10)
    holding.cancel()
    await asyncio.wait([holding], timeout=0.05)
    assert not holding.done(), "a command would end, and its thread with it"
    goes_on.set()
    await asyncio.wait([holding], timeout=10)
    assert holding.cancelled()
    assert not folder.path.exists()


async def test_fetches_that_wait_for_another_one_take_no_threads(world: World, tmp_path: Path) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
    rows = await world.known(*(world.add_finished(total=3) for _ in range(3)))
    with ExitStack() as others:
        for row in rows:
            others.enter_context(folder_of(tmp_path, row).locked())
        waiting = [asyncio.create_task(collected(world, row, tmp_path)) for row in rows]
        for _ in range(20):
            assert await asyncio.wait_for(asyncio.to_thread(lambda: True), 5)
        assert not any(each.done() for each in waiting)
    assert {done.reason for done in await asyncio.gather(*waiting)} == {"3 ok"}


async def test_an_error_file_that_is_gone_leaves_the_loop_free(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await finished(world, total=2000, failures=(BatchFailure(3),))
    details = world.browser.job(row.id)
    assert details is not None
    world.fault(ErrorAnswer(404), f"*/{details.files['error']}/content")
    monkeypatch.setattr("jobdash.operations.results.download._ADVANCED_EVERY", 1)
    goes_on, held_up, fdatasync = threading.Event(), list[bool](), os.fdatasync

    def slow(descriptor: int) -> None:
        held_up.append(not goes_on.wait(3))
        fdatasync(descriptor)

    async def release_once_answered() -> None:
        answered = 0
        while answered < 50:  # the answer may still be on its way
            await asyncio.sleep(0.001)
            answered += world.calls("GET", f"*/{details.files['error']}/content")
        goes_on.set()

    monkeypatch.setattr(os, "fdatasync", slow)
    releasing = asyncio.create_task(release_once_answered())
    done = await collected(world, row, tmp_path)
    assert done.reason == "1,997 ok · 3 missing, its error file was deleted at the provider"
    await releasing
    assert held_up
    assert not any(held_up)


async def test_results_are_written_as_csv_beside_the_json_lines(world: World, tmp_path: Path) -> None:
    import csv

    row = await finished(world, total=10, failures=(BatchFailure(1),))
    done = await collected(world, row, tmp_path, wanted=ResultFormat.CSV)
    assert done.file is not None
    with done.file.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    assert {each["outcome"] for each in rows} == {"ok", "error"}
    assert {"results.csv", "results.jsonl"} <= set(names(done.folder))


async def test_results_are_written_as_parquet_also_when_they_are_here_already(
    world: World, tmp_path: Path
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    row = await finished(world, total=10, failures=(BatchFailure(1),))
    await collected(world, row, tmp_path)
    done = await collected(world, row, tmp_path, wanted=ResultFormat.PARQUET)
    assert (done.result, done.reason) == (DONE, "9 ok · 1 error, results.parquet of what is here")
    table = parquet.read_table(done.file).to_pylist()
    assert [line["key"] for line in table] == [f"request-{number}" for number in range(1, 11)]
    assert sum(line["output_tokens"] or 0 for line in table) == 270
    assert (await collected(world, row, tmp_path)).result is SKIPPED


def test_parquet_without_its_package_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UsageError, match=r"pip install 'jobdash\[parquet\]'"):
        check_format(ResultFormat.PARQUET)


async def test_results_stay_where_they_were_collected_when_the_provider_deletes_them(
    world: World, tmp_path: Path
) -> None:
    row = await finished(world, total=10)
    await collected(world, row, tmp_path)
    world.fault(ErrorAnswer(404), CONTENT)
    assert (await collected(world, row, tmp_path)).reason == "already here"


async def test_a_sync_never_asks_for_a_batch_that_carries_its_results(world: World) -> None:
    script = BatchScript(
        total=5,
        inline=True,
        created_at=world.clock.now() - 60,
        plan=BatchPlan(timing=Timing(validating=7200, running=60)),
    )
    world.used.add("gemini")
    batch = world.emulator.gemini.add_batch(script)
    for _ in range(8):
        await world.sync()
        world.pass_time(20)
    world.pass_time(3 * 3600)
    (row,) = await world.known(batch)
    assert row.terminal
    assert world.calls("GET", "*/batches/*") == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a name is text")
async def test_a_folder_whose_name_is_no_text_is_a_folder_all_the_same(world: World, tmp_path: Path) -> None:
    row = await finished(world, total=2)
    done = await collected(world, row, tmp_path / os.fsdecode(b"caf\xe9"))
    assert (done.result, done.reason) == (DONE, "2 ok")
    assert world.row(row.remote_id or "").fetched_at is not None


async def test_batches_are_fetched_side_by_side_and_reported_in_their_order(
    world: World, tmp_path: Path
) -> None:
    rows = await world.known(*(world.add_finished(name=name) for name in ("a", "b", "c")))
    world.emulator.faults.add(FaultRule(effect=Delay(0.3), path=content(world, rows[0]), times=1))
    arrived: list[str] = []
    request = FetchRequest(
        tmp_path,
        lambda: Browser(world.config.database, world.ms),
        world.work,
        on_progress=lambda row, _size: arrived.append(row.name),
    )
    reported: list[str] = []
    done = await fetch(rows, request, lambda one: reported.append(one.row.name))

    slow = arrived[-1]
    assert set(arrived[:-1]) >= {row.name for row in rows} - {slow}
    assert reported == [row.name for row in rows] == [one.row.name for one in done]
    assert {one.result for one in done} == {DONE}


async def test_one_batch_that_cannot_be_fetched_stops_no_other(world: World, tmp_path: Path) -> None:
    rows = await world.known(*(world.add_finished(name=name) for name in ("a", "b", "c")))
    world.emulator.faults.add(FaultRule(effect=ErrorAnswer(400), path=content(world, rows[0]), times=1))
    request = FetchRequest(tmp_path, lambda: Browser(world.config.database, world.ms), world.work)
    done = await fetch(rows, request)
    assert sorted(one.result for one in done) == sorted([FAILED, DONE, DONE])


async def test_a_download_that_lacks_answers_is_not_taken_for_all(world: World, tmp_path: Path) -> None:
    # Half a file behind a 200: what it lacks was paid, and would be sent again.
    row = await finished(world, total=30)
    world.fault(MalformedJson(), content(world, row), times=1)
    done = await collected(world, row, tmp_path)
    assert (done.result, done.reason) == (DONE, "30 ok")


async def test_a_provider_that_counts_more_than_it_sends_is_believed_the_second_time(
    world: World, tmp_path: Path
) -> None:
    row = await finished(world, total=30)
    world.fault(MalformedJson(), CONTENT)
    done = await collected(world, row, tmp_path)
    assert done.result is DONE
    assert "fewer answers than its provider counts" in done.reason
    assert len([call for call in world.emulator.journal.calls("GET", CONTENT) if call.applied]) >= 2


async def test_a_provider_that_sends_fewer_each_time_is_asked_again_later(
    world: World, tmp_path: Path
) -> None:
    row = await finished(world, total=30)
    world.fault(MalformedJson(), content(world, row), nth=1)
    world.fault(EmptyJson(), content(world, row), nth=2)
    done = await collected(world, row, tmp_path)
    assert done.result is FAILED
    assert "try again" in done.reason
    assert folders(tmp_path) == []
    assert (await collected(world, row, tmp_path)).reason == "30 ok"


async def test_an_empty_answer_is_not_taken_for_no_results(world: World, tmp_path: Path) -> None:
    # Its requests would count as missing, and be sent and paid again.
    row = await finished(world, total=30)
    world.fault(ErrorAnswer(200, ""), content(world, row), times=2)
    done = await collected(world, row, tmp_path)
    assert (done.result, done.folder) == (FAILED, None)
    assert "counts 30 answers, and sent none" in done.reason
    assert (await collected(world, row, tmp_path)).reason == "30 ok"


async def test_answers_that_are_errors_are_not_looked_for_again(world: World, tmp_path: Path) -> None:
    # Some servers count every answer as completed: nothing lacks where each request has its line.
    row = await finished(world, total=4)
    keys = [line["custom_id"] for line in map(json.loads, sent(world, row, "output").splitlines())]
    found = [
        {"custom_id": key, "response": {"status_code": 200 if number else 400, "body": {"choices": []}}}
        for number, key in enumerate(keys)
    ]
    answers = "".join(f"{json.dumps(line)}\n" for line in found)
    world.fault(ErrorAnswer(200, answers), content(world, row))
    done = await collected(world, row, tmp_path)
    assert (done.result, done.reason) == (DONE, "3 ok · 1 error")
    assert world.calls("GET", content(world, row)) == 1


@pytest.mark.parametrize("times", [1, None])
async def test_half_an_input_file_loses_no_answer(world: World, tmp_path: Path, times: int | None) -> None:
    row = await finished(world, total=30)
    given = world.browser.job(row.id).files["input"]  # type: ignore[union-attr]
    world.fault(MalformedJson(), f"*/{given}/content", times=times)
    done = await collected(world, row, tmp_path)
    assert (done.result, done.reason) == (DONE, "30 ok")
    assert done.file is not None
    assert len(lines(done.file)) == 30


async def test_few_results_are_joined_at_once(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each joins in a thread: one that draws the dashboard would wait for all of them, and for their memory.
    rows = await world.known(*world.add_many(12, age=7200.0, running=60.0, total=3))
    three = threading.Barrier(3)
    met: list[int] = []

    def joined(*args: Any, **more: Any) -> JoinedResults:
        with suppress(threading.BrokenBarrierError):
            met.append(three.wait(0.5))
        return join_results(*args, **more)

    monkeypatch.setattr("jobdash.operations.results.download.join_results", joined)
    request = FetchRequest(tmp_path, lambda: Browser(world.config.database, world.ms), world.work)
    assert {done.result for done in await fetch(rows, request)} == {DONE}
    assert met == []


async def test_results_are_fetched_where_their_price_cannot_be_written(world: World, tmp_path: Path) -> None:
    row = await finished(world, total=3)
    opened: list[Browser] = []

    def opens_once() -> Browser:
        if opened:
            raise StoreBusy("another program has been writing for long")
        opened.append(Browser(world.config.database, world.ms))
        return opened[0]

    (done,) = await fetch([row], FetchRequest(tmp_path, opens_once, world.work))
    assert (done.result, done.reason) == (DONE, "3 ok")
    assert world.browser.rows([row.id])[row.id].collected is not None
