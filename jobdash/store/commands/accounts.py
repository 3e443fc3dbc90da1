"""Accounts: the claim of a poll, and its result."""

from __future__ import annotations

from collections.abc import Sequence

from jobdash.domain.text import clean
from jobdash.errors import KeyDiffers
from jobdash.store.dialects.base import Connection
from jobdash.store.merge import UNSEEN_BY_KEY
from jobdash.store.records import AccountKey, RegisteredKeys
from jobdash.store.sanitize import stored_error
from jobdash.store.statements import Statement
from jobdash.store.unit_of_work import UnitOfWork

_ADD = Statement("add_account")
_DUE = Statement("due_accounts")
_BUSY = Statement("busy_accounts")
_CLAIM = Statement("claim_accounts")
_KEYS = Statement("account_keys")
_SET_KEY = Statement("set_account_key")
_DOUBT_JOBS = Statement("doubt_jobs")
_EXTEND = Statement("extend_claims")
_SET_HEALTH = Statement("set_health")
_POLL_NOW = Statement("poll_now")
_POLL_ALL_NOW = Statement("poll_all_now")


class AccountWrites(UnitOfWork):
    """The key and the poll clock of each account, which all processes share."""

    def register_keys(self, keys: Sequence[AccountKey]) -> RegisteredKeys:
        """Write whose keys the accounts of this process have, before anything is done in their names.

        A key of the same person replaces their earlier one; a 404 for a job that only the earlier one has
        seen says nothing then, as the new one may be another project's. Raises `KeyDiffers` where another
        person's key has the name by now. Begins a transaction only when there is something to write.
        """
        if not _unregistered(self._reading, keys):
            return RegisteredKeys()
        new: list[str] = []
        replaced: list[str] = []
        with self._transaction(durable=True) as connection:
            for key, known in _unregistered(connection, keys):
                if known is not None and known.fingerprint is not None and key.person != known.person:
                    raise _differs(known)
                _add(connection, [key.name], key.provider)
                _SET_KEY.run(connection, account=key.name, key=key.fingerprint, actor=key.person)
                if known is None:
                    new.append(key.name)
                elif known.fingerprint is not None:
                    replaced.append(key.name)
                    _DOUBT_JOBS.run(connection, account=key.name, marker=UNSEEN_BY_KEY)
        return RegisteredKeys(tuple(new), tuple(replaced))

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
        fingerprint: str | None = None,
    ) -> bool:
        """Claim the poll of an account that is due until ``until``; return whether it is ours.

        ``duplicates`` are other names of the same key: the account is due when one of them is, and they are
        claimed together. With ``overdue`` it is claimed before its time as well, unless another process is
        polling it. A time beyond the longest interval was written by a clock that has been set back since:
        it is ignored.

        Raises `KeyDiffers` when the account has another key than that of ``fingerprint`` by now.
        """
        names, ahead = (account, *duplicates), now + longest_ms
        with self._transaction() as connection:
            _add(connection, names, provider)
            self._refuse_other_keys(connection, names, fingerprint)
            if _DUE.run_among(connection, names, now=now, ahead=ahead).fetchone() is None:
                busy = _BUSY.run_among(connection, names, now=now, ahead=ahead).fetchone()
                if not overdue or busy is not None:
                    return False
            _CLAIM.run_among(connection, names, until=until, fingerprint=fingerprint, actor=self._actor.name)
            return True

    def _refuse_other_keys(
        self, connection: Connection, names: Sequence[str], fingerprint: str | None
    ) -> None:
        for known in _known_keys(connection, names).values():
            own = known.person == self._actor.name if fingerprint is None else False
            if known.fingerprint not in {None, fingerprint} and not own:
                raise _differs(known)

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
        fingerprint: str | None = None,
    ) -> None:
        """Write the result of a poll; ``error`` is None for success. Times are milliseconds UTC.

        An account that was ``claimed`` and has been made due since (`poll_now`, or an action) stays due: the
        change may have happened after this poll read its list. Of an account that has another person's key,
        nothing is written.
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
                key=fingerprint,
                actor=self._actor.name,
            )

    def poll_now(self, account: str | None = None) -> None:
        """Make an account (or every one) due."""
        with self._transaction() as connection:
            if account is None:
                _POLL_ALL_NOW.run(connection)
            else:
                _POLL_NOW.run_among(connection, (account,))


def _known_keys(connection: Connection, names: Sequence[str]) -> dict[str, AccountKey]:
    """Return the registered keys of accounts, by name."""
    found = _KEYS.run_among(connection, names)
    return {name: AccountKey(name, "", fingerprint, person or "") for name, fingerprint, person in found}


def _unregistered(
    connection: Connection, keys: Sequence[AccountKey]
) -> list[tuple[AccountKey, AccountKey | None]]:
    """Return the keys that the store does not have as they are, each with what it has instead."""
    known = _known_keys(connection, [key.name for key in keys]) if keys else {}
    found = [(key, known.get(key.name)) for key in keys]
    return [(key, row) for key, row in found if row is None or row.fingerprint != key.fingerprint]


def _differs(known: AccountKey) -> KeyDiffers:
    return KeyDiffers(
        f"{clean(known.name, 40)} is the account of another key now ({clean(known.person, 80)}): start again"
    )


def _add(connection: Connection, names: Sequence[str], provider: str) -> None:
    _ADD.run_many(connection, [{"name": name, "provider": provider} for name in names])
