"""Queries of what batches cost. A list of jobs does without sums, which are loaded by what makes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jobdash.domain.job import JobRow
from jobdash.domain.provider_info import LOCAL
from jobdash.domain.status import Tab
from jobdash.store.queries.attention import AttentionReads
from jobdash.store.rows import COLUMNS
from jobdash.store.sort_orders import Scope, Values

if TYPE_CHECKING:
    from jobdash.domain.cost import CostLine, CostTotal

_BILLED = f"provider <> '{LOCAL}' AND remote_id IS NOT NULL"
"""Of what reached a provider: nothing else has a cost."""
_SUMS = (
    "count(*), coalesce(sum(cost), 0), coalesce(max(cost_is_upper_bound), 0), count(*) - count(cost),"
    " coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(cached_tokens), 0)"
)


class CostReads(AttentionReads):
    """Queries for costs and their sums."""

    def stale_costs(self, behind: int, limit: int) -> list[JobRow]:
        """Return jobs whose cost is to be computed, with ids above one, by id."""
        return self._rows(
            f"SELECT {COLUMNS} FROM job INDEXED BY job_cost_stale WHERE cost_stale IS NOT NULL AND id > ?"
            " ORDER BY id LIMIT ?",
            (behind, limit),
        )

    def priced_jobs(self, scope: Scope, behind: int, limit: int) -> list[JobRow]:
        """Return jobs of a scope whose tokens are known, with ids above one, by id."""
        where, values = self._billed(scope)
        return self._rows(
            f"SELECT {COLUMNS} FROM job WHERE {where} AND tokens IS NOT NULL AND id > ? ORDER BY id LIMIT ?",
            (*values, behind, limit),
        )

    def cost_lines(self, scope: Scope, batch: int = 5_000) -> Iterator[tuple[CostLine, dict[str, str]]]:
        """Yield the batches of a scope with their tags, by id."""
        from jobdash.domain.cost import CostLine

        where, values = self._billed(scope)
        columns, behind = ", ".join(CostLine._fields), 0
        sql = f"SELECT {columns} FROM job WHERE {where} AND id > ? ORDER BY id LIMIT ?"
        while found := self._all(sql, (*values, behind, batch)):
            lines = [CostLine._make(each) for each in found]
            tags = self._tags([line.id for line in lines])
            yield from ((line, tags.get(line.id, {})) for line in lines)
            behind = lines[-1].id

    def cost_total(self, scope: Scope) -> CostTotal:
        """Return the sum over the batches of a scope; reads all of them, so keep it off the UI thread."""
        where, values = self._billed(scope)
        return _total(self._all(f"SELECT {_SUMS} FROM job WHERE {where}", values)[0])

    def cost_total_of(self, ids: Sequence[int]) -> CostTotal:
        """Return the sum over those of some jobs that are batches; at most some thousand."""
        from jobdash.domain.cost import CostTotal

        whole = CostTotal()
        for sums in self._among(f"SELECT {_SUMS} FROM job WHERE {_BILLED} AND id IN ({{values}})", ids):
            whole.merge(_total(sums))
        return whole

    def _billed(self, scope: Scope) -> tuple[str, Values]:
        """Return the condition for the batches of a scope, and its values."""
        condition, values = scope.condition(self._clock(), self.reasons_in(scope))
        if scope.tab is not Tab.ALL:
            return f"{_BILLED} AND tab = ?{condition}", [scope.tab.number, *values]
        hidden = scope.removed or (scope.conditions is not None and scope.conditions.removed)
        return f"{_BILLED}{'' if hidden else ' AND shown = 1'}{condition}", values


def _total(sums: Sequence[int]) -> CostTotal:
    from jobdash.domain.cost import CostTotal

    jobs, micros, upper_bound, unknown, *tokens = sums
    return CostTotal(jobs, micros, bool(upper_bound), unknown, *tokens)
