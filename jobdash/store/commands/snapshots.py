"""Apply a provider's answer to a known job, inside an open transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobdash.domain.job import JobRow
from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.status import LATE_CANCEL, TERMINAL
from jobdash.store.commands.intents import IntentWrites
from jobdash.store.dialects.base import Connection
from jobdash.store.merge import KNOWN_COLUMNS, SnapshotSource, merge
from jobdash.store.rows import SET_BACK_MS
from jobdash.store.statements import Statement

_KNOWN_BY_ID = Statement("known_by_id")
_ADOPT_INTENTS = Statement("adopt_intents")


@dataclass(frozen=True, slots=True)
class AppliedSnapshot:
    """The effect of an answer on a job; ``finished`` is the job if its provider has just ended it."""

    believed: bool
    changed: bool
    finished: JobRow | None = None


def known_row(values: Sequence[Any]) -> dict[str, Any]:
    """Return the values of `KNOWN_COLUMNS` by their columns."""
    return dict(zip(KNOWN_COLUMNS, values, strict=True))


class SnapshotWrites(IntentWrites):
    """Writes answers, for syncs and for actions."""

    def _apply(
        self,
        connection: Connection,
        known: dict[str, Any],
        observed: RemoteJob,
        source: SnapshotSource,
        **more: int,
    ) -> AppliedSnapshot:
        """Write what an answer changes; ``more`` is written with it unless the answer is ignored."""
        if self._not_ahead(known["seen_at"]) is None:
            known = known | {"seen_at": None}
        changes = merge(known, observed, source)
        if changes is None:
            return AppliedSnapshot(believed=False, changed=False)
        if changes or more:
            self._set(connection, known["id"], **changes, **more)
        if not changes.keys() - {"profile"}:  # which follows from the settings, and is nothing that happened
            return AppliedSnapshot(believed=True, changed=False)
        if "account" in changes:
            # Intents of the job are closed by the account that polls it from now on.
            _ADOPT_INTENTS.run(connection, job_key=known["id"], adopter=changes["account"])
        ends = changes.get("remote_status") in TERMINAL and known["remote_status"] not in TERMINAL
        if not ends or known["removed_at"] is not None:
            return AppliedSnapshot(believed=True, changed=True)
        row = self._row_now(connection, known["id"])
        detail = LATE_CANCEL if row.lost_race else ""
        self._add_event(connection, self._clock(), "finished", row, str(row.remote_status), detail)
        return AppliedSnapshot(believed=True, changed=True, finished=row)

    def _not_ahead(self, moment: int | None) -> int | None:
        """Return a stored time; None for one in the future, of a clock that has been set back since."""
        return None if moment is None or moment > self._clock() + SET_BACK_MS else moment

    @staticmethod
    def _known(connection: Connection, job_id: int) -> dict[str, Any] | None:
        """Return what a job is known to be, as `merge` reads it; None where there is no such job."""
        values = _KNOWN_BY_ID.run(connection, job_key=job_id).fetchone()
        return None if values is None else known_row(values)

    def _apply_to(self, connection: Connection, job_id: int, observed: RemoteJob, asked_at: int) -> None:
        """Write the answer to a request for one job."""
        known = self._known(connection, job_id)
        assert known is not None
        source = SnapshotSource(known["account"], asked_at)
        self._apply(connection, known, observed, source, seen_at=asked_at)
