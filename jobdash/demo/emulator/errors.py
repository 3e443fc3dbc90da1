"""The one exception of the handlers, and the form each provider gives to an error."""

from __future__ import annotations

from typing import Final

JsonObject = dict[str, object]

_STATUS_WORDS: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class ApiError(Exception):
    """A request is refused: an HTTP status and the provider's own sentence.

    `code` is OpenAI's `code`, or Gemini's `reason`; `status_word` overrides Gemini's word for the status.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        status_word: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.status_word = status_word


def openai_form(error: ApiError) -> JsonObject:
    """The body of an error at OpenAI."""
    kind, code = "invalid_request_error", error.code
    if error.status == 429:
        code = code or "rate_limit_exceeded"
        kind = "requests" if code == "rate_limit_exceeded" else code
    elif error.status >= 500:
        kind = "server_error"
    return {
        "error": {"message": error.message, "type": kind, "param": error.param, "code": code},
    }


def gemini_form(error: ApiError) -> JsonObject:
    """The body of an error at Gemini, a google.rpc.Status."""
    word = error.status_word or _STATUS_WORDS.get(error.status, "UNKNOWN")
    body: JsonObject = {"code": error.status, "message": error.message, "status": word}
    if error.code is not None:
        body["details"] = [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": error.code,
                "domain": "googleapis.com",
                "metadata": {"service": "generativelanguage.googleapis.com"},
            }
        ]
    return {"error": body}
