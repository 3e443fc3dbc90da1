"""The functions and triggers of a store in PostgreSQL: they do what those of `generate.triggers` do.

A revision is the id of the transaction that wrote it, as a counter would let one open transaction stop all
others. ``pulse`` counts what changes, committed or not, after its transaction has an id: a reader that looks
at it need not look at the rows.
"""

from __future__ import annotations

from sqlalchemy import Table

from jobdash.store.sort_orders import Listed

FUNCTIONS = (
    """CREATE FUNCTION now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
$$""",
    """CREATE FUNCTION json_extract(given text, path text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT given::json #>> string_to_array(substr(path, 3), '.')
$$""",
    """CREATE FUNCTION json_each(given text) RETURNS TABLE (key text, value text) LANGUAGE sql IMMUTABLE AS $$
  SELECT entry.key, entry.value FROM json_each_text(
    CASE WHEN json_typeof(given::json) = 'object' THEN given::json ELSE '{}' END) AS entry
  UNION ALL
  SELECT (entry.place - 1)::text, entry.value FROM json_array_elements_text(
    CASE WHEN json_typeof(given::json) = 'array' THEN given::json ELSE '[]' END)
    WITH ORDINALITY AS entry (value, place)
$$""",
    "CREATE SEQUENCE pulse",
)
"""What statements call that SQLite has by itself, and the number of changes."""
PULSING = ("account", "intent", "event", "review")
"""The tables whose changes are followed, besides those of jobs."""

_TALLY_UP = (
    "INSERT INTO tally (account, tab, n) VALUES (new.account, new.tab, 1)"
    " ON CONFLICT (account, tab) DO UPDATE SET n = tally.n + 1;"
)
_TALLY_DOWN = "UPDATE tally SET n = n - 1 WHERE account = old.account AND tab = old.tab;"
_FAMILY = "SELECT min(id) FROM job WHERE family_id = {row}.family_id AND listed"
_ROOT = "coalesce(new.parent_id, (SELECT id FROM job WHERE public_id = new.family))"


def postgres_triggers(job: Table, tally_columns: str, loud: list[str], seen: list[str]) -> list[str]:
    """Return the triggers of a store, in the order of their making.

    ``loud`` are the columns whose change is a new revision, ``seen`` those of them that are shown.
    """
    return [*_revision(loud, seen), *_pulses(), *_tally(tally_columns), *_family()]


def _function(name: str, body: str) -> str:
    # The schema's name stays with it, so that any program that opens the store leaves it right.
    return (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$\n"
        f"BEGIN\n{body}\nEND\n$$"
    )


def _trigger(name: str, when: str, condition: str = "", *, function: str = "") -> str:
    only = f"\nWHEN ({condition})" if condition else ""
    return f"CREATE TRIGGER {name} {when} FOR EACH ROW{only} EXECUTE FUNCTION {function or name}()"


def _differs(columns: list[str]) -> str:
    old, new = (", ".join(f"{row}.{column}" for column in columns) for row in ("old", "new"))
    return f"({old}) IS DISTINCT FROM ({new})"


def _revision(loud: list[str], seen: list[str]) -> list[str]:
    body = (
        "  new.revision := pg_current_xact_id()::text::bigint;\n  PERFORM nextval('pulse');\n"
        f"  IF TG_OP = 'UPDATE' AND {_differs(seen)} THEN\n    new.updated_at := now_ms();\n  END IF;\n"
        "  RETURN new;"
    )
    # No condition may name a column of the other row: of an insert there is none.
    return [
        _function("job_revised", body),
        _trigger("job_inserted", "BEFORE INSERT ON job", function="job_revised"),
        _trigger("job_changed", "BEFORE UPDATE ON job", _differs(loud), function="job_revised"),
    ]


def _pulses() -> list[str]:
    body = "  PERFORM nextval('pulse');\n  RETURN NULL;"
    return [
        _function("changed", body),
        *(
            _trigger(f"{table}_changed", f"AFTER INSERT OR UPDATE OR DELETE ON {table}", function="changed")
            for table in PULSING
        ),
    ]


def _tally(columns: str) -> list[str]:
    next_head = _FAMILY.format(row="old")
    deleted = (
        f"  PERFORM nextval('pulse');\n  {_TALLY_DOWN}\n"
        f"  IF old.listed = {Listed.FOLDED} THEN\n    UPDATE meta SET folded = folded - 1;\n"
        f"  ELSIF old.listed = {Listed.HEAD} THEN\n"
        f"    UPDATE job SET folded = 0 WHERE id = ({next_head} = {Listed.FOLDED});\n  END IF;\n"
        "  RETURN NULL;"
    )
    return [
        _function("job_counted", f"  {_TALLY_UP}\n  RETURN NULL;"),
        _trigger("job_counted", "AFTER INSERT ON job"),
        _function("job_moved", f"  {_TALLY_DOWN}\n  {_TALLY_UP}\n  RETURN NULL;"),
        _trigger("job_moved", f"AFTER UPDATE OF {columns} ON job", _differs(["account", "tab"])),
        _function("job_deleted", deleted),
        _trigger("job_deleted", "AFTER DELETE ON job"),
    ]


def _family() -> list[str]:
    head, folded, removed = Listed.HEAD, Listed.FOLDED, Listed.REMOVED
    family = _FAMILY.format(row="new")
    joined = (
        f"  UPDATE job SET family_id = id WHERE id = {_ROOT} AND family_id IS NULL;\n"
        f"  UPDATE job SET family_id = (SELECT family_id FROM job WHERE id = {_ROOT}) WHERE id = new.id;\n"
        "  UPDATE job SET folded = 1 WHERE id = new.id AND id > (SELECT min(id) FROM job AS head"
        f" WHERE head.family_id = job.family_id AND head.listed = {head});\n"
        "  RETURN NULL;"
    )
    left = f"  UPDATE job SET folded = 0 WHERE id = ({family} = {folded});\n  RETURN NULL;"
    returned = (
        f"  UPDATE job SET folded = 1 WHERE family_id = new.family_id AND listed = {head}"
        f" AND id > ({family} <> {removed});\n"
        f"  UPDATE job SET folded = 0 WHERE folded <> 0 AND id = ({family} <> {removed});\n"
        "  RETURN NULL;"
    )
    counted = (
        f"  UPDATE meta SET folded = folded + (new.listed = {folded})::int - (old.listed = {folded})::int;\n"
        "  RETURN NULL;"
    )
    kept = "new.family_id IS NOT NULL"
    return [
        _function("job_joined", joined),
        _trigger(
            "job_joined", "AFTER INSERT ON job", "new.parent_id IS NOT NULL OR new.family <> new.public_id"
        ),
        _function("job_left", left),
        _trigger(
            "job_left",
            "AFTER UPDATE OF removed_at ON job",
            f"old.listed = {head} AND new.listed = {removed} AND {kept}",
        ),
        _function("job_returned", returned),
        _trigger(
            "job_returned",
            "AFTER UPDATE OF removed_at ON job",
            f"old.listed = {removed} AND new.listed <> {removed} AND {kept}",
        ),
        _function("job_folded", counted),
        _trigger(
            "job_folded",
            "AFTER UPDATE OF folded, removed_at ON job",
            f"(old.listed = {folded}) <> (new.listed = {folded})",
        ),
    ]
