"""One switch for how long the chapters compute: quick or full.

Quick is for a first reading on a laptop; the figures have their shapes, the numbers
are a little worse. Set the environment variable AE_BUDGET to "full" for the numbers
of the text.
"""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")


def budget() -> str:
    """Return "quick" or "full", the value of the environment variable AE_BUDGET.

    Unset or empty means "quick"; anything else raises ValueError.
    """
    value = os.environ.get("AE_BUDGET") or "quick"
    if value not in ("quick", "full"):
        raise ValueError(f'AE_BUDGET must be "quick" or "full", got {value!r}')
    return value


def pick(*, quick: T, full: T) -> T:
    """Return the setting of the current budget.

    >>> pick(quick=3, full=30) in (3, 30)
    True
    """
    return quick if budget() == "quick" else full
