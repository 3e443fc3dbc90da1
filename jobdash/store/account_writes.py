"""Accounts: who polls them when, and how it went."""

from __future__ import annotations

from typing import Any

from sqlalchemy import case, or_, update
from sqlalchemy.dialects.sqlite import insert

from jobdash.store.desk import Desk
from jobdash.store.tables import AccountRecord, table
from jobdash.store.texts import stored_error

account_table = table(AccountRecord)
_ASKED_FOR = account_table.c.next_poll_at == 0
_ADD_ACCOUNT = insert(account_table).on_conflict_do_nothing()


class AccountWrites(Desk):
    """The row on which all dashboards agree about an account."""

    def claim_poll(self, account: str, provider: str, now: int, until: int, longest_ms: int) -> bool:
        """Return whether this process polls the account now; if so, nobody else does before ``until``.

        A time beyond the longest interval was written by a clock that has been set back since: it counts
        for nothing.
        """
        due = or_(
            account_table.c.next_poll_at <= now,
            account_table.c.next_poll_at > now + longest_ms,
        )
        claim = update(account_table).where(account_table.c.name == account, due).values(next_poll_at=until)
        with self._transaction() as connection:
            connection.execute(_ADD_ACCOUNT, {"name": account, "provider": provider})
            return connection.execute(claim).rowcount == 1

    def keep_poll(self, account: str, until: int) -> None:
        """Keep a claimed poll that takes its time: nobody else polls before ``until``, unless asked."""
        mine = (account_table.c.name == account, ~_ASKED_FOR)
        keep = update(account_table).where(*mine).values(next_poll_at=until)
        with self._transaction() as connection:
            connection.execute(keep)

    def set_health(
        self,
        account: str,
        provider: str,
        *,
        asked_at: int,
        next_poll_at: int,
        error: str | None = None,
        error_kind: str | None = None,
        retry_after_until: int | None = None,
        discovered: int | None = None,
        first_sync_done: bool | None = None,
        claimed: bool = False,
    ) -> None:
        """Write how a poll went: with ``error`` None it went well. Times are milliseconds UTC.

        An account that was ``claimed`` and has been asked for since (`poll_now`) stays due: what the asker
        wants to see may have happened after this poll read its list.
        """
        columns: dict[str, Any] = {
            "asked_at": asked_at,
            "next_poll_at": case((_ASKED_FOR, 0), else_=next_poll_at) if claimed else next_poll_at,
            "error": None if error is None else stored_error(error),
            "error_kind": error_kind,
            "retry_after_until": retry_after_until,
        }
        if error is None:
            columns["ok_at"] = asked_at
        if discovered is not None:
            columns["discovered"] = discovered
        if first_sync_done is not None:
            columns["first_sync_done"] = int(first_sync_done)
        with self._transaction() as connection:
            connection.execute(_ADD_ACCOUNT, {"name": account, "provider": provider})
            connection.execute(update(account_table).where(account_table.c.name == account).values(**columns))

    def poll_now(self, account: str | None = None) -> None:
        """Make an account (or every one) due, so that whoever claims it next polls it."""
        due = update(account_table).values(next_poll_at=0)
        if account is not None:
            due = due.where(account_table.c.name == account)
        with self._transaction() as connection:
            connection.execute(due)
