"""The registry of job fields: from its lines every face, the filters, the sort orders and the merge are made.

It is data alone, which everything may import: `jobdash.domain.field_values` reads the values, and a face that
draws a field in its own way has a function under the field's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, Flag, auto
from typing import NamedTuple


# Without methods, which its subclasses make, and with named tuples below, a command starts 3 ms earlier.
@dataclass(frozen=True, slots=True, kw_only=True, init=False, repr=False, eq=False)
class ProviderFields:
    """What a provider reports of a job and the store keeps as it is: attributes of `RemoteJob` and `JobRow`.

    Times are milliseconds UTC. None is "not given", or unknown, never 0.
    """

    started_at: int | None = None
    finished_at: int | None = None
    expires_at: int | None = None
    model: str | None = None
    endpoint: str | None = None
    total: int | None = None
    succeeded: int | None = None
    failed: int | None = None
    cancelled: int | None = None
    expired: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    """Those of the input tokens that came out of a cache."""
    profile: str | None = None
    """Which of the servers with its provider's API has it; of a `RemoteJob`, empty for one not listed."""
    percent: int | None = None
    """How much of it is done, where its provider says that in place of counts."""


class Kind(Enum):
    """What a value is, which decides how it is converted and drawn."""

    TEXT = auto()
    NUMBER = auto()
    TIME = auto()
    """Milliseconds UTC; RFC 3339 in JSON and CSV, its age in a column."""
    MONEY = auto()
    """Millionths of a dollar; dollars in JSON and CSV, ``$1.20`` for people."""
    FLAG = auto()
    LIST = auto()
    """Several texts."""
    MAPPING = auto()
    """JSON of a provider's own; None when it is empty."""
    TEXTS = auto()
    """Texts by name, kept as JSON."""
    ENTRIES = auto()
    """A list of JSON objects."""
    RELATIVE = auto()
    """Another job: its row id in the store, its public id outside."""


class Merge(Enum):
    """How the store takes the value from a provider's answer; what is not given stays.

    What has a rule of its own (name, status, errors, …) has it in `jobdash.store.merge`.
    """

    NUMBER = auto()
    """Counts and times; what no number can be is left out."""
    TEXT = auto()
    """Without keys, and bounded."""
    MAPPING = auto()
    WORDS = auto()
    """Texts by name, each of them hidden where the name is that of a key."""


class Face(Flag):
    """Where a field is shown, besides in columns."""

    JSON = auto()
    CSV = auto()
    """``jobdash list --csv``"""
    EXPORT = auto()
    """The dashboard's CSV, which is made of rows alone."""
    SHOW = auto()
    """``jobdash show``"""
    BATCH = auto()
    """The dashboard's details of a provider's batch."""
    SCRIPT = auto()
    """The dashboard's details of a script's job."""
    NONE = 0
    DATA = JSON | CSV | EXPORT
    DETAILS = SHOW | BATCH | SCRIPT
    ALL = DATA | DETAILS


class Match(Enum):
    """How a filter compares a field with values."""

    TEXT = auto()
    """``:`` looks for a piece of it."""
    EQUAL = auto()
    NUMBER = auto()
    MONEY = auto()
    """With dollars."""
    TIME = auto()
    """With a date."""
    AGE = auto()
    """With the span of time since."""
    ID = auto()
    STATUS = auto()
    OUTCOME = auto()
    TAG = auto()
    REMOVED = auto()
    QUEUED = auto()
    """Whether it waits on this computer to be sent."""
    ATTENTION = auto()
    """Whether a person should look at it, or why."""
    KNOWN = auto()
    """Whether there is a value: ``yes`` or ``no``."""


class Column(NamedTuple):
    """A column of the dashboard's table; widths in cells."""

    heading: str
    width: int
    """The least there is."""
    right: bool = False
    """It and its heading are aligned to the right, as numbers are."""
    dropped: int = 0
    """Its turn to go when the terminal is narrow; 0 stays in any width."""
    comfort: int = 0
    """The width of the terminal from which on it is worth making the name narrower for."""
    most: int = 0
    """The width up to which it takes what name and bar leave; 0: none of it."""
    setting: str = ""
    """Its name in ``[ui] columns``; empty: the field's."""
    default: bool = True
    """Shown without being named there."""


