"""New public ids of jobs."""

from __future__ import annotations

import os

from jobdash.store.dialects.base import Connection, chunks, placeholders

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base32, in lower case: no ``i``, ``l``, ``o``, ``u``, so nothing is misread or misspelt."""
_LENGTH = 8
_BITS = 5


def public_id() -> str:
    """Return 8 random characters."""
    # Not `secrets`: importing it takes 4 ms of a script's start, and it uses the same source.
    number = int.from_bytes(os.urandom(_LENGTH * _BITS // 8), "big")
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(0, _LENGTH * _BITS, _BITS))


def new_public_ids(connection: Connection, count: int = 1) -> list[str]:
    """Return public ids that no job has; among a million, random ids repeat now and then."""
    fresh: set[str] = set()
    while len(fresh) < count:
        more = {public_id() for _ in range(count - len(fresh))}
        for words in chunks(sorted(more)):
            sql = f"SELECT public_id FROM job WHERE public_id IN ({placeholders(words)})"
            more.difference_update(taken for (taken,) in connection.execute(sql, words).fetchall())
        fresh |= more
    return list(fresh)
