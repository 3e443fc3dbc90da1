"""What the demo's store has from the start, as if jobdash had run before: fetched results, a queue, and jobs
that need attention for each of the reasons there are.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from jobdash.config.settings import Config
from jobdash.demo.emulator import BatchFailure, BatchPlan, BatchScript, Emulator, Switches, Timing
from jobdash.demo.emulator.batch import EmulatedBatch
from jobdash.demo.emulator.emulator import EmulatedProvider
from jobdash.demo.samples import BROKEN_IMAGE, DAY, HOUR, KEYS, MINUTE, RATE_LIMIT, UNCONFIRMED_TOTAL
from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.status import Status
from jobdash.errors import JobdashError
from jobdash.store.records import NewJob, Refusal
from jobdash.store.sample_loader import SAMPLE_COLUMNS, SampleRow

if TYPE_CHECKING:
    from jobdash.operations.accounts.rate_limiter import CancelToken
    from jobdash.operations.context import OperationContext
    from jobdash.store.writer import Writer

QUEUE_LIMIT = 70_000
"""Tokens that the account "work" may have enqueued: the second part of `_SPLIT` waits for the first."""
_SPLIT, _REQUESTS = "catalogue-descriptions", 1_000
_TEXT = "Describe the product in two sentences for the catalogue, without naming its price. " * 4
_FAILED_PHOTOS = BatchFailure(12, "invalid_image", BROKEN_IMAGE, 400)
_COLLECTED = (
    ("product-blurbs", 600, 9 * HOUR, BatchPlan(timing=Timing(running=40 * MINUTE))),
    ("photo-alt-texts", 400, 7 * HOUR, BatchPlan(failures=(_FAILED_PHOTOS,))),
    ("support-replies", 500, 4 * HOUR, BatchPlan(cut_off=40)),
)
"""Name, total, age in seconds and plan of the batches whose results are fetched at the start."""
_LATE = BatchPlan(timing=Timing(running=23.5 * HOUR))
_RESULTS_KEPT, _RESULTS_LEFT = 2 * DAY, 5 * HOUR
_SHORT_KEPT = BatchPlan(switches=Switches(results_kept=_RESULTS_KEPT))
_CANCEL_ASKED = 26 * MINUTE
"""Seconds since the cancel of the batch that is stuck in it."""
_PATIENCE_S = 2.0


def seed_known_batches(emulator: Emulator, origins: Mapping[str, str], now: float) -> Iterator[SampleRow]:
    """Add batches to a seeded emulator, and yield the rows of those that the store knows of.

    ``origins`` are the servers of the accounts by name, ``now`` is in seconds since the epoch.
    """

    def add(account: str, model: str, name: str, total: int, age: float, plan: BatchPlan) -> None:
        script = BatchScript(name=name, model=model, total=total, created_at=now - age, plan=plan)
        emulator.openai.add_batch(script, key=KEYS[account])

    for name, total, age, plan in _COLLECTED:
        add("openai", "gpt-x-mini", name, total, age, plan)
    add("openai", "gpt-x", "press-review", 3_000, 22.8 * HOUR, _LATE)
    add("work", "gpt-x", "newsletter-drafts", 800, _RESULTS_KEPT - _RESULTS_LEFT, _SHORT_KEPT)
    ms = round(now * 1000)
    known: dict[tuple[str, str], dict[str, Any]] = {
        **{("openai", name): {} for name, *_ in _COLLECTED},
        ("openai", "press-review"): {},
        ("openai", "ledger-cleanup"): {"cancel_requested_at": round(ms - _CANCEL_ASKED * 1000)},
        ("work", "newsletter-drafts"): {
            "results_expire_at": round(ms + _RESULTS_LEFT * 1000),
            "fetch_error": "/mnt/batches cannot be written: No space left on device",
        },
        ("work", "labels-batch-06"): {"left_behind": "its input file not deleted: key rejected (403)"},
    }
    for account in ("openai", "work"):
        place = {"account": account, "origin": origins[account]}
        for batch in emulator.openai.account(KEYS[account]).batches.page(1_000).batches:
            if (more := known.get((account, batch.script.name))) is not None:
                yield _row(emulator.openai, batch, place | more)


def seed_retry(emulator: Emulator, writer: Writer, origin: str, now: float) -> None:
    """Add a batch and its retry, which runs, to the account "work" of an emulator and to a store."""
    name, model, at, parent_id = "label-audit", "gpt-x", round(now * 1000), None
    partial = BatchPlan(failures=(BatchFailure(48, message=RATE_LIMIT),))
    running = BatchPlan(timing=Timing(running=HOUR))
    for total, age, plan in ((1_200, 7 * HOUR, partial), (48, 9 * MINUTE, running)):
        script = BatchScript(name=name, model=model, total=total, created_at=now - age, plan=plan)
        batch_id = emulator.openai.add_batch(script, key=KEYS["work"])
        key = f"{name}-{total}"
        new = NewJob("work", "openai", origin, name, key, model, script.endpoint, total, parent_id=parent_id)
        begun = writer.begin_submit(new, deadline=at)
        batch = emulator.openai.account(KEYS["work"]).batches.get(batch_id)
        if batch is not None and not isinstance(begun, Refusal):
            row, intent = begun
            word = emulator.openai.snapshot_of(batch).phase.value
            remote = RemoteJob(batch_id, Status(word), word, name, round(batch.created * 1000))
            writer.close_submit(intent.id, remote, at)
            parent_id = row.id


def seed_unconfirmed(writer: Writer, origin: str, deadline: int) -> None:
    """Add a submit to the account "anthropic" of a store that got no answer, as the writer's clock has it."""
    new = NewJob(
        "anthropic", "anthropic", origin, "board-minutes", "k-board", "claude-x", total=UNCONFIRMED_TOTAL
    )
    begun = writer.begin_submit(new, deadline=deadline)
    if not isinstance(begun, Refusal):
        writer.leave_unconfirmed(begun[1].id, "which batch is its own is not known")


