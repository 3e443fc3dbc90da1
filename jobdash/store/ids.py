"""Ids: the one place where they are made."""

from __future__ import annotations

import secrets

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base32, in lower case: no ``i``, ``l``, ``o``, ``u``, so nothing is misread or misspelt."""
LENGTH = 8
_BITS = 5


def public_id() -> str:
    """Return a new public id: 8 random characters of `ALPHABET`."""
    number = secrets.randbits(LENGTH * _BITS)
    return "".join(ALPHABET[number >> shift & 31] for shift in range(0, LENGTH * _BITS, _BITS))
