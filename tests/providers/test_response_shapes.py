"""Servers that nobody here wrote: addresses with a query, headers of gateways, answers in other shapes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from shared.answering import Asked, answering, batch, page

from jobdash.domain.account import Account, Header, Secret
from jobdash.domain.status import Status
from jobdash.errors import BadResponse, InvalidRequest, NotFound, ProviderError
from jobdash.providers.base import Submission
from jobdash.providers.openai.batches import read_job
from jobdash.providers.pagination import pages
from jobdash.providers.registry import open_adapter


def account(url: str, provider: str = "openai", **more: Any) -> Account:
    return Account(provider, provider, "SOME_KEY", Secret("sk-canary0123456789"), url, **more)


def openai_like(asked: Asked) -> Any:
    """Answer everything a server of OpenAI's kind is asked for."""
    if asked.path.endswith("/content"):
        return 200, b'{"custom_id": "1", "response": {"status_code": 200, "body": {}}}\n'
    if asked.line.startswith("DELETE"):
        return {"id": "file-1", "deleted": True}
    if asked.line.startswith("POST") and asked.path.endswith("/files"):
        return {"id": "file-1", "status": "processed"}
    return page(batch(1)) if asked.line.endswith("GET /batches") else batch(1, output_file_id="file-out")


async def everything(adapter: Any, submission: Submission) -> None:
    await adapter.list()
    job = await adapter.get("batch_1")
    await adapter.create(submission, await adapter.upload(submission))
    await adapter.cancel("batch_1")
    await adapter.delete_file("file-1")
    async with aclosing(adapter.results(job)) as lines:
        assert [line.key async for line in lines] == ["1"]


async def test_a_query_in_the_address_goes_with_every_request(submission: Callable[..., Submission]) -> None:
    def answer(asked: Asked) -> Any:
        return page(batch(1)) if asked.line == "GET /openai/batches" else openai_like(asked)

    with answering(answer) as server:
        url = f"{server.url}/openai?api-version=2025-01-01&x=a%20b"
        async with open_adapter(account(url)) as adapter:
            assert adapter.origin == f"{server.url}/openai"
            await everything(adapter, submission("openai"))
    assert {asked.path.split("/")[1] for asked in server.asked} == {"openai"}
    for asked in server.asked:
        assert "api-version=2025-01-01" in asked.query, asked.line
        assert "x=a%20b" in asked.query or "x=a+b" in asked.query, asked.line
    assert len({asked.line for asked in server.asked}) == 7


async def test_gemini_keeps_a_query_and_headers_too() -> None:
    with answering(lambda _asked: {"operations": []}) as server:
        made = account(f"{server.url}?tenant=7", "gemini", headers=(Header("X-Team", "search"),))
        async with open_adapter(made) as adapter:
            await adapter.list()
    (asked,) = server.asked
    assert "tenant=7" in asked.query
    assert "pageSize" in asked.query
    assert asked.headers["x-team"] == "search"


