"""Ids: the one place where they are made."""

from __future__ import annotations

import os

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base32, in lower case: no ``i``, ``l``, ``o``, ``u``, so nothing is misread or misspelt."""
LENGTH = 8
_BITS = 5
_BYTES = LENGTH * _BITS // 8


def public_id() -> str:
    """Return a new public id: 8 random characters of `ALPHABET`."""
    # Not `secrets`: importing it takes 4 ms of a script's start, and it asks the system just so.
    number = int.from_bytes(os.urandom(_BYTES), "big")
    return "".join(ALPHABET[number >> shift & 31] for shift in range(0, LENGTH * _BITS, _BITS))
