"""`jobdash.batches` when it is interrupted: the store tells what happened, and the interruption is raised."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from cli_kit import ROOT, Cli

from jobdash import batches
from jobdash.batches import aio
from jobdash.demo.emulator import Delay

UPLOAD, CREATE = "/v1/files", "/v1/batches"
REQUEST = {"custom_id": "r1", "method": "POST", "url": "/v1/responses", "body": {"model": "gpt-x"}}
IN_A_SCRIPT = f"""
from jobdash import batches
batches.submit([{REQUEST!r}], account="openai")
"""
IN_A_NOTEBOOK = f"""
import asyncio
from jobdash import batches
async def cell():
    batches.submit([{REQUEST!r}], account="openai")
asyncio.new_event_loop().run_until_complete(cell())
"""


def until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def submitting(cli: Cli, path: str, seconds: float, submit: Any = None) -> asyncio.Task[Any]:
    """Start a submit, and return it while a request of it is under way."""
    cli.fault(Delay(seconds, applied_first=True), path, "POST")
    task = asyncio.ensure_future(submit or aio.submit([REQUEST], account="openai"))
    await asyncio.to_thread(until, partial(cli.calls, "POST", path))
    return task


def the_only(cli: Cli) -> Any:
    (job,) = cli.json("list")["jobs"]
    return job


async def test_a_submit_that_is_cancelled_while_it_uploads_has_failed(cli: Cli) -> None:
    task = await submitting(cli, UPLOAD, 1.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    job = await asyncio.to_thread(the_only, cli)
    assert (job["status"], cli.calls("POST", CREATE)) == ("failed", 0)
    assert job["error"].startswith("stopped; the uploaded file file-")
    assert "stopped" in (await asyncio.to_thread(cli, "log", job["id"])).out
    cli.emulator.faults.clear()
    assert (await aio.submit([REQUEST], account="openai")).remote_id is not None


async def test_a_deadline_ends_a_submit_as_a_cancel_does(cli: Cli) -> None:
    cli.fault(Delay(3.0, applied_first=True), UPLOAD, "POST")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.5):
            await aio.submit([REQUEST], account="openai")
    job = await asyncio.to_thread(the_only, cli)
    assert (job["status"], cli.calls("POST", CREATE)) == ("failed", 0)


async def test_a_second_cancel_abandons_the_upload_at_once(cli: Cli) -> None:
    task = await submitting(cli, UPLOAD, 30.0)
    began = time.monotonic()
    task.cancel()
    await asyncio.wait((task,), timeout=0.3)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 8
    job = await asyncio.to_thread(the_only, cli)
    assert (job["status"], job["error"]) == ("failed", "stopped")


async def test_a_batch_that_is_being_created_is_there_when_the_cancel_is_raised(cli: Cli) -> None:
    task = await submitting(cli, CREATE, 1.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (made,) = await aio.list()
    assert (made.remote_id is not None, made.status) == (True, "validating")


async def test_a_cancel_of_a_cancel_still_tells_what_was_answered(cli: Cli) -> None:
    batch = await aio.get(cli.add(name="nightly"))
    path = f"{CREATE}/{batch.remote_id}/cancel"
    task = await submitting(cli, path, 1.0, aio.cancel(batch))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await aio.get(batch, sync=False)).status == "cancelling"


async def test_a_resume_that_is_cancelled_while_it_uploads_leaves_a_job_that_has_failed(cli: Cli) -> None:
    made = await aio.submit([REQUEST], account="openai")
    await aio.cancel(made)
    cli.clock.advance(3600)
    ended = await aio.get(made)
    assert ended.finished
    cli.emulator.journal.clear()
    task = await submitting(cli, UPLOAD, 1.0, aio.resume(ended, only=["missing"]))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    again, _ = await aio.list()
    assert (again.parent, again.status) == (made.id, "failed")


async def test_a_wait_is_over_as_soon_as_it_is_cancelled(cli: Cli) -> None:
    batch = await aio.get(cli.add(name="nightly"))
    task = asyncio.ensure_future(aio.wait(batch))
    await asyncio.wait((task,), timeout=0.5)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("program", [IN_A_SCRIPT, IN_A_NOTEBOOK])
def test_ctrl_c_ends_a_submit_honestly(cli: Cli, program: str) -> None:
    cli.fault(Delay(2.0, applied_first=True), UPLOAD, "POST")
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        until(partial(cli.calls, "POST", UPLOAD))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    assert "KeyboardInterrupt" in err
    job = the_only(cli)
    assert (job["status"], cli.calls("POST", CREATE)) == ("failed", 0)
    assert job["error"].startswith("stopped; the uploaded file file-")


async def test_a_submit_under_way_is_called_the_same_everywhere(cli: Cli) -> None:
    task = await submitting(cli, UPLOAD, 2.0)
    word = (await asyncio.to_thread(the_only, cli))["id"]
    adopt = await asyncio.to_thread(cli, "adopt", word, "--none", "--dry-run")
    cancel = await asyncio.to_thread(cli, "cancel", word, "--yes")
    assert "its submit is not confirmed yet" in adopt.out
    assert "its submit is not confirmed yet" in cancel.out
    with pytest.raises(batches.BatchFailed, match="its submit is not confirmed yet"):
        await aio.cancel(word)
    assert (await task).remote_id is not None
