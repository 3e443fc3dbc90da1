"""The functions of `jobdash.batches` as coroutines; arguments and errors are the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobdash.batches.arguments import check, chosen_account, on_disk
from jobdash.batches.models import Batch, BatchFailed, NotCurrent, Result, batch_of
from jobdash.batches.result_reader import FetchedBatch, read_results
from jobdash.batches.session import open_session
from jobdash.domain.filter.conditions import Conditions
from jobdash.domain.filter.language import parse
from jobdash.domain.items import RETRIED
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, ActionOutcome, Choices, Decision, DecisionKind
from jobdash.domain.provider_info import LOCAL
from jobdash.domain.text import clean
from jobdash.errors import ConfigError
from jobdash.operations.execution import execute
from jobdash.operations.fetch import fetch as fetch_results
from jobdash.operations.job_lookup import JobListing, Scope, Sort
from jobdash.operations.planning import plan_jobs
from jobdash.operations.polling.wait import WaitProgress, wait_until
from jobdash.operations.providers import request_key_field
from jobdash.operations.results.fetch_request import FetchRequest
from jobdash.operations.results.folder import MISSING, kept_folder
from jobdash.operations.submission.outcome import SubmitEnd, SubmitRefused
from jobdash.operations.submission.queue import submit_file
from jobdash.operations.submission.request import SubmitRequest, order

__all__ = ["cancel", "fetch", "get", "list", "results", "resume", "submit", "wait"]

_List = list


async def submit(
    requests: str | Path | Iterable[Mapping[str, Any]],
    *,
    account: str | None = None,
    name: str | None = None,
    model: str | None = None,
    endpoint: str | None = None,
    tags: Mapping[str, str] | None = None,
    again: bool = False,
    database: str | Path | None = None,
    config: str | Path | None = None,
) -> Batch:
    """Check requests, upload them, and create a batch; see `jobdash.batches.submit`."""
    check(requests=requests, account=account, name=name, model=model, endpoint=endpoint, tags=tags)
    check(again=again, database=database, config=config)
    with on_disk(requests) as (path, called):
        async with open_session(database, config, make=True) as session:
            wanted: SubmitRequest = await asyncio.to_thread(
                lambda: order(
                    path,
                    chosen_account(session.config, account),
                    name=name,
                    model=model,
                    endpoint=endpoint,
                    tags=dict(tags or {}),
                    file_name=called,
                )
            )
            if not again:
                wanted = replace(wanted, seen=session.browser.newest_ids())
                session.refuse_identical(wanted)
            try:
                caller = session.accounts[wanted.account.name]
                (done,) = await session.finish(submit_file(wanted, caller, session.work))
            except SubmitRefused:
                session.refuse_identical(wanted)
                raise
            made = None if done.row is None else session.batch(done.row)
            if done.end is SubmitEnd.REJECTED:
                raise ConfigError(done.reason)
            if made is None or done.end not in {SubmitEnd.CREATED, SubmitEnd.QUEUED}:
                raise BatchFailed(f"{wanted.name}: {done.reason}", made)
            return made


async def get(
    batch: str | Batch,
    *,
    sync: bool = True,
    database: str | Path | None = None,
    config: str | Path | None = None,
) -> Batch:
    """Return a batch as it is now; see `jobdash.batches.get`."""
    check(batch=batch, sync=sync, database=database, config=config)
    async with open_session(database, config) as session:
        return session.batch(await session.row(batch, sync=sync))


async def list(
    filter: str = "",
    *,
    limit: int | None = None,
    sync: bool = False,
    database: str | Path | None = None,
    config: str | Path | None = None,
) -> _List[Batch]:
    """Return batches, the newest first; see `jobdash.batches.list`."""
    check(filter=filter, limit=limit, sync=sync, database=database, config=config)
    asked, others = parse(filter), parse(f"account!={LOCAL}")  # a fault is one of what was given
    async with open_session(database, config, make=sync) as session:
        errors = await session.sync_all() if sync else {}
        scope = Scope(conditions=Conditions(filter, (*asked.terms, *others.terms)))
        now = session.work.clock()
        found = [batch_of(job, now) for job in JobListing(scope, Sort(), limit).jobs(session.browser)]
    if errors:
        raise NotCurrent(found, errors)
    return found


async def wait(
    *batches: str | Batch,
    timeout: float | None = None,  # noqa: ASYNC109 - it is the person's deadline, not that of one call
    database: str | Path | None = None,
    config: str | Path | None = None,
) -> _List[Batch]:
    """Wait until batches have ended; see `jobdash.batches.wait`."""
    check(batches=batches, timeout=timeout, database=database, config=config)
    async with open_session(database, config) as session:
        rows = [await session.row(batch) for batch in batches]
        deadline = None if timeout is None else session.work.clock() + round(timeout * 1000)
        errors: dict[str, Exception | None] = {}
        waiting = WaitProgress(
            tuple(row.id for row in rows),
            _ended,
            deadline,
            on_sync=lambda report: errors.update({report.account: report.error}),
        )
        waited = await session.finish(wait_until(waiting, session.syncs))
        if waited.timed_out:
            assert timeout is not None
            raise session.timed_out(waiting, timeout, errors)
        return [session.batch(row) for row in rows]


def _ended(row: JobRow) -> bool:
    return row.terminal or row.gone or row.removed_at is not None


async def cancel(
    batch: str | Batch,
    *,
    reason: str | None = None,
    database: str | Path | None = None,
    config: str | Path | None = None,
) -> Batch:
    """Ask a batch's provider to stop it; see `jobdash.batches.cancel`."""
    check(batch=batch, reason=reason, database=database, config=config)
    async with open_session(database, config) as session:
        row = await session.row(batch)
        plan = plan_jobs(Action.CANCEL, [row], session.work.situation(), Choices(reason=reason))
        (decision,) = plan.decisions
        if decision.verdict is DecisionKind.REFUSED:
            raise BatchFailed(f"{clean(row.name)}: {decision.reason}", session.batch(row))
        summary = await session.finish(execute(plan, session.work, lambda _outcome: None))
        made = session.batch(row)
    failed = _failure(decision, summary.outcomes)
    if failed is not None:
        raise BatchFailed(f"{made.name}: {failed}", made)
    return made


