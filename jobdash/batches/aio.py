"""The functions of `jobdash.batches` as coroutines; arguments and errors are the same."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobdash.batches.models import Batch, BatchFailed, NotCurrent, Result, batch_of
from jobdash.batches.result_reader import FetchedBatch, read_results
from jobdash.batches.session import open_session
from jobdash.config.settings import Config
from jobdash.domain.account import Account
from jobdash.domain.filter.language import parse
from jobdash.domain.items import RETRIED, RETRYABLE
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, ActionOutcome, Choices, Decision, DecisionKind
from jobdash.domain.provider_info import LOCAL
from jobdash.domain.text import clean
from jobdash.errors import ConfigError, UsageError
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
    _check_tags(tags or {})
    with _on_disk(requests) as (path, called):
        async with open_session(database, config, make=True) as session:
            wanted: SubmitRequest = await asyncio.to_thread(
                lambda: order(
                    path,
                    _account(session.config, account),
                    name=name or called,
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


def _check_tags(tags: Mapping[str, str]) -> None:
    """Raise UsageError for a tag that is no text, or that ``--tag key=value`` and a filter could not name."""
    for key, value in tags.items():
        if not (isinstance(key, str) and isinstance(value, str)):
            raise UsageError(f"tag {key!r}: {value!r} has to be two texts")
        if not key or "=" in key or not value:
            raise UsageError(f"tag {key!r}: {value!r} has to be a key without = and a value")


@contextmanager
def _on_disk(requests: str | Path | Iterable[Mapping[str, Any]]) -> Iterator[tuple[Path, str | None]]:
    """Yield the file of requests, and what to call it where it was made here."""
    if isinstance(requests, str | Path):
        yield Path(requests), None
        return
    if not isinstance(requests, Iterable):
        raise UsageError(f"requests have to be a list of dicts, or a file; not {type(requests).__name__}")
    with tempfile.TemporaryDirectory(prefix="jobdash-") as folder:
        path = Path(folder) / "requests.jsonl"
        with path.open("w", encoding="ascii") as file:
            for number, request in enumerate(requests, 1):
                if not isinstance(request, Mapping):
                    raise UsageError(f"request {number} is of type {type(request).__name__}, not a dict")
                try:
                    file.write(json.dumps(request, allow_nan=False) + "\n")
                except (TypeError, ValueError) as error:
                    raise UsageError(f"request {number} cannot be written as JSON: {error}") from None
        yield path, "requests"


def _account(config: Config, name: str | None) -> Account:
    wanted = config.name_in_store(name) if name else config.default_account
    found = [account for account in config.accounts if wanted is None or account.name == wanted]
    if len(found) == 1:
        return found[0]
    if wanted in config.unusable_words:
        raise ConfigError(config.unusable_words[wanted])
    names = ", ".join(account.name for account in config.accounts) or "none"
    if wanted is None and found:
        raise UsageError(f"account= has to say which: {names}; or default_account in the config")
    raise ConfigError(f"no account {wanted!r}; there are {names}" if wanted else "no account is configured")


async def get(
    batch: str | Batch,
    *,
    sync: bool = True,
    database: str | Path | None = None,
    config: str | Path | None = None,
) -> Batch:
    """Return a batch as it is now; see `jobdash.batches.get`."""
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
    async with open_session(database, config, make=sync) as session:
        errors = await session.sync_all() if sync else {}
        scope = Scope(conditions=parse(f"{filter} account!={LOCAL}"))
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
    if wrong := [part for part in only if part not in RETRYABLE]:
        raise UsageError(f"only={wrong[0]!r} is not one of {', '.join(RETRYABLE)}")
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
    """Return where the results of a batch are, fetched into the results folder if they are not here."""
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
