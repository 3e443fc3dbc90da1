"""Provider batches from Python: submit, follow, cancel, and read results; they are in the dashboard, too.

    from jobdash import batches

    batch = batches.submit(requests, name="nightly-eval", tags={"run": "42"})
    (batch,) = batches.wait(batch, timeout=3600)
    for result in batches.results(batch):
        print(result.key, result.outcome, result.response)

Nothing heavy is imported before the first call. The same
functions as coroutines are in `jobdash.batches.aio`; these here can be called where an event loop runs
already (a notebook), and then block it. Every function takes ``database`` and ``config``, paths that replace
those of the environment.

Ctrl-C, a task's cancel and a deadline stop a call as Ctrl-C stops a command: nothing more is sent, what is
under way is awaited for ten seconds, the store says what came of it, and the exception is raised again. A
second one ends it at once.

All of them raise the `JobdashError` tree, which is in this module, too: `UsageError` for a wrong argument,
before anything is opened or sent, its `FileFaults` and `OverLimit` for a file and `FilterError` for a filter,
`ConfigError` for accounts and keys, `JobNotFound` and `JobAmbiguous` for ids, `BatchFailed` for what a
provider refused, `NotCurrent` for an account that cannot be asked, `StoreError` for the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from jobdash.batches.models import Batch, BatchFailed, NotCurrent, Result, WaitTimeout
from jobdash.batches.result_reader import FetchedBatch
from jobdash.errors import (
    ConfigError,
    FileFaults,
    FilterError,
    JobAmbiguous,
    JobdashError,
    JobNotFound,
    OverLimit,
    StoreError,
    StoreMissing,
    UsageError,
)

__all__ = [
    "Batch",
    "BatchFailed",
    "ConfigError",
    "FetchedBatch",
    "FileFaults",
    "FilterError",
    "JobAmbiguous",
    "JobNotFound",
    "JobdashError",
    "NotCurrent",
    "OverLimit",
    "Result",
    "StoreError",
    "StoreMissing",
    "UsageError",
    "WaitTimeout",
    "cancel",
    "fetch",
    "get",
    "list",
    "results",
    "resume",
    "submit",
    "wait",
]

T = TypeVar("T")
_List = list


def submit(
    requests: str | Path | Iterable[Mapping[str, Any]],
    *,
    account: str | None = None,
    name: str | None = None,
    model: str | None = None,
    endpoint: str | None = None,
    tags: Mapping[str, str] | None = None,
    again: bool = False,
    **settings: Any,
) -> Batch:
    """Check requests, upload them, and create a batch; return it as its provider answered.

    ``requests`` is a JSONL file, or the objects of its lines. ``account`` may be left out where there is one,
    or a ``default_account``. The batch is never created twice: when the answer is lost, it is found again by
    its key; `BatchFailed` says so, and a later `get` has it. Where the account has an ``enqueued_limit`` and
    there is no room, the batch is returned as it waits on this computer; ``wait`` sends it.

    Requests that were sent before, exactly so, are sent once more only with ``again``: else `BatchFailed` has
    the earlier batch in its ``batch``. Faults of the requests raise `FileFaults`, whose ``faults`` name
    all of them, each with its line; `OverLimit` is for more than a batch may hold.
    """
    from jobdash.batches import aio

    return _run(
        aio.submit(
            requests,
            account=account,
            name=name,
            model=model,
            endpoint=endpoint,
            tags=tags,
            again=again,
            **settings,
        )
    )


def get(batch: str | Batch, *, sync: bool = True, **settings: Any) -> Batch:
    """Return a batch by our id, a unique prefix of it, or its provider's id.

    The account of one that has not ended is asked first, unless not ``sync``; `NotCurrent` where that cannot
    be asked, with what was known before in its ``batches``.
    """
    from jobdash.batches import aio

    return _run(aio.get(batch, sync=sync, **settings))


def list(filter: str = "", *, limit: int | None = None, sync: bool = False, **settings: Any) -> _List[Batch]:
    """Return batches, the newest first; ``filter`` as in the dashboard: ``"tag:nightly status:failed"``.

    At most ``limit`` of them: None is all, 0 none. With ``sync`` all accounts are asked first; `NotCurrent`
    where one cannot be asked, with what is known of all in its ``batches``.
    """
    from jobdash.batches import aio

    return _run(aio.list(filter, limit=limit, sync=sync, **settings))


def wait(*batches: str | Batch, timeout: float | None = None, **settings: Any) -> _List[Batch]:
    """Wait until batches have ended; return them in their order.

    ``timeout`` in seconds; `WaitTimeout`, a TimeoutError, when it runs out: it has the batches as they are
    known, and says which account could not be asked, and why.
    """
    from jobdash.batches import aio

    return _run(aio.wait(*batches, timeout=timeout, **settings))


def cancel(batch: str | Batch, *, reason: str | None = None, **settings: Any) -> Batch:
    """Ask a batch's provider to stop it; return it as it is now, mostly ``cancelling``.

    One that has ended, or was asked before, is returned as it is. `BatchFailed` where it cannot be asked.
    """
    from jobdash.batches import aio

    return _run(aio.cancel(batch, reason=reason, **settings))


def resume(
    batch: str | Batch,
    *,
    only: Sequence[str] = ("failed", "missing"),
    requests: str | Path | None = None,
    **settings: Any,
) -> Batch:
    """Send the requests of an ended batch that have no whole answer again; return the new, linked batch.

    ``only`` may name ``cut-off``, too. Results are fetched first: what has an answer is not sent again.
    ``requests`` is the input file, for a batch of which no copy is here and none is handed out. `BatchFailed`
    where nothing is left to send, and while the provider still works on it.
    """
    from jobdash.batches import aio

    return _run(aio.resume(batch, only=only, requests=requests, **settings))


def results(
    batch: str | Batch, *, partial: bool = False, merged: bool = False, **settings: Any
) -> Iterator[Result]:
    """Yield the results of an ended batch, in the order of its requests where these are known.

    Each has an ``outcome``: ``ok``, ``error``, ``cut_off`` (an answer, and not a whole one), or ``missing``
    for a request without any. ``merged`` yields those of its whole family in one: of all parts of its file,
    and of what was sent again each request's newest whole answer.

    They are fetched once, into the results folder of the settings, and read from there. Memory stays small,
    whatever their number. `BatchFailed` where there are none, or while the batch has not ended and they are
    not asked for with ``partial``.
    """
    from jobdash.batches.result_reader import read_results

    return read_results(fetch(batch, partial=partial, merged=merged, **settings))


def fetch(
    batch: str | Batch, *, partial: bool = False, merged: bool = False, **settings: Any
) -> FetchedBatch:
    """Return where the results of a batch are on this computer, fetched if they are not here.

    They are in the results folder of the settings, one JSON object a line; arguments and errors are those of
    `results`, which reads them.
    """
    from jobdash.batches import aio

    return _run(aio.fetch(batch, partial=partial, merged=merged, **settings))


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, in a thread of its own where an event loop runs here already."""
    from jobdash.batches.event_loop import run, run_in_thread

    return run_in_thread(work) if _loop_runs() else run(work)


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
