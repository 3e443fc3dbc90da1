"""Checks of a batch's JSONL file before it is sent, for what a provider would refuse hours later."""

from __future__ import annotations

import hashlib
import json
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar, NoReturn

from jobdash.domain.provider_info import Profile, ProviderInfo
from jobdash.errors import FileFaults, OverLimit, UsageError
from jobdash.providers.input_parts import FilePart, InputLimits, PartCutter
from jobdash.providers.json_values import parse_line
from jobdash.providers.registry import bundled, load_object

MOST_FAULTS = 50
"""Wrong lines that are reported at once."""

_BLOCK = 1024 * 1024
"""Bytes of whole lines that are read at once."""
_PLAIN = Profile()
_STARTS = (
    (b"\xef\xbb\xbf", "begins with a byte order mark: save it as UTF-8 without one"),
    (b"\xff\xfe", "is UTF-16: save it as UTF-8"),
    (b"\xfe\xff", "is UTF-16: save it as UTF-8"),
    (b"\x1f\x8b", "is compressed with gzip: gunzip it before"),
)
"""How files begin that are no lines of UTF-8, and what is said of them."""
_SPLIT = "--split cuts it into parts"


@dataclass(frozen=True, slots=True)
class FileCheck:
    """What a sound file holds."""

    path: Path
    name: str
    """What to call the file in a message."""
    provider: str
    requests: int
    size: int
    """In bytes."""
    endpoint: str | None
    """The one endpoint that all lines name; None where lines name none."""
    model: str | None
    """The one model that all lines name; None where lines name none."""
    digest: str = ""
    """The SHA-256 of the content."""
    embeddings: bool = False
    """Its lines ask for embeddings, where these have a call of their own."""
    characters: int = 0
    """How long its text is, by which its tokens are estimated."""
    parts: tuple[FilePart, ...] = ()
    """What it is cut into where it is over a limit and may be cut; empty otherwise."""


@dataclass(frozen=True, slots=True)
class SubmitWishes:
    """What a person has chosen besides the file."""

    model: str | None = None
    endpoint: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    base_url: str | None = None
    """The address of the account; None for the provider's own."""


class _LineFault(Exception):
    """What is wrong with a line; ``last``: the lines after it need not be checked."""

    def __init__(self, what: str, *, last: bool = False, error: type[UsageError] = UsageError) -> None:
        super().__init__(what)
        self.last = last
        self.error = error
        """What is raised where nothing else is wrong."""


