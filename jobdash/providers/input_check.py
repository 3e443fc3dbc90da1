"""Checking a batch's JSONL file before it is sent: what a provider would refuse hours later is said now."""

from __future__ import annotations

import hashlib
import json
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from jobdash.errors import FileFaults, UsageError
from jobdash.providers.foreign_files import HEAD, not_a_request, not_lines
from jobdash.providers.openai.endpoints import WITHOUT_MODEL

OPENAI_MAX_REQUESTS = 50_000
OPENAI_MAX_BYTES = 200 * 1000 * 1000
"""200 MB (https://platform.openai.com/docs/guides/batch), counted the smaller way to be on the safe side."""
GEMINI_MAX_BYTES = 2 * 1000 * 1000 * 1000
"""2 GB (https://ai.google.dev/gemini-api/docs/batch-api)."""

MOST_FAULTS = 50
"""Wrong lines that are told at once."""

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
    """The one ``body.model`` of an OpenAI file's lines, None where none needs one, and for Gemini."""
    digest: str = ""
    """The SHA-256 of the content."""
    embeddings: bool = False
    """Gemini: its lines ask for embeddings, which have a call of their own."""


def check_file(path: Path, provider: str, *, name: str | None = None) -> FileCheck:
    """Read a file line by line and return what it holds.

    UsageError, naming the file (as ``name``, else by its path), the line and what is wrong with it, when it
    cannot be read, is empty or too large, is not UTF-8, when a line is not a request as ``provider``
    (``openai`` or ``gemini``) wants it, or when two lines have the same key. Several wrong lines are told
    together, as `FileFaults`; a file that is something else altogether is said to be that.
    """
    rules = _RULES.get(provider)
    if rules is None:
        raise UsageError(f"no provider is called {provider!r}")
    return rules(path, name or str(path)).check()


class _LineFault(Exception):
    """What is wrong with a line; ``last``: the lines behind it need not be looked at."""

    def __init__(self, what: str, *, last: bool = False) -> None:
        super().__init__(what)
        self.last = last


