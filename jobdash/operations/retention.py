"""Pruning: the retention rules as plans of removals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jobdash.config.retention import Retention
from jobdash.domain.backends.registry import rules_of
from jobdash.domain.filter.language import parse
from jobdash.domain.job import BATCH, JobDetails, JobRow
from jobdash.domain.plan import Action, Choices, DecisionContext, Plan
from jobdash.domain.time import DAY, HOUR, MINUTE, SECOND
from jobdash.operations.job_lookup import Browser, JobListing, Scope, Sort
from jobdash.operations.person import is_elsewhere
from jobdash.operations.planning import plan_jobs
from jobdash.operations.providers import provider_at
from jobdash.operations.results.input_copies import input_copy

_UNITS = ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"))


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """One rule: which jobs, and what of them is removed."""

    name: str
    """As in ``[retention]``."""
    filter: str
    choices: Choices


def rules(retention: Retention) -> Iterator[RetentionRule]:
    """Yield the rules that are set: files at providers first, then files here, then records.

    Files at a provider go only where the results were fetched: else they are the only copy.
    """
    clean_up = Choices(record=False, remote=True)
    if retention.remote_ms is not None:
        filter_text = f"status:finished fetched:yes account!=local {_older(retention.remote_ms)}"
        yield RetentionRule("remote", filter_text, clean_up)
    if retention.files_ms is not None:
        filter_text = f"status:finished {_older(retention.files_ms)}"
        yield RetentionRule("files", filter_text, Choices(record=False, local_files=True))
    if retention.records_ms is not None:
        yield RetentionRule("records", f"status:finished {_older(retention.records_ms)}", Choices())


def _older(ms: int) -> str:
    size, unit = next(((size, unit) for size, unit in _UNITS if ms % size == 0), (SECOND, "s"))
    return f"older:{ms // size}{unit}"


def plan_rule(rule: RetentionRule, browser: Browser, situation: DecisionContext, database: Path) -> Plan:
    """Freeze what a rule removes now; jobs of which an earlier prune left nothing are no part of it."""
    listing = JobListing(Scope(conditions=parse(rule.filter)), Sort(descending=False))
    choices = rule.choices
    if choices.record:
        rows: Iterable[JobRow] = listing.rows(browser)
    else:
        is_left = _is_left_remotely if choices.remote else partial(_is_left_here, database)
        rows = (job.row for job in listing.jobs(browser) if is_left(job))
    return plan_jobs(Action.REMOVE, rows, situation, choices, scope="by retention")


def _is_left_remotely(job: JobDetails) -> bool:
    """Whether a provider may keep something of a batch that can be deleted.

    Its record goes last: when that is deleted, what is left of the files cannot be.
    """
    if BATCH in job.deleted:
        return False
    info = provider_at(job.row)
    return bool(job.files) or (info is not None and info.capabilities.deletes_records)


def _is_left_here(database: Path, job: JobDetails) -> bool:
    """Whether something of a job may lie on this computer; that of a script is found when it is deleted."""
    if is_elsewhere(job.fetched_on):
        return False
    if not rules_of(job.row).at_provider or job.results_folder is not None:
        return True
    return job.submit_key is not None and input_copy(database, job.submit_key).exists()