class InputRules(ABC):
    """Checks one input file; a subclass adds the rules of a provider."""

    info: ClassVar[ProviderInfo]
    max_bytes: ClassVar[int]
    max_requests: ClassVar[int | None] = None
    embeddings = False
    """Whether the lines ask for embeddings, where these have a call of their own."""

    def __init__(
        self,
        path: Path,
        name: str,
        limits: InputLimits | None = None,
        *,
        split: bool = False,
        profile: Profile = _PLAIN,
    ) -> None:
        """``limits`` are those of the account, where it has its own, ``profile`` is that of its server;
        ``split``: a file over the limits is cut.
        """
        self.path = path
        self.name = name
        most = profile.max_requests or self.max_requests, profile.max_bytes or self.max_bytes
        self._limits = (limits or InputLimits()).within(*most)
        self._cutter = PartCutter(self._limits) if split else None
        self._characters = 0
        self._number = 0
        self._shared: dict[str, str | None] = {}
        self._lines_by_key: dict[str, int] = {}
        self._digest = hashlib.sha256()
        self._own_fields = frozenset(self.info.request_fields)

    def check(self) -> FileCheck:
        """Read the file line by line and return what it holds.

        UsageError, naming the file, the line and what is wrong with it, when it cannot be read, is empty or
        too large, is not UTF-8, when a line is not a request as the provider wants it, or when two lines have
        the same key. Wrong lines are reported together, as `FileFaults`; a file that is something else
        altogether is reported as that.
        """
        size = self._size()
        self._check_lines()
        if not self._lines_by_key:
            raise UsageError(f"{self.name} is empty")
        return FileCheck(
            path=self.path,
            name=self.name,
            provider=self.info.name,
            requests=len(self._lines_by_key),
            size=size,
            endpoint=self._shared.get("url"),
            model=self._shared.get("model"),
            digest=self._digest.hexdigest(),
            embeddings=self.embeddings,
            characters=self._characters,
            parts=self._cutter.parts() if self._cutter is not None else (),
        )

    def _check_lines(self) -> None:
        """Check every line; raise what is wrong with the first of the wrong ones."""
        faults: list[str] = []
        error = UsageError
        for line in self._lines():
            try:
                self._check_line(line)
            except _LineFault as wrong:
                faults.append(f"line {self._number:,}: {wrong}")
                error = wrong.error
                if wrong.last or len(faults) == MOST_FAULTS:
                    break
        if len(faults) == 1 and error is not UsageError:
            raise error(f"{self.name}, {faults[0]}")
        if len(faults) == 1:
            raise FileFaults(self.name, faults)
        if faults:
            most = len(faults) == MOST_FAULTS
            reason = f"at least {len(faults)} wrong lines, these are the first" if most else None
            raise FileFaults(f"{self.name} has {reason or f'{len(faults)} wrong lines'}", faults)

    def _check_line(self, line: bytes) -> None:
        before = self._characters
        request = self._request(line)
        if foreign := self._made_for(request) or not_a_request(request):
            self.refuse(foreign, last=True)
        self._check_key(request)
        self.check_request(request)
        if self._cutter is not None:
            most = self._limits.size
            if most is not None and len(line) > most:
                self.refuse(f"the line has {len(line):,} bytes, a whole batch takes {most:,}")
            self._cutter.add(line, self._characters - before)

    @abstractmethod
    def check_request(self, request: Mapping[str, object]) -> None:
        """Call `refuse` for what is wrong with one request."""

    @staticmethod
    @abstractmethod
    def check_wishes(check: FileCheck, wishes: SubmitWishes) -> Iterable[str]:
        """Return doubts that a person should confirm; UsageError for wishes that do not fit the file."""

    def refuse(self, what: str, *, last: bool = False) -> NoReturn:
        """Report the line as wrong; ``last``: the lines after it need not be checked."""
        raise _LineFault(what, last=last)

    def want_object(self, request: Mapping[str, object], field: str) -> Mapping[str, object]:
        """Return a field of a request that has to be an object."""
        value = request.get(field)
        if isinstance(value, str):
            as_object = f"jq -c '.{field} |= fromjson' FILE > requests.jsonl makes it so"
            self.refuse(f'"{field}" has to be an object, and is a text ({as_object})', last=True)
        if not isinstance(value, dict):
            self.refuse(f'"{field}" has to be an object')
        return value

    def want_same(self, what: str, value: str | None) -> None:
        """Refuse a value that differs from that of the first line."""
        first = self._shared.setdefault(what, value)
        if value != first:
            self.refuse(f"a file has one {what}: {value!r} here, {first!r} in line 1")

    def _wanted(self) -> str:
        fields = [f'"{field}"' for field in self.info.request_fields]
        rest = f"{', '.join(fields[:-1])} and " if len(fields) > 1 else ""
        return f"a line for {self.info.title} has {rest}{fields[-1]}"

    def _size(self) -> int:
        try:
            found = self.path.stat()
        except OSError as error:
            raise UsageError(f"{self.name} cannot be read: {error.strerror}") from None
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"{self.name} is not a file")
        most = self._limits.size
        if self._cutter is None and most is not None and found.st_size > most:
            raise OverLimit(f"{self.name} has {found.st_size:,} bytes, a batch takes {most:,}: {_SPLIT}")
        return found.st_size

    def _lines(self) -> Iterator[bytes]:
        try:
            # The digest takes as long as the JSON does, and needs no interpreter: another core computes it.
            with self.path.open("rb") as file, ThreadPoolExecutor(1, "jobdash-digest") as other:
                digested: Future[None] | None = None
                while lines := file.readlines(_BLOCK):
                    if digested is not None:
                        digested.result()
                    digested = other.submit(self._digest.update, b"".join(lines))
                    for line in lines:
                        self._number += 1
                        yield line
        except OSError as error:
            raise UsageError(f"{self.name} cannot be read: {error.strerror}") from None

    def _request(self, line: bytes) -> Mapping[str, object]:
        most = self._limits.requests
        if self._cutter is None and most is not None and self._number > most:
            what = f"a batch takes {most:,} requests: {_SPLIT}"
            raise _LineFault(what, last=True, error=OverLimit)
        if self._number == 1 and (
            kind := next((kind for start, kind in _STARTS if line.startswith(start)), None)
        ):
            self.refuse(f"the file {kind}", last=True)
        if not line.strip():
            self.refuse("the line is empty")
        try:
            self._characters += len(line) if line.isascii() else len(line.decode())
            value = self._value(line)
        except UnicodeDecodeError as error:
            self.refuse(f"not UTF-8 (byte {error.start + 1})")
        except json.JSONDecodeError as error:
            self._refuse_other_shape()
            cut = "" if line.endswith(b"\n") else "; the file ends in this line, and may have been cut"
            self.refuse(f"not JSON: {error.msg} (character {error.pos + 1}){cut}")
        except (ValueError, RecursionError):
            self.refuse("not JSON that anybody can read: a number too long, or nested too deeply")
        if not isinstance(value, dict):
            self._refuse_other_shape()
            self.refuse("not a JSON object")
        return value

    def _value(self, line: bytes) -> object:
        """Return the JSON value of a line, read by the fast parser, else by the one that names faults."""
        try:
            return parse_line(line)
        except ValueError:
            value: object = json.loads(line.decode(), parse_constant=self._refuse_constant)
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

    def _check_key(self, request: Mapping[str, object]) -> None:
        key_field = self.info.request_fields[0]
        key = request.get(key_field)
        if not isinstance(key, str) or not key:
            self.refuse(f'"{key_field}" has to be a text that is not empty')
        first = self._lines_by_key.setdefault(key, self._number)
        if first != self._number:
            self.refuse(f'"{key_field}" {key[:100]!r} was used in line {first:,} already')

    def _made_for(self, request: Mapping[str, object]) -> str:
        """Return for which other provider a line is, by its fields; empty where it is for none of them."""
        if request.keys() == self._own_fields:
            return ""
        titles = _titles()
        named = frozenset(request.keys() & (self._own_fields | frozenset().union(*titles)))
        title = None if named == self._own_fields else titles.get(named)
        if title is None:
            return ""
        return f"the line looks like one for {title}, not for {self.info.title}; {self._wanted()}"


