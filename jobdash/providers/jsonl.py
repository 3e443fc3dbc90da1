"""Checking a batch's JSONL file before it is sent: what a provider would refuse hours later is said now."""

from __future__ import annotations

import json
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from jobdash.errors import UsageError

OPENAI_MAX_REQUESTS = 50_000
OPENAI_MAX_BYTES = 200 * 1000 * 1000
"""200 MB (https://platform.openai.com/docs/guides/batch), counted the smaller way to be on the safe side."""
GEMINI_MAX_BYTES = 2 * 1000 * 1000 * 1000
"""2 GB (https://ai.google.dev/gemini-api/docs/batch-api)."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class FileCheck:
    """What a sound file holds."""

    path: Path
    provider: str
    requests: int
    size: int
    """In bytes."""
    endpoint: str | None
    """The one ``url`` of an OpenAI file's lines; None for Gemini."""
    model: str | None
    """The one ``body.model`` of an OpenAI file's lines, None where no line names one, and for Gemini."""


def check_file(path: Path, provider: str) -> FileCheck:
    """Read a file line by line and return what it holds.

    UsageError, naming the file, the line and what is wrong with it, when it cannot be read, is empty or too
    large, is not UTF-8, when a line is not a request as ``provider`` (``openai`` or ``gemini``) wants it, or
    when two lines have the same key.
    """
    rules = _RULES.get(provider)
    if rules is None:
        raise UsageError(f"no provider is called {provider!r}")
    return rules(path).check()


class _Checker(ABC):
    """The rules both providers share; a subclass adds those for one line."""

    provider: str
    max_bytes: int
    max_requests: int | None = None
    key_field: str

    def __init__(self, path: Path) -> None:
        self.path = path
        self._number = 0
        self._shared: dict[str, str | None] = {}
        self._lines_by_key: dict[str, int] = {}

    def check(self) -> FileCheck:
        size = self._size()
        for line in self._lines():
            request = self._request(line)
            self._note_key(request)
            self.check_request(request)
        if not self._lines_by_key:
            raise UsageError(f"{self.path} is empty")
        return FileCheck(
            path=self.path,
            provider=self.provider,
            requests=len(self._lines_by_key),
            size=size,
            endpoint=self._shared.get("url"),
            model=self._shared.get("model"),
        )

    @abstractmethod
    def check_request(self, request: Mapping[str, object]) -> None: ...

    def refuse(self, what: str) -> NoReturn:
        raise UsageError(f"{self.path}, line {self._number}: {what}")

    def want_object(self, request: Mapping[str, object], field: str) -> Mapping[str, object]:
        value = request.get(field)
        if not isinstance(value, dict):
            self.refuse(f'"{field}" has to be an object')
        return value

    def want_same(self, what: str, value: str | None) -> None:
        first = self._shared.setdefault(what, value)
        if value != first:
            self.refuse(f"a file has one {what}: {value!r} here, {first!r} in line 1")

    def _size(self) -> int:
        try:
            found = self.path.stat()
        except OSError as error:
            raise UsageError(f"{self.path} cannot be read: {error.strerror}") from None
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"{self.path} is not a file")
        if found.st_size > self.max_bytes:
            raise UsageError(
                f"{self.path} has {found.st_size:,} bytes, a batch takes {self.max_bytes:,}: split it"
            )
        return found.st_size

    def _lines(self) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                for self._number, line in enumerate(file, 1):
                    yield line
        except OSError as error:
            raise UsageError(f"{self.path} cannot be read: {error.strerror}") from None

    def _request(self, line: bytes) -> Mapping[str, object]:
        if self.max_requests is not None and self._number > self.max_requests:
            self.refuse(f"a batch takes {self.max_requests:,} requests: split the file")
        if self._number == 1 and line.startswith(_BOM):
            self.refuse("the file begins with a byte order mark: save it as UTF-8 without one")
        if not line.strip():
            self.refuse("the line is empty")
        try:
            value: object = json.loads(line.decode(), parse_constant=self._refuse_constant)
        except UnicodeDecodeError as error:
            self.refuse(f"not UTF-8 (byte {error.start + 1})")
        except json.JSONDecodeError as error:
            self.refuse(f"not JSON: {error.msg} (character {error.pos + 1})")
        except (ValueError, RecursionError):
            self.refuse("not JSON that anybody can read: a number too long, or nested too deeply")
        if not isinstance(value, dict):
            self.refuse("not a JSON object")
        return value

    def _refuse_constant(self, word: str) -> NoReturn:
        self.refuse(f"not JSON: {word}")

    def _note_key(self, request: Mapping[str, object]) -> None:
        key = request.get(self.key_field)
        if not isinstance(key, str) or not key:
            self.refuse(f'"{self.key_field}" has to be a text that is not empty{self._made_for(request)}')
        first = self._lines_by_key.setdefault(key, self._number)
        if first != self._number:
            self.refuse(f'"{self.key_field}" {key[:100]!r} was used in line {first} already')

    def _made_for(self, request: Mapping[str, object]) -> str:
        """Say so of a line that looks like another provider's."""
        for other, (name, fields) in _FIELDS.items():
            if other != self.provider and len(fields & request.keys()) >= _LOOKS_LIKE:
                return f"; the line looks like one for {name}, not for {_FIELDS[self.provider][0]}"
        return ""


_FIELDS = {
    "openai": ("OpenAI", frozenset({"custom_id", "method", "url", "body"})),
    "gemini": ("Gemini", frozenset({"key", "request"})),
}
"""What the providers are called, and what their lines have."""
_LOOKS_LIKE = 2
"""Fields from which on a line looks like a provider's."""


class _OpenAIChecker(_Checker):
    provider = "openai"
    max_bytes = OPENAI_MAX_BYTES
    max_requests = OPENAI_MAX_REQUESTS
    key_field = "custom_id"

    def check_request(self, request: Mapping[str, object]) -> None:
        if request.get("method") != "POST":
            self.refuse('"method" has to be "POST"')
        url = request.get("url")
        if not isinstance(url, str) or not url.startswith("/"):
            self.refuse('"url" has to be an endpoint, like "/v1/chat/completions"')
        body = self.want_object(request, "body")
        model = body.get("model")
        if model is not None and not isinstance(model, str):
            self.refuse('"body.model" has to be a text')
        self.want_same("url", url)
        self.want_same("model", model)


class _GeminiChecker(_Checker):
    provider = "gemini"
    max_bytes = GEMINI_MAX_BYTES
    key_field = "key"

    def check_request(self, request: Mapping[str, object]) -> None:
        self.want_object(request, "request")


_RULES: dict[str, Callable[[Path], _Checker]] = {"openai": _OpenAIChecker, "gemini": _GeminiChecker}
