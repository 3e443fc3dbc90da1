"""Write what batches cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobdash.domain.job import JobRow
from jobdash.store.dialects.base import chunks
from jobdash.store.statements import statement
from jobdash.store.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from jobdash.domain.cost import Cost

_SET_COST = statement("set_cost")
_JOBS_A_TRANSACTION = 1_000


class CostWrites(UnitOfWork):
    """Writes costs that were computed from rows."""

    def set_costs(self, costs: Sequence[tuple[JobRow, Cost | None]]) -> None:
        """Write the cost of each job as it was when its cost was computed; None is unknown.

        A job whose tokens or model have changed since is left out: its cost is still to be computed.
        """
        for some in chunks(costs, _JOBS_A_TRANSACTION):
            with self._transaction() as connection:
                _SET_COST.run_many(connection, [_values(row, cost) for row, cost in some])


def _values(row: JobRow, cost: Cost | None) -> dict[str, object]:
    return {
        "job_key": row.id,
        "read": row.input_tokens,
        "written": row.output_tokens,
        "cached": row.cached_tokens,
        "model_name": row.model,
        "micros": None if cost is None else cost.micros,
        "bound": None if cost is None else int(cost.upper_bound),
    }