@cache
def _titles() -> Mapping[frozenset[str], str]:
    """Return our providers' titles, by the fields that their lines have."""
    return {frozenset(info.request_fields): info.title for info in bundled().values()}


HEAD = 1024 * 1024
"""How much of a file is read to recognise it, in bytes."""

_PRETTY = (
    "this is pretty-printed JSON, of which a request takes many lines; a batch wants one request a line "
    "(jq -c . FILE > requests.jsonl makes it so)"
)
_ARRAY = (
    "this is one JSON array; a batch wants one request a line, without brackets and commas "
    "(jq -c '.[]' FILE > requests.jsonl makes it so)"
)
_RESULTS = "this is a file of results ({fields}), not of requests; submit the file the batch was made from"


def not_lines(head: str, *, cut: bool) -> str | None:
    """Return what a file is that does not have one JSON object a line, None when it is not recognised.

    ``head`` is its beginning, ``cut``: there is more of it.
    """
    start = head.lstrip()
    if start.startswith("["):
        return _ARRAY
    first, _, rest = start.partition("\n")
    if not first.startswith("{") or not rest.strip():
        return None
    try:
        _, end = json.JSONDecoder().raw_decode(start)
    except (ValueError, RecursionError):
        return _PRETTY if cut and first.strip() == "{" else None
    return _PRETTY if "\n" in start[:end] else None


def not_a_request(line: Mapping[str, object]) -> str | None:
    """Return what a line is that is no request of any provider; None where it may be one."""
    if "body" in line or "request" in line or "params" in line:
        return None
    results = [name for name in ("response", "result", "error") if name in line]
    if results and ("custom_id" in line or "key" in line):
        return _RESULTS.format(fields=", ".join(f'"{name}"' for name in results))
    return None


def input_rules(info: ProviderInfo) -> type[InputRules]:
    """Return the rules for a provider's input files."""
    rules: type[InputRules] = load_object(info.input_rules)
    return rules
