"""Accounts: the claim of a poll, and its result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, case, func, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from jobdash.store.sanitize import stored_error
from jobdash.store.schema.tables import AccountRecord, table
from jobdash.store.unit_of_work import UnitOfWork

accounts = table(AccountRecord)

_REQUESTED = or_(
    accounts.c.next_poll_at == 0,
    and_(accounts.c.claimed_until.is_not(None), accounts.c.next_poll_at != accounts.c.claimed_until),
)
"""While an account is claimed: it was made due since (F5, an action)."""
_ADD_ACCOUNT = insert(accounts).on_conflict_do_nothing()


class AccountWrites(UnitOfWork):
    """The poll clock of each account, which all processes share."""

    def claim_poll(
        self,
        account: str,
        provider: str,
        now: int,
        until: int,
        longest_ms: int,
        *,
        duplicates: Sequence[str] = (),
        overdue: bool = False,
    ) -> bool:
        """Claim the poll of an account that is due until ``until``; return whether it is ours.

        ``duplicates`` are other names of the same key: the account is due when one of them is, and they are
        claimed together. With ``overdue`` it is claimed before its time as well, unless another process is
        polling it. A time beyond the longest interval was written by a clock that has been set back since:
        it is ignored.
        """
        names = (account, *duplicates)
        free = or_(
            accounts.c.claimed_until.is_(None),
            accounts.c.claimed_until <= now,
            accounts.c.claimed_until > now + longest_ms,
        )
        due = or_(accounts.c.next_poll_at <= now, accounts.c.next_poll_at > now + longest_ms)
        these = accounts.c.name.in_(names)
        claim = update(accounts).where(these).values(next_poll_at=until, claimed_until=until)
        with self._transaction() as connection:
            connection.execute(_ADD_ACCOUNT, [{"name": name, "provider": provider} for name in names])
            if connection.execute(select(accounts.c.name).where(these, due)).first() is None:
                busy = select(accounts.c.name).where(these, ~free)
                if not overdue or connection.execute(busy).first() is not None:
                    return False
            connection.execute(claim)
            return True

    def extend_poll(self, account: str, until: int, *, duplicates: Sequence[str] = ()) -> None:
        """Extend the claim of a poll that takes long, unless the account was made due since."""
        mine = (accounts.c.name.in_((account, *duplicates)), ~_REQUESTED)
        keep = update(accounts).where(*mine).values(next_poll_at=until, claimed_until=until)
        with self._transaction() as connection:
            connection.execute(keep)

    def set_health(
        self,
        account: str,
        provider: str,
        *,
        duplicates: Sequence[str] = (),
        asked_at: int,
        next_poll_at: int,
        error: str | None = None,
        error_kind: str | None = None,
        retry_after_until: int | None = None,
        discovered: int | None = None,
        first_sync_done: bool | None = None,
        claimed: bool = False,
    ) -> None:
        """Write the result of a poll; ``error`` is None for success. Times are milliseconds UTC.

        An account that was ``claimed`` and has been made due since (`poll_now`, or an action) stays due: the
        change may have happened after this poll read its list.
        """
        names = (account, *duplicates)
        earliest = func.min(accounts.c.next_poll_at, next_poll_at)
        columns: dict[str, Any] = {
            "asked_at": asked_at,
            "next_poll_at": case((_REQUESTED, earliest), else_=next_poll_at) if claimed else next_poll_at,
            "claimed_until": None,
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
            connection.execute(_ADD_ACCOUNT, [{"name": name, "provider": provider} for name in names])
            connection.execute(update(accounts).where(accounts.c.name.in_(names)).values(**columns))

    def poll_now(self, account: str | None = None) -> None:
        """Make an account (or every one) due."""
        due = update(accounts).values(next_poll_at=0)
        if account is not None:
            due = due.where(accounts.c.name == account)
        with self._transaction() as connection:
            connection.execute(due)
