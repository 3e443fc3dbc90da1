"""``[prices."model"]``: a person's own prices, in dollars per million tokens at the batch service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from jobdash.domain.cost import ListPrice

PRICE_SETTINGS = ("input", "output", "cached")
"""What the table of one model can hold; see `ListPrice`."""
_DEAREST = 1_000_000


def read_prices(
    value: object, read_table: Callable[[str, object, tuple[str, ...]], dict[str, Any]]
) -> dict[str, ListPrice]:
    """Read the tables of all models; ``read_table`` checks the keys of one, given its name.

    Raises ValueError with a sentence that names the table.
    """
    if not isinstance(value, dict):
        raise ValueError('[prices] has to hold tables like [prices."model-name"]')  # noqa: TRY004 - of a file
    found: dict[str, ListPrice] = {}
    for model, entry in value.items():
        table = f'prices."{model}"'
        try:
            found[model] = _read_price(read_table(table, entry, PRICE_SETTINGS))
        except ValueError as error:
            raise ValueError(f"[{table}] {error}") from None
    return found


def _read_price(values: Mapping[str, Any]) -> ListPrice:
    """Read the table of one model; raises ValueError with a sentence for a wrong or missing value."""
    if "input" not in values:
        raise ValueError("input is missing: dollars per million tokens")
    for key, value in values.items():
        number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        if not number or not 0 <= value <= _DEAREST:
            raise ValueError(f"{key} has to be a number of dollars per million tokens, like 0.5")
    return ListPrice(values["input"], values.get("output", 0), values.get("cached"))
