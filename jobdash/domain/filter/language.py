"""The filter language: one line of text is read into conditions.

A filter is words separated by spaces; all must hold. A word is free text (found in name and ids) or
``field:value``, ``field=value``, ``field!=value``, ``field>value``, ``field<value``; ``-`` in front negates,
``,`` means or, quotes hold spaces together.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobdash.domain.attention import AttentionReason
from jobdash.domain.fields import JOB_FIELDS, Match, in_order
from jobdash.domain.filter import conditions
from jobdash.domain.filter.conditions import DERIVED_WORDS, Condition, Conditions
from jobdash.domain.money import MICROS
from jobdash.domain.status import TERMINAL, UNFINISHED, Completeness, Status
from jobdash.domain.text import encodable
from jobdash.domain.time import DAY, MINUTE, parse_span
from jobdash.errors import FilterError

_FIRST = (
    "id", "name", "account", "provider", "status", "outcome", "model", "endpoint", "tags", "created_at",
    "total", "failed", "error",
)  # fmt: skip
_MATCHES = {
    word: (field.source, match) for field in in_order(JOB_FIELDS, _FIRST) for word, match in field.words
}
"""By the word that a person writes, the column, and how it is compared."""
FIELDS = tuple(_MATCHES)
"""The fields a person may name (besides the shorthands ``older:2h`` and ``newer:2h``)."""
_SHORTHANDS = {"older": _MATCHES["age"], "newer": _MATCHES["age"]}

_STATUS_WORDS: dict[str, frozenset[Status]] = {str(status): frozenset({status}) for status in Status} | {
    "running": frozenset({Status.IN_PROGRESS}),
    "unfinished": UNFINISHED,
    "finished": TERMINAL,
}
_TRUTHS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_COMPARED = frozenset({Match.NUMBER, Match.MONEY, Match.AGE, Match.TIME})
"""What has an order; all else is equal to a value or not."""
_ORDER = ("<", ">", "<=", ">=")
_LONGEST_VALUE = 2_000
"""Characters of one value: SQLite looks for no pattern of more than 50,000 bytes."""
_MOST_PARAMETERS = 10_000
"""Of a whole filter: a query holds it twice, and SQLite takes 32,766."""

_RICHEST = 1e12
"""Dollars; a store holds no such amount."""

_WORD = re.compile(r"""(?:[^\s"']|"[^"]*"|'[^']*')+|["']""")
_QUOTED = re.compile(r"""(["'])(.*?)\1""", re.DOTALL)
_TERM = re.compile(r"(?P<minus>-?)(?P<field>[A-Za-z_]+)(?P<op>!=|>=|<=|[:=><])(?P<value>.*)", re.DOTALL)


def parse(text: str) -> Conditions:
    """Read a filter.

    Raises `FilterError`, which holds the place of the mistake and names the fields there are.
    """
    text = encodable(text)
    words = list(_WORD.finditer(text))
    for match in words:
        if match.group() in {'"', "'"}:
            raise _mistake("a quote is not closed", text, match.start())
    if "\0" in text:
        raise _mistake("a filter cannot hold the character NUL", text, text.index("\0"))
    terms = tuple(_parse_word(text, match.group(), match.start()) for match in words)
    if sum(len(term.sql(0, {})[1]) for term in terms) > _MOST_PARAMETERS:
        raise _mistake("the filter is too long", text, 0)
    return Conditions(text.strip(), terms)


def _mistake(message: str, text: str, place: int) -> FilterError:
    return FilterError(f"{message} (at character {place + 1})", text, place)


@dataclass(frozen=True, slots=True)
class _Word:
    """One ``field op value`` while it is being read."""

    text: str
    place: int
    field: str
    column: str
    op: str
    values: tuple[str, ...]

    def error(self, message: str) -> FilterError:
        return _mistake(message, self.text, self.place)

    def require(self, *ops: str) -> None:
        """Raise `FilterError` for any other operator."""
        if self.op not in ops:
            raise self.error(f"{self.field} cannot be compared with {self.op}; use {self.field}:value")


def _parse_word(text: str, word: str, place: int) -> Condition:
    if len(max(_split(word), key=len)) > _LONGEST_VALUE:
        raise _mistake(f"that is too long: at most {_LONGEST_VALUE:,} characters", text, place)
    match = _TERM.fullmatch(word)
    if match is None:
        negated = word.startswith("-") and len(word) > 1
        found = conditions.free_text(_unquoted(word[1:] if negated else word))
        return conditions.negated(found) if negated else found
    field, op = match["field"].lower(), match["op"]
    values = tuple(_unquoted(value) for value in _split(match["value"]))
    column, compared = (_MATCHES | _SHORTHANDS).get(field, ("", None))
    known = _Word(text, place, field, column, op, values)
    if not all(values):
        raise known.error(f"{field}{op} wants a value")
    if compared is None:
        raise known.error(f"no field {field!r}; there are {', '.join(FIELDS)}")
    if compared not in _COMPARED:
        known.require(":", "=", "!=")
    term = _READERS[compared](known)
    return conditions.negated(term) if bool(match["minus"]) != (op == "!=") else term


def _split(value: str) -> list[str]:
    return re.findall(r"""(?:[^,"']|"[^"]*"|'[^']*')+|(?<=,)(?=,|$)""", value) or [value]


def _unquoted(value: str) -> str:
    return _QUOTED.sub(r"\2", value)


def _piece(word: _Word) -> Condition:
    find = conditions.contains if word.op == ":" else conditions.equals
    return find(word.column, word.values)


def _id(word: _Word) -> Condition:
    return (conditions.id_starts if word.op == ":" else conditions.id_equals)(word.values)


def _status(word: _Word) -> Condition:
    statuses: set[Status] = set()
    derived: set[str] = set()
    for value in word.values:
        spelled = value.replace("-", "_").replace(" ", "_")
        if spelled in DERIVED_WORDS:
            derived.add(spelled)
        elif value in _STATUS_WORDS:
            statuses |= _STATUS_WORDS[value]
        else:
            raise word.error(f"no status {value!r}; there are {', '.join([*_STATUS_WORDS, *DERIVED_WORDS])}")
    return conditions.status_in(statuses, derived)


def _outcome(word: _Word) -> Condition:
    try:
        wanted = tuple(Completeness(value.replace("-", "_").replace(" ", "_")) for value in word.values)
    except ValueError:
        raise word.error(
            f"no outcome {','.join(word.values)!r}; there are {', '.join(Completeness)}"
        ) from None
    return conditions.completeness_in(wanted)


def _attention(word: _Word) -> Condition:
    """Read ``attention:yes``, ``attention:any``, which is the same, ``attention:no``, or reasons."""
    reasons: set[str] = set()
    for value in word.values:
        spelled = value.replace("-", "_").replace(" ", "_")
        if spelled == "any" or spelled.lower() in _TRUTHS:
            if len(word.values) > 1:
                raise word.error(f"{word.field}:{value} stands alone")
            found = conditions.needs_attention(tuple(AttentionReason))
            return found if _TRUTHS.get(spelled.lower(), True) else conditions.negated(found)
        if spelled not in tuple(AttentionReason):
            there = ", ".join(("yes", "no", "any", *AttentionReason))
            raise word.error(f"no reason {value!r}; there are {there}")
        reasons.add(spelled)
    return conditions.needs_attention(reasons)


def _truth(word: _Word) -> bool:
    if len(word.values) != 1 or word.values[0].lower() not in _TRUTHS:
        raise word.error(f"{word.field}: wants yes or no")
    return _TRUTHS[word.values[0].lower()]


def _number(word: _Word) -> Condition:
    try:
        numbers = [int(value.replace("_", "")) for value in word.values]
    except ValueError:
        raise word.error(f"{word.field}{word.op} wants a number") from None
    if any(abs(number) > 2**62 for number in numbers):
        raise word.error(f"{word.field}{word.op}: that number is too large")
    return conditions.number(word.column, word.op if word.op in _ORDER else "=", numbers)


def _money(word: _Word) -> Condition:
    """Read ``cost>1.50``, in dollars; ``cost:0`` is what cost nothing."""
    try:
        amounts = [float(value.removeprefix("$").replace("_", "")) for value in word.values]
    except ValueError:
        raise word.error(f"{word.field}{word.op} wants an amount in dollars, like 1.50") from None
    if not all(abs(amount) < _RICHEST for amount in amounts):
        raise word.error(f"{word.field}{word.op}: that amount is too large")
    micros = [round(amount * MICROS) for amount in amounts]
    return conditions.number(word.column, word.op if word.op in _ORDER else "=", micros)


def _age(word: _Word) -> Condition:
    """Read ``age>2h``, ``older:2h``, ``newer:2h``."""
    op = word.op
    if word.field in {"older", "newer"}:
        word.require(":", "=")
        op = ">" if word.field == "older" else "<"
    elif op not in _ORDER:
        also = " (or say older:2h, newer:2h)" if word.field == "age" else ""
        raise word.error(f"{word.field} wants < or >{also}")
    try:
        spans = [parse_span(value) for value in word.values]
    except ValueError as error:
        raise word.error(str(error)) from None
    return conditions.age(word.column, op, spans)


def _time(word: _Word) -> Condition:
    """Read ``created>2026-11-01`` (local time, as all times are shown), or a whole day:
    ``created:2026-11-01``.

    ``2026-11-01T12:00+02:00`` and ``…Z`` name their own zone.
    """
    try:
        periods = [_period(value) for value in word.values]
    except (ValueError, OverflowError, OSError):  # the last two: beyond what this computer's calendar holds
        raise word.error(f"{word.field} wants a date like 2026-11-01 or 2026-11-01T12:00") from None
    if word.op in _ORDER:
        return conditions.number(word.column, word.op, [start for start, _ in periods])
    return conditions.within(word.column, periods)


def _period(value: str) -> tuple[int, int]:
    """Return the milliseconds at which a date begins and ends (a time of day is one minute long)."""
    parsed = datetime.fromisoformat(value)
    start = int(parsed.timestamp() * 1000)  # without a zone: local
    if len(value) > len("2026-11-01"):
        return start, start + MINUTE
    try:  # a day on which the clocks change is not 24 hours long
        return start, int((parsed + timedelta(days=1)).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return start, start + DAY


_READERS: dict[Match, Callable[[_Word], Condition]] = {
    Match.TEXT: _piece,
    Match.EQUAL: lambda word: conditions.equals(word.column, word.values),
    Match.NUMBER: _number,
    Match.MONEY: _money,
    Match.AGE: _age,
    Match.TIME: _time,
    Match.ID: _id,
    Match.STATUS: _status,
    Match.OUTCOME: _outcome,
    Match.ATTENTION: _attention,
    Match.TAG: lambda word: conditions.tagged(word.values),
    Match.QUEUED: lambda word: conditions.queued(_truth(word)),
    Match.REMOVED: lambda word: conditions.removed(_truth(word)),
    Match.KNOWN: lambda word: conditions.known(word.column, _truth(word)),
}
