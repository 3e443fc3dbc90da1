"""Profiles: servers with OpenAI's API, found by name or address, each with what it does in another way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shared.slices import rest_slow

from jobdash.demo.emulator import PROFILES, BatchPlan, BatchScript, ErrorAnswer, FaultRule, Switches
from jobdash.domain.account import Account, Header, Secret
from jobdash.domain.status import Status
from jobdash.domain.time import DAY
from jobdash.errors import BadResponse, InvalidRequest, UsageError
from jobdash.operations.submission.request import order
from jobdash.providers.openai.batches import read_job
from jobdash.providers.openai.info import INFO
from jobdash.providers.registry import bundled, open_adapter, provider_of
from jobdash.providers.servers import server_of

LISTED = {profile.name: profile for profile in INFO.profiles}
NAMES = [name for name in LISTED if name != "openai"]


def account(name: str | None = None, base_url: str | None = None, **more: Any) -> Account:
    return Account("work", "openai", "WORK_KEY", Secret("sk-profiles"), base_url, profile=name, **more)


@pytest.fixture
def openai_lines(tmp_path: Path) -> Callable[[int], Path]:
    def write(count: int) -> Path:
        path = tmp_path / "requests.jsonl"
        line = {"method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"}}
        path.write_text("".join(json.dumps({"custom_id": str(n)} | line) + "\n" for n in range(count)))
        return path

    return write


# ── which profile ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_is_known_by_its_name(name: str) -> None:
    info = provider_of(account(name, LISTED[name].base_url or "https://mine.example/v1"))
    assert (info.name, info.title) == ("openai", LISTED[name].title)
    # What is known without the account, of a job at that server, is the same.
    if LISTED[name].base_url:
        assert info.at(LISTED[name].base_url, None) == info


@pytest.mark.parametrize("name", [name for name in NAMES if LISTED[name].base_url])
def test_an_address_is_guessed_and_a_name_knows_the_address(name: str) -> None:
    address = LISTED[name].base_url
    assert INFO.profile_of(account(base_url=address)).name == name
    assert server_of(account(name)) == address
    assert server_of(account(base_url=f"{address}/")) == address


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (None, "openai"),
        ("https://api.openai.com/v1", "openai"),
        ("https://res.openai.azure.com/openai/v1", "azure"),
        ("https://res.cognitiveservices.azure.com/openai/v1", "azure"),
        ("https://evil-openai.azure.com.example/v1", ""),
        ("http://127.0.0.1:8000/v1", ""),
        ("https://api.groq.com.example/v1", ""),
        ("not an address", ""),
        ("https://[broken", ""),
    ],
)
def test_a_server_that_is_not_listed_is_taken_for_openai(address: str | None, name: str) -> None:
    assert INFO.profile_of(account(base_url=address)).name == name
    if not name:
        assert INFO.at(address or "", None) == INFO


def test_other_providers_have_no_profiles() -> None:
    for info in bundled().values():
        if info.name != "openai":
            assert info.at("https://api.groq.com/openai/v1", None) is info


# ── what is sent ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "window", "sent"),
    [("azure", None, "24h"), ("groq", None, "24h"), ("groq", "7d", "7d"), ("novita", None, "48h")],
)
async def test_a_batch_is_made_with_the_window_of_its_server(
    world: Any, submission: Any, name: str, window: str | None, sent: str
) -> None:
    wanted = submission(name)
    async with open_adapter(world.account(name, completion_window=window)) as adapter:
        made = await adapter.create(wanted, await adapter.upload(wanted))
        assert made.submit_key == wanted.key
    (call,) = world.emulator.journal.calls("POST", f"/{name}/openai/v1/batches")[-1:]
    assert json.loads(call.body)["completion_window"] == sent


@pytest.mark.parametrize("name", ["openai", "azure"])
async def test_a_file_and_its_results_are_kept_as_long_as_the_account_says(
    world: Any, submission: Any, name: str
) -> None:
    wanted = submission(name)
    async with open_adapter(world.account(name, files_expire_ms=14 * DAY)) as adapter:
        file_id = await adapter.upload(wanted)
        made = await adapter.create(wanted, file_id)
        (file,) = [file for file in (await adapter.files()).files if file.id == file_id]
        assert file.expires_at == int(world.clock.now() + 14 * 24 * 3600) * 1000
        world.clock.advance(3600)
        ended = await adapter.get(made.remote_id)
        expires = await adapter.results_expire_at(ended)
        assert expires is not None
        assert ended.finished_at is not None
        assert expires == ended.finished_at + 14 * DAY


async def test_azure_lists_an_empty_error_file_of_every_batch_that_has_ended(world: Any) -> None:
    side = world.emulator.side("azure")
    batch = side.add_batch(
        BatchScript(total=4, plan=BatchPlan(switches=Switches(results_kept=60))), key="sk-e"
    )
    async with open_adapter(world.account("azure", api_key=Secret("sk-e"))) as adapter:
        before = len((await adapter.files()).files)
        world.clock.advance(80)
        ended = await adapter.get(batch)
        listed = {file.id: file.size for file in (await adapter.files()).files}
        world.clock.advance(80)
        after = len((await adapter.files()).files)
    assert (before, len(listed), after) == (1, 3, 1)
    assert listed[ended.files["error"]] == 0


async def test_azure_is_sent_its_own_header_and_nothing_else(world: Any) -> None:
    async with open_adapter(world.account("azure")) as adapter:
        await adapter.list()  # the emulator takes a key from no other header
        sent = adapter._http.client.build_request("GET", world.urls["azure"])  # type: ignore[attr-defined]
        sent.headers["authorization"] = f"Bearer {world.key}"
        await adapter._http._before_request(sent)  # type: ignore[attr-defined]
    assert sent.headers["api-key"] == world.key
    assert "authorization" not in sent.headers


# ── what is read ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_list_without_pages_is_asked_for_once(world: Any) -> None:
    side = world.emulator.side("groq")
    made = {side.add_batch(BatchScript(), key="sk-once") for _ in range(3)}
    async with open_adapter(world.account("groq", api_key=Secret("sk-once"))) as adapter:
        page = await adapter.list(limit=1)
    assert {job.remote_id for job in page.jobs} == made
    assert (page.cursor, page.promised) == (None, False)


async def test_pages_that_a_server_promises_are_asked_for_whatever_its_profile_says(world: Any) -> None:
    side = world.emulator.openai
    made = [side.add_batch(BatchScript(), key="sk-pages") for _ in range(2)]
    here = world.account("groq", base_url=world.urls["openai"], api_key=Secret("sk-pages"))
    async with open_adapter(here) as adapter:
        page = await adapter.list(limit=1)
    assert page.cursor == page.jobs[0].remote_id
    assert page.cursor in made


@pytest.mark.parametrize("name", PROFILES)
async def test_every_state_and_time_of_a_profile_is_read(world: Any, name: str) -> None:
    batch = world.emulator.side(name).add_batch(BatchScript(total=4), key=world.key)
    seen = []
    async with open_adapter(world.account(name)) as adapter:
        for seconds in (1, 30, 3600):
            world.clock.advance(seconds)
            job = await adapter.get(batch)
            seen.append(job.status)
            assert job.created_at is not None
            assert job.expires_at == (None if name == "openrouter" else job.created_at + DAY)
    assert seen == [Status.VALIDATING, Status.IN_PROGRESS, Status.COMPLETED]
    assert job.finished_at is not None
    assert (job.started_at is None) == (name in {"together", "openrouter"})
    assert (job.started_at or job.created_at) < job.finished_at


@pytest.mark.parametrize(("name", "code"), [("azure", "model_mismatch"), ("groq", "mismatched_model")])
async def test_what_is_wrong_with_a_file_comes_in_the_servers_own_words(
    world: Any, submission: Any, name: str, code: str
) -> None:
    wanted = submission(name)
    lines = wanted.path.read_text().splitlines()
    wanted.path.write_text("\n".join((lines[0], lines[1].replace('"m"', '"other"'))))
    async with open_adapter(world.account(name)) as adapter:
        made = await adapter.create(wanted, await adapter.upload(wanted))
        world.clock.advance(60)
        failed = await adapter.get(made.remote_id)
    assert failed.status is Status.FAILED
    assert [(error.code, error.line) for error in failed.errors] == [(code, 2)]


async def test_together_is_sent_a_file_in_three_steps_and_its_store_gets_no_key(
    world: Any, submission: Any
) -> None:
    wanted = submission("together")
    world.emulator.journal.clear()
    async with open_adapter(world.account("together", headers=(Header("X-Team", "search"),))) as adapter:
        file_id = await adapter.upload(wanted)
        made = await adapter.create(wanted, file_id)
        assert await adapter.file_ready(file_id)
        sent = [line async for line in adapter.input_lines(made)]
    assert b"".join(sent) == wanted.path.read_bytes()
    assert (made.files["input"], made.total, made.model) == (file_id, None, "m")
    calls = [f"{call.method} {call.path}" for call in world.emulator.journal.calls()]
    assert calls[:3] == [
        "POST /together/openai/v1/files",
        f"PUT /together/store/{file_id}",  # which refuses a key
        f"POST /together/openai/v1/files/{file_id}/preprocess",
    ]


@pytest.mark.parametrize("headers", [{}, {"location": "/together/store/x"}, {"x-together-file-id": "file-1"}])
async def test_an_upload_without_a_place_is_no_file(
    world: Any, submission: Any, headers: dict[str, str]
) -> None:
    world.emulator.faults.add(
        FaultRule(effect=ErrorAnswer(302 if headers else 200, body="{}", headers=headers), times=1)
    )
    async with open_adapter(world.account("together")) as adapter:
        with pytest.raises(BadResponse):
            await adapter.upload(submission("together"))
    world.emulator.faults.clear()


async def test_a_redirect_of_another_action_is_not_taken_for_an_answer(world: Any, submission: Any) -> None:
    moved = ErrorAnswer(302, body="", headers={"location": "/elsewhere", "id": "batch_1"})
    world.emulator.faults.add(FaultRule(effect=moved, path="*/batches", times=1))
    async with open_adapter(world.account("together")) as adapter:
        with pytest.raises(BadResponse, match="redirected to"):
            await adapter.create(submission("together"), "file-1")
    world.emulator.faults.clear()


async def test_openrouter_is_sent_requests_with_the_creation_and_keeps_results_in_the_batch(
    world: Any, submission: Any
) -> None:
    wanted = submission("openrouter")
    async with open_adapter(world.account("openrouter")) as adapter:
        assert await adapter.upload(wanted) == ""
        made = await adapter.create(wanted, "")
        assert (made.total, made.files, adapter.result_roles(made)) == (3, {}, ())
        with pytest.raises(InvalidRequest, match="409"):
            await adapter.delete(made.remote_id)
        world.clock.advance(3600)
        ended = await adapter.get(made.remote_id)
        assert {line.key async for line in adapter.results(ended)} == {"r0", "r1", "r2"}
    (call,) = world.emulator.journal.calls("POST", "/openrouter/openai/v1/batches")[-1:]
    body = json.loads(call.body)
    assert list(body) == ["endpoint", "model", "requests"]
    assert body["requests"][0] == {"custom_id": "r0", "body": {"model": "m"}}


def test_together_writes_capitals_a_wrapper_and_no_counts() -> None:
    batch = {
        "id": "b-1", "status": "IN_PROGRESS", "progress": 37.5, "model_id": "m/x", "input_file_id": "file-1",
        "created_at": "2026-01-15T14:30:00Z", "job_deadline": "2026-01-16T14:30:00Z",
    }  # fmt: skip
    job = read_job({"job": batch, "warning": "close to the limit"})
    assert (job.remote_id, job.status, job.model, job.total) == ("b-1", Status.IN_PROGRESS, "m/x", None)
    assert (job.created_at, job.expires_at) == (1_768_487_400_000, 1_768_487_400_000 + DAY)


# ── what is refused before anything is sent ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "most"),
    rest_slow(
        [(None, 50_000), ("groq", 50_000), ("azure", 100_000), ("openrouter", 5_000)],
        [("openrouter", 5_000)],
        several=True,
    ),
)
def test_a_file_is_checked_by_the_limits_of_its_server(
    openai_lines: Callable[[int], Path], name: str | None, most: int
) -> None:
    here = account(name, "https://res.openai.azure.com/openai/v1" if name == "azure" else None)
    assert order(openai_lines(most), here).check.requests == most
    with pytest.raises(UsageError, match=f"a batch takes {most:,} requests"):
        order(openai_lines(most + 1), here)


async def test_a_server_without_a_cancel_is_not_asked_for_one() -> None:
    async with open_adapter(account("openrouter", "http://127.0.0.1:1")) as adapter:
        with pytest.raises(InvalidRequest, match="not sent: OpenRouter has no call that cancels a batch"):
            await adapter.cancel("batch_1")


@pytest.mark.parametrize("endpoint", ["/v4/chat/completions", "/chat/completions"])
def test_endpoints_of_listed_servers_are_no_doubt(tmp_path: Path, endpoint: str) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text(json.dumps({"custom_id": "1", "method": "POST", "url": endpoint, "body": {"model": "m"}}))
    assert order(path, account("zhipu")).doubts == ()
    with pytest.raises(UsageError, match="no endpoint of OpenAI"):
        order(path, account())