async def test_organization_project_and_headers_go_with_every_request(
    submission: Callable[..., Submission], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-another-key")

    def answer(asked: Asked) -> Any:
        return page(batch(1)) if asked.line == "GET /v1/batches" else openai_like(asked)

    with answering(answer) as server:
        made = account(
            f"{server.url}/v1",
            organization="org-1",
            project="proj_1",
            headers=(Header("X-Team", "search"), Header("api-key", Secret("canary-gateway"), "GATEWAY")),
        )
        async with open_adapter(made) as adapter:
            await everything(adapter, submission("openai"))
    for asked in server.asked:
        told = asked.headers
        assert (told["openai-organization"], told["openai-project"]) == ("org-1", "proj_1")
        assert (told["x-team"], told["api-key"]) == ("search", "canary-gateway")


@pytest.mark.parametrize(("key_env", "told"), [("OPENAI_API_KEY", "canary-gateway"), ("SOME_KEY", None)])
async def test_the_headers_of_the_environment_go_with_every_request_of_its_own_key_alone(
    submission: Callable[..., Submission], monkeypatch: pytest.MonkeyPatch, key_env: str, told: str | None
) -> None:
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Gateway: canary-gateway")

    def answer(asked: Asked) -> Any:
        return page(batch(1)) if asked.line == "GET /v1/batches" else openai_like(asked)

    with answering(answer) as server:
        made = replace(account(f"{server.url}/v1"), key_env=key_env)
        async with open_adapter(made) as adapter:
            await everything(adapter, submission("openai"))
    assert {asked.line: asked.headers.get("x-gateway") for asked in server.asked} == dict.fromkeys(
        [asked.line for asked in server.asked], told
    )


async def test_headers_of_an_account_stay_at_home() -> None:
    with answering(lambda _asked: page()) as other:

        def away(asked: Asked) -> Any:
            return 302, b"", {"location": f"{other.url}{asked.path}"}

        with answering(away) as server:
            made = account(f"{server.url}/v1", headers=(Header("api-key", Secret("canary-gateway"), "G"),))
            async with open_adapter(made) as adapter:
                await adapter.list()
    (asked,) = other.asked
    assert "api-key" not in asked.headers
    assert "authorization" not in asked.headers


@pytest.mark.parametrize(
    "answer",
    [
        (404, {"detail": "Not Found"}),
        (404, b"<html>nothing here"),
        (405, {"detail": "Method Not Allowed"}),
        (200, b"<html><title>Welcome</title>"),
    ],
)
@pytest.mark.parametrize("call", ["list", "upload", "create"])
async def test_an_address_without_a_version_is_named(
    answer: Any, call: str, submission: Callable[..., Submission]
) -> None:
    submit = submission("openai")
    with answering(lambda _asked: answer) as server:
        async with open_adapter(account(f"{server.url}/api/")) as adapter:
            calls = {
                "list": adapter.list,
                "upload": lambda: adapter.upload(submit),
                "create": lambda: adapter.create(submit, "file-1"),
            }
            with pytest.raises(ProviderError, match=rf"/api/ has no /v1: is it {server.url}/api/v1\?"):
                await calls[call]()


@pytest.mark.parametrize("path", ["/v1", "/v1beta/", "/openai/v2", "/openai?api-version=1"])
async def test_an_address_with_a_version_is_not(path: str) -> None:
    with answering(lambda _asked: (404, {"detail": "Not Found"})) as server:
        async with open_adapter(account(f"{server.url}{path}")) as adapter:
            with pytest.raises(NotFound) as caught:
                await adapter.list()
    assert "has no /v1" not in str(caught.value)


async def test_a_version_in_geminis_address_is_named() -> None:
    with answering(lambda _asked: (404, {"error": {"message": "no such path"}})) as server:
        async with open_adapter(account(f"{server.url}/v1beta", "gemini")) as adapter:
            with pytest.raises(NotFound, match="names a version: leave it out"):
                await adapter.list()


CREATED = [
    ({"job": {"id": "0123-ab", "status": "VALIDATING", "created_at": "2026-11-01T00:00:00Z"}}, "0123-ab"),
    ({"batch": {"id": 77, "status": "queued"}}, "77"),
    ({"data": {"id": "b", "status": "queued"}, "warning": ""}, "b"),
    ({"id": 77, "status": "validating"}, "77"),
    ({"id": "b"}, "b"),
]


@pytest.mark.parametrize(("said", "remote_id"), CREATED)
async def test_a_batch_is_read_where_it_is_plain(
    said: object, remote_id: str, submission: Callable[..., Submission]
) -> None:
    with answering(lambda _asked: said) as server:
        async with open_adapter(account(f"{server.url}/v1")) as adapter:
            assert (await adapter.create(submission("openai"), "file-1")).remote_id == remote_id
            assert (await adapter.get(remote_id)).remote_id == remote_id
            cancelled = await adapter.cancel(remote_id)
            assert cancelled is not None
            assert cancelled.remote_id == remote_id


@pytest.mark.parametrize("said", [{"ok": True}, {"result": {"status": "queued"}}, [1], "fine", 7, {"id": 3}])
async def test_an_answer_that_is_no_batch_is_shown(
    said: object, submission: Callable[..., Submission]
) -> None:
    with answering(lambda _asked: said) as server:
        async with open_adapter(account(f"{server.url}/v1")) as adapter:
            with pytest.raises(BadResponse, match="It answered: "):
                await adapter.create(submission("openai"), "file-1")


def test_times_in_words_are_times() -> None:
    job = read_job(
        {"id": "b", "status": "completed", "created_at": "2026-01-15T14:30:00Z", "model_id": "m/x"}
    )
    assert (job.created_at, job.model, job.status) == (1_768_487_400_000, "m/x", Status.COMPLETED)


@pytest.mark.parametrize("state", ["pending", "Processing", "running", "PENDING"])
async def test_an_upload_that_is_pending_is_asked_for_until_it_is_not(
    state: str, submission: Callable[..., Submission]
) -> None:
    states = [state, "processed"]

    def answer(asked: Asked) -> Any:
        return {"id": "file-1", "status": state if asked.method == "POST" else states.pop(0)}

    with answering(answer) as server:
        async with open_adapter(account(f"{server.url}/v1")) as adapter:
            file_id = await adapter.upload(submission("openai"))
            assert not await adapter.file_ready(file_id)
            assert await adapter.file_ready(file_id)
            assert await adapter.file_ready(file_id)
    assert server.lines == ["POST /v1/files", "GET /v1/files/file-1", "GET /v1/files/file-1"]


async def test_an_upload_that_is_processed_or_says_nothing_is_not_asked_for(
    submission: Callable[..., Submission],
) -> None:
    with answering(lambda _asked: {"file": {"id": 12}}) as server:
        async with open_adapter(account(f"{server.url}/v1")) as adapter:
            assert await adapter.upload(submission("openai")) == "12"
            assert await adapter.file_ready("12")
    assert server.lines == ["POST /v1/files"]


async def test_a_file_that_was_refused_after_its_upload_says_why(
    submission: Callable[..., Submission],
) -> None:
    def answer(asked: Asked) -> Any:
        state = (
            {"status": "pending"} if asked.method == "POST" else {"status": "error", "status_details": "bad"}
        )
        return {"id": "file-1", **state}

    with answering(answer) as server:
        async with open_adapter(account(f"{server.url}/v1")) as adapter:
            file_id = await adapter.upload(submission("openai"))
            with pytest.raises(InvalidRequest, match="refused the uploaded file: bad"):
                await adapter.file_ready(file_id)


async def listed(*said: Any) -> tuple[list[str], str]:
    """Walk a list whose pages are answered so; return the batches and the error, if there is one."""
    left = list(said)
    found: list[str] = []
    with answering(lambda _asked: left.pop(0) if len(left) > 1 else left[0]) as server:
        async with open_adapter(account(f"{server.url}/v1")) as adapter:
            try:
                async for some in pages(adapter.list):
                    found += [job.remote_id for job in some.jobs]
            except BadResponse as error:
                return found, str(error)
    return found, ""


@pytest.mark.parametrize("no", [False, "false", "False", 0, "no", "0", ""])
async def test_a_list_that_says_no_in_any_way_is_over(no: object) -> None:
    assert await listed(page(batch(1), more=no)) == (["batch_1"], "")


@pytest.mark.parametrize("yes", [True, "true", 1, "1"])
async def test_an_empty_page_that_promises_more_is_an_error(yes: object) -> None:
    found, error = await listed(page(batch(1), more=yes), page(more=yes))
    assert found == ["batch_1"]
    assert "promises more after an empty page" in error


async def test_an_empty_page_that_says_where_to_go_on_is_followed() -> None:
    found, error = await listed(page(batch(1), more=True), page(more=True, last_id="batch_9"), page(batch(2)))
    assert (found, error) == (["batch_1", "batch_2"], "")


async def test_a_bare_array_is_a_list() -> None:
    assert await listed([batch(1), batch(2)]) == (["batch_1", "batch_2"], "")
