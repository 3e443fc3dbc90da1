"""Gemini's rules for input files."""

from __future__ import annotations

from collections.abc import Mapping

from jobdash.errors import UsageError
from jobdash.providers.gemini.info import INFO
from jobdash.providers.input_check import FileCheck, InputRules, SubmitWishes


class GeminiInput(InputRules):
    """Lines with ``key`` and ``request``, all for answers or all for embeddings."""

    info = INFO
    max_bytes = 2 * 1000 * 1000 * 1000
    """2 GB (https://ai.google.dev/gemini-api/docs/batch-api)."""
    _first = True

    def check_request(self, request: Mapping[str, object]) -> None:
        """Check one line."""
        wanted = self.want_object(request, "request")
        embeddings = "content" in wanted and "contents" not in wanted
        if self._first:
            self.embeddings, self._first = embeddings, False
        elif embeddings != self.embeddings:
            kind, first = ("embeddings", "no embeddings") if embeddings else ("no embeddings", "embeddings")
            self.refuse(f"a file is for one kind of request: {kind} here, {first} in line 1")

    @staticmethod
    def check_wishes(check: FileCheck, wishes: SubmitWishes) -> tuple[str, ...]:
        """Want a model, which the lines do not name, and no endpoint."""
        if not wishes.model:
            raise UsageError("a Gemini batch wants --model: its lines name none")
        if wishes.endpoint:
            raise UsageError("--endpoint is for OpenAI; Gemini batches have none")
        return ()
