"""The check of a file before it is submitted, with everything a person should know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from jobdash.domain.account import Account
from jobdash.domain.cost import Cost, ListPrice
from jobdash.domain.job import JobRow
from jobdash.errors import FileFaults, OverLimit, StoreError, UsageError
from jobdash.operations.job_lookup import Browser
from jobdash.operations.pricing import input_cost
from jobdash.operations.submission.request import SubmitRequest, order, requests_of, without_room


@dataclass(frozen=True, slots=True)
class SubmitForm:
    """What a person has chosen; empty texts are nothing."""

    path: Path
    account: Account
    name: str = ""
    model: str = ""
    endpoint: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    split: bool = False


@dataclass(frozen=True, slots=True)
class SubmitCheck:
    """The result of a check: a request that can be submitted, or what is wrong."""

    request: SubmitRequest | None
    head: str = ""
    """What is wrong, in one sentence."""
    faults: tuple[str, ...] = ()
    """The wrong lines, each with its number."""
    over_limit: bool = False
    """The file is larger than a batch may be, and can be cut into parts."""
    sent_before: tuple[JobRow, ...] = ()
    """The jobs that came of the identical file."""
    waiting: int = 0
    """How many of its parts would wait here for room."""
    cost: Cost | None = None
    """What its input is expected to cost; None where that is not known."""

    @property
    def doubtful(self) -> bool:
        """Whether there is something to confirm about a sound file."""
        return self.request is not None and bool(self.request.doubts or self.sent_before)


def check(
    form: SubmitForm, open_browser: Callable[[], Browser], prices: Mapping[str, ListPrice] | None, now: int
) -> SubmitCheck:
    """Check a file; reads all of it, so that it belongs in a thread of its own."""
    try:
        request = order(
            form.path,
            form.account,
            name=form.name or None,
            model=form.model or None,
            endpoint=form.endpoint or None,
            tags=dict(form.tags),
            split=form.split,
        )
        with closing(open_browser()) as browser:
            request = replace(request, seen=browser.newest_ids())
            before = sent_before(request, browser)
            waiting = parts_that_wait(request, browser)
    except FileFaults as error:
        several = len(error.faults) > 1
        return SubmitCheck(None, error.head if several else str(error), error.faults if several else ())
    except (UsageError, StoreError) as error:
        return SubmitCheck(None, str(error), over_limit=isinstance(error, OverLimit))
    cost = expected_cost(request, prices, now)
    return SubmitCheck(request, sent_before=tuple(before), waiting=waiting, cost=cost)


def expected_cost(request: SubmitRequest, prices: Mapping[str, ListPrice] | None, now: int) -> Cost | None:
    """Return what the input of a batch is expected to cost; None where that is not known.

    ``prices`` are a person's own, by model; None where they cannot be read.
    """
    if prices is None:
        return None
    tokens, requests = request.estimated_tokens, request.check.requests
    return input_cost(request.account.provider, request.model, tokens, requests, now, prices)


def sent_before(request: SubmitRequest, browser: Browser) -> list[JobRow]:
    """Return the jobs that came of the identical file, or of one of the same parts."""
    found = {
        row.id: row for part in requests_of(request) for row in browser.submitted_before(part.check.digest)
    }
    return list(found.values())


def parts_that_wait(request: SubmitRequest, browser: Browser) -> int:
    """Return how many parts of a file would wait here, were it submitted now."""
    if request.account.enqueued_limit is None:
        return 0
    return without_room(request, browser.enqueued_tokens(request.account.name, request.model))
