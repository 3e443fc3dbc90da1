"""Join the raw lines of a batch's results with its requests, by key, in bounded memory.

What is held of a result is its key and its place in the raw file: some 300 bytes, whatever its answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from jobdash.domain.remote_job import RemoteError
from jobdash.domain.results import ResultCounts, ResultOutcome
from jobdash.domain.text import clean
from jobdash.errors import BadResponse
from jobdash.providers.base import ResultLine
from jobdash.providers.json_values import decode, decode_line, mapping
from jobdash.providers.results import ReadLine, result_line

NAMED_KEYS = 20
"""Odd keys that are named one by one; all are counted."""


@dataclass(frozen=True, slots=True)
class RawFile:
    """A file of results as its provider sent it."""

    role: str
    path: Path


@dataclass(frozen=True, slots=True)
class JoinedResults:
    """What joining came to."""

    counts: ResultCounts
    unknown_keys: tuple[str, ...]
    """The first keys that no request has, or the places of lines without a key."""
    duplicate_keys: tuple[str, ...]
    """The first keys that several lines have."""


class _Place(NamedTuple):
    file: int
    offset: int
    size: int
    number: int
    outcome: ResultOutcome


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


def join_results(
    raw: Sequence[RawFile],
    read: ReadLine,
    results: BinaryIO,
    *,
    requests: Path | None,
    key_field: str,
    missing: BinaryIO,
    total: int | None,
) -> JoinedResults:
    """Write each request's result as a line of JSON into ``results``; return the counts.

    With ``requests``, the input file, results stand in its order, and the lines of requests without a result
    are written into ``missing``; else they stand in the order of their arrival, and ``total`` tells how many
    are missing. Raises OSError.
    """
    index = _Index()
    with ExitStack() as stack:
        files = [stack.enter_context(each.path.open("rb")) for each in raw]
        for number, (each, file) in enumerate(zip(raw, files, strict=True)):
            _scan(index, number, each.role, file, read)
        found: dict[ResultOutcome, int] = dict.fromkeys(ResultOutcome, 0)
        for key, line in _in_order(index, requests, key_field):
            place = index.places.pop(key, None)
            if place is None:
                missing.write(line if line.endswith(b"\n") else line + b"\n")
                found[ResultOutcome.MISSING] += 1
                continue
            found[place.outcome] += 1
            results.write(_line_of(raw, files, place, read))
    for key in index.places:
        index.add_unknown(key)
    return JoinedResults(
        _counts(index, found, known=requests is not None, total=total),
        tuple(index.unknown),
        tuple(index.duplicate),
    )


def _scan(index: _Index, number: int, role: str, file: BinaryIO, read: ReadLine) -> None:
    offset = 0
    for place, raw in enumerate(file, 1):
        line = result_line(raw, where=_where(role, place), read=read, decode=decode_line)
        if line is not None:
            index.add(line, _Place(number, offset, len(raw), place, line.outcome))
        offset += len(raw)


def _where(role: str, number: int) -> str:
    return f"line {number} of the {role} file"


def _in_order(index: _Index, requests: Path | None, key_field: str) -> Iterator[tuple[str, bytes]]:
    """Yield the keys in the order of the requests, with their lines; else in the order of arrival."""
    if requests is None:
        for key in list(index.places):
            yield key, b""
        return
    yield from read_requests(requests, key_field)


def read_requests(file: Path, key_field: str) -> Iterator[tuple[str, bytes]]:
    """Yield the keys of an input file with their lines, the first of each key. Raises OSError."""
    seen: set[str] = set()
    with file.open("rb") as lines:
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


def _line_of(raw: Sequence[RawFile], files: Sequence[BinaryIO], place: _Place, read: ReadLine) -> bytes:
    file = files[place.file]
    file.seek(place.offset)
    where = _where(raw[place.file].role, place.number)
    content = file.read(place.size)
    try:
        text = _as_json(result_line(content, where=where, read=read, decode=decode_line))
    except ValueError:  # a number beyond the range of a double
        text = _as_json(result_line(content, where=where, read=read, decode=decode))
    return text.replace("\x7f", "\\u007f").encode("ascii") + b"\n"


def _as_json(line: ResultLine | None) -> str:
    """Return a result as JSON in ASCII, so that a terminal can show it whatever a model wrote."""
    assert line is not None, "only lines that hold something are indexed"
    return json.dumps(result_json(line), allow_nan=False)


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


def _counts(
    index: _Index, found: Mapping[ResultOutcome, int], *, known: bool, total: int | None
) -> ResultCounts:
    answered = sum(found.values()) - found[ResultOutcome.MISSING]
    missing: int | None = found[ResultOutcome.MISSING]
    if not known:
        missing = None if total is None else max(0, total - answered)
    return ResultCounts(
        ok=found[ResultOutcome.OK],
        error=found[ResultOutcome.ERROR],
        cut_off=found[ResultOutcome.CUT_OFF],
        missing=missing,
        unknown_keys=index.unknown_count,
        duplicate_keys=index.duplicate_count,
        input_tokens=index.input_tokens,
        output_tokens=index.output_tokens,
        cached_tokens=index.cached_tokens,
    )
