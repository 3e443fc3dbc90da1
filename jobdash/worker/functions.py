"""Job functions, which workers run over items, and the handle of a job that was submitted."""

from __future__ import annotations

import inspect
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from types import ModuleType
from typing import Any, Generic, Literal, NamedTuple, ParamSpec, TypeVar, overload

from jobdash.domain.status import TERMINAL
from jobdash.domain.text import clean, visible
from jobdash.errors import UsageError
from jobdash.store.bootstrap import open_for_worker, refuse_missing
from jobdash.store.dialects.base import Connection
from jobdash.store.leases.claims import close_abandoned_cancels
from jobdash.store.leases.parts import NewFunctionJob, cancel_job, insert_job, item_writes
from jobdash.store.location import StoreLocation
from jobdash.store.owner import current_owner
from jobdash.worker import script, settings
from jobdash.worker.cancellation import Token
from jobdash.worker.item_encoding import DETAIL_BYTES, detail_json, kept_key, sentence_of

P = ParamSpec("P")
R = TypeVar("R")
MOST_PARTS = 64
ITEMS_A_PART = 50
_POLL_EVERY_S = 0.25
_ENDED = "SELECT status, succeeded, failed, total, error FROM job WHERE public_id = ? AND removed_at IS NULL"

functions: dict[str, JobFunction[..., Any]] = {}
"""Every job function of the modules that were imported, by its identity."""


