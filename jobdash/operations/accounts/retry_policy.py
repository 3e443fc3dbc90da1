"""The rules by which a failed request is sent again: which, how often, and after what wait."""

from __future__ import annotations

from collections.abc import Callable

from jobdash.errors import RateLimited, Unavailable
from jobdash.operations.accounts.rate_limiter import RateLimiter

READ_TRIES = 3
ACTION_TRIES = 6
"""The first and five more (rule 14)."""
LONGEST_PAUSE_S = 60.0
_BACKOFF_S, _LONGEST_BACKOFF_S = 1.0, 20.0

Jitter = Callable[[float], float]
"""Returns a random number of seconds up to the one given."""


class RetryPolicy:
    """Decides, as stamina's hook, whether a failed request is tried again; arranges the wait if so."""

    def __init__(self, action: bool, limiter: RateLimiter, jitter: Jitter) -> None:
        self.rest = 0.0
        """Seconds that this request alone waits before its next try."""
        self._action = action
        self._limiter = limiter
        self._jitter = jitter
        self._failures = 0

    def __call__(self, error: Exception) -> bool:
        """Whether the request is sent again after this error; the limiter, or `rest`, then has the wait."""
        self._failures += 1
        self.rest = 0.0
        if not isinstance(error, (RateLimited, Unavailable)):
            return False
        harmless = isinstance(error, RateLimited) or error.retry_after is not None
        if self._action and not harmless:
            return False
        backoff = self._jitter(min(_LONGEST_BACKOFF_S, _BACKOFF_S * 2**self._failures))
        if harmless:
            wait = backoff if error.retry_after is None else error.retry_after
            self._limiter.pause(min(wait, LONGEST_PAUSE_S))
        else:
            self.rest = backoff
        return True