async def resume(
    batch: str | Batch,
    *,
    only: Sequence[str] = RETRIED,
    requests: str | Path | None = None,
    database: str | Path | None = None,
    config: str | Path | None = None,
) -> Batch:
    """Send the requests of a batch that have no whole answer again; see `jobdash.batches.resume`."""
    only = tuple(only) if isinstance(only, Iterable) and not isinstance(only, str) else only
    check(batch=batch, only=only, input=requests, database=database, config=config)
    choices = Choices(only=tuple(only), input=None if requests is None else Path(requests))
    async with open_session(database, config) as session:
        row = await session.row(batch, sync=True)
        plan = plan_jobs(Action.RETRY, [row], session.work.situation(), choices, browser=session.browser)
        (decision,) = plan.decisions
        if not decision.acts:
            raise BatchFailed(f"{clean(row.name)}: {decision.reason}", session.batch(row))
        before = session.family(row)
        summary = await session.finish(execute(plan, session.work, lambda _outcome: None))
        made = session.family(row) - before
        if not made:
            reason = _failure(decision, summary.outcomes) or summary.outcomes[0].reason
            raise BatchFailed(f"{clean(row.name)}: {reason}", session.batch(row))
        return session.batch(await session.row(made.pop()))


def _failure(decision: Decision, outcomes: Sequence[ActionOutcome]) -> str | None:
    """Return why a cancel was not accepted; None where it was, or there was nothing to cancel."""
    if not decision.acts:
        return None
    (outcome,) = outcomes
    return outcome.reason if outcome.result == "failed" or outcome.refused else None


async def fetch(
    batch: str | Batch,
    *,
    partial: bool = False,
    merged: bool = False,
    database: str | Path | None = None,
    config: str | Path | None = None,
) -> FetchedBatch:
    """Return where the results of a batch are; see `jobdash.batches.fetch`."""
    check(batch=batch, partial=partial, merged=merged, database=database, config=config)
    async with open_session(database, config) as session:
        row = await session.row(batch, sync=not partial)
        job = session.browser.job(row.id)
        kept = None if job is None else kept_folder(job)  # of an earlier fetch, wherever that was to
        folder = session.config.results_folder if kept is None else kept.path.parent
        request = FetchRequest(folder, session.browser.again, session.work, partial=partial, merged=merged)
        (done,) = await session.finish(fetch_results([row], request))
        if done.file is None or done.folder is None:
            raise BatchFailed(f"{clean(row.name)}: {done.reason}", session.batch(row))
        return FetchedBatch(
            done.file, done.folder / MISSING, session.inputs(row, merged=merged), request_key_field(row)
        )


async def results(
    batch: str | Batch,
    *,
    partial: bool = False,
    merged: bool = False,
    database: str | Path | None = None,
    config: str | Path | None = None,
) -> AsyncIterator[Result]:
    """Yield the results of an ended batch; see `jobdash.batches.results`."""
    fetched = await fetch(batch, partial=partial, merged=merged, database=database, config=config)
    lines = read_results(fetched)
    while (result := await asyncio.to_thread(next, lines, None)) is not None:
        yield result
