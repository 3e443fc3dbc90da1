"""The conditions of a filter: each as SQL over the table ``job``, and as a test of one job."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from jobdash.domain.job import JobRow
from jobdash.domain.status import QUEUED_HERE, UNFINISHED, Completeness, Status
from jobdash.domain.text import ascii_lower
from jobdash.domain.time import system_clock

_HAS_PIECE = "coalesce({0}, '') LIKE ? ESCAPE '\\'"
_TRUE = "1 = 1"
_FLAT = 100
"""Conditions that are chained; more become a tree, since SQLite takes no chain of 1,000."""


Sql = tuple[str, list[str | int]]
Attention = Mapping[int, Collection[str]]
"""By id, the reasons of the jobs that need attention."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A job as a condition sees it: its row, its tags, what time it is, and why it needs attention."""

    row: JobRow
    tags: Mapping[str, str]
    now: int
    attention: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """One word of a filter, as SQL over the table ``job`` and as a test of one job."""

    sql: Callable[[int, Attention], Sql]
    """Given the time now and what needs attention, a boolean expression that is never NULL, and its
    parameters."""
    matches: Callable[[Subject], bool]
    scans: bool = False
    """It looks for a piece of text, which no index answers."""
    removed: bool = False
    """It asks about removed jobs, which are otherwise left out."""
    attention: bool = False
    """It asks which jobs need attention, which is looked for only then."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """A whole filter: all its conditions must hold. Two of the same text are the same."""

    text: str
    terms: tuple[Condition, ...] = field(default=(), compare=False)

    @property
    def empty(self) -> bool:
        """Whether it lets everything through."""
        return not self.terms

    @property
    def free_text(self) -> bool:
        """Whether some condition needs a scan."""
        return any(term.scans for term in self.terms)

    @property
    def removed(self) -> bool:
        """Whether it asks about removed jobs."""
        return any(term.removed for term in self.terms)

    @property
    def attention(self) -> bool:
        """Whether it asks which jobs need attention."""
        return any(term.attention for term in self.terms)

    def sql(self, now: int | None = None, attention: Attention | None = None) -> Sql:
        """Return a WHERE fragment over ``job`` (true when empty) and its parameters; ``now`` in ms UTC.

        ``attention`` is wanted where the filter asks for it.
        """
        at = system_clock() if now is None else now
        parts = [term.sql(at, attention or {}) for term in self.terms]
        clause = _joined("AND", [f"({fragment})" for fragment, _ in parts]) or _TRUE
        return clause, [value for _, values in parts for value in values]

    def matches(
        self, row: JobRow, tags: Mapping[str, str], now: int, attention: Collection[str] = ()
    ) -> bool:
        """Whether one job passes; equal to what the store answers for `sql`."""
        subject = Subject(row, tags, now, attention)
        return all(term.matches(subject) for term in self.terms)


def negated(term: Condition) -> Condition:
    """Return the condition that holds where ``term`` does not."""

    def sql(now: int, attention: Attention) -> Sql:
        fragment, values = term.sql(now, attention)
        return f"NOT ({fragment})", values

    return replace(term, sql=sql, matches=lambda subject: not term.matches(subject))


def _fixed(fragment: str, values: Sequence[str | int] = ()) -> Callable[[int, Attention], Sql]:
    return lambda _now, _attention: (fragment, list(values))


def _any(fragment: str, values: Sequence[object]) -> str:
    return _joined("OR", [fragment] * len(values))


def _joined(word: str, parts: Sequence[str]) -> str:
    if len(parts) <= _FLAT:
        return f" {word} ".join(parts)
    half = len(parts) // 2
    return f"({_joined(word, parts[:half])}) {word} ({_joined(word, parts[half:])})"


def _like(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _fold(value: str) -> str:
    """Lower-case ASCII only and end at a NUL, as SQLite's LIKE does."""
    return ascii_lower(value.partition("\0")[0])


