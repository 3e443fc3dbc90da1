"""Accounts: the claim of a poll, and its result."""

from __future__ import annotations

from collections.abc import Sequence

from jobdash.store.dialects.base import Connection
from jobdash.store.sanitize import stored_error
from jobdash.store.statements import statement
from jobdash.store.unit_of_work import UnitOfWork

_ADD = statement("add_account")
_DUE = statement("due_accounts")
_BUSY = statement("busy_accounts")
_CLAIM = statement("claim_accounts")
_EXTEND = statement("extend_claims")
_SET_HEALTH = statement("set_health")
_POLL_NOW = statement("poll_now")
_POLL_ALL_NOW = statement("poll_all_now")


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
        names, ahead = (account, *duplicates), now + longest_ms
        with self._transaction() as connection:
            _add(connection, names, provider)
            if _DUE.run_among(connection, names, now=now, ahead=ahead).fetchone() is None:
                busy = _BUSY.run_among(connection, names, now=now, ahead=ahead).fetchone()
                if not overdue or busy is not None:
                    return False
            _CLAIM.run_among(connection, names, until=until)
            return True

    def extend_poll(self, account: str, until: int, *, duplicates: Sequence[str] = ()) -> None:
        """Extend the claim of a poll that takes long, unless the account was made due since."""
        with self._transaction() as connection:
            _EXTEND.run_among(connection, (account, *duplicates), until=until)

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
        with self._transaction() as connection:
            _add(connection, names, provider)
            _SET_HEALTH.run_among(
                connection,
                names,
                asked_at=asked_at,
                succeeded_at=asked_at if error is None else None,
                next_poll_at=next_poll_at,
                claimed=claimed,
                error=None if error is None else stored_error(error),
                error_kind=error_kind,
                retry_after_until=retry_after_until,
                discovered=discovered,
                first_sync_done=None if first_sync_done is None else int(first_sync_done),
            )

    def poll_now(self, account: str | None = None) -> None:
        """Make an account (or every one) due."""
        with self._transaction() as connection:
            if account is None:
                _POLL_ALL_NOW.run(connection)
            else:
                _POLL_NOW.run_among(connection, (account,))


def _add(connection: Connection, names: Sequence[str], provider: str) -> None:
    _ADD.run_many(connection, [{"name": name, "provider": provider} for name in names])
