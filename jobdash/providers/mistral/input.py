"""Mistral's rules for input files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from jobdash.errors import UsageError
from jobdash.providers.input_check import FileCheck, InputRules, SubmitWishes
from jobdash.providers.mistral.info import INFO

ENDPOINTS = (
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/fim/completions",
    "/v1/moderations",
    "/v1/chat/moderations",
    "/v1/ocr",
    "/v1/classifications",
    "/v1/chat/classifications",
    "/v1/conversations",
    "/v1/audio/transcriptions",
)
"""Those that the SDK lists."""
_CHAT = "/v1/chat/completions"
MAX_TAGS = 14


class MistralInput(InputRules):
    """Lines with ``custom_id`` and ``body``, for one endpoint and one model, which they need not name."""

    info = INFO
    # https://docs.mistral.ai/capabilities/batch: up to a million; others say less, and the provider decides.
    max_requests = 1_000_000
    max_bytes = 512 * 1000 * 1000
    """512 MB (https://docs.mistral.ai/api/#tag/files), counted the smaller way."""

    def check_request(self, request: Mapping[str, object]) -> None:
        """Check one line."""
        body = self.want_object(request, "body")
        if body.get("stream"):
            self.refuse('"body.stream" cannot be true: a batch has no streamed answers')
        model = body.get("model")
        if model is not None and not isinstance(model, str):
            self.refuse('"body.model" has to be a text')
        if model:
            self.want_same("model", model)
        # A file of chats shows itself; of the other endpoints several want the same fields.
        self._shared["url"] = _CHAT if "messages" in body and self._shared.get("url", _CHAT) else None

    @staticmethod
    def check_wishes(check: FileCheck, wishes: SubmitWishes) -> Iterator[str]:
        """Want a model and an endpoint where the lines show none; doubt an unknown endpoint."""
        if not (wishes.model or check.model):
            raise UsageError("a Mistral batch wants --model: its lines name none")
        if wishes.model and check.model and wishes.model != check.model:
            raise UsageError(f"--model {wishes.model!r}: the lines name the model {check.model!r}")
        endpoint = wishes.endpoint or check.endpoint
        if not endpoint:
            raise UsageError("a Mistral batch wants --endpoint, like /v1/embeddings: its lines name none")
        if len(wishes.tags) > MAX_TAGS:
            raise UsageError(f"{len(wishes.tags)} tags, a Mistral batch carries {MAX_TAGS}")
        if endpoint not in ENDPOINTS:
            yield f"no endpoint of Mistral is called {endpoint!r}; there are {', '.join(ENDPOINTS)}"
