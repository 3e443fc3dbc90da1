"""OpenAI's rules for input files, endpoints and tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from urllib.parse import urlsplit

from jobdash.errors import UsageError
from jobdash.providers.input_check import FileCheck, InputRules, SubmitWishes
from jobdash.providers.openai.info import INFO

OPENAI = (
    "/v1/responses",
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/completions",
    "/v1/moderations",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/videos",
)
"""https://platform.openai.com/docs/api-reference/batch/create"""
_COMPATIBLE = (
    "/responses",
    "/chat/completions",
    "/embeddings",
    "/completions",
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
    "/v1/rerank",
    "/v1/score",
    "/v1/messages",
    "/v4/chat/completions",
    "/v4/embeddings",
)
"""Those of servers that speak OpenAI's API: Azure's, Groq's, Zhipu's, vLLM's."""
WITHOUT_MODEL = frozenset({"/v1/moderations"})
"""Whose requests need not name a model."""
_OWN_HOST = "api.openai.com"
MAX_TAGS = 14
"""A batch carries 16 metadata entries; two are ours."""
LONGEST_KEY, LONGEST_VALUE = 64, 512


class OpenAIInput(InputRules):
    """Lines with ``custom_id``, ``method``, ``url`` and ``body``, all for one endpoint and one model."""

    info = INFO
    max_requests = 50_000
    # 200 MB (https://platform.openai.com/docs/guides/batch), counted the smaller way to be on the safe side.
    max_bytes = 200 * 1000 * 1000

    def check_request(self, request: Mapping[str, object]) -> None:
        """Check one line."""
        if request.get("method") != "POST":
            self.refuse('"method" has to be "POST"')
        url = request.get("url")
        if not isinstance(url, str) or not url.startswith("/"):
            self.refuse('"url" has to be an endpoint, like "/v1/chat/completions"')
        body = self.want_object(request, "body")
        model = body.get("model")
        if model is not None and not isinstance(model, str):
            self.refuse('"body.model" has to be a text')
        if not model and url not in WITHOUT_MODEL:
            self.refuse('"body" names no "model"')
        self.want_same("url", url)
        self.want_same("model", model)

    @staticmethod
    def check_wishes(check: FileCheck, wishes: SubmitWishes) -> Iterator[str]:
        """Refuse what contradicts the lines, and tags that do not fit; doubt an unknown endpoint."""
        if wishes.model and wishes.model != check.model:
            raise UsageError(
                f"--model {wishes.model!r}: the lines name the model themselves ({check.model!r})"
            )
        if wishes.endpoint and wishes.endpoint != check.endpoint:
            raise UsageError(f"--endpoint {wishes.endpoint!r}: the lines say {check.endpoint!r}")
        if check.endpoint and (odd := unknown_endpoint(check.endpoint, wishes.base_url)):
            if at_openai(wishes.base_url):
                raise UsageError(f"{check.name}: {odd}")
            yield odd
        if wrong := wrong_tags(wishes.tags):  # now, not after the file was uploaded
            raise UsageError(wrong)


def at_openai(base_url: str | None) -> bool:
    """Whether an account is at OpenAI itself, where no other endpoints can be."""
    return base_url is None or urlsplit(base_url).hostname == _OWN_HOST


def unknown_endpoint(endpoint: str, base_url: str | None) -> str | None:
    """Return what is odd about an endpoint, with the one that may be meant; None for a known one."""
    own = at_openai(base_url)
    known = OPENAI if own else (*OPENAI, *_COMPATIBLE)
    if endpoint in known:
        return None
    near = get_close_matches(endpoint, known, 1, 0.6)
    hint = f"; do you mean {near[0]}?" if near else f"; there are {', '.join(OPENAI)}"
    where = "OpenAI" if own else "OpenAI or the servers like it"
    return f"no endpoint of {where} is called {endpoint!r}{hint}"


def wrong_tags(tags: Mapping[str, str]) -> str | None:
    """Return why tags do not fit into a batch's metadata, None when they do."""
    if len(tags) > MAX_TAGS:
        return f"{len(tags)} tags, an OpenAI batch carries {MAX_TAGS}"
    for key, value in tags.items():
        if len(key) > LONGEST_KEY or len(value) > LONGEST_VALUE:
            sizes = f"{LONGEST_KEY} characters for the name, {LONGEST_VALUE} for the value"
            return f"tag {key[:LONGEST_KEY]!r} is too long ({sizes})"
    return None
