"""Join the raw lines of a batch's results with its requests, by key, in bounded memory.

Each raw line is read as it arrives, and its result written into the file of results at once. Where results
have arrived in the order of the requests, which is known when all are there, the file is finished with that;
else they are copied into the right order. What is held of a result is its key and its place in the file: some
250 bytes, whatever its answer.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from jobdash.domain.items import ItemStatus
from jobdash.domain.remote_job import RemoteError
from jobdash.domain.results import ResultCounts
from jobdash.domain.text import clean
from jobdash.errors import BadResponse
from jobdash.operations.private_files import BUFFER, new_private_file
from jobdash.providers.base import ResultLine
from jobdash.providers.json_values import decode_line, mapping
from jobdash.providers.results import ReadLine, result_line

NAMED_KEYS = 20
"""Odd keys that are named one by one; all are counted."""
TakeLine = Callable[[bytes], None]
"""Takes the next line of a raw file."""


@dataclass(frozen=True, slots=True)
class JoinedResults:
    """What joining came to."""

    counts: ResultCounts
    unknown_keys: tuple[str, ...]
    """The first keys that no request has, or the places of lines without a key."""
    duplicate_keys: tuple[str, ...]
    """The first keys that several lines have."""


class _Place(NamedTuple):
    """Where a result is in the file of results, in the order of arrival."""

    offset: int
    size: int
    outcome: ItemStatus


@dataclass
class _Index:
    """Where the results are, by key."""

    places: dict[str, _Place] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    duplicate: list[str] = field(default_factory=list)
    unknown_count: int = 0
    duplicate_count: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None

    def add(self, line: ResultLine, place: _Place) -> None:
        if line.input_tokens is not None:
            self.input_tokens = (self.input_tokens or 0) + line.input_tokens
        if line.output_tokens is not None:
            self.output_tokens = (self.output_tokens or 0) + line.output_tokens
        if line.cached_tokens is not None:
            self.cached_tokens = (self.cached_tokens or 0) + line.cached_tokens
        if not line.readable:
            self.add_unknown(line.key)
            return
        first = self.places.setdefault(line.key, place)
        if first is place:
            return
        self.duplicate_count += 1
        if len(self.duplicate) < NAMED_KEYS:
            self.duplicate.append(clean(line.key))
        # Of two lines with one key the better outcome counts, else the first.
        if place.outcome.rank < first.outcome.rank:
            self.places[line.key] = place

    def add_unknown(self, key: str) -> None:
        self.unknown_count += 1
        if len(self.unknown) < NAMED_KEYS:
            self.unknown.append(clean(key))

    def copy(self) -> _Index:
        return replace(
            self, places=dict(self.places), unknown=list(self.unknown), duplicate=list(self.duplicate)
        )

    def with_unknown(self, order: Sequence[_Place]) -> _Index:
        """Return this index with the keys as unknown that are not in an order."""
        found = replace(self, unknown=list(self.unknown))
        if len(order) < len(self.places):
            ordered = {place.offset for place in order}
            for key, place in self.places.items():
                if place.offset not in ordered:
                    found.add_unknown(key)
        return found

    def counts(self, order: Sequence[_Place], missing: int | None) -> ResultCounts:
        """Return the counts of the results of an order."""
        found = Counter(place.outcome for place in order)
        return ResultCounts(
            ok=found[ItemStatus.OK],
            error=found[ItemStatus.ERROR],
            cut_off=found[ItemStatus.CUT_OFF],
            missing=missing,
            unknown_keys=self.unknown_count,
            duplicate_keys=self.duplicate_count,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cached_tokens=self.cached_tokens,
        )


class ResultScan:
    """The results in raw lines, written into a file in the order of arrival; used by one thread at a time."""

    def __init__(self, read: ReadLine, results: Path) -> None:
        self._read = read
        self._path = results
        self._file: BinaryIO | None = None
        self._role: str | None = None
        self._size = 0
        self.in_arrival = True
        """Whether the results of the file are in the order of their arrival."""
        self._index = _Index()
        self._before = (_Index(), 0)

    @property
    def index(self) -> _Index:
        """What has been scanned so far."""
        return self._index

    def begin(self, role: str) -> TakeLine:
        """Return what takes the lines of a raw file; what an earlier try has taken of it is dropped.

        Raises OSError; so does what it returns.
        """
        if self._file is None:
            self._file = os.fdopen(new_private_file(self._path), "wb", buffering=BUFFER)
        self.drop(role)
        self._role, self._before = role, (self._index.copy(), self._size)
        return self._taker(role, self._file)

    def drop(self, role: str) -> bool:
        """Forget what has been taken of a raw file, if it was the last one; return whether it was."""
        if role != self._role or self._file is None:
            return False
        self._index, self._size = self._before
        self._file.seek(self._size)
        self._file.truncate()
        self._role = None
        return True

    def _taker(self, role: str, file: BinaryIO) -> TakeLine:
        number = 0

        def take(content: bytes) -> None:
            nonlocal number
            number += 1
            where = f"line {number} of the {role} file"
            line = result_line(content, where=where, read=self._read, decode=decode_line)
            if line is None:
                return
            rendered = render_result(line)
            file.write(rendered)
            self._index.add(line, _Place(self._size, len(rendered), line.outcome))
            self._size += len(rendered)

        return take

    def scan(self, role: str, raw: Path) -> None:
        """Take all lines of a raw file that is here. Raises OSError."""
        take = self.begin(role)
        with raw.open("rb", buffering=BUFFER) as lines:
            for content in lines:
                take(content)

    def arrange(self, order: Sequence[_Place]) -> None:
        """Bring the results of the file into an order, and only those. Raises OSError."""
        if self._file is None:
            os.close(new_private_file(self._path))
            return
        self._file.flush()
        if self.in_arrival and _is_arrival(order, self._size):
            return
        # What has arrived stays open without a name, for other requests that it may be joined with.
        self.in_arrival = False
        self._path.unlink()
        descriptor = self._file.fileno()
        with os.fdopen(new_private_file(self._path), "wb", buffering=BUFFER) as results:
            for place in order:
                results.write(os.pread(descriptor, place.size, place.offset))

    def close(self) -> None:
        """Close the file; what of it is not written yet is not wanted any more."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()


