"""The results of a batch as CSV and Parquet: one row a request."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from jobdash.domain.results import ResultFormat
from jobdash.errors import UsageError
from jobdash.operations.export import write_csv
from jobdash.operations.private_files import new_private_file

COLUMNS = (
    "key", "outcome", "finish_reason", "input_tokens", "output_tokens", "error_code", "error_message",
    "response",
)  # fmt: skip
"""The columns, in order; ``response`` is the answer as JSON."""
_NUMBERS = frozenset({"input_tokens", "output_tokens"})
_ROWS_A_GROUP = 500
NO_PYARROW = "parquet needs pyarrow: pip install 'jobdash[parquet]'"


def check_format(wanted: ResultFormat) -> None:
    """Raise UsageError where a format needs a package that is not installed."""
    if wanted is ResultFormat.PARQUET:
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise UsageError(NO_PYARROW) from None


def convert_results(results: Path, target: Path, wanted: ResultFormat) -> None:
    """Write ``results.jsonl`` as CSV or Parquet, in bounded memory. Raises OSError."""
    rows = (_row(line) for line in _lines(results))
    with os.fdopen(new_private_file(target), "wb") as file:
        if wanted is ResultFormat.PARQUET:
            _write_parquet(file, rows)
        else:
            import io

            with io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True) as text:
                write_csv(text, COLUMNS, rows)
                text.flush()
                os.fsync(file.fileno())
            return
        file.flush()
        os.fsync(file.fileno())


def _lines(results: Path) -> Iterator[dict[str, Any]]:
    with results.open("rb") as file:
        for line in file:
            yield json.loads(line)


def _row(line: dict[str, Any]) -> tuple[object, ...]:
    error = line["error"] or {}
    response = None if line["response"] is None else json.dumps(line["response"], ensure_ascii=False)
    whole = line | {
        "error_code": error.get("code"),
        "error_message": error.get("message"),
        "response": response,
    }
    return tuple(whole[name] for name in COLUMNS)


def _write_parquet(file: Any, rows: Iterator[tuple[object, ...]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {name: pa.int64() if name in _NUMBERS else pa.string() for name in COLUMNS}
    schema = pa.schema(list(kinds.items()))
    with parquet.ParquetWriter(file, schema) as writer:
        while some := list(islice(rows, _ROWS_A_GROUP)):
            columns = [
                _column(name, values) for name, values in zip(COLUMNS, zip(*some, strict=True), strict=True)
            ]
            arrays = [pa.array(values, kinds[name]) for name, values in zip(COLUMNS, columns, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _column(name: str, values: tuple[Any, ...]) -> list[Any]:
    """Return values that Arrow can hold: a lone half of a character is none."""
    if name in _NUMBERS:
        return list(values)
    return [None if value is None else value.encode("utf-8", "replace").decode() for value in values]
