"""The outcomes of items as one statement, for a store on a server: each further one would be a round trip.

It does what `Lease.write_items` does in steps, in the same order, after the row of the job is locked: without
that, a statement that waits for another one works on what it saw before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

KeptItem = tuple[str, str, str | None, str | None, str | None]
"""Key, outcome, detail as JSON, type and text of the error."""

# What stood is looked up for each key: as a join it may read all items of a large job.
WRITE_ITEMS = """
WITH given AS (
  SELECT u.key COLLATE "C" AS key, u.outcome, u.detail, u.error_type, u.error, row_number() OVER () AS n,
    (SELECT item.outcome FROM item WHERE item.job_id = :job AND item.key = u.key COLLATE "C") AS stood
  FROM unnest(CAST(:keys AS text[]), CAST(:outcomes AS text[]), CAST(:details AS text[]),
    CAST(:error_types AS text[]), CAST(:errors AS text[])) AS u (key, outcome, detail, error_type, error)
), change AS (
  SELECT count(*) FILTER (WHERE outcome <> 'error')
    - count(*) FILTER (WHERE stood IN ('ok', 'skipped')) AS good,
    count(*) FILTER (WHERE outcome = 'error') - count(*) FILTER (WHERE stood = 'error') AS bad
  FROM given
), held AS (
  UPDATE job SET lease_until = now_ms() + :lease, succeeded = coalesce(succeeded, 0) + good,
    failed = coalesce(failed, 0) + bad,
    total = CASE WHEN total < coalesce(succeeded, 0) + coalesce(failed, 0) + good + bad
      THEN coalesce(succeeded, 0) + coalesce(failed, 0) + good + bad ELSE total END
  FROM change
  WHERE id = :job AND fence = :fence AND status IN ('in_progress', 'cancelling')
  RETURNING status
), kept AS (
  INSERT INTO item (job_id, seq, key, outcome, attempt, detail, error_type, error, at)
  SELECT :job, CASE WHEN stood IS NULL THEN
      (SELECT coalesce(max(seq), -1) FROM item WHERE item.job_id = :job)
      + count(*) FILTER (WHERE stood IS NULL) OVER (ORDER BY n) ELSE -1 END,
    key, outcome, :attempt, detail, error_type, error, now_ms()
  FROM given, held
  ON CONFLICT (job_id, key) DO UPDATE SET outcome = excluded.outcome, attempt = excluded.attempt,
    detail = excluded.detail, error_type = excluded.error_type, error = excluded.error, at = excluded.at
)
SELECT status FROM held
"""

_HELD = "fence = :fence AND status IN ('in_progress', 'cancelling')"
_PART_HELD = f"""
WITH part_held AS (
  UPDATE part SET lease_until = now_ms() + :lease, lost = 0
  WHERE job_id = :job AND number = :number AND fence = :part_fence AND owner IS NOT NULL
    AND EXISTS (SELECT 1 FROM job WHERE id = :job AND {_HELD})
  RETURNING number
), given AS"""
WRITE_PART_ITEMS = WRITE_ITEMS.replace(_HELD, f"{_HELD} AND EXISTS (SELECT 1 FROM part_held)").replace(
    "\nWITH given AS", _PART_HELD
)
"""The same for items of a part, whose lease it renews, too."""


def item_values(outcomes: Sequence[KeptItem]) -> dict[str, Any]:
    """Return the values of `WRITE_ITEMS` that are the items'; of one key, the last outcome."""
    last = {item[0]: item for item in outcomes}
    keys, words, details, error_types, errors = zip(*last.values(), strict=True) if last else ((),) * 5
    return {
        "keys": list(keys),
        "outcomes": list(words),
        "details": list(details),
        "error_types": list(error_types),
        "errors": list(errors),
    }
