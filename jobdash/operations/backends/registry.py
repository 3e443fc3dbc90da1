"""The backend of a job; each is imported when a job of it is acted on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, cast

from jobdash.domain.backends.base import BackendRules
from jobdash.domain.backends.registry import grouped, rules_of
from jobdash.domain.items import ScriptProcess
from jobdash.domain.job import JobRow
from jobdash.domain.remainder import Remainder

if TYPE_CHECKING:
    from jobdash.operations.backends.base import Backend
    from jobdash.operations.job_lookup import Browser


def backend_of(job: JobRow) -> Backend:
    """Return the backend that runs a job."""
    return backend(rules_of(job))


def backend(rules: BackendRules) -> Backend:
    """Return the backend that has some rules: ``BACKEND`` of the module that is named as they are."""
    return cast("Backend", import_module(f"{__package__}.{rules.name}").BACKEND)


def workers(browser: Browser, rows: Iterable[JobRow], *, starting: bool = True) -> dict[int, ScriptProcess]:
    """Return, by id, what is known here of the processes behind jobs of every backend."""
    found: dict[int, ScriptProcess] = {}
    for rules, own in grouped(rows):
        found |= backend(rules).workers(browser, own, starting=starting)
    return found


def remainders(browser: Browser, rows: Iterable[JobRow]) -> dict[int, Remainder]:
    """Return, by id, what is left of batches and their retries; nothing of other jobs."""
    found: dict[int, Remainder] = {}
    for rules, own in grouped(rows):
        found |= backend(rules).remainders(browser, own)
    return found


def results_available(browser: Browser, rows: Iterable[JobRow]) -> Mapping[int, bool | None]:
    """Return, by id, whether jobs have results to fetch; None where that is not known."""
    found: dict[int, bool | None] = {}
    for rules, own in grouped(rows):
        found |= backend(rules).results_available(browser, own)
    return found