class _Checker(ABC):
    """The rules both providers share; a subclass adds those for one line."""

    provider: str
    max_bytes: int
    max_requests: int | None = None
    key_field: str
    embeddings = False

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self._number = 0
        self._shared: dict[str, str | None] = {}
        self._lines_by_key: dict[str, int] = {}
        self._digest = hashlib.sha256()

    def check(self) -> FileCheck:
        size = self._size()
        self._check_lines()
        if not self._lines_by_key:
            raise UsageError(f"{self.name} is empty")
        return FileCheck(
            path=self.path,
            provider=self.provider,
            requests=len(self._lines_by_key),
            size=size,
            endpoint=self._shared.get("url"),
            model=self._shared.get("model"),
            digest=self._digest.hexdigest(),
            embeddings=self.embeddings,
        )

    def _check_lines(self) -> None:
        """Look at every line; raise what is wrong with the first of the wrong ones."""
        faults: list[str] = []
        for line in self._lines():
            try:
                request = self._request(line)
                if foreign := not_a_request(request, self._wanted()):
                    self.refuse(foreign, last=True)
                self._note_key(request)
                self.check_request(request)
            except _LineFault as wrong:
                faults.append(f"line {self._number:,}: {wrong}")
                if wrong.last or len(faults) == MOST_FAULTS:
                    break
        if len(faults) == 1:
            raise UsageError(f"{self.name}, {faults[0]}")
        if faults:
            most = len(faults) == MOST_FAULTS
            told = f"at least {len(faults)} wrong lines, these are the first" if most else None
            raise FileFaults(f"{self.name} has {told or f'{len(faults)} wrong lines'}", faults)

    @abstractmethod
    def check_request(self, request: Mapping[str, object]) -> None: ...

    def refuse(self, what: str, *, last: bool = False) -> NoReturn:
        raise _LineFault(what, last=last)

    def want_object(self, request: Mapping[str, object], field: str) -> Mapping[str, object]:
        value = request.get(field)
        if not isinstance(value, dict):
            self.refuse(f'"{field}" has to be an object')
        return value

    def want_same(self, what: str, value: str | None) -> None:
        first = self._shared.setdefault(what, value)
        if value != first:
            self.refuse(f"a file has one {what}: {value!r} here, {first!r} in line 1")

    def _wanted(self) -> str:
        fields = [f'"{field}"' for field in _FIELDS[self.provider][1]]
        return f"a line for {_FIELDS[self.provider][0]} has {', '.join(fields[:-1])} and {fields[-1]}"

    def _size(self) -> int:
        try:
            found = self.path.stat()
        except OSError as error:
            raise UsageError(f"{self.name} cannot be read: {error.strerror}") from None
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"{self.name} is not a file")
        if found.st_size > self.max_bytes:
            raise UsageError(
                f"{self.name} has {found.st_size:,} bytes, a batch takes {self.max_bytes:,}: split it"
            )
        return found.st_size

    def _lines(self) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                for self._number, line in enumerate(file, 1):
                    self._digest.update(line)
                    yield line
        except OSError as error:
            raise UsageError(f"{self.name} cannot be read: {error.strerror}") from None

    def _request(self, line: bytes) -> Mapping[str, object]:
        if self.max_requests is not None and self._number > self.max_requests:
            self.refuse(f"a batch takes {self.max_requests:,} requests: split the file", last=True)
        if self._number == 1 and line.startswith(_BOM):
            self.refuse("the file begins with a byte order mark: save it as UTF-8 without one", last=True)
        if not line.strip():
            self.refuse("the line is empty")
        try:
            value: object = json.loads(line.decode(), parse_constant=self._refuse_constant)
        except UnicodeDecodeError as error:
            self.refuse(f"not UTF-8 (byte {error.start + 1})")
        except json.JSONDecodeError as error:
            self._refuse_other_shape()
            self.refuse(f"not JSON: {error.msg} (character {error.pos + 1})")
        except (ValueError, RecursionError):
            self.refuse("not JSON that anybody can read: a number too long, or nested too deeply")
        if not isinstance(value, dict):
            self._refuse_other_shape()
            self.refuse("not a JSON object")
        return value

    def _refuse_other_shape(self) -> None:
        """Refuse a file that is JSON, but does not have one object a line."""
        if self._number != 1:
            return
        with self.path.open("rb") as file:
            head = file.read(HEAD + 1)
        if shape := not_lines(head[:HEAD].decode("utf-8", "replace"), cut=len(head) > HEAD):
            self.refuse(shape, last=True)

    def _refuse_constant(self, word: str) -> NoReturn:
        self.refuse(f"not JSON: {word}")

    def _note_key(self, request: Mapping[str, object]) -> None:
        key = request.get(self.key_field)
        if not isinstance(key, str) or not key:
            made_for = self._made_for(request)
            told = f'"{self.key_field}" has to be a text that is not empty{made_for}'
            self.refuse(told, last=bool(made_for))
        first = self._lines_by_key.setdefault(key, self._number)
        if first != self._number:
            self.refuse(f'"{self.key_field}" {key[:100]!r} was used in line {first:,} already')

    def _made_for(self, request: Mapping[str, object]) -> str:
        """Say so of a line that looks like another provider's."""
        for other, (name, fields) in _FIELDS.items():
            if other != self.provider and len(request.keys() & set(fields)) >= _LOOKS_LIKE:
                return f"; the line looks like one for {name}, not for {_FIELDS[self.provider][0]}"
        return ""


_FIELDS = {
    "openai": ("OpenAI", ("custom_id", "method", "url", "body")),
    "gemini": ("Gemini", ("key", "request")),
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
        if not model and url not in WITHOUT_MODEL:
            self.refuse('"body" names no "model"')
        self.want_same("url", url)
        self.want_same("model", model)


class _GeminiChecker(_Checker):
    provider = "gemini"
    max_bytes = GEMINI_MAX_BYTES
    key_field = "key"

    def check_request(self, request: Mapping[str, object]) -> None:
        wanted = self.want_object(request, "request")
        embeddings = "content" in wanted and "contents" not in wanted
        if self._first:
            self.embeddings, self._first = embeddings, False
        elif embeddings != self.embeddings:
            kind, first = ("embeddings", "no embeddings") if embeddings else ("no embeddings", "embeddings")
            self.refuse(f"a file is for one kind of request: {kind} here, {first} in line 1")

    _first = True


_RULES: dict[str, Callable[[Path, str], _Checker]] = {"openai": _OpenAIChecker, "gemini": _GeminiChecker}
