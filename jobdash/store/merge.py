"""What a provider's answer changes in a job that is already known: pure, so that every rule has its tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from jobdash.domain.fields import JOB_FIELDS, Merge
from jobdash.domain.remote_job import RemoteError, RemoteJob
from jobdash.domain.status import TERMINAL, Status
from jobdash.domain.time import MINUTE
from jobdash.store.sanitize import as_json, stored, stored_error, stored_json, stored_number, stored_words

_RULES: dict[Merge, Callable[[Any], Any]] = {
    Merge.NUMBER: stored_number,
    Merge.TEXT: stored,
    Merge.MAPPING: stored_json,
    Merge.WORDS: stored_words,
}
_PLAIN, _JSON = (
    [
        (field.stored or field.name, field.source, _RULES[field.merge])
        for field in JOB_FIELDS
        if field.merge in of
    ]
    for of in ({Merge.NUMBER, Merge.TEXT}, {Merge.MAPPING, Merge.WORDS})
)
KNOWN_COLUMNS = (
    *(column for column, *_ in (*_PLAIN, *_JSON)), "raw_status", "error", "errors",
    "id", "remote_id", "account", "name", "submit_key", "remote_status", "cancel_requested_at",
    "cancel_doubt", "seen_at", "not_found_at", "gone_at", "removed_at", "profile",
)  # fmt: skip
"""The columns that `merge` reads."""

MOST_ERRORS = 1000
"""Errors kept of one job; a file of 50,000 bad lines has 50,000 alike."""
_CLOCKS_APART_MS = 10 * MINUTE
"""A server's clock may be wrong by so much."""


TOKEN_COLUMNS = frozenset({"input_tokens", "output_tokens", "cached_tokens"})
"""The columns that a cost is computed from, with the model."""

_plain_values = attrgetter(*(attribute for _, attribute, _ in _PLAIN))
_json_values = attrgetter(*(attribute for _, attribute, _ in _JSON))
_NOTHING: dict[str, Any] = {}
FILES_DELETED = "{}"
"""In ``files``: all of them were deleted, as earlier versions wrote it. Now each that was deleted is null."""


def is_older(created_at: int | None, submitted_at: int | None) -> bool:
    """Whether a batch was created clearly before a submit (milliseconds UTC); False where not known."""
    return (
        created_at is not None and submitted_at is not None and created_at < submitted_at - _CLOCKS_APART_MS
    )


@dataclass(frozen=True, slots=True)
class SnapshotSource:
    """The account whose request was answered, and when the request was sent."""

    account: str
    asked_at: int
    """When the request was sent, milliseconds UTC: its answer is no newer than that."""
    configured: Collection[str] | None = None
    """The accounts there are now; None when that is not known."""


UNSEEN_BY_KEY = 0
"""As ``not_found_at`` of a job whose account has another key since it was seen: a 404 says nothing then."""


def changed_columns(observed: RemoteJob, known: dict[str, Any] = _NOTHING) -> dict[str, Any]:
    """Return the columns of an answer that differ from ``known``, as they are kept.

    None and empty values are left out, except for an empty ``raw_status``. Values that are equal before they
    are made storable are skipped: most of the thousands of answers of a sync change nothing.
    """
    columns: dict[str, Any] = {"remote_status": str(observed.status)}
    if observed.raw_status != known.get("raw_status"):
        columns["raw_status"] = stored(observed.raw_status)
    for (column, _, rule), value in zip(_PLAIN, _plain_values(observed), strict=True):
        if value is not None and value != "" and value != known.get(column):
            columns[column] = rule(value)
    for (column, _, rule), value in zip(_JSON, _json_values(observed), strict=True):
        if value and as_json(value) != known.get(column):
            columns[column] = rule(value)
    if observed.errors:
        columns["errors"] = stored_errors(observed.errors, known.get("errors"))
        columns["error"] = stored_error(observed.errors[0].message)
    changed = {
        column: value for column, value in columns.items() if value is not None and value != known.get(column)
    }
    if observed.profile is not None and (observed.profile or None) != known.get("profile"):
        changed["profile"] = observed.profile or None
    renamed = "model" in changed and known.get("input_tokens") is not None
    if renamed or not TOKEN_COLUMNS.isdisjoint(changed):
        changed["cost_stale"] = 1
    return changed


