"""Write what was fetched of a batch's results, until when its provider keeps them, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jobdash.domain.describe.result_text import outcome_counts
from jobdash.domain.job import JobRow
from jobdash.domain.results import ResultCounts
from jobdash.domain.text import encodable
from jobdash.store.commands.base import JobWrites
from jobdash.store.dialects.base import chunks
from jobdash.store.records import Refusal
from jobdash.store.sanitize import stored_error, stored_number
from jobdash.store.statements import Statement

if TYPE_CHECKING:
    from jobdash.domain.cost import Cost

_KEPT_HERE = Statement("job_kept_here")
_COLLECTED = (
    "fetched_at", "fetched_on", "results_folder", "results_ok", "results_error", "results_cut_off",
    "results_missing",
)  # fmt: skip
_SET_COST = Statement("set_cost")
_JOBS_A_TRANSACTION = 1_000


@dataclass(frozen=True, slots=True)
class KeptHere:
    """What this computer may have of a batch."""

    results_folder: Path | None
    submit_key: str | None
    """By which a copy of its input file is found."""
    host: str | None = None
    """Which has the folder; None for the only one that uses the store."""


class ResultWrites(JobWrites):
    """Writes the counts and the place of fetched results."""

    def set_collected(self, job_id: int, folder: Path, counts: ResultCounts) -> JobRow | Refusal:
        """Write where a batch's results were saved, and what they are; log that.

        A removed job keeps them, too; Refusal when there is no such job any more.
        """
        with self._transaction() as connection:
            if (row := self._row(connection, job_id)) is None:
                return Refusal("no such job any more", None)
            now = self._clock()
            self._set(
                connection,
                job_id,
                fetched_at=now,
                fetched_on=self._files_host,
                results_folder=encodable(str(folder)),
                results_ok=counts.ok,
                results_error=counts.error,
                results_cut_off=counts.cut_off,
                results_missing=counts.missing,
                fetch_error=None,
                **_tokens(row, counts),
            )
            detail = f"{outcome_counts(counts)}: {folder}"
            return self._logged(connection, job_id, "fetch", "done", detail, at=now)

    def set_not_fetched(self, job_id: int, reason: str) -> None:
        """Write why a batch's results could not be fetched; log that unless it failed so before."""
        with self._transaction() as connection:
            row, error = self._row(connection, job_id), stored_error(reason)
            if row is not None and row.fetched_at is None and row.fetch_error != error:
                self._set(connection, job_id, fetch_error=error)
                self._add_event(connection, self._clock(), "fetch", row, "failed", reason)

    def set_nothing_to_fetch(self, job_id: int, reason: str) -> None:
        """Log why a batch that has ended has no results: nobody asks for them again."""
        with self._transaction() as connection:
            row = self._row(connection, job_id)
            if row is not None and row.fetched_at is None:
                self._set(connection, job_id, fetch_error=None)
                self._add_event(connection, self._clock(), "fetch", row, "skipped", reason)

    def kept_here(self, job_id: int) -> KeptHere:
        """Return what this computer may have of a batch."""
        with self._transaction() as connection:
            folder, submit_key, host = _KEPT_HERE.run(connection, job_key=job_id).fetchone()
            return KeptHere(None if folder is None else Path(folder), submit_key, host)

    def forget_collected(self, job_id: int) -> None:
        """Write that a batch's fetched results are deleted here; what they took in tokens stays known."""
        with self._transaction() as connection:
            self._set(connection, job_id, **dict.fromkeys(_COLLECTED))

    def set_results_expire_at(self, job_id: int, at: int) -> None:
        """Write when the provider deletes a batch's results, milliseconds UTC."""
        with self._transaction() as connection:
            self._set(connection, job_id, results_expire_at=stored_number(at))

    def set_costs(self, costs: Sequence[tuple[JobRow, Cost | None]]) -> None:
        """Write the cost of each job as it was when its cost was computed; None is unknown.

        A job whose tokens or model have changed since is left out: its cost is still to be computed.
        """
        for some in chunks(costs, _JOBS_A_TRANSACTION):
            with self._transaction() as connection:
                _SET_COST.run_many(connection, [_cost_values(row, cost) for row, cost in some])


def _tokens(row: JobRow, counts: ResultCounts) -> dict[str, int | None]:
    """Return the columns of the tokens summed over lines; what the provider says of the batch stays."""
    if row.tokens is not None:
        return {}
    return {
        "input_tokens": stored_number(counts.input_tokens),
        "output_tokens": stored_number(counts.output_tokens),
        "cached_tokens": stored_number(counts.cached_tokens),
        "cost_stale": 1,
    }


def _cost_values(row: JobRow, cost: Cost | None) -> dict[str, object]:
    return {
        "job_key": row.id,
        "read": row.input_tokens,
        "written": row.output_tokens,
        "cached": row.cached_tokens,
        "model_name": row.model,
        "micros": None if cost is None else cost.micros,
        "bound": None if cost is None else int(cost.upper_bound),
    }
