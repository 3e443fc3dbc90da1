"""A dashboard without a screen: its store worker, its account workers, a reader that looks all the time."""

from __future__ import annotations

import asyncio
import signal
import threading
from typing import Any

from jobdash.config.settings import SyncSettings
from jobdash.domain.job import JobRow
from jobdash.domain.status import Tab
from jobdash.domain.time import system_clock
from jobdash.operations.actions.abandoned import polled_accounts
from jobdash.operations.job_lookup import Browser, Scope, Sort
from jobdash.operations.polling.account_worker import AccountWorker, close_abandoned
from jobdash.operations.polling.sync import SyncReport
from jobdash.operations.writer_thread import WriterThread
from kit.tasks import Task

FASTEST_MS = 400
SLOWEST_MS = 600


def live(task: Task) -> dict[str, Any]:
    """Run until SIGTERM; return what was seen and what went wrong."""
    config = task.config
    config = type(config)(
        config.path,
        exists=False,
        database=config.database,
        accounts=config.accounts,
        sync=SyncSettings(FASTEST_MS, SLOWEST_MS),
    )
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    errors: list[str] = []
    syncs: list[SyncReport] = []
    store = WriterThread(config.database, "proof")
    workers = {
        account.name: AccountWorker(
            account,
            config,
            system_clock,
            on_wait=lambda *_: None,
            on_sync=syncs.append,
            on_progress=lambda *_: None,
        )
        for account in config.accounts
    }

    def thread(name: str, work: Any) -> threading.Thread:
        def run() -> None:
            try:
                asyncio.run(work)
            except Exception as error:  # noqa: BLE001 - told in the end
                errors.append(f"{name}: {error!r}")

        made = threading.Thread(target=run, name=name, daemon=True)
        made.start()
        return made

    ready = threading.Event()
    threads = [thread("store", store.serve(ready.set))]
    assert ready.wait(30)
    store.start(close_abandoned(store, polled_accounts(config)))
    threads += [thread(name, worker.serve(store, workers)) for name, worker in workers.items()]
    looks = _look(config.database, ended, errors)
    for worker in workers.values():
        worker.stop()
    for each in threads[1:]:
        each.join(20)
    store.stop()
    threads[0].join(20)
    errors += [f"{report.account}: {report.error}" for report in syncs if report.error is not None]
    return {
        "errors": errors[:5],
        "looks": looks,
        "syncs": len(syncs),
        "left": sum(t.is_alive() for t in threads),
    }


def _look(path: Any, ended: threading.Event, errors: list[str]) -> int:
    """Read as a dashboard does, until the end; the revision only ever grows, and the counts always add up."""
    browser = Browser(path)
    looks, revision = 0, 0
    try:
        while not ended.wait(0.01):
            browser.data_version()
            counts = browser.counts()
            assert counts.revision >= revision, (counts.revision, revision)
            assert counts.total == sum(tabs[Tab.ALL] for tabs in counts.by_account.values())
            browser.page(Scope(), Sort(), None, 50)
            for row in browser.page(Scope(), Sort(), None, 8):
                if row.local:
                    _look_inside(browser, row)
            changed = browser.changed_since(revision)
            assert all(row.revision > revision for row in changed)
            revision = counts.revision
            looks += 1
    except Exception as error:  # noqa: BLE001 - told in the end
        errors.append(f"looking: {error!r}")
        ended.wait()
    finally:
        browser.close()
    return looks


def _look_inside(browser: Browser, row: JobRow) -> None:
    """Read what a local job's own screen shows."""
    browser.job(row.id)
    total = sum(browser.item_counts(row.id).values())
    items = browser.items_at(row.id, None, max(0, total - 20), total, 20)
    assert [item.seq for item in items] == sorted(item.seq for item in items)
    browser.item_errors(row.id)
    browser.attempts(row.id)