class SortOrder(NamedTuple):
    """An order of jobs."""

    name: str
    column: str
    """The store's column with its key, never NULL and indexed after ``tab`` and after ``listed``.

    It is the field's own, or for a number ``coalesce(field, -1)``, for a text ``lower(coalesce(field, ''))``.
    """
    ascending: bool = False
    """Its direction unless another is asked for."""
    settled: bool = False
    """A job keeps its place in it for life."""


class JobField(NamedTuple):
    """One field of a job: what it is, and where it appears."""

    name: str
    """Its key in JSON and CSV, and in filters unless `matches` names others."""
    label: str = ""
    """Its name in details, in lower case."""
    kind: Kind = Kind.TEXT
    attribute: str = ""
    """Of `JobRow`, or of `JobDetails` where `heavy`; empty: as the field's name."""
    heavy: bool = False
    """Part of the heavy `JobDetails`, not of the light `JobRow`."""
    stored: str = ""
    """Of `heavy` ones: the store's column that holds it; empty for one that is read otherwise."""
    timed: bool = False
    """It follows from the present time as well; `jobdash.domain.field_values` computes it."""
    faces: Face = Face.ALL
    merge: Merge | None = None
    matches: tuple[tuple[str, Match], ...] | Match = ()
    """How filters compare it, under its name or under others."""
    order: SortOrder | None = None
    column: Column | None = None
    listed: str = ""
    """The heading of its column in ``jobdash list``; empty: it has none."""

    @property
    def source(self) -> str:
        """The attribute that holds the value."""
        return self.attribute or self.name

    @property
    def path(self) -> str:
        """Where the value is in a `JobDetails`."""
        return self.source if self.heavy else f"row.{self.source}"

    @property
    def words(self) -> tuple[tuple[str, Match], ...]:
        """The words of the filter language that ask for it."""
        return ((self.name, self.matches),) if isinstance(self.matches, Match) else self.matches


_BATCH_ONLY = Face.ALL & ~Face.SCRIPT
_LIST_DATA = Face.DATA & ~Face.EXPORT

