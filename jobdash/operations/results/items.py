"""The results of a fetched batch as items: indexed once beside the files, then read one by one."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from jobdash.domain.items import BATCH_OUTCOMES, ItemStatus
from jobdash.domain.job import JobDetails
from jobdash.domain.provider_info import ProviderInfo
from jobdash.domain.text import encodable
from jobdash.errors import BadResponse, JobdashError, StoreError
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.private_files import BUFFER
from jobdash.operations.results.folder import INDEX, MISSING, PART, RESULTS, ResultFolder, kept_folder
from jobdash.operations.results.input_copies import input_copy
from jobdash.operations.results.join import request_key
from jobdash.providers.json_values import decode, decode_line, mapping, text, whole
from jobdash.providers.registry import find_provider
from jobdash.store.result_index import Extent, IndexedResult, ResultIndex, write_index

OnBytes = Callable[[int, int], None]
"""Called with the bytes that are read, and how many there are, from the thread that indexes."""
_REPORTED_EVERY = 1024 * 1024
_PREVIEW_MOST = 200
_MESSAGE_MOST = 2_000
_OUTCOMES = frozenset(map(str, BATCH_OUTCOMES))
_ERROR, _MISSING = str(ItemStatus.ERROR), str(ItemStatus.MISSING)
_NESTED_MOST = 12
_TEXT_FIELDS = ("content", "text", "output_text")
"""Where the APIs have the text of an answer."""


class NotIndexed(JobdashError):
    """The results of a batch are not here, or cannot be indexed."""


@dataclass(frozen=True, slots=True)
class ItemTexts:
    """A request and its answer as JSON text; None: not here."""

    request: str | None
    answer: str | None


@dataclass(frozen=True, slots=True)
class ResultFiles:
    """The files on this computer that an index is made of."""

    folder: ResultFolder
    requests: Path | None
    """The batch's input file, in which the requests are; None where it is not here."""
    key_field: str

    @property
    def index(self) -> Path:
        """Where the index is."""
        return self.folder.file(INDEX)

    def facts(self) -> dict[str, str]:
        """Return the facts by which an index is found to be of these files as they are. Raises OSError."""
        files = {"results": self.folder.file(RESULTS), "missing": self.folder.file(MISSING)}
        if self.requests is not None:
            files["requests"] = self.requests
        found: dict[str, str] = {}
        for name, file in files.items():
            with suppress(FileNotFoundError):
                state = file.stat()
                found[name] = f"{state.st_size} {state.st_mtime_ns}"
        return found

    @property
    def request_file(self) -> Path:
        """The file that the places of requests are in."""
        return self.folder.file(MISSING) if self.requests is None else self.requests


def result_files(job: JobDetails, store: Path) -> ResultFiles | None:
    """Return the fetched files of a batch; None where they are not here."""
    folder, info = kept_folder(job), find_provider(job.row.provider)
    if folder is None or info is None:
        return None
    return files_of(folder, job, info, store)


def files_of(folder: ResultFolder, job: JobDetails, info: ProviderInfo, store: Path) -> ResultFiles:
    """Return the files of a folder of fetched results."""
    copy = None if job.submit_key is None else input_copy(store, job.submit_key)
    requests = copy if copy is not None and copy.is_file() else None
    return ResultFiles(folder, requests, info.request_fields[0])


def open_index(
    files: ResultFiles, on_bytes: OnBytes | None = None, stop: CancelToken | None = None
) -> ResultIndex:
    """Return the index of fetched results, made first where it is missing or older than they are.

    Raises NotIndexed when it can be neither read nor made, or ``stop`` is set meanwhile.
    """
    try:
        facts = files.facts()
        return _agreeing(files.index, facts) or _made(files, facts, on_bytes, stop)
    except OSError as error:
        raise NotIndexed(f"{files.folder.path}: {error.strerror or error}") from None
    except StoreError as error:
        raise NotIndexed(str(error)) from None


def _agreeing(path: Path, facts: Mapping[str, str]) -> ResultIndex | None:
    """Return an index that was made of the files as they are; None where there is none."""
    if not path.is_file():
        return None
    try:
        index = ResultIndex(path)
    except StoreError:
        return None
    if index.agrees(facts):
        return index
    index.close()
    return None


def _made(
    files: ResultFiles, facts: Mapping[str, str], on_bytes: OnBytes | None, stop: CancelToken | None
) -> ResultIndex:
    """Index the results, and let the whole index appear under its name."""
    handle, name = tempfile.mkstemp(dir=files.folder.path, prefix=f"{INDEX}.", suffix=PART)
    os.close(handle)
    part = Path(name)
    try:
        write_index(part, facts, _Scan(files, on_bytes, stop).results())
        part.replace(files.index)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return ResultIndex(files.index)


