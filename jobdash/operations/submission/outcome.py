"""The outcome of a submit, in a module that imports nothing which a face loads late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from jobdash.domain.job import JobRow
from jobdash.errors import JobdashError


class SubmitRefused(JobdashError):
    """The store refused a submit before anything was sent: the same requests were sent already."""


class SubmitAbandoned(JobdashError):
    """Another process took this submit for dead and closed its intent."""


class SubmitEnd(Enum):
    """How a submit ended."""

    CREATED = auto()
    FAILED = auto()
    """There certainly is no such batch."""
    REJECTED = auto()
    """There is none: the account's key or settings were rejected."""
    ENDED = auto()
    """There is one, and it had failed, expired or been cancelled when it was created."""
    UNCONFIRMED = auto()
    """Unknown yet."""
    STOPPED = auto()
    """Stopped before a batch was made of it."""
    QUEUED = auto()
    """It waits on this computer until there is room, and was not sent."""


WELL = frozenset({SubmitEnd.CREATED, SubmitEnd.QUEUED})
"""Ends after which a person has nothing to do."""


@dataclass(frozen=True, slots=True)
class SubmitOutcome:
    """The outcome of a submit."""

    end: SubmitEnd
    reason: str
    row: JobRow | None
    """The job here; None when nothing was written."""


def worst(parts: Sequence[SubmitOutcome]) -> SubmitOutcome:
    """Return the outcome that counts for a file in several parts: the first that needs a person, if any."""
    return min(parts, key=lambda done: (done.end in WELL, done.end is SubmitEnd.CREATED))