def stored_errors(errors: Sequence[RemoteError], known: str | None = None) -> str | None:
    """Return errors as JSON; None when there are none.

    The groups of failed requests that the JSON kept so far has (``known``) stay after them.
    """
    if not errors:
        return None
    return as_json([*error_entries(errors), *_groups_of(known)])


def error_entries(errors: Sequence[RemoteError]) -> list[dict[str, Any]]:
    """Return errors as they are kept."""
    return [
        {
            "message": stored(error.message),
            "code": None if error.code is None else stored(error.code),
            "line": error.line,
            "param": None if error.param is None else stored(error.param),
        }
        for error in errors[:MOST_ERRORS]
    ]


def _groups_of(known: str | None) -> list[dict[str, Any]]:
    if known is None or '"count":' not in known:
        return []
    try:
        entries = json.loads(known)
    except (ValueError, RecursionError):  # written by another program
        return []
    return [entry for entry in entries if isinstance(entry, dict) and "count" in entry]


def kept_files(known: str | None, observed: Mapping[str, str]) -> dict[str, str | None]:
    """Return what a provider keeps of a job, by role: an answer's files over ``known``, the JSON kept so far.

    None is what was deleted, and stays so: providers still name the files of a batch that are deleted.
    """
    if known == FILES_DELETED:
        return {}
    before = _read(known)
    return {**before, **observed, **{role: None for role, file_id in before.items() if file_id is None}}


def merge(known: dict[str, Any], observed: RemoteJob, source: SnapshotSource) -> dict[str, Any] | None:
    """Return the columns of a known job that an answer changes, ``seen_at`` apart.

    None when the answer must be ignored: a newer one is there, or it would take a job back from a terminal
    status, which no provider does and an old page of a list seems to do. (A submit that failed here has no
    status of a provider yet: if its batch is found after all, it runs.)
    """
    if known["seen_at"] is not None and source.asked_at < known["seen_at"]:
        return None
    ended = known["remote_id"] is not None and known["remote_status"] in TERMINAL
    if ended and observed.status not in TERMINAL:
        return None
    changes = changed_columns(observed, known)
    if "files" in changes and _has_deleted(known["files"]):
        files = kept_files(known["files"], json.loads(changes["files"]))
        if not files or as_json(files) == known["files"]:
            del changes["files"]
        else:
            changes["files"] = as_json(files)
    if known["remote_id"] is None:
        changes["remote_id"] = observed.remote_id
    # The name of a job that was submitted here was chosen here; metadata may hold but a part of it.
    if observed.name and observed.name != known["name"] and known["submit_key"] is None:
        changes["name"] = stored(observed.name)
    if _adopts(known, source):
        changes["account"] = source.account
    if known["cancel_doubt"] and (observed.status in TERMINAL or observed.status is Status.CANCELLING):
        changes["cancel_doubt"] = 0
    changes |= {column: None for column in ("not_found_at", "gone_at") if known[column] is not None}
    return changes


def _has_deleted(files: str | None) -> bool:
    return files is not None and (files == FILES_DELETED or ":null" in files)


def _read(files: str | None) -> dict[str, str | None]:
    try:
        found = json.loads(files) if files else {}
    except (ValueError, RecursionError):  # written by another program
        return {}
    return found if isinstance(found, dict) else {}


def _adopts(known: dict[str, Any], source: SnapshotSource) -> bool:
    """Whether the job's account is not configured any more, or no longer sees it."""
    if known["account"] == source.account or source.configured is None:
        return False
    return known["account"] not in source.configured or known["not_found_at"] is not None
