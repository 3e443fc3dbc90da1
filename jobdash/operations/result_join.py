"""Join the raw lines of a batch's results with its requests, by key, in bounded memory.

One pass over the raw files reads each line and writes its result into a spool, a file without a name; results
are copied from there in the order of the requests. What is held of a result is its key and its place in the
spool: some 250 bytes, whatever its answer.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple

from jobdash.domain.remote_job import RemoteError
from jobdash.domain.results import ResultCounts, ResultOutcome
from jobdash.domain.text import clean
from jobdash.errors import BadResponse
from jobdash.providers.base import ResultLine
from jobdash.providers.json_values import decode_line, mapping
from jobdash.providers.results import ReadLine, result_line

NAMED_KEYS = 20
"""Odd keys that are named one by one; all are counted."""
BUFFER = 1024 * 1024
"""Bytes that are read or written at once: lines of some kilobytes would each be a call of the system."""
_SMALL = 1024 * 1024
"""Bytes of raw results whose spool needs no file."""


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
    """Where a result is in the spool."""

    offset: int
    size: int
    outcome: ResultOutcome


@dataclass
class _Index:
    """Where the results are in the spool, by key."""

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
    spool: Path,
    total: int | None,
) -> JoinedResults:
    """Write each request's result as a line of JSON into ``results``; return the counts.

    With ``requests``, the input file, results stand in its order, and the lines of requests without a result
    are written into ``missing``; else they stand in the order of their arrival, and those missing are the
    rest of ``total``. The spool is in the folder ``spool``. Raises OSError.
    """
    index = _Index()
    found: dict[ResultOutcome, int] = dict.fromkeys(ResultOutcome, 0)
    with _spool(raw, spool) as file:
        for each in raw:
            _scan(index, each, file, read)
        read_at = _reader(file)
        for key, line in _in_order(index, requests, key_field):
            place = index.places.pop(key, None)
            if place is None:
                missing.write(line if line.endswith(b"\n") else line + b"\n")
                found[ResultOutcome.MISSING] += 1
                continue
            found[place.outcome] += 1
            results.write(read_at(place))
    for key in index.places:
        index.add_unknown(key)
    return JoinedResults(
        _counts(index, found, known=requests is not None, total=total),
        tuple(index.unknown),
        tuple(index.duplicate),
    )


def _spool(raw: Sequence[RawFile], folder: Path) -> IO[bytes]:
    """Return the file that takes the results as they are read; those of a small batch stay in memory."""
    if sum(each.path.stat().st_size for each in raw) <= _SMALL:
        return io.BytesIO()
    return tempfile.TemporaryFile(dir=folder, buffering=BUFFER)


def _reader(spool: IO[bytes]) -> Callable[[_Place], bytes]:
    """Return what reads a result out of a spool that is written."""
    if isinstance(spool, io.BytesIO):
        written = spool.getvalue()
        return lambda place: written[place.offset : place.offset + place.size]
    spool.flush()
    return lambda place: os.pread(spool.fileno(), place.size, place.offset)


def _scan(index: _Index, raw: RawFile, spool: IO[bytes], read: ReadLine) -> None:
    """Write the results of a raw file into the spool."""
    offset = spool.tell()
    with raw.path.open("rb", buffering=BUFFER) as lines:
        for number, content in enumerate(lines, 1):
            where = f"line {number} of the {raw.role} file"
            line = result_line(content, where=where, read=read, decode=decode_line)
            if line is None:
                continue
            rendered = render_result(line)
            spool.write(rendered)
            index.add(line, _Place(offset, len(rendered), line.outcome))
            offset += len(rendered)


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
