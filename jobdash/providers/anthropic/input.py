"""Anthropic's rules for input files."""

from __future__ import annotations

import re
from collections.abc import Mapping

from jobdash.errors import UsageError
from jobdash.providers.anthropic.info import INFO
from jobdash.providers.input_check import FileCheck, InputRules, SubmitWishes

_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class AnthropicInput(InputRules):
    """Lines with ``custom_id`` and ``params``, the parameters of one message; a batch may mix models."""

    info = INFO
    max_requests = 100_000
    # https://platform.claude.com/docs/en/build-with-claude/batch-processing: 256 MB, counted the smaller way.
    # All lines go in one body, with a comma for each line break.
    max_bytes = 256 * 1000 * 1000 - 64

    def check_request(self, request: Mapping[str, object]) -> None:
        """Check one line."""
        if _CUSTOM_ID.fullmatch(str(request.get("custom_id"))) is None:
            self.refuse('"custom_id" has to be 1 to 64 letters, figures, - and _')
        params = self.want_object(request, "params")
        model = params.get("model")
        if not isinstance(model, str) or not model:
            self.refuse('"params" names no "model"')
        limit = params.get("max_tokens")
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
            self.refuse('"params.max_tokens" has to be a whole number')
        if not isinstance(params.get("messages"), list) or not params["messages"]:
            self.refuse('"params.messages" has to be a list that is not empty')
        if params.get("stream"):
            self.refuse('"params.stream" cannot be true: a batch has no streamed answers')
        if self._shared.setdefault("model", model) != model:
            self._shared["model"] = None

    @staticmethod
    def check_wishes(check: FileCheck, wishes: SubmitWishes) -> tuple[str, ...]:
        """Refuse a model and an endpoint: the lines name the one, and there is but one of the other."""
        if wishes.model and wishes.model != check.model:
            named = f" ({check.model!r})" if check.model else ""
            raise UsageError(f"--model {wishes.model!r}: the lines name the model themselves{named}")
        if wishes.endpoint:
            raise UsageError("--endpoint is for OpenAI; Anthropic's batches are messages only")
        return ()
