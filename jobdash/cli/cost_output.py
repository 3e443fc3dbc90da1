"""Costs of a command: which batches, their sums as a table or JSON, and pricing them anew."""

from __future__ import annotations

from typing import Any, NamedTuple

from jobdash.cli.clock import store_time
from jobdash.cli.context import CliContext
from jobdash.cli.job_line import NAME_WIDTH
from jobdash.cli.list_output import read_scope
from jobdash.cli.output import document, print_error
from jobdash.cli.tables import TableCell, TableColumn, table
from jobdash.domain.cost import CostLine, CostTotal, Grouping, group_key, sum_by, total_of
from jobdash.domain.money import MICROS
from jobdash.domain.text import clean, quantity
from jobdash.domain.time import rfc3339
from jobdash.operations.job_lookup import Browser, Scope


class CostQuery(NamedTuple):
    """A wish for sums."""

    grouping: str
    tag: str
    """Of `Grouping.TAG`, the one tag whose values are meant; empty: all tags of a job."""
    since_ms: int | None
    expr: str
    accounts: tuple[str, ...]

    def scope(self, now: int) -> Scope:
        """Return the jobs that are meant, removed ones too; FilterError for a mistake in the filter."""
        from jobdash.domain.filter.conditions import Conditions, equals, number

        scope = read_scope(self.expr, removed=True)
        terms = () if scope.conditions is None else scope.conditions.terms
        if self.accounts:
            terms += (equals("account", self.accounts),)
        if self.since_ms is not None:
            terms += (number("created_at", ">=", (now - self.since_ms,)),)
        return Scope(conditions=Conditions(self.expr, terms), removed=True)

    @property
    def heading(self) -> str:
        """The heading of the groups."""
        return (self.tag or self.grouping).upper()


def print_costs(context: CliContext, query: CostQuery, *, reprice: bool) -> int:
    """Print the sums of a query; return the exit code."""
    query = query._replace(accounts=context.named_accounts(query.accounts))
    now = store_time()
    scope = query.scope(now)
    browser = context.opened.browser
    if reprice:
        context.writable()
        _reprice(context, scope)
    elif context.opened.read_only is None and browser.stale_costs(0, 1):
        _price_stale(context)
    if context.config.prices is None and browser.stale_costs(0, 1):
        print_error("batches whose cost is not computed yet are of unknown cost until [prices] can be used")
    names: dict[str, str] = {}
    groups = _sums(browser, scope, query, names)
    whole = total_of(groups.values())
    if context.as_json:
        since = None if query.since_ms is None else rfc3339(now - query.since_ms)
        document(
            {
                "by": f"tag:{query.tag}" if query.tag else query.grouping,
                "since": since,
                "groups": [_group_json(group, total, names) for group, total in groups.items()],
                "total": _total_json(whole),
            }
        )
    else:
        _print_table(query, groups, whole, names)
    return 0


def _sums(browser: Browser, scope: Scope, query: CostQuery, names: dict[str, str]) -> dict[str, CostTotal]:
    """Return the sums by group: days in their order, all else by its cost; fills the ``names`` of jobs."""
    grouping = Grouping(query.grouping)
    key = group_key(grouping, query.tag)

    def named(line: CostLine, tags: Any) -> str:
        if grouping is Grouping.JOB:
            names[line.public_id] = line.name
        return key(line, tags)

    found = sum_by(browser.cost_lines(scope), named)
    if grouping is Grouping.DAY:
        return dict(sorted(found.items()))
    return dict(sorted(found.items(), key=lambda pair: (-pair[1].micros, pair[0])))


def _group_json(group: str, total: CostTotal, names: dict[str, str]) -> dict[str, Any]:
    name = {"name": names[group]} if group in names else {}
    return {"group": group or None, **name, **_total_json(total)}


def _total_json(total: CostTotal) -> dict[str, Any]:
    known = total.cost
    return {
        "jobs": total.jobs,
        "unknown": total.unknown,
        "input_tokens": total.input_tokens,
        "cached_tokens": total.cached_tokens,
        "output_tokens": total.output_tokens,
        "cost": None if known is None else known.micros / MICROS,
        "cost_is_upper_bound": None if known is None else known.upper_bound,
    }


def _print_table(
    query: CostQuery, groups: dict[str, CostTotal], whole: CostTotal, names: dict[str, str]
) -> None:
    if not groups:
        print_error("no batch to sum")
        return
    columns = [
        TableColumn(query.heading, gives=True),
        *([TableColumn("NAME", gives=True)] if names else []),
        *(TableColumn(head, right=True) for head in ("JOBS", "INPUT", "OUTPUT", "UNKNOWN", "COST")),
    ]
    rows = [
        _cells(group or "—", total, [clean(names[group], NAME_WIDTH)] if group in names else [])
        for group, total in groups.items()
    ]
    table(columns, [*rows, _cells("total", whole, [""] if names else [])])
    if whole.unknown:
        print_error(whole.unknown_text)


def _cells(group: str, total: CostTotal, name: list[str]) -> list[TableCell]:
    numbers = (total.jobs, total.input_tokens, total.output_tokens, total.unknown)
    texts = [group, *name, *(f"{number:,}" for number in numbers), total.text or "—"]
    return [TableCell(text) for text in texts]


def _price_stale(context: CliContext) -> None:
    from jobdash.cli.event_loop import run
    from jobdash.operations.pricing import price_stale
    from jobdash.operations.writer_thread import WriterThread

    config, browser = context.config, context.opened.browser
    with WriterThread(config.database, same_as=browser.identity) as store:
        run(lambda _stop: price_stale(browser, store, config.prices))


def _reprice(context: CliContext, scope: Scope) -> None:
    from jobdash.cli.event_loop import run
    from jobdash.operations.pricing import reprice
    from jobdash.operations.writer_thread import WriterThread

    config, browser = context.config, context.opened.browser
    config.refuse_faulty("prices")
    prices = config.prices or {}
    with WriterThread(config.database, same_as=browser.identity) as store:
        priced, changed = run(lambda _stop: reprice(browser, store, prices, scope))
    print_error(f"priced anew: {quantity(priced, 'job')}, {changed:,} changed")
