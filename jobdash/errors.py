"""Every exception jobdash raises on purpose.

JobdashError                     a sentence for a person and an exit code for a script
├── UsageError                   the request itself is malformed (2)
│   ├── FilterError              a filter that cannot be read; knows the place (2)
│   ├── FileFaults               a file that cannot be sent; knows the lines (2)
│   └── OverLimit                a file that is larger than a batch may be (2)
├── JobNotFound                  no job of that name or id (3)
│   └── JobAmbiguous             several jobs fit (3)
├── NotConfirmed                 an action without its confirmation (4)
├── ConfigError                  configuration or credentials (5)
│   └── KeyDiffers               the store has another key under the account's name
├── StoreError                   the store cannot be used (6)
│   ├── StoreTooNew              written by a newer jobdash; left untouched
│   ├── StoreReadOnly            can be read, cannot be written
│   ├── StoreMissing             there is no store
│   ├── StoreBusy                another program has been writing for long
│   ├── StoreFull                its disk is full or out of order
│   ├── StoreAway                its server does not answer now
│   └── Interrupted              a query was stopped on purpose
└── ProviderError                a provider refused, or did not answer (1)
    ├── AuthRejected             the key is missing, wrong or not allowed
    ├── SeesNone                 the key is good, and sees none of the jobs that are known
    ├── NotFound                 the provider knows no such thing
    ├── RateLimited              too many requests; carries ``retry_after``
    ├── QuotaExhausted           the account has nothing left; asking again is useless
    ├── Unavailable              5xx, a reset, a time-out: it may or may not have been applied
    ├── InvalidRequest           the provider refused the request as malformed
    │   └── ExpiresByItself      its API cannot delete this, which goes without that
    └── BadResponse              an answer that cannot be believed
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Self


class JobdashError(Exception):
    """Something went wrong."""

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class UsageError(JobdashError):
    """The request is malformed."""

    exit_code = 2


class FilterError(UsageError):
    """The filter cannot be read.

    ``position`` is the 0-based place of the offending word in the filter's text.
    """

    def __init__(self, message: str, text: str = "", position: int = 0) -> None:
        super().__init__(message)
        self.text = text
        self.position = position


class FileFaults(UsageError):
    """The file cannot be sent.

    ``head`` says which file and how much is wrong with it; ``faults`` are the lines, each with what is wrong.
    """

    def __init__(self, head: str, faults: Sequence[str]) -> None:
        super().__init__(f"{head}{', ' if len(faults) == 1 else ': '}{'; '.join(faults)}")
        self.head = head
        self.faults = tuple(faults)


class OverLimit(UsageError):
    """A batch's file is larger than a batch may be; it can be cut into parts."""


class JobNotFound(JobdashError):
    """No such job."""

    exit_code = 3


class JobAmbiguous(JobNotFound):
    """Several jobs fit."""


class NotConfirmed(JobdashError):
    """Not confirmed."""

    exit_code = 4


class ConfigError(JobdashError):
    """The configuration cannot be used."""

    exit_code = 5


class KeyDiffers(ConfigError):
    """The store has another key under the account's name."""


class StoreError(JobdashError):
    """The store cannot be used."""

    exit_code = 6


class StoreTooNew(StoreError):
    """The store was written by a newer jobdash."""


class StoreReadOnly(StoreError):
    """The store can be read but not written."""


class StoreMissing(StoreError):
    """There is no store."""


class StoreBusy(StoreError):
    """Another program has been writing to the store for too long."""


class StoreFull(StoreError):
    """The disk of the store is full or out of order."""


class StoreAway(StoreError):
    """The server of the store does not answer; it may later."""


class Interrupted(StoreError):
    """The query was stopped."""


class ProviderError(JobdashError):
    """The provider refused the request.

    ``status`` is the HTTP code, None when there was no answer; ``detail`` the provider's own words
    (redacted, not yet sanitized for the screen).
    """

    def __init__(self, message: str = "", *, status: int | None = None, detail: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail

    @property
    def full_text(self) -> str:
        """The sentence with the provider's own words, where it does not hold them already."""
        text = str(self)
        return f"{text}: {self.detail}" if self.detail and self.detail not in text else text

    def reworded(self, message: str) -> Self:
        """Return the same error with another sentence."""
        error = copy(self)
        error.args = (message,)
        return error


class AuthRejected(ProviderError):
    """The key was rejected."""


class SeesNone(ProviderError):
    """The key is good, and sees none of the jobs that are known."""


class NotFound(ProviderError):
    """The provider knows no such thing."""


class RateLimited(ProviderError):
    """Too many requests.

    ``retry_after`` is the number of seconds the provider asked us to wait, None when it named none.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        detail: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, status=status, detail=detail)
        self.retry_after = retry_after


class QuotaExhausted(ProviderError):
    """The account's quota is used up."""


class Unavailable(ProviderError):
    """No usable answer; it may or may not have been applied.

    ``retry_after`` is set only for a 503 that names a time, which was certainly not applied.
    ``sent`` is False where no connection was made at all: the request was never sent.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        detail: str = "",
        retry_after: float | None = None,
        sent: bool = True,
    ) -> None:
        super().__init__(message, status=status, detail=detail)
        self.retry_after = retry_after
        self.sent = sent


class InvalidRequest(ProviderError):
    """The provider refused the request as malformed."""


class ExpiresByItself(InvalidRequest):
    """The provider's API cannot delete it; it expires by itself."""


class BadResponse(ProviderError):
    """The provider's answer cannot be believed."""