class JobFunction(Generic[P, R]):
    """A function that workers can run; called, it is the function itself."""

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None,
        key: Callable[[Any], object],
        max_errors: int | None,
    ) -> None:
        self.function = function
        self.key = key
        """Returns what identifies an item."""
        self.max_errors = max_errors
        """How many items may fail before the job does; None: any number."""
        module = function.__module__
        if module == "__main__":
            spec = getattr(sys.modules.get("__main__"), "__spec__", None)  # run as ``python -m``
            module = spec.name if spec is not None else module
        self.identity = f"{module}:{function.__qualname__}"
        """``module:name``, by which a worker finds it."""
        self.name = visible(name, function.__name__)
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.__wrapped__ = function
        self._with_token = len(inspect.signature(function).parameters) > 1

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function."""
        return self.function(*args, **kwargs)

    def run(self, value: object, token: Token) -> object:
        """Call the function with an item, and with the token where it takes one."""
        call: Callable[..., R] = self.function
        return call(value, token) if self._with_token else call(value)

    def refuse_unimportable(self) -> None:
        """Raise ValueError for a function that a worker could not import."""
        module, _, name = self.identity.partition(":")
        if module == "__main__":
            raise ValueError(
                f"{name} is defined in the script itself, which workers cannot import: put it into a module"
            )
        if "<" in name:
            raise ValueError(f"{name} is defined inside a function, where workers cannot import it")


@overload
def job(function: Callable[P, R], /) -> JobFunction[P, R]: ...


@overload
def job(
    name: str | None = None,
    *,
    key: Callable[[Any], object] = str,
    on_error: Literal["record", "raise"] = "record",
    max_errors: int | None = None,
) -> Callable[[Callable[P, R]], JobFunction[P, R]]: ...


def job(
    name: Callable[P, R] | str | None = None,
    *,
    key: Callable[[Any], object] = str,
    on_error: Literal["record", "raise"] = "record",
    max_errors: int | None = None,
) -> JobFunction[P, R] | Callable[[Callable[P, R]], JobFunction[P, R]]:
    """Let workers run a function over items: ``@jobdash.job``.

    The function takes one item, and the job's `Token` if it has a second parameter; what it returns is kept
    as the item's detail, as JSON.

    - ``name``: what its jobs are called; by default as the function is.
    - ``key``: returns what identifies an item, a path or a row's id; no two items of a job have the same.
    - ``on_error``: ``"record"`` an item's exception and go on, or let it ``"raise"``: the job fails with it.
    - ``max_errors``: how many items may fail before the job does, with ``"record"``.

    Raises ValueError for values without a meaning, and TypeError for an ``async def``.
    """
    if on_error not in {"record", "raise"}:
        raise ValueError(f"on_error has to be 'record' or 'raise', not {on_error!r}")
    if on_error == "raise":
        if max_errors is not None:
            raise ValueError("max_errors goes with on_error='record'")
        max_errors = 0

    def wrap(function: Callable[P, R]) -> JobFunction[P, R]:
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"{function.__name__} is an async def, which workers do not await: make it a def, and run"
                " what it awaits with asyncio.run()"
            )
        called = name if isinstance(name, str) else None
        made = JobFunction(function, name=called, key=key, max_errors=max_errors)
        functions[made.identity] = made
        return made

    return wrap(name) if callable(name) else wrap


class JobEnd(NamedTuple):
    """How a job ended."""

    status: str
    """``completed``, ``failed`` or ``cancelled``."""
    succeeded: int
    failed: int
    total: int
    error: str | None


class ItemResult(NamedTuple):
    """The outcome of one item."""

    key: str
    outcome: str
    """``ok``, ``error``, ``skipped``, or ``waiting`` where there is none yet."""
    value: object
    """What the function returned."""
    error: str | None
    """``ValueError: no such colour``."""


class Submitted:
    """A job that was submitted to workers."""

    def __init__(self, public_id: str, items: int, parts: int, location: StoreLocation) -> None:
        self.id = public_id
        """The id by which commands name it: ``jobdash show ID``."""
        self.items = items
        """How many items it has."""
        self.parts = parts
        """The number of pieces that are done side by side."""
        self._location = location

    def wait(self, timeout: float | None = None) -> JobEnd:
        """Wait until the job has ended, and return how.

        Raises TimeoutError after ``timeout`` seconds, LookupError when the job was removed, and `StoreError`.
        """
        until = None if timeout is None else time.monotonic() + timeout
        with closing(self._open()) as connection:
            while (end := self._end(connection)) is None:
                close_abandoned_cancels(connection, script.user_at_host())
                if until is not None and time.monotonic() >= until:
                    raise TimeoutError(f"job {self.id} has not ended within {timeout:g} s")
                time.sleep(_POLL_EVERY_S)
        return end

    def cancel(self, reason: str = "Cancelled by its program") -> None:
        """Cancel the job: items under way finish, no new ones start; nothing if it has ended."""
        with closing(self._open()) as connection:
            cancel_job(connection, self.id, script.user_at_host(), reason)

    def results(self) -> Iterator[ItemResult]:
        """Yield the outcome of every item, in their order."""
        with closing(self._open()) as connection:
            for key, outcome, detail, kind, text in item_writes(connection, self.id):
                error = f"{kind}: {text}" if kind and text else kind or text
                yield ItemResult(key, outcome, None if detail is None else json.loads(detail), error)

    def _open(self) -> Connection:
        return open_for_worker(self._location)

    def _end(self, connection: Connection) -> JobEnd | None:
        row = connection.execute(_ENDED, (self.id,)).fetchone()
        if row is None:
            raise LookupError(f"job {self.id} was removed")
        status, succeeded, failed, total, error = row
        return JobEnd(status, succeeded or 0, failed or 0, total or 0, error) if status in TERMINAL else None

    def __repr__(self) -> str:
        return f"<jobdash job {self.id}>"


def submit(
    function: JobFunction[..., Any],
    items: Iterable[object],
    *,
    name: str | None = None,
    parts: int | None = None,
    tags: Mapping[str, object] | None = None,
    db: str | os.PathLike[str] | None = None,
) -> Submitted:
    """Make a job of a function over items, which workers run: ``jobdash worker MODULE``.

    - ``items``: anything that is JSON, 16 KiB each at most; a worker is given them as JSON has them.
    - ``parts``: how many pieces are done side by side, by default one for 50 items and at most 64.
    - ``name``, ``tags``: as of `jobdash.track`.

    Raises TypeError for what is no job function or no JSON, ValueError for items that are too large or have
    the same key, and for a function that workers cannot import, and `StoreError`.
    """
    location = settings.read(db).database
    if db is not None:
        refuse_missing(location, make=True)
    return submit_to(function, items, name=name, parts=parts, tags=tags, location=location)


def submit_to(
    function: JobFunction[..., Any],
    items: Iterable[object],
    *,
    name: str | None = None,
    parts: int | None = None,
    tags: Mapping[str, object] | None = None,
    location: StoreLocation,
) -> Submitted:
    """Make a job in a store; see `submit`."""
    if not isinstance(function, JobFunction):
        raise TypeError("submit takes a function that was decorated by @jobdash.job")
    function.refuse_unimportable()
    if parts is not None and parts < 1:
        raise ValueError(f"parts has to be at least 1, not {parts}")
    kept = keyed_items(items, function.key)
    if not kept:
        raise ValueError("there are no items")
    new = NewFunctionJob(
        function.identity,
        visible(name, function.name),
        script.user_at_host(),
        current_owner().machine,
        kept,
        min(len(kept), parts or min(MOST_PARTS, -(-len(kept) // ITEMS_A_PART))),
        tuple((str(tag), str(value)) for tag, value in (tags or {}).items()),
    )
    with closing(open_for_worker(location)) as connection:
        return Submitted(insert_job(connection, new), len(kept), new.parts, location)


def keyed_items(items: Iterable[object], key: Callable[[Any], object]) -> list[tuple[str, str]]:
    """Return items as they are stored, each with its key. Raises TypeError and ValueError; see `submit`."""
    found: dict[str, str] = {}
    for number, item in enumerate(items, 1):
        try:
            given = detail_json(item, DETAIL_BYTES) or "null"
        except (TypeError, ValueError) as error:
            words = str(error).replace("the result", "it").partition(":")[0]
            raise type(error)(f"item {number:,} cannot be given to a worker: {words}") from None
        try:
            name = kept_key(key(item))
        except Exception as error:
            raise ValueError(f"item {number:,}: key= failed: {sentence_of(error)}") from error
        if name in found:
            raise ValueError(f"item {number:,} has the key {name!r}, as an earlier one: key= has to differ")
        found[name] = given
    return list(found.items())


def load_functions(modules: Iterable[str]) -> dict[str, JobFunction[..., Any]]:
    """Import modules, and return the job functions that are known then, by identity.

    Raises UsageError for a module that cannot be imported, or has no job function.
    """
    if "" not in sys.path and (here := script.folder()) and here not in sys.path:
        sys.path.insert(0, here)  # as ``python -m`` does
    for name in modules:
        own = (value for value in vars(_imported(name)).values() if isinstance(value, JobFunction))
        if not any(own):
            raise UsageError(f"module {name} has no job function: decorate one with @jobdash.job")
    return dict(functions)


def _imported(name: str) -> ModuleType:
    """Import a module; raises UsageError for what is no module's name, and for whatever its code raises."""
    from importlib import import_module
    from importlib.util import find_spec

    module, colon, _ = name.partition(":")
    stem = module.removesuffix(".py")
    if not all(stem.split(".")) or "/" in stem or "\\" in stem:
        raise UsageError(
            f"{clean(name, 80)!r} is not the name of a module: name it as import does, PACKAGE.MODULE"
        )
    if colon:
        raise UsageError(f"{clean(name, 80)}: name the module, without a function: {clean(stem, 80)}")
    try:
        spec = find_spec(stem) if stem != name else None
        as_file = spec is not None and spec.submodule_search_locations is None
        loaded = None if as_file else import_module(name)  # of a package there may be a module py
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a script without its arguments exits
        raise UsageError(f"module {name} cannot be imported: {sentence_of(error)}") from None
    if loaded is None:
        raise UsageError(f"{name}: name the module, without .py: {stem}")
    return loaded
