"""``[retention]``: how long finished jobs, and what is kept of them, stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobdash.domain.time import parse_age

RETENTION_SETTINGS = ("records", "files", "remote")
"""What ``[retention]`` can hold; see `Retention`."""


@dataclass(frozen=True, slots=True)
class Retention:
    """``[retention]``: since a finished job was created, milliseconds; None: for ever."""

    records_ms: int | None = None
    """Records are removed from the list."""
    files_ms: int | None = None
    """Fetched results and copies of inputs are deleted on this computer."""
    remote_ms: int | None = None
    """Files at the provider are deleted, of jobs whose results were fetched."""


def read_retention(values: Mapping[str, Any]) -> Retention:
    """Read the table; raises ValueError with a sentence for a wrong value."""
    spans: dict[str, int | None] = {}
    for name in RETENTION_SETTINGS:
        try:
            spans[name] = parse_age(str(values[name])) if name in values else None
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return Retention(spans["records"], spans["files"], spans["remote"])
