"""Reading fetched results: each with its request, where the input file is known here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from jobdash.batches.models import Result
from jobdash.domain.items import ItemStatus


class _Place(NamedTuple):
    """The line of a request."""

    file: int
    offset: int


@dataclass(frozen=True, slots=True)
class FetchedBatch:
    """Where the results of a batch are on this computer."""

    results: Path
    missing: Path
    """The requests without a result; it need not be there."""
    requests: tuple[Path, ...]
    """The input files, as far as they are known here."""
    key_field: str
    """The field of a request that holds its key."""


def read_results(fetched: FetchedBatch) -> Iterator[Result]:
    """Yield all results in the order of their file, then the requests that have none.

    Of the input files only the places of their lines are held. Raises OSError.
    """
    with ExitStack() as stack:
        requests = [stack.enter_context(path.open("rb")) for path in fetched.requests]
        places = _places(requests, fetched.key_field)
        with fetched.results.open("rb") as lines:
            for line in lines:
                result = json.loads(line)
                yield Result(request=_request(requests, places.pop(result["key"], None)), **result)
        if fetched.missing.exists():
            with fetched.missing.open("rb") as lines:
                for line in lines:
                    request = json.loads(line)
                    yield _missing(str(request.get(fetched.key_field)), request)
        else:
            for key, place in places.items():
                yield _missing(key, _request(requests, place))


def _missing(key: str, request: Any) -> Result:
    return Result(key, str(ItemStatus.MISSING), request, None, None)


def _request(requests: Sequence[BinaryIO], place: _Place | None) -> Any:
    """Return the request at a place; None without one."""
    if place is None:
        return None
    file = requests[place.file]
    file.seek(place.offset)
    return json.loads(file.readline())


def _places(requests: Sequence[BinaryIO], key_field: str) -> dict[str, _Place]:
    """Return where the line of each request is, by its key."""
    found: dict[str, _Place] = {}
    for number, lines in enumerate(requests):
        offset = 0
        for line in lines:
            key = _key(line, key_field)
            if key is not None:
                found.setdefault(key, _Place(number, offset))
            offset += len(line)
    return found


def _key(line: bytes, key_field: str) -> str | None:
    try:
        request: Any = json.loads(line)
    except ValueError:
        return None
    key = request.get(key_field) if isinstance(request, dict) else None
    return key if isinstance(key, str) else None