JOB_FIELDS = (
    JobField("id", "id", attribute="public_id", matches=Match.ID, listed="ID"),
    JobField(
        "name", "name", faces=Face.DATA | Face.SHOW, matches=Match.TEXT, listed="NAME",
        order=SortOrder("name", "name_key", ascending=True, settled=True), column=Column("NAME", 20),
    ),
    JobField(
        "account", "account", matches=Match.EQUAL, listed="ACCOUNT",
        order=SortOrder("account", "account", ascending=True, settled=True),
        column=Column("ACCOUNT", 7, dropped=4),
    ),
    JobField("provider", faces=Face.DATA, matches=Match.EQUAL),
    JobField(
        "remote_id", "provider's id", faces=Face.DATA | Face.BATCH,
        column=Column("PROVIDER'S ID", 30, dropped=1, comfort=190, most=44),
    ),
    JobField("origin", "server", faces=Face.BATCH | Face.SCRIPT),
    JobField("status", "status", matches=Match.STATUS, column=Column("STATUS", 14), listed="STATUS"),
    JobField("remote_status", faces=Face.JSON),
    JobField("outcome", faces=Face.DATA, matches=Match.OUTCOME),
    JobField("status_reason", heavy=True, faces=_LIST_DATA),
    JobField("verdict", "failed here", faces=Face.JSON | Face.BATCH | Face.SCRIPT),
    JobField(
        "model", "model", faces=_BATCH_ONLY, merge=Merge.TEXT, matches=Match.TEXT,
        column=Column("MODEL", 14, dropped=2, comfort=138, most=28),
    ),
    JobField("endpoint", "endpoint", faces=_BATCH_ONLY, merge=Merge.TEXT, matches=Match.TEXT),
    JobField(
        "progress", "requests", Kind.NUMBER, faces=Face.DETAILS, listed="DONE",
        order=SortOrder("progress", "progress_key"), column=Column("PROGRESS", 8, dropped=7),
    ),
    JobField(
        "total", kind=Kind.NUMBER, faces=Face.DATA, merge=Merge.NUMBER, matches=Match.NUMBER,
        order=SortOrder("total", "total_key"), column=Column("", 13, right=True, setting="progress"),
    ),
    JobField("succeeded", kind=Kind.NUMBER, faces=Face.DATA, merge=Merge.NUMBER),
    JobField(
        "failed", kind=Kind.NUMBER, faces=Face.DATA, merge=Merge.NUMBER, matches=Match.NUMBER,
        order=SortOrder("failed", "failed_key"), column=Column("FAILED", 7, right=True, dropped=5),
        listed="FAILED",
    ),
    JobField("cancelled", kind=Kind.NUMBER, faces=_LIST_DATA, merge=Merge.NUMBER),
    JobField("expired", kind=Kind.NUMBER, faces=_LIST_DATA, merge=Merge.NUMBER),
    JobField("remaining", kind=Kind.NUMBER, faces=Face.DATA),
    JobField(
        "created_at", "created", Kind.TIME, merge=Merge.NUMBER,
        matches=(("age", Match.AGE), ("created", Match.TIME)),
        order=SortOrder("created", "created_at", settled=True),
        column=Column("AGE", 5, right=True, dropped=6, setting="age"), listed="AGE",
    ),
    JobField(
        "left", kind=Kind.NUMBER, timed=True, faces=Face.NONE,
        column=Column("LEFT", 6, right=True, dropped=3), listed="LEFT",
    ),
    JobField("started_at", "started", Kind.TIME, faces=_BATCH_ONLY, merge=Merge.NUMBER),
    JobField("finished_at", "finished", Kind.TIME, merge=Merge.NUMBER),
    JobField(
        "updated_at", "last change", Kind.TIME, faces=_LIST_DATA | Face.BATCH | Face.SCRIPT,
        order=SortOrder("updated", "updated_at"),
    ),
    JobField("seen_at", "last asked", Kind.TIME, heavy=True, stored="seen_at", faces=Face.BATCH),
    JobField("expires_at", "expires", Kind.TIME, faces=_BATCH_ONLY, merge=Merge.NUMBER),
    JobField("cancel_requested_at", "cancel asked", Kind.TIME, faces=_LIST_DATA | Face.DETAILS),
    JobField(
        "removed_at", "removed", Kind.TIME, faces=_LIST_DATA | Face.SHOW,
        matches=(("removed", Match.REMOVED),),
    ),
    JobField("gone_at", "gone", Kind.TIME, faces=_LIST_DATA | Face.SHOW),
    JobField("raw_status", "provider says", faces=_BATCH_ONLY),
    JobField(
        "attempt", "attempts", Kind.NUMBER, heavy=True, stored="attempt", faces=Face.JSON | Face.SCRIPT
    ),
    JobField(
        "parent_id", "retry of", Kind.RELATIVE, "parent", heavy=True, stored="parent_id",
        faces=Face.JSON | Face.SHOW | Face.BATCH,
    ),
    JobField(
        "child_ids", "retried as", Kind.LIST, "children", heavy=True,
        faces=Face.JSON | Face.SHOW | Face.BATCH,
    ),
    JobField(
        "tags", "tags", Kind.TEXTS, heavy=True, faces=Face.JSON | Face.DETAILS,
        matches=(("tag", Match.TAG),),
    ),
    JobField(
        "usage", "usage", Kind.MAPPING, heavy=True, stored="usage", merge=Merge.MAPPING,
        faces=Face.JSON | Face.SHOW | Face.BATCH,
    ),
    JobField("error", "error", faces=Face.DATA | Face.SHOW | Face.SCRIPT, matches=Match.TEXT),
    JobField(
        "files", "files", Kind.TEXTS, heavy=True, stored="files", merge=Merge.WORDS,
        faces=Face.JSON | Face.DETAILS,
    ),
    JobField(
        "deleted_at_provider", "deleted there", Kind.LIST, "deleted", heavy=True,
        faces=Face.JSON | Face.SHOW | Face.BATCH,
    ),
    JobField("left_behind", "left behind", faces=_LIST_DATA | Face.DETAILS),
    JobField("lease_until", "its script", Kind.TIME, faces=Face.SCRIPT),
    JobField(
        "metadata", "metadata", Kind.MAPPING, heavy=True, stored="remote_metadata", merge=Merge.WORDS,
        faces=Face.SCRIPT,
    ),
    JobField("errors", kind=Kind.ENTRIES, heavy=True, stored="errors", faces=Face.NONE),
    JobField("cancel_reason", heavy=True, stored="cancel_reason", faces=Face.NONE),
    JobField("verdict_reason", heavy=True, stored="verdict_reason", faces=Face.NONE),
    JobField("superseded_by", kind=Kind.RELATIVE, heavy=True, stored="superseded_by", faces=Face.NONE),
    JobField("submit_key", heavy=True, stored="submit_key", faces=Face.NONE),
    JobField("stalled", kind=Kind.FLAG, timed=True, faces=Face.JSON),
    JobField("shown_status", timed=True, faces=_LIST_DATA),
    JobField(
        "fetched_at", "fetched", Kind.TIME, faces=_LIST_DATA | Face.SHOW | Face.BATCH,
        matches=(("fetched", Match.KNOWN),),
    ),
    JobField("results_folder", heavy=True, stored="results_folder", faces=_LIST_DATA),
    JobField("results_expire_at", "results until", Kind.TIME, faces=_LIST_DATA | Face.BATCH),
    JobField("results", "results", Kind.MAPPING, faces=Face.JSON | Face.SHOW | Face.BATCH),
    JobField("input_tokens", kind=Kind.NUMBER, faces=_LIST_DATA, merge=Merge.NUMBER),
    JobField("output_tokens", kind=Kind.NUMBER, faces=_LIST_DATA, merge=Merge.NUMBER),
    JobField("cached_tokens", kind=Kind.NUMBER, faces=_LIST_DATA, merge=Merge.NUMBER),
    JobField(
        "tokens", "tokens", Kind.NUMBER, faces=_LIST_DATA | Face.SHOW | Face.BATCH, matches=Match.NUMBER
    ),
    JobField(
        "cost", "cost", Kind.MONEY, faces=_BATCH_ONLY, matches=Match.MONEY,
        order=SortOrder("cost", "cost_key"), column=Column("COST", 9, right=True, dropped=8, default=False),
    ),
    JobField("cost_is_upper_bound", kind=Kind.FLAG, faces=Face.DATA),
    JobField("queued", kind=Kind.FLAG, attribute="queued_here", faces=Face.JSON, matches=Match.QUEUED),
    JobField("family", "family", faces=_LIST_DATA | Face.SHOW, matches=Match.TEXT),
    JobField(
        "estimated_tokens", "estimated tokens", Kind.NUMBER, heavy=True, stored="estimated_tokens",
        faces=_LIST_DATA | Face.SHOW | Face.BATCH,
    ),
    JobField(
        "attention", "attention", Kind.LIST, heavy=True, faces=_LIST_DATA | Face.SHOW,
        matches=Match.ATTENTION,
    ),
    JobField("profile", "profile", faces=_LIST_DATA | Face.SHOW | Face.BATCH, matches=Match.EQUAL),
    JobField("candidates", "may be", Kind.LIST, heavy=True, faces=Face.JSON | Face.SHOW | Face.BATCH),
    JobField("function", "function", faces=_LIST_DATA | Face.SHOW | Face.SCRIPT, matches=Match.TEXT),
    JobField("parts", "parts", Kind.MAPPING, heavy=True, faces=Face.JSON | Face.SHOW | Face.SCRIPT),
    JobField("fetched_on", heavy=True, stored="fetched_on", faces=_LIST_DATA),
    JobField("host", "host", heavy=True, faces=_LIST_DATA),
    JobField("percent", kind=Kind.NUMBER, faces=_LIST_DATA, merge=Merge.NUMBER, matches=Match.NUMBER),
    JobField("fetch_error", "not fetched", faces=_LIST_DATA | Face.SHOW | Face.BATCH),
)  # fmt: skip
"""Every field, in the order of ``list --csv``, which scripts count by: a new one comes last.

Faces that have another order name what comes first; the rest follows in the order of this table.
"""


def in_order(fields: Iterable[JobField], first: Sequence[str]) -> tuple[JobField, ...]:
    """Return fields with those named ``first`` at the beginning, in that order; the rest stays as it is."""
    places = {name: place for place, name in enumerate(first)}
    return tuple(sorted(fields, key=lambda field: places.get(field.name, len(places))))


def fields_of(face: Face, first: Sequence[str] = ()) -> tuple[JobField, ...]:
    """Return the fields that a face shows, those named ``first`` at the beginning."""
    return in_order((field for field in JOB_FIELDS if field.faces & face), first)


_FIRST_COLUMNS = ("name", "account", "model", "status", "progress", "total", "failed", "created_at", "left")
COLUMNS = {
    field.name: field.column for field in in_order(JOB_FIELDS, _FIRST_COLUMNS) if field.column is not None
}
"""The columns of the dashboard's table by field, in the order they are drawn."""
COLUMN_SETTINGS = tuple(dict.fromkeys(column.setting or name for name, column in COLUMNS.items()))
"""What ``[ui] columns`` can name."""
