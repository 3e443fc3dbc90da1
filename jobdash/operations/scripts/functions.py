"""Job functions for the commands: submit items to one, and serve as a worker."""

from __future__ import annotations

import _thread
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from types import FrameType
from typing import BinaryIO
from urllib.parse import unquote

from jobdash.config.settings import WorkerSettings
from jobdash.domain.text import clean, quantity
from jobdash.engines.base import EngineSettings, load_engine
from jobdash.errors import ConfigError, StoreError, UsageError
from jobdash.operations.scripts.worker_pool import PoolOptions, WorkerPool, worker_name
from jobdash.store.bootstrap import open_for_worker
from jobdash.store.leases.parts import leave_parts
from jobdash.store.location import PostgresLocation, StoreLocation
from jobdash.store.owner import current_owner
from jobdash.worker import settings
from jobdash.worker.functions import load_functions, submit_to

_LONGEST_LINE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SubmittedItems:
    """A job that waits for workers."""

    public_id: str
    name: str
    items: int
    parts: int
    module: str


def submit_lines(
    location: StoreLocation,
    named: str,
    lines: BinaryIO,
    *,
    name: str | None = None,
    parts: int | None = None,
    tags: Mapping[str, str] | None = None,
) -> SubmittedItems:
    """Make a job of the function ``MODULE:FUNCTION`` over items, one JSON value a line.

    Raises UsageError for a function that there is not and for a line that is no item, and `StoreError`.
    """
    module, colon, function = named.partition(":")
    if not (module and colon and function):
        raise UsageError(f"{named!r}: a function is named MODULE:FUNCTION")
    known = load_functions([module])
    if named not in known:
        own = ", ".join(each for each in known if each.startswith(f"{module}:"))
        raise UsageError(f"{module} has no job function {function!r}; it has {own}")
    items = list(_values(lines))
    try:
        sent = submit_to(known[named], items, name=name, parts=parts, tags=tags, location=location)
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from None
    return SubmittedItems(sent.id, name or known[named].name, sent.items, sent.parts, module)


def _values(lines: BinaryIO) -> Iterator[object]:
    for number, line in enumerate(iter(lambda: lines.readline(_LONGEST_LINE + 1), b""), 1):
        if len(line) > _LONGEST_LINE:
            raise UsageError(f"line {number:,} is longer than {_LONGEST_LINE:,} bytes")
        if not line.strip():
            continue
        try:
            yield json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise UsageError(f"line {number:,} is not JSON: {reason}") from None


def serve(
    location: StoreLocation,
    modules: Iterable[str],
    chosen: WorkerSettings,
    report: Callable[[str], None],
    *,
    once: bool,
) -> None:
    """Run the parts of job functions until a signal, or with ``once`` until nothing is left.

    SIGTERM and Ctrl-C let the items under way end, and give the rest back. Raises UsageError for a module,
    `ConfigError` for the engine, and `StoreError`.
    """
    gc.enable()  # commands end too soon to need it; a worker runs for days
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)  # its warnings are reported by the worker
    functions = load_functions(modules)
    open_for_worker(location).close()  # the engine's file lies beside the store's
    options = PoolOptions(location, functions, settings.lease_ms(), chosen.concurrency, once)
    engine = load_engine(chosen.engine, _engine_settings(location, chosen.poll_ms / 1000))
    pool = WorkerPool(options, engine, report)

    def drain(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # a second one ends it at once
        # In a thread: the main thread, whose code this interrupts, may hold the lock that it takes.
        _thread.start_new_thread(pool.drain, ())

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, drain)
    left = pool.run()
    if left:
        with suppress(StoreError), closing(open_for_worker(location)) as connection:
            leave_parts(connection, current_owner())
        report(f"ends with {quantity(left, 'item')} still running: other workers do them again")
        sys.stderr.flush()
        os._exit(0)  # a normal exit would wait for the threads


def _engine_settings(location: StoreLocation, poll_s: float) -> EngineSettings:
    """Return where the engine of a store keeps its queue: in the same database, or in a file beside it.

    The file is made, for its owner alone. Raises ConfigError when it cannot be.
    """
    if isinstance(location, PostgresLocation):
        return EngineSettings(location.url, worker_name(), poll_s, f"jobdash.{location.schema}")
    queue = location.with_name(f"{location.name}.engine")
    shown = clean(str(queue), 200)
    # Versions of SQLAlchemy differ in whether they decode a path; none keeps a question mark.
    if "?" in str(queue) or unquote(str(queue)) != str(queue):
        raise ConfigError(
            f"the engine's queue cannot be at {shown}: its path must have no question mark and no %xx"
        )
    try:
        queue.touch(mode=0o600)
        queue.chmod(0o600)
    except OSError as error:
        raise ConfigError(f"the engine's queue cannot be at {shown}: {error.strerror}") from None
    return EngineSettings(f"sqlite:///{queue}", worker_name(), poll_s)
