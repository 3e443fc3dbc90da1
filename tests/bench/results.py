"""The files of a batch: the check of its input, the join of its results, and their index; 200 MB each."""

from __future__ import annotations

import functools
import hashlib
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path

from jobdash.domain.job import JobRow
from jobdash.operations.job_lookup import open_browser
from jobdash.operations.private_files import BUFFER
from jobdash.operations.results.folder import MISSING, RESULTS, ResultFolder
from jobdash.operations.results.items import ResultFiles, open_index
from jobdash.operations.results.join import ResultScan, join_results
from jobdash.providers.input_check import input_rules
from jobdash.providers.input_parts import InputLimits
from jobdash.providers.openai.info import INFO
from jobdash.providers.openai.results import read_line
from tests.bench.report import Finding, ratio
from tests.bench.stores import store
from tests.bench.terminal import peak_mib

REQUESTS, TEXT = 50_000, 3_800
"""Requests of a file, and the characters of each one's text: 200 MB."""
ROUNDS = 5
_WORDS = "the colour of a thing seen at noon is not its colour at dusk; "
_KEY = INFO.request_fields[0]

Measured = tuple[float, float]
"""Seconds, and by how many MiB the process grew at its most."""


def checks(folder: Path) -> list[Finding]:
    """The check of an input file."""
    source = _inputs(folder)
    ours, floor = _side_by_side(functools.partial(_check, source), functools.partial(_decode, source))
    return [
        Finding(
            "check of a file of 200 MB: speed",
            "json.loads of every line",
            "≥ 0.8",
            f"{1 / _times(ours, floor):.2f} ({_seconds(ours)})",
        ),
        Finding("the same: memory grows by", "–", "≤ 40 MiB", _grown(ours)),
    ]


def joins(folder: Path) -> list[Finding]:
    """Results joined to their requests."""
    source, answers = _inputs(folder), _answers(folder)
    ours, floor = _side_by_side(
        functools.partial(_join, source, answers), functools.partial(_decode, source, answers)
    )
    return [
        Finding(
            "join of 50,000 results",
            "json.loads of both files' lines",
            "≤ 1.6",
            f"{_times(ours, floor):.2f} ({_seconds(ours)})",
        ),
        Finding("the same: memory grows by", "–", "≤ 100 MiB", _grown(ours)),
    ]


def result_index(folder: Path) -> list[Finding]:
    """The index that the Items page reads."""
    source, answers = _inputs(folder), _answers(folder)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        _join(source, answers, Path(place))
        results = Path(place) / RESULTS
        ours, floor = _side_by_side(
            functools.partial(_index, source, Path(place), _row(folder)),
            functools.partial(_decode, source, results),
        )
    return [
        Finding(
            "index of 50,000 results and their requests",
            "json.loads of every line",
            "≤ 1.0",
            f"{_times(ours, floor):.2f} ({_seconds(ours)})",
        ),
        Finding("the same: memory grows by", "–", "≤ 100 MiB", _grown(ours)),
    ]


def _side_by_side(
    ours: Callable[[], None], floor: Callable[[], None]
) -> tuple[list[Measured], list[Measured]]:
    """Measure both by turns, each time in a fresh process."""
    found: tuple[list[Measured], list[Measured]] = ([], [])
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh, max_tasks_per_child=1) as processes:
        for _ in range(ROUNDS):
            for work, into in zip((ours, floor), found, strict=True):
                into.append(processes.submit(_measured, work).result())
    return found


def _measured(work: Callable[[], None]) -> Measured:
    before = peak_mib()
    begun = time.perf_counter()
    work()
    took = time.perf_counter() - begun
    return took, peak_mib() - before


def _check(source: Path) -> None:
    limits = InputLimits()
    assert input_rules(INFO)(source, str(source), limits, split=False).check().requests == REQUESTS


def _decode(*files: Path) -> None:
    for each in files:
        with each.open("rb") as lines:
            for line in lines:
                json.loads(line)


def _join(source: Path, answers: Path, into: Path | None = None) -> None:
    with tempfile.TemporaryDirectory(dir=answers.parent) as spare:
        place = into or Path(spare)
        scan = ResultScan(read_line, place / RESULTS)
        with closing(scan), (place / MISSING).open("wb", buffering=BUFFER) as missing:
            scan.scan("output", answers)
            joined = join_results(scan, missing, requests=source, key_field=_KEY, total=REQUESTS)
    assert joined.counts.ok == REQUESTS, joined.counts


def _row(folder: Path) -> JobRow:
    """A job for the folder of results to belong to; its index asks nothing of it."""
    with closing(open_browser(store(folder, 100)).browser) as browser:
        job = browser.job(1)
    assert job is not None
    return job.row


def _index(source: Path, place: Path, row: JobRow) -> None:
    files = ResultFiles(ResultFolder(place, row), source, _KEY)
    files.index.unlink(missing_ok=True)
    open_index(files).close()


def _inputs(folder: Path) -> Path:
    """An input file; made once."""

    def request(number: int) -> dict[str, object]:
        text = _text(number)
        body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": text}]}
        return {_KEY: f"row-{number:06}", "method": "POST", "url": "/v1/chat/completions", "body": body}

    return _made(folder / "200 MB of requests.jsonl", request)


def _answers(folder: Path) -> Path:
    """The output file of the same batch, in another order; made once."""

    def answer(number: int) -> dict[str, object]:
        turned = (number * 7919) % REQUESTS
        choice = {"finish_reason": "stop", "message": {"role": "assistant", "content": _text(turned)}}
        usage = {"prompt_tokens": 900, "completion_tokens": 900}
        body = {"id": "chatcmpl-1", "model": "gpt-5-mini", "choices": [choice], "usage": usage}
        return {_KEY: f"row-{turned:06}", "response": {"status_code": 200, "body": body}, "error": None}

    return _made(folder / "200 MB of answers.jsonl", answer)


def _made(path: Path, line: Callable[[int], dict[str, object]]) -> Path:
    if not path.exists():
        part = path.with_suffix(".making")
        with part.open("w", encoding="utf-8") as file:
            for number in range(REQUESTS):
                file.write(json.dumps(line(number)) + "\n")
        part.rename(path)
    return path


def _text(number: int) -> str:
    """A text of its own for each request."""
    head = hashlib.sha256(str(number).encode()).hexdigest()
    return (head + " " + _WORDS * (TEXT // len(_WORDS)))[:TEXT]


def _times(ours: list[Measured], floor: list[Measured]) -> float:
    return ratio([took for took, _ in ours], [took for took, _ in floor])


def _seconds(found: list[Measured]) -> str:
    return f"{statistics.median(took for took, _ in found):.2f} s"


def _grown(found: list[Measured]) -> str:
    return f"{statistics.median(grown for _, grown in found):.0f} MiB"
