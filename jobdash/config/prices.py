"""``[prices."model"]``: a person's own prices, in dollars per million tokens at the batch service."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from jobdash.domain.cost import ListPrice

PRICE_SETTINGS = ("input", "output", "cached")
"""What the table of one model can hold; see `ListPrice`."""
_DEAREST = 1_000_000


def read_price(values: Mapping[str, Any]) -> ListPrice:
    """Read the table of one model; raises ValueError with a sentence for a wrong or missing value."""
    if "input" not in values:
        raise ValueError("input is missing: dollars per million tokens")
    for key, value in values.items():
        number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        if not number or not 0 <= value <= _DEAREST:
            raise ValueError(f"{key} has to be a number of dollars per million tokens, like 0.5")
    return ListPrice(values["input"], values.get("output", 0), values.get("cached"))
