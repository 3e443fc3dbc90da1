"""The filter language: one line of text → conditions that the store and a single job both understand.

A filter is words separated by spaces; all must hold. A word is free text (found in name and ids) or
``field:value``, ``field=value``, ``field!=value``, ``field>value``, ``field<value``; ``-`` in front negates,
``,`` means or, quotes hold spaces together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobdash.domain.clock import system_clock
from jobdash.domain.describe.job_text import stalled
from jobdash.domain.job import JobRow
from jobdash.domain.status import TERMINAL, UNFINISHED, Completeness, Status
from jobdash.domain.text import encodable
from jobdash.domain.time import DAY, MINUTE, parse_span
from jobdash.errors import FilterError

FIELDS = (
    "id", "name", "account", "provider", "status", "outcome", "model", "endpoint", "tag",
    "age", "created", "total", "failed", "error", "removed",
)  # fmt: skip
"""The fields a person may name (besides the shorthands ``older:2h`` and ``newer:2h``)."""

_CONTAINS = {"name": "name", "model": "model", "endpoint": "endpoint", "error": "error"}
_EXACT = {"account": "account", "provider": "provider"}
_NUMBERS = {"total": "total", "failed": "failed"}
_STATUS_WORDS: dict[str, frozenset[Status]] = {str(status): frozenset({status}) for status in Status} | {
    "running": frozenset({Status.IN_PROGRESS}),
    "unfinished": UNFINISHED,
    "finished": TERMINAL,
}
_HAS_PIECE = "coalesce({0}, '') LIKE ? ESCAPE '\\'"
_LONGEST_VALUE = 2_000
"""Characters of one value: SQLite looks for no pattern of more than 50,000 bytes."""
_MOST_PARAMETERS = 10_000
"""Of a whole filter: a query holds it twice, and SQLite takes 32,766."""
_FLAT = 100
"""Conditions that are chained; more become a tree, since SQLite takes no chain of 1,000."""
_FOLD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True, slots=True)
class Subject:
    """A job as a condition sees it: its row, its tags, and what time it is."""

    row: JobRow
    tags: Mapping[str, str]
    now: int


@dataclass(frozen=True, slots=True)
class Condition:
    """One word of a filter, as SQL over the table ``job`` and as a test of one job."""

    sql: Callable[[int], tuple[str, list[str | int]]]
    """Given the time now, a boolean expression that is never NULL, and its parameters."""
    matches: Callable[[Subject], bool]
    scans: bool = False
    """It looks for a piece of text, which no index answers."""
    removed: bool = False
    """It speaks of removed jobs, which are otherwise left out."""


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

    def sql(self, now: int | None = None) -> tuple[str, list[str | int]]:
        """Return a WHERE fragment over ``job`` (``1`` when empty) and its parameters; ``now`` in ms UTC."""
        moment = system_clock() if now is None else now
        parts = [term.sql(moment) for term in self.terms]
        clause = _joined("AND", [f"({fragment})" for fragment, _ in parts]) or "1"
        return clause, [value for _, values in parts for value in values]

    def matches(self, row: JobRow, tags: Mapping[str, str], now: int) -> bool:
        """Whether one job passes; equal to what the store answers for `sql`."""
        subject = Subject(row, tags, now)
        return all(term.matches(subject) for term in self.terms)


_WORD = re.compile(r"""(?:[^\s"']|"[^"]*"|'[^']*')+|["']""")
_QUOTED = re.compile(r"""(["'])(.*?)\1""", re.DOTALL)
_TERM = re.compile(r"(?P<minus>-?)(?P<field>[A-Za-z_]+)(?P<op>!=|>=|<=|[:=><])(?P<value>.*)", re.DOTALL)


def parse(text: str) -> Conditions:
    """Read a filter.

    Raises `FilterError`, which says where and names the fields there are.
    """
    text = encodable(text)
    words = list(_WORD.finditer(text))
    for match in words:
        if match.group() in {'"', "'"}:
            raise _mistake("a quote is not closed", text, match.start())
    if "\0" in text:
        raise _mistake("a filter cannot hold the character NUL", text, text.index("\0"))
    terms = tuple(_parse_word(text, match.group(), match.start()) for match in words)
    if sum(len(term.sql(0)[1]) for term in terms) > _MOST_PARAMETERS:
        raise _mistake("the filter is too long", text, 0)
    return Conditions(text.strip(), terms)


def _mistake(message: str, text: str, place: int) -> FilterError:
    return FilterError(f"{message} (at character {place + 1})", text, place)


@dataclass(frozen=True, slots=True)
class _Word:
    """One ``field op value`` while it is being read; knows how to complain."""

    text: str
    place: int
    field: str
    op: str
    values: tuple[str, ...]

    def error(self, message: str) -> FilterError:
        return _mistake(message, self.text, self.place)


def _parse_word(text: str, word: str, place: int) -> Condition:
    if len(max(_split(word), key=len)) > _LONGEST_VALUE:
        raise _mistake(f"that is too long: at most {_LONGEST_VALUE:,} characters", text, place)
    match = _TERM.fullmatch(word)
    if match is None:
        negated = word.startswith("-") and len(word) > 1
        found = _free_text(_unquoted(word[1:] if negated else word))
        return _negated(found) if negated else found
    field, op = match["field"].lower(), match["op"]
    values = tuple(_unquoted(value) for value in _split(match["value"]))
    known = _Word(text, place, field, op, values)
    if not all(values):
        raise known.error(f"{field}{op} wants a value")
    term = _condition(known)
    return _negated(term) if bool(match["minus"]) != (op == "!=") else term


def _split(value: str) -> list[str]:
    return re.findall(r"""(?:[^,"']|"[^"]*"|'[^']*')+|(?<=,)(?=,|$)""", value) or [value]


def _unquoted(value: str) -> str:
    return _QUOTED.sub(r"\2", value)


def _condition(word: _Word) -> Condition:
    builders: dict[str, Callable[[_Word], Condition]] = {
        "id": _id,
        "status": _status,
        "outcome": _outcome,
        "tag": _tag,
        "removed": _removed,
        "created": _created,
        "age": _age,
        "older": _age,
        "newer": _age,
    }
    if word.field in builders:
        return builders[word.field](word)
    if word.field in _CONTAINS:
        return _text_field(word)
    if word.field in _EXACT:
        return _exact_field(word)
    if word.field in _NUMBERS:
        return _number(word)
    raise word.error(f"no field {word.field!r}; there are {', '.join(FIELDS)}")


def _negated(term: Condition) -> Condition:
    def sql(now: int) -> tuple[str, list[str | int]]:
        fragment, values = term.sql(now)
        return f"NOT ({fragment})", values

    return Condition(sql, lambda subject: not term.matches(subject), term.scans, term.removed)


def _fixed(fragment: str, values: list[str | int]) -> Callable[[int], tuple[str, list[str | int]]]:
    return lambda _now: (fragment, values)


def _any(fragment: str, values: tuple[str, ...]) -> str:
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
    return value.partition("\0")[0].translate(_FOLD)


def _free_text(value: str) -> Condition:
    needle = _fold(value)
    pattern = _like(value)
    fragment = " OR ".join(_HAS_PIECE.format(column) for column in ("name", "public_id", "remote_id"))
    return Condition(
        _fixed(fragment, [pattern, pattern, pattern]),
        lambda s: any(needle in _fold(t) for t in (s.row.name, s.row.public_id, s.row.remote_id or "")),
        scans=True,
    )


def _text_field(word: _Word) -> Condition:
    column = _CONTAINS[word.field]
    _only(word, ":", "=", "!=")
    if word.op == ":":
        needles = tuple(map(_fold, word.values))
        return Condition(
            _fixed(_any(_HAS_PIECE.format(column), needles), [_like(value) for value in word.values]),
            lambda s: any(needle in _fold(getattr(s.row, column) or "") for needle in needles),
            scans=True,
        )
    return _equals(column, word.values)


def _exact_field(word: _Word) -> Condition:
    _only(word, ":", "=", "!=")
    return _equals(_EXACT[word.field], word.values)


def _equals(column: str, values: tuple[str, ...]) -> Condition:
    marks = ", ".join("?" * len(values))
    return Condition(
        _fixed(f"coalesce({column}, '') IN ({marks})", list(values)),
        lambda s: (getattr(s.row, column) or "") in values,
    )


def _id(word: _Word) -> Condition:
    _only(word, ":", "=", "!=")
    if word.op == ":":
        starts = tuple(map(_fold, word.values))
        either = f"{_HAS_PIECE.format('public_id')} OR {_HAS_PIECE.format('remote_id')}"
        patterns: list[str | int] = []
        for value in word.values:
            patterns += [_like(value)[1:]] * 2
        return Condition(
            _fixed(_any(either, word.values), patterns),
            lambda s: any(_fold(i).startswith(starts) for i in (s.row.public_id, s.row.remote_id or "")),
        )
    marks = ", ".join("?" * len(word.values))
    return Condition(
        _fixed(
            f"public_id IN ({marks}) OR coalesce(remote_id, '') IN ({marks})", [*word.values, *word.values]
        ),
        lambda s: s.row.public_id in word.values or (s.row.remote_id or "") in word.values,
    )


def _status(word: _Word) -> Condition:
    _only(word, ":", "=", "!=")
    wanted: set[Status] = set()
    derived: set[str] = set()
    for value in word.values:
        spelled = value.replace("-", "_").replace(" ", "_")
        if spelled in _DERIVED:
            derived.add(spelled)
        elif value in _STATUS_WORDS:
            wanted |= _STATUS_WORDS[value]
        else:
            raise word.error(f"no status {value!r}; there are {', '.join([*_STATUS_WORDS, *_DERIVED])}")
    quoted = ", ".join(f"'{status}'" for status in sorted(wanted))
    fragments = [f"status IN ({quoted})" if wanted else "0"]
    fragments += [f"({_DERIVED[name][0]})" for name in sorted(derived)]
    fragment = " OR ".join(fragments)
    times = fragment.count("?")
    return Condition(
        lambda now: (fragment, [now] * times),
        lambda s: s.row.status in wanted or any(_DERIVED[name][1](s) for name in derived),
    )


_OUTCOME_SQL = {
    Completeness.OK: "status = 'completed' AND coalesce(failed, -1) = 0",
    Completeness.PARTIAL: "status = 'completed' AND coalesce(failed, -1) > 0 AND coalesce(succeeded, 0) > 0",
    Completeness.ALL_FAILED: (
        "status = 'completed' AND coalesce(failed, -1) > 0 AND coalesce(succeeded, 0) = 0"
    ),
}


_UNFINISHED_SQL = ", ".join(f"'{status}'" for status in sorted(UNFINISHED))
_DERIVED: dict[str, tuple[str, Callable[[Subject], bool]]] = {
    "gone": (
        f"gone_at IS NOT NULL AND status IN ({_UNFINISHED_SQL})",
        lambda s: s.row.gone,
    ),
    "partial": (_OUTCOME_SQL[Completeness.PARTIAL], lambda s: s.row.outcome is Completeness.PARTIAL),
    "all_failed": (_OUTCOME_SQL[Completeness.ALL_FAILED], lambda s: s.row.outcome is Completeness.ALL_FAILED),
    "stalled": (
        f"status = '{Status.IN_PROGRESS}' AND lease_until IS NOT NULL AND lease_until < ?",
        lambda s: stalled(s.row, s.now),
    ),
}
"""Words that are shown for a status and derived from more than that; ``?`` is the time now."""


def _outcome(word: _Word) -> Condition:
    _only(word, ":", "=", "!=")
    try:
        wanted = tuple(Completeness(value.replace("-", "_").replace(" ", "_")) for value in word.values)
    except ValueError:
        raise word.error(
            f"no outcome {','.join(word.values)!r}; there are {', '.join(Completeness)}"
        ) from None
    fragment = " OR ".join(f"({_OUTCOME_SQL[outcome]})" for outcome in wanted)
    return Condition(_fixed(fragment, []), lambda s: s.row.outcome in wanted)


def _tag(word: _Word) -> Condition:
    _only(word, ":", "=", "!=")
    parts: list[str] = []
    values: list[str | int] = []
    for value in word.values:
        key, equals, wanted = value.partition("=")
        parts.append("(key = ? AND value = ?)" if equals else "(key = ? OR value = ?)")
        values += [key, wanted if equals else key]

    def matches(subject: Subject) -> bool:
        return any(
            subject.tags.get(value.partition("=")[0]) == value.partition("=")[2]
            if "=" in value
            else value in subject.tags or value in subject.tags.values()
            for value in word.values
        )

    return Condition(
        _fixed(f"id IN (SELECT job_id FROM job_tag WHERE {' OR '.join(parts)})", values), matches
    )


def _removed(word: _Word) -> Condition:
    _only(word, ":", "=", "!=")
    truths = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if len(word.values) != 1 or word.values[0].lower() not in truths:
        raise word.error("removed: wants yes or no")
    wanted = truths[word.values[0].lower()]
    return Condition(
        _fixed(f"removed_at IS {'NOT ' if wanted else ''}NULL", []),
        lambda s: (s.row.removed_at is not None) is wanted,
        removed=True,
    )


_COMPARE: dict[str, Callable[[int, int], bool]] = {
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    "=": lambda a, b: a == b,
}
_MIRRORED = {">": "<", "<": ">", ">=": "<=", "<=": ">="}


def _number(word: _Word) -> Condition:
    column = _NUMBERS[word.field]
    op = "=" if word.op in {":", "!="} else word.op
    try:
        numbers = [int(value.replace("_", "")) for value in word.values]
    except ValueError:
        raise word.error(f"{word.field}{word.op} wants a number") from None
    if any(abs(number) > 2**62 for number in numbers):
        raise word.error(f"{word.field}{word.op}: that number is too large")
    compare = _COMPARE[op]

    def matches(subject: Subject) -> bool:
        value = getattr(subject.row, column)
        return value is not None and any(compare(value, number) for number in numbers)

    test = _any(f"{column} {op} ?", word.values)
    return Condition(_fixed(f"{column} IS NOT NULL AND ({test})", list(numbers)), matches)


def _age(word: _Word) -> Condition:
    """Read ``age>2h``, ``older:2h``, ``newer:2h``: an older job was created earlier."""
    op = word.op
    if word.field in {"older", "newer"}:
        _only(word, ":", "=")
        op = ">" if word.field == "older" else "<"
    elif op not in _MIRRORED:
        raise word.error("age wants < or > (or say older:2h, newer:2h)")
    try:
        spans = [parse_span(value) for value in word.values]
    except ValueError as error:
        raise word.error(str(error)) from None
    mirrored = _MIRRORED[op]
    compare = _COMPARE[mirrored]
    return Condition(
        lambda now: (_any(f"created_at {mirrored} ?", word.values), [now - span for span in spans]),
        lambda s: any(compare(s.row.created_at, s.now - span) for span in spans),
    )


def _created(word: _Word) -> Condition:
    """Read ``created>2026-11-01`` (local time, as every time is shown) or ``created:2026-11-01``, which means
    that whole day; ``2026-11-01T12:00+02:00`` and ``…Z`` name their own zone.
    """
    try:
        moments = [_moment(value) for value in word.values]
    except (ValueError, OverflowError, OSError):  # the last two: beyond what this computer's calendar holds
        raise word.error("created wants a date like 2026-11-01 or 2026-11-01T12:00") from None
    if word.op in _MIRRORED:
        compare = _COMPARE[word.op]
        return Condition(
            _fixed(_any(f"created_at {word.op} ?", word.values), [start for start, _ in moments]),
            lambda s: any(compare(s.row.created_at, start) for start, _ in moments),
        )
    return Condition(
        _fixed(
            _any("(created_at >= ? AND created_at < ?)", word.values),
            [bound for moment in moments for bound in moment],
        ),
        lambda s: any(start <= s.row.created_at < end for start, end in moments),
    )


def _moment(value: str) -> tuple[int, int]:
    """Return the milliseconds at which a date begins and ends (a time of day is one minute long)."""
    parsed = datetime.fromisoformat(value)
    start = int(parsed.timestamp() * 1000)  # without a zone: local
    if len(value) > len("2026-11-01"):
        return start, start + MINUTE
    try:  # a day on which the clocks change is not 24 hours long
        return start, int((parsed + timedelta(days=1)).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return start, start + DAY


def _only(word: _Word, *ops: str) -> None:
    if word.op not in ops:
        raise word.error(f"{word.field} cannot be compared with {word.op}; use {word.field}:value")
