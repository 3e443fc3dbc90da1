"""All reads, as methods that return frozen values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobdash.domain.job import AccountHealth, JobRow
from jobdash.domain.status import QUEUED_HERE, Status
from jobdash.errors import Interrupted
from jobdash.store.files import replaced
from jobdash.store.location import PostgresLocation
from jobdash.store.queries.attention import AttentionReads
from jobdash.store.queries.costs import CostReads
from jobdash.store.queries.events import EventReads
from jobdash.store.queries.items import ItemReads
from jobdash.store.queries.jobs import JobReads
from jobdash.store.queries.pages import PageReads
from jobdash.store.rows import COLUMNS, UNFINISHED_REMOTELY
from jobdash.store.sort_orders import Scope, Sort, SortKey

__all__ = ["Interrupted", "Reader", "Scope", "Sort", "SortKey"]

if TYPE_CHECKING:  # a list of jobs does without
    from jobdash.store.records import ServerFacts


class Reader(PageReads, JobReads, CostReads, ItemReads, EventReads, AttentionReads):
    """One read-only connection to a store, with all queries."""

    def again(self) -> Reader:
        """Open one more connection, for another thread; `StoreError` when the path leads elsewhere by now."""
        made = Reader(self._location, self._given_clock)
        if made.identity != self.identity:
            made.close()
            raise replaced(self._location)
        return made

    def revision(self) -> int:
        """Return the revision of the last change of any job."""
        return int(self._value(f"SELECT {self._connection.dialect.revision}"))

    def schema_version(self) -> str:
        """Return the store's schema version, which changes when a newer jobdash upgrades the open store."""
        return str(self._value("SELECT version_num FROM alembic_version"))

    def changed_since(self, revision: int, limit: int = 1000) -> list[JobRow]:
        """Return jobs changed after a revision, removed ones too, oldest change first."""
        return self._rows(
            f"SELECT {COLUMNS} FROM job WHERE revision > ? ORDER BY revision, id LIMIT ?", (revision, limit)
        )

    def server(self) -> ServerFacts | None:
        """Return what is known of the store's server; None for a file."""
        if not isinstance(self._location, PostgresLocation):
            return None
        from jobdash.store.dialects import postgres, postgres_admin

        assert isinstance(self._connection, postgres.Connection)
        return postgres_admin.server_facts(self._connection)

    def health(self, account: str) -> AccountHealth | None:
        """Return the result of the last poll of one account; None where it never was polled."""
        return next((health for health in self.accounts() if health.name == account), None)

    def accounts(self) -> list[AccountHealth]:
        """Return the results of the last polls, by account name."""
        return [
            AccountHealth(*(*values[:9], bool(values[9]), *values[10:]))
            for values in self._all(
                "SELECT name, provider, asked_at, ok_at, error, error_kind, next_poll_at, retry_after_until,"
                " discovered, first_sync_done, claimed_until, failing_since, reviewed_error, fingerprint,"
                " polled_by FROM account ORDER BY name"
            )
        ]

    def queued_here(self) -> int:
        """Return how many batches wait on this computer to be sent."""
        number = self._value(
            "SELECT count(*) FROM job WHERE queued IS NOT NULL AND raw_status = ? AND remote_id IS NULL"
            " AND status = ? AND removed_at IS NULL",
            (QUEUED_HERE, str(Status.PENDING)),
        )
        return int(number)

    def enqueued_tokens(self, account: str, model: str | None) -> int:
        """Return the estimated tokens of what an account has under way for a model, or waits to be sent."""
        tokens = self._value(
            "SELECT coalesce(sum(estimated_tokens), 0) FROM job INDEXED BY job_unfinished"
            f" WHERE {UNFINISHED_REMOTELY} AND account = ? AND model IS ? AND gone_at IS NULL",
            (account, model),
        )
        return int(tokens)

    def secret(self) -> str:
        """Return the store's secret, which goes into the fingerprint of each key."""
        return str(self._value("SELECT secret FROM meta"))