def free_text(value: str) -> Condition:
    """Look for a piece of text in the name and the ids."""
    needle = _fold(value)
    fragment = " OR ".join(_HAS_PIECE.format(column) for column in ("name", "public_id", "remote_id"))
    return Condition(
        _fixed(fragment, [_like(value)] * 3),
        lambda s: any(needle in _fold(t) for t in (s.row.name, s.row.public_id, s.row.remote_id or "")),
        scans=True,
    )


def contains(column: str, values: tuple[str, ...]) -> Condition:
    """Look for a piece of text in one column."""
    needles = tuple(map(_fold, values))
    return Condition(
        _fixed(_any(_HAS_PIECE.format(column), needles), [_like(value) for value in values]),
        lambda s: any(needle in _fold(getattr(s.row, column) or "") for needle in needles),
        scans=True,
    )


def equals(column: str, values: tuple[str, ...]) -> Condition:
    """Compare a column of text with whole values."""
    marks = ", ".join("?" * len(values))
    return Condition(
        _fixed(f"coalesce({column}, '') IN ({marks})", values),
        lambda s: (getattr(s.row, column) or "") in values,
    )


def id_starts(values: tuple[str, ...]) -> Condition:
    """Compare the beginnings of both ids."""
    starts = tuple(map(_fold, values))
    either = f"{_HAS_PIECE.format('public_id')} OR {_HAS_PIECE.format('remote_id')}"
    return Condition(
        _fixed(_any(either, values), [_like(value)[1:] for value in values for _ in range(2)]),
        lambda s: any(_fold(i).startswith(starts) for i in (s.row.public_id, s.row.remote_id or "")),
    )


def id_equals(values: tuple[str, ...]) -> Condition:
    """Compare both ids with whole values."""
    marks = ", ".join("?" * len(values))
    return Condition(
        _fixed(f"public_id IN ({marks}) OR coalesce(remote_id, '') IN ({marks})", values * 2),
        lambda s: s.row.public_id in values or (s.row.remote_id or "") in values,
    )


_COMPLETENESS_SQL = {
    Completeness.OK: "status = 'completed' AND coalesce(failed, -1) = 0",
    Completeness.PARTIAL: "status = 'completed' AND coalesce(failed, -1) > 0 AND coalesce(succeeded, 0) > 0",
    Completeness.ALL_FAILED: (
        "status = 'completed' AND coalesce(failed, -1) > 0 AND coalesce(succeeded, 0) = 0"
    ),
}
_UNFINISHED_SQL = ", ".join(f"'{status}'" for status in sorted(UNFINISHED))
_DERIVED: dict[str, tuple[str, Callable[[Subject], bool]]] = {
    "gone": (f"gone_at IS NOT NULL AND status IN ({_UNFINISHED_SQL})", lambda s: s.row.gone),
    "partial": (_COMPLETENESS_SQL[Completeness.PARTIAL], lambda s: s.row.outcome is Completeness.PARTIAL),
    "all_failed": (
        _COMPLETENESS_SQL[Completeness.ALL_FAILED],
        lambda s: s.row.outcome is Completeness.ALL_FAILED,
    ),
    "stalled": (
        f"status = '{Status.IN_PROGRESS}' AND lease_until IS NOT NULL AND lease_until < ?",
        lambda s: s.row.stalled(s.now),
    ),
}
DERIVED_WORDS = tuple(_DERIVED)
"""Words that are shown for a status and derived from more than that; ``?`` in their SQL is the time now."""


def status_in(statuses: Collection[Status], derived: Collection[str]) -> Condition:
    """Compare the status, or one of the `DERIVED_WORDS`."""
    quoted = ", ".join(f"'{status}'" for status in sorted(statuses))
    fragments = [f"status IN ({quoted})" if statuses else f"NOT ({_TRUE})"]
    fragments += [f"({_DERIVED[name][0]})" for name in sorted(derived)]
    fragment = " OR ".join(fragments)
    times = fragment.count("?")
    return Condition(
        lambda now, _attention: (fragment, [now] * times),
        lambda s: s.row.status in statuses or any(_DERIVED[name][1](s) for name in derived),
    )


def completeness_in(wanted: tuple[Completeness, ...]) -> Condition:
    """Compare how well a completed job went."""
    fragment = " OR ".join(f"({_COMPLETENESS_SQL[each]})" for each in wanted)
    return Condition(_fixed(fragment), lambda s: s.row.outcome in wanted)


