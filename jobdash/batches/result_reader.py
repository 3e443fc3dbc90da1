"""Reading fetched results: each with its request, where the input file is known here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobdash.batches.models import Result
from jobdash.domain.results import ResultOutcome


@dataclass(frozen=True, slots=True)
class FetchedBatch:
    """Where the results of a batch are on this computer."""

    results: Path
    missing: Path
    """The requests without a result; it need not be there."""
    requests: Path | None
    """The input file; None where it is not known here."""
    key_field: str
    """The field of a request that holds its key."""


def read_results(fetched: FetchedBatch) -> Iterator[Result]:
    """Yield all results in the order of their file, then the requests that have none.

    Of the input file only the places of its lines are held. Raises OSError.
    """
    places = _places(fetched)
    requests = None if fetched.requests is None else fetched.requests.open("rb")
    try:
        with fetched.results.open("rb") as lines:
            for line in lines:
                result = json.loads(line)
                place = places.get(result["key"])
                request = None
                if requests is not None and place is not None:
                    requests.seek(place)
                    request = json.loads(requests.readline())
                yield Result(request=request, **result)
    finally:
        if requests is not None:
            requests.close()
    if fetched.missing.exists():
        with fetched.missing.open("rb") as lines:
            for line in lines:
                request = json.loads(line)
                key = str(request.get(fetched.key_field))
                yield Result(key, str(ResultOutcome.MISSING), request, None, None)


def _places(fetched: FetchedBatch) -> dict[str, int]:
    """Return the offset of each request's line by its key."""
    found: dict[str, int] = {}
    if fetched.requests is None:
        return found
    offset = 0
    with fetched.requests.open("rb") as lines:
        for line in lines:
            key = _key(line, fetched.key_field)
            if key is not None:
                found.setdefault(key, offset)
            offset += len(line)
    return found


def _key(line: bytes, key_field: str) -> str | None:
    try:
        request: Any = json.loads(line)
    except ValueError:
        return None
    key = request.get(key_field) if isinstance(request, dict) else None
    return key if isinstance(key, str) else None
