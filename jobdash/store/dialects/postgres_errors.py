"""Errors of the driver of PostgreSQL as errors of the store: what is wrong, and a sentence with a way out."""

from __future__ import annotations

import re

import psycopg

from jobdash.domain.text import clean
from jobdash.errors import StoreAway, StoreBusy, StoreError, StoreFull, StoreMissing, StoreReadOnly
from jobdash.store.dialects.base import BUSY_TIMEOUT_MS, OPTION
from jobdash.store.location import PostgresLocation

_BY_STATE: dict[str, type[StoreError]] = {
    "25006": StoreReadOnly,  # a read-only transaction
    "25P03": StoreAway,  # idle in a transaction for too long
    "3D000": StoreMissing,  # no such database
    "3F000": StoreMissing,  # no such schema
    "40001": StoreBusy,  # serialization failure
    "40P01": StoreBusy,  # deadlock
    "42501": StoreReadOnly,  # not allowed
    "42P01": StoreMissing,  # no such table
    "53100": StoreFull,
    "53200": StoreFull,  # out of memory
    "53300": StoreAway,  # too many connections
    "55P03": StoreBusy,  # a lock was not available in time
    "57014": StoreAway,  # a statement took too long
    "58030": StoreFull,  # an I/O error
}
_BY_CLASS = {"08": StoreAway, "57": StoreAway}
_NO_DATABASE = re.compile('database ".*" does not exist')
_REFUSED = frozenset({"28000", "28P01"})
_REFUSING = ("password", "authentication", "pg_hba.conf", "role")
"""Words of a server that refuses a user."""

_INSECURE = ("certificate", "SSL")
"""Words of a library that refuses a server, or a connection without encryption."""
_BROKEN = ("SSL SYSCALL", "unexpected eof", "closed unexpectedly")
"""Words of a library whose encrypted connection broke, as when the server goes down while it is made."""


def store_error(location: PostgresLocation, error: psycopg.Error, named: str = OPTION) -> StoreError:
    """Return an error of the driver as a sentence with the store's address and a way out.

    ``named`` is how the reader of the sentence can name another store.
    """
    state = error.sqlstate or ""
    kind = _BY_STATE.get(state) or _BY_CLASS.get(state[:2])
    if not state and isinstance(error, psycopg.OperationalError):
        # A connection that the server refuses: the driver keeps its words alone.
        text = str(error)
        if _NO_DATABASE.search(text):
            kind = StoreMissing
        elif _is_insecure(error, text):
            return StoreError(_insecure(location, error))
        elif any(word in text for word in _REFUSING):
            return StoreError(_refusal(location, error, named))
    if kind is None and isinstance(error, psycopg.OperationalError) and state not in _REFUSED:
        kind = StoreAway
    kind = kind or StoreError
    return kind(_sentence(location, error, kind, named))


def _is_insecure(error: psycopg.Error, text: str) -> bool:
    """Whether no encrypted connection could be made, however often it is tried: not one that broke."""
    connecting = error.pgconn is not None
    named = any(word in text for word in _INSECURE)
    return connecting and named and not any(word in text for word in _BROKEN)


def missing(location: PostgresLocation) -> str:
    """Return the sentence about a store that is not there."""
    return f"There is no jobdash store at {location}. Make it: jobdash store init '{location}'"


def away(location: PostgresLocation) -> str:
    """Return the sentence about a server that does not answer."""
    return f"The store {location} does not answer."


def _refusal(location: PostgresLocation, error: psycopg.Error, named: str) -> str:
    return (
        f"The server of {location} refuses this user: {clean(str(error).strip(), 300)}. A password belongs"
        f" into PGPASSWORD, ~/.pgpass or a service (PGSERVICE). Or name another store with {named}."
    )


def _insecure(location: PostgresLocation, error: psycopg.Error) -> str:
    reason = clean(str(error).strip(), 300)
    if "certificate" in reason:
        return (
            f"It cannot be checked that the server of {location} is the right one: {reason}. Name the"
            " certificate that signed its own with sslrootcert=FILE in the address, and the host as it is"
            " called there."
        )
    return f"No encrypted connection to the server of {location} can be made: {reason}."


def _sentence(location: PostgresLocation, error: psycopg.Error, kind: type[StoreError], named: str) -> str:
    reason = clean(str(error.diag.message_primary or error).strip(), 300)
    if kind is StoreMissing and (error.sqlstate == "3D000" or _NO_DATABASE.search(reason)):
        return (
            f"The database of {location} does not exist ({reason}). Have it created, as by createdb; then"
            f" make the store: jobdash store init '{location}'"
        )
    if kind is StoreMissing:
        return f"{missing(location)} ({reason})"
    if kind is StoreBusy:
        return (
            f"The store {location} is busy: another program has been writing for {BUSY_TIMEOUT_MS // 1000} s."
        )
    if kind in {StoreFull, StoreReadOnly}:
        return f"The store {location} cannot be written: {reason}."
    if kind is StoreAway:
        return f"{away(location)} ({reason})"
    if error.sqlstate in _REFUSED:
        return _refusal(location, error, named)
    return f"The store {location} cannot be used: {reason}."
