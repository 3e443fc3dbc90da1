"""The triggers, in pure SQL: they keep revisions, ``updated_at`` and the tally in whatever process writes.

A statement of ours can forget to count; a trigger cannot. None of them uses a function of ours, so that any
program that opens the store leaves it right.
"""

from __future__ import annotations

from sqlalchemy import DDL, MetaData, Table, event

from jobdash.store.schema.tables import NOW_MS

SILENT = frozenset(
    {"id", "public_id", "seen_at", "not_found_at", "updated_at", "revision", "done_before", "unchanged_polls"}
)
"""Columns of a job whose change is no change: nobody reads the row again for them."""
UNSEEN = SILENT | {"fence", "owner", "last_owner", "lease_until", "submit_key", "origin"}
"""Columns a person does not see: their change makes a revision, and leaves ``updated_at`` alone."""

_TALLY_COLUMNS = "account, remote_status, cancel_requested_at, verdict, gone_at, removed_at"
_TALLY_UP = (
    "INSERT INTO tally (account, tab, n) VALUES (new.account, new.tab, 1) "
    "ON CONFLICT (account, tab) DO UPDATE SET n = n + 1;"
)
_TALLY_DOWN = "UPDATE tally SET n = n - 1 WHERE account = old.account AND tab = old.tab;"
_NEXT_REVISION = "UPDATE meta SET revision = revision + 1;"
_THIS_REVISION = "(SELECT revision FROM meta)"


def _written(job: Table, without: frozenset[str]) -> list[str]:
    return [column.name for column in job.columns if column.computed is None and column.name not in without]


def _differs(columns: list[str]) -> str:
    return " OR ".join(f"old.{column} IS NOT new.{column}" for column in columns)


def statements(job: Table) -> list[str]:
    """Return the triggers and the first rows of a store, in the order of their making."""
    loud = _written(job, SILENT)
    seen = _differs(_written(job, UNSEEN))
    inserted = (
        "CREATE TRIGGER job_inserted AFTER INSERT ON job BEGIN\n"
        f"  {_NEXT_REVISION}\n"
        f"  UPDATE job SET revision = {_THIS_REVISION} WHERE id = new.id;\n"
        f"  {_TALLY_UP}\n"
        "END"
    )
    changed = (
        f"CREATE TRIGGER job_changed AFTER UPDATE OF {', '.join(loud)} ON job\n"
        f"WHEN {_differs(loud)} BEGIN\n"
        f"  {_NEXT_REVISION}\n"
        f"  UPDATE job SET revision = {_THIS_REVISION},\n"
        f"    updated_at = CASE WHEN {seen}\n"
        f"      THEN {NOW_MS} ELSE updated_at END\n"
        "  WHERE id = new.id;\n"
        "END"
    )
    moved = (
        f"CREATE TRIGGER job_moved AFTER UPDATE OF {_TALLY_COLUMNS} ON job\n"
        "WHEN old.account IS NOT new.account OR old.tab IS NOT new.tab BEGIN\n"
        f"  {_TALLY_DOWN}\n"
        f"  {_TALLY_UP}\n"
        "END"
    )
    deleted = (
        f"CREATE TRIGGER job_deleted AFTER DELETE ON job BEGIN\n  {_NEXT_REVISION}\n  {_TALLY_DOWN}\nEND"
    )
    return [inserted, changed, moved, deleted, "INSERT INTO meta (id, revision) VALUES (1, 0)"]


def hang_on(metadata: MetaData) -> None:
    """Make ``metadata.create_all`` create the triggers behind the tables."""
    for statement in statements(metadata.tables["job"]):
        made = DDL(statement)  # type: ignore[no-untyped-call]  # SQLAlchemy has no types for it
        event.listen(metadata, "after_create", made)
