"""Amounts in millionths of a dollar, and how they are written; light, since every listing has them."""

from __future__ import annotations

MICROS = 1_000_000
"""Millionths of a dollar in a dollar."""
AT_MOST = "≤"
"""The sign before an amount that is an upper bound."""
_CENT = MICROS // 100
_FINEST = 6
"""Decimal places of the smallest amount."""


def dollars(micros: int) -> str:
    """Return an amount: ``$1,234.50``, ``$0.04``; below a cent with two digits that count: ``$0.0042``."""
    places = min(_FINEST, _FINEST + 2 - len(str(micros))) if 0 < micros < _CENT else 2
    return f"${micros / MICROS:,.{places}f}"


def cost_text(micros: int | None, upper_bound: bool | None, at_most: str = AT_MOST) -> str:
    """Return ``$1.20``, or ``≤ $1.20`` for an upper bound; empty where the cost is not known."""
    if micros is None:
        return ""
    return f"{at_most} {dollars(micros)}" if upper_bound else dollars(micros)
