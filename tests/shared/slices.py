"""A slice of a matrix for each run; the rest of it is for ``-m slow``, or for ``-m marathon``."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def rest_slow(values: Iterable[Any], fast: Collection[Any], *, several: bool = False) -> list[Any]:
    """Return the values of a parameter; those that are not ``fast`` are slow tests.

    ``several``: each is a tuple of the values of several parameters.
    """
    every = list(values)
    assert all(one in every for one in fast), "a slice has nothing of its own"
    return [
        value if value in fast else pytest.param(*(value if several else (value,)), marks=pytest.mark.slow)
        for value in every
    ]


def rest_marathon(values: Iterable[Any], slow: Collection[Any]) -> list[Any]:
    """Return the values of a parameter of a slow test; those that are not ``slow`` are for the marathon."""
    every = list(values)
    assert set(slow) <= set(every), "a slice has nothing of its own"
    return [value if value in slow else pytest.param(value, marks=pytest.mark.marathon) for value in every]


def turns(number: int, slow: int = 2) -> list[Any]:
    """Number how often the same is done: the first times are slow tests, the others are of the marathon."""
    return rest_marathon(range(number), range(slow))