class _Scan:
    """One pass over the files."""

    def __init__(self, files: ResultFiles, on_bytes: OnBytes | None, stop: CancelToken | None) -> None:
        self._files = files
        self._on_bytes = on_bytes
        self._stop = stop
        names = [files.folder.file(RESULTS), files.folder.file(MISSING), files.requests]
        self._size = sum(file.stat().st_size for file in names if file is not None and file.exists())
        self._read = self._reported = 0

    def results(self) -> Iterator[IndexedResult]:
        """Yield the answered requests in the order of the results, then those without an answer."""
        requests = dict(self._requests(self._files.requests))
        for extent, line in self._lines(self._files.folder.file(RESULTS)):
            result = mapping(_decoded(line))
            key = encodable(str(result.get("key") or ""))
            yield _indexed(key, result, extent, requests.get(key))
        here = self._files.requests is not None
        for key, extent in self._requests(self._files.folder.file(MISSING)):
            place = requests.get(key) if here else extent
            yield IndexedResult(key, _MISSING, None, place, None, None, None, None, None)

    def _requests(self, file: Path | None) -> Iterator[tuple[str, Extent]]:
        if file is None or not file.exists():
            return
        for extent, line in self._lines(file):
            key = request_key(line, self._files.key_field)
            if key is not None:
                yield encodable(key), extent

    def _lines(self, path: Path) -> Iterator[tuple[Extent, bytes]]:
        start = 0
        with path.open("rb", buffering=BUFFER) as file:
            for line in file:
                size = len(line)
                yield Extent(start, size), line
                start += size
                self._read += size
                if self._read - self._reported >= _REPORTED_EVERY or self._read >= self._size:
                    self._report()

    def _report(self) -> None:
        """Report how far the pass is; raise NotIndexed once it should stop."""
        self._reported = self._read
        if self._on_bytes is not None:
            self._on_bytes(self._read, self._size)
        if self._stop is not None and self._stop.is_set():
            raise NotIndexed("stopped")


def _decoded(line: bytes) -> object:
    try:
        return decode_line(line)
    except BadResponse:
        return None


def _indexed(key: str, result: Mapping[str, object], extent: Extent, request: Extent | None) -> IndexedResult:
    error = mapping(result.get("error"))
    outcome = text(result.get("outcome")) or ""
    preview = answer_text(result.get("response"))
    code, message = text(error.get("code")), text(error.get("message"))
    return IndexedResult(
        key,
        outcome if outcome in _OUTCOMES else _ERROR,
        extent,
        request,
        whole(result.get("input_tokens")),
        whole(result.get("output_tokens")),
        None if preview is None else encodable(preview[:_PREVIEW_MOST]),
        None if code is None else encodable(code[:_PREVIEW_MOST]),
        None if message is None else encodable(message[:_MESSAGE_MOST]),
    )


def answer_text(body: object) -> str | None:
    """Return the text of an answer, wherever in its JSON it is; None where it has none."""
    return _text_in(body, 0)


def _text_in(value: object, depth: int) -> str | None:
    if depth > _NESTED_MOST:
        return None
    if isinstance(value, dict):
        for name in _TEXT_FIELDS:
            if isinstance(found := value.get(name), str) and found.strip():
                return found
        parts: Iterable[object] = value.values()
    elif isinstance(value, list):
        parts = value
    else:
        return None
    for part in parts:
        if isinstance(part, (dict, list)) and (found := _text_in(part, depth + 1)) is not None:
            return found
    return None


def item_texts(files: ResultFiles, request: Extent | None, answer: Extent | None) -> ItemTexts:
    """Return a request and its answer, pretty-printed, from where an index has them. Raises OSError."""
    return ItemTexts(_pretty(files.request_file, request), _pretty(files.folder.file(RESULTS), answer))


def _pretty(path: Path, extent: Extent | None) -> str | None:
    """Return a line of JSON as indented text; a line that is no JSON as it is."""
    if extent is None:
        return None
    with path.open("rb") as file:
        file.seek(extent.start)
        line = file.read(extent.size)
    try:
        return encodable(json.dumps(decode(line), indent=2, ensure_ascii=False))
    except (BadResponse, RecursionError):  # no JSON, or nested beyond reason
        return line.decode(errors="replace")
