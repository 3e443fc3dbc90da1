"""Pruning: the retention rules as plans of removals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jobdash.config.retention import Retention
from jobdash.domain.filter.language import parse
from jobdash.domain.plan import Action, Choices, DecisionContext, Plan
from jobdash.domain.time import SECOND
from jobdash.operations.job_lookup import Browser, JobListing, Scope, Sort
from jobdash.operations.planning import plan_jobs


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """One rule: which jobs, and what of them is removed."""

    name: str
    """As in ``[retention]``."""
    filter: str
    choices: Choices


def rules(retention: Retention) -> Iterator[RetentionRule]:
    """Yield the rules that are set, what is least missed first.

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
    return f"older:{ms // SECOND}s"


def plan_rule(rule: RetentionRule, browser: Browser, situation: DecisionContext) -> Plan:
    """Freeze what a rule removes now."""
    listing = JobListing(Scope(conditions=parse(rule.filter)), Sort(descending=False))
    return plan_jobs(Action.REMOVE, listing.rows(browser), situation, rule.choices, scope="by retention")
