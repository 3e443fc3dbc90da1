"""The statements of the writer about accounts: their health, and which process polls them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import String, and_, bindparam, case, cast, func, null, or_, select, update
from sqlalchemy.sql.expression import ClauseElement

from jobdash.store.schema.base import insert_into, table, words
from jobdash.store.schema.tables import AccountRecord

_accounts = table(AccountRecord)
_these = _accounts.c.name.in_(words())
# While an account is claimed: it was made due since (F5, an action).
_requested = or_(
    _accounts.c.next_poll_at == 0,
    and_(_accounts.c.claimed_until.is_not(None), _accounts.c.next_poll_at != _accounts.c.claimed_until),
)
_free = or_(
    _accounts.c.claimed_until.is_(None),
    _accounts.c.claimed_until <= bindparam("now"),
    _accounts.c.claimed_until > bindparam("ahead"),
)
_failed = cast(bindparam("error"), String).is_not(None)
_claim: dict[str, Any] = {"next_poll_at": bindparam("until"), "claimed_until": bindparam("until")}

ACCOUNT_STATEMENTS: dict[str, ClauseElement] = {
    "add_account": insert_into(_accounts, ["name", "provider"]).on_conflict_do_nothing(),
    "due_accounts": select(_accounts.c.name).where(
        _these,
        or_(_accounts.c.next_poll_at <= bindparam("now"), _accounts.c.next_poll_at > bindparam("ahead")),
    ),
    "busy_accounts": select(_accounts.c.name).where(_these, ~_free),
    "claim_accounts": update(_accounts)
    .where(_these)
    .values(
        **_claim,
        fingerprint=func.coalesce(_accounts.c.fingerprint, bindparam("fingerprint")),
        polled_by=bindparam("actor"),
    ),
    "account_keys": select(_accounts.c.name, _accounts.c.fingerprint, _accounts.c.polled_by).where(_these),
    "set_account_key": update(_accounts)
    .where(_accounts.c.name == bindparam("account"))
    .values(fingerprint=bindparam("key"), polled_by=bindparam("actor")),
    "extend_claims": update(_accounts).where(_these, ~_requested).values(**_claim),
    "set_health": update(_accounts)
    .where(
        _these,
        # Never that of another key under the same name.
        or_(
            _accounts.c.fingerprint.is_(None),
            _accounts.c.fingerprint == bindparam("key"),
            _accounts.c.polled_by == bindparam("actor"),
        ),
    )
    .values(
        asked_at=bindparam("asked_at"),
        ok_at=func.coalesce(bindparam("succeeded_at"), _accounts.c.ok_at),
        next_poll_at=case(
            (
                and_(bindparam("claimed"), _requested),
                case(
                    (_accounts.c.next_poll_at < bindparam("next_poll_at"), _accounts.c.next_poll_at),
                    else_=bindparam("next_poll_at"),
                ),
            ),
            else_=bindparam("next_poll_at"),
        ),
        claimed_until=null(),
        error=bindparam("error"),
        error_kind=bindparam("error_kind"),
        retry_after_until=bindparam("retry_after_until"),
        discovered=func.coalesce(bindparam("discovered"), _accounts.c.discovered),
        first_sync_done=func.coalesce(bindparam("first_sync_done"), _accounts.c.first_sync_done),
        failing_since=case(
            (_failed, func.coalesce(_accounts.c.failing_since, bindparam("asked_at"))), else_=null()
        ),
        reviewed_error=case((_failed, _accounts.c.reviewed_error), else_=null()),
    ),
    "set_account_reviewed": update(_accounts)
    .where(_accounts.c.name == bindparam("account"))
    .values(reviewed_error=bindparam("error")),
    "poll_now": update(_accounts).where(_these).values(next_poll_at=0),
    "poll_all_now": update(_accounts).values(next_poll_at=0),
    "poll_soon": update(_accounts)
    .where(_accounts.c.name == bindparam("account"), _accounts.c.next_poll_at > bindparam("now"))
    .values(next_poll_at=bindparam("now")),
}