def _row(provider: EmulatedProvider, batch: EmulatedBatch, more: Mapping[str, Any]) -> SampleRow:
    """Return a batch as it is at its provider, with what only the store knows."""
    snapshot, script = provider.snapshot_of(batch), batch.script
    entered, created = round(snapshot.entered[snapshot.phase] * 1000), round(batch.created * 1000)
    word = snapshot.phase.value
    values: dict[str, Any] = {
        "provider": "openai",
        "remote_id": batch.id,
        "name": script.name,
        "remote_status": word,
        "raw_status": word,
        "model": script.model,
        "endpoint": script.endpoint,
        "total": snapshot.total,
        "succeeded": snapshot.succeeded,
        "failed": snapshot.failed,
        "created_at": created,
        "finished_at": entered if snapshot.phase.terminal else None,
        "expires_at": round(provider.expires(batch) * 1000),
        "updated_at": entered,
        "seen_at": entered,
        **more,
    }
    return tuple(values.get(column) for column in SAMPLE_COLUMNS)


class KnownBatches:
    """Fetches the results of the known batches and fills the queue, in a thread after the first paint."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._stop: CancelToken | None = None
        self._over = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        if self._stop is not None:
            self._stop.set()
        self.wait(_PATIENCE_S)

    def begin(self) -> None:
        """Start, without waiting for it."""
        self._thread = threading.Thread(target=self._run, name="jobdash-known", daemon=True)
        self._thread.start()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until all of it is done."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        from jobdash.operations.accounts.rate_limiter import CancelToken

        self._stop = CancelToken()
        if not self._over:
            with suppress(JobdashError, OSError):  # the demo does without
                asyncio.run(self._prepare(self._stop))

    async def _prepare(self, stop: CancelToken) -> None:
        from jobdash.operations.accounts.clients import AccountClients
        from jobdash.operations.context import OperationContext
        from jobdash.operations.writer_thread import WriterThread

        config = self._config
        with WriterThread(config.database, "demo") as store:
            async with AccountClients(config.accounts) as accounts:
                work = OperationContext.of(config, accounts, store, stop=stop)
                await self._fetch(work)
                await self._submit(work)

    async def _fetch(self, work: OperationContext) -> None:
        from jobdash.operations.fetch import fetch
        from jobdash.operations.job_lookup import Browser, Scope, Sort
        from jobdash.operations.results.fetch_request import FetchRequest

        with Browser(self._config.database) as browser:
            wanted = {name for name, *_ in _COLLECTED}
            rows = [row for row in browser.page(Scope(), Sort()) if row.name in wanted]
            request = FetchRequest(self._config.results_folder, browser.again, work)
            await fetch(rows, request, stop=work.stop)

    async def _submit(self, work: OperationContext) -> None:
        """Submit a file that is cut in two, of which the second part waits."""
        from jobdash.operations.submission.queue import submit_file
        from jobdash.operations.submission.request import order

        account = self._config.account("work")
        assert account is not None
        file = self._config.store_path.parent / f"{_SPLIT}.jsonl"
        await asyncio.to_thread(_write_requests, file)
        wanted = await asyncio.to_thread(order, file, account, split=True)
        await submit_file(wanted, work.accounts[account.name], work)


def _write_requests(path: Path) -> None:
    line = (
        '{{"custom_id": "item-{:04}", "method": "POST", "url": "/v1/chat/completions",'
        ' "body": {{"model": "gpt-x", "messages": [{{"role": "user", "content": "{}"}}]}}}}\n'
    )
    with path.open("w", encoding="utf-8") as file:
        file.writelines(line.format(number, _TEXT) for number in range(_REQUESTS))