def tagged(values: tuple[str, ...]) -> Condition:
    """Look for ``key=value`` among the tags, or for one word as a key or as a value."""
    pairs = [value.partition("=") for value in values]
    tests = ["(key = ? AND value = ?)" if equals else "(key = ? OR value = ?)" for _, equals, _ in pairs]
    parameters = [word for key, equals, value in pairs for word in (key, value if equals else key)]

    def matches(subject: Subject) -> bool:
        tags = subject.tags
        return any(
            tags.get(key) == value if equals else key in tags or key in tags.values()
            for key, equals, value in pairs
        )

    return Condition(
        _fixed(f"id IN (SELECT job_id FROM job_tag WHERE {' OR '.join(tests)})", parameters), matches
    )


def removed(wanted: bool) -> Condition:
    """Ask for removed jobs, or for those that are not."""
    return Condition(
        _fixed(f"removed_at IS {'NOT ' if wanted else ''}NULL"),
        lambda s: (s.row.removed_at is not None) is wanted,
        removed=True,
    )


def queued(wanted: bool) -> Condition:
    """Ask for batches that wait on this computer to be sent, or for all others."""
    here = f"raw_status = '{QUEUED_HERE}' AND remote_id IS NULL AND remote_status = '{Status.PENDING}'"
    return Condition(_fixed(here if wanted else f"NOT ({here})"), lambda s: s.row.queued_here is wanted)


def needs_attention(reasons: Collection[str]) -> Condition:
    """Ask for jobs that a person should look at for one of some reasons."""
    wanted = frozenset(reasons)

    def sql(_now: int, attention: Attention) -> Sql:
        ids = [job_id for job_id, found in attention.items() if not wanted.isdisjoint(found)]
        return "id IN (SELECT CAST(value AS BIGINT) FROM json_each(?) AS given)", [json.dumps(ids)]

    return Condition(sql, lambda s: not wanted.isdisjoint(s.attention), attention=True)


def known(column: str, wanted: bool) -> Condition:
    """Ask for jobs of which a value is known, or for the others."""
    return Condition(
        _fixed(f"{column} IS {'NOT ' if wanted else ''}NULL"),
        lambda s: (getattr(s.row, column) is not None) is wanted,
    )


_COMPARE: dict[str, Callable[[int, int], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "=": operator.eq,
}


def number(column: str, op: str, numbers: Sequence[int]) -> Condition:
    """Compare a count, or a time in milliseconds UTC; one that is not known passes no comparison."""
    compare = _COMPARE[op]

    def matches(subject: Subject) -> bool:
        value = getattr(subject.row, column)
        return value is not None and any(compare(value, number) for number in numbers)

    return Condition(
        _fixed(f"{column} IS NOT NULL AND ({_any(f'{column} {op} ?', numbers)})", numbers), matches
    )


def age(column: str, op: str, spans: Sequence[int]) -> Condition:
    """Compare the time since then with spans in milliseconds; a time that is not known passes none."""
    # What is older began earlier.
    mirrored = op.translate(str.maketrans("<>", "><"))
    compare = _COMPARE[mirrored]
    fragment = f"{column} IS NOT NULL AND ({_any(f'{column} {mirrored} ?', spans)})"

    def matches(subject: Subject) -> bool:
        value = getattr(subject.row, column)
        return value is not None and any(compare(value, subject.now - span) for span in spans)

    return Condition(lambda now, _attention: (fragment, [now - span for span in spans]), matches)


def within(column: str, periods: Sequence[tuple[int, int]]) -> Condition:
    """Ask for jobs with a time from one on and before another, both in milliseconds UTC."""
    either = _any(f"({column} >= ? AND {column} < ?)", periods)

    def matches(subject: Subject) -> bool:
        value = getattr(subject.row, column)
        return value is not None and any(start <= value < end for start, end in periods)

    return Condition(
        _fixed(f"{column} IS NOT NULL AND ({either})", [ms for period in periods for ms in period]), matches
    )