def _is_arrival(order: Sequence[_Place], size: int) -> bool:
    """Whether results in this order are a file of that size from its first byte to its last."""
    end = 0
    for place in order:
        if place.offset != end:
            return False
        end += place.size
    return end == size


def join_results(
    scan: ResultScan, missing: BinaryIO, *, requests: Path | None, key_field: str, total: int | None
) -> JoinedResults:
    """Arrange the file of a scan so that it has each request's result once; return the counts.

    With ``requests``, the input file, results stand in its order, and the lines of requests without a result
    are written into ``missing``; else they stand in the order of their arrival, and those missing are the
    rest of ``total``. The same scan may be joined again with other requests. Raises OSError.
    """
    places = scan.index.places
    order: list[_Place] = []
    absent = 0
    asked = ((key, b"") for key in places) if requests is None else read_requests(requests, key_field)
    for key, line in asked:
        place = places.get(key)
        if place is None:
            missing.write(line if line.endswith(b"\n") else line + b"\n")
            absent += 1
        else:
            order.append(place)
    scan.arrange(order)
    index = scan.index.with_unknown(order)
    lacking = None if total is None else max(0, total - len(order))
    counts = index.counts(order, lacking if requests is None else absent)
    return JoinedResults(counts, tuple(index.unknown), tuple(index.duplicate))


def read_requests(file: Path, key_field: str) -> Iterator[tuple[str, bytes]]:
    """Yield the keys of an input file with their lines, the first of each key. Raises OSError."""
    seen: set[str] = set()
    with file.open("rb", buffering=BUFFER) as lines:
        for line in lines:
            key = request_key(line, key_field)
            if key is not None and key not in seen:
                seen.add(key)
                yield key, line


def request_key(line: bytes, key_field: str) -> str | None:
    """Return the key of a request, a line of an input file; None for a line without one."""
    try:
        key = mapping(decode_line(line)).get(key_field)
    except BadResponse:
        return None
    return key if isinstance(key, str) else None


def render_result(line: ResultLine) -> bytes:
    """Return a result as a line of JSON in ASCII, so that a terminal can show it whatever a model wrote.

    A number that JSON has no word for is null.
    """
    values = result_json(line)
    try:
        content = _to_json()(values, inf_nan_mode="null")
        if not content.isascii():
            content = _to_json()(values, inf_nan_mode="null", ensure_ascii=True)
    except ValueError:  # a lone surrogate, or nested deeply
        content = json.dumps(values, allow_nan=False).encode("ascii")
    return content.replace(b"\x7f", b"\\u007f") + b"\n"


@cache
def _to_json() -> Callable[..., bytes]:
    # Imported with the first result: the first screen would wait for it.
    from pydantic_core import to_json

    return to_json


def result_json(line: ResultLine) -> dict[str, Any]:
    """Return a result as ``results.jsonl`` has it; what is unknown is None."""
    return {
        "key": line.key,
        "outcome": str(line.outcome),
        "finish_reason": line.finish_reason,
        "input_tokens": line.input_tokens,
        "output_tokens": line.output_tokens,
        "response": line.body,
        "error": None if line.error is None else _error_json(line.error),
    }


def _error_json(error: RemoteError) -> dict[str, Any]:
    return {"code": error.code, "message": error.message}
