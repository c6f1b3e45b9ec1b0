"""The limits behind every verdict, by name, and how to set them."""

from .limits import Threshold
from .limits_first import FIRST
from .limits_trained import TRAINED

__all__ = ["THRESHOLDS", "Threshold", "looser", "resolve"]

THRESHOLDS = {**FIRST, **TRAINED}


def looser(overrides=None):
    """Return the limits of a second look: hints where there are any.

    What the caller has set stays as it is.
    """
    hints = {k: t.hint for k, t in THRESHOLDS.items() if t.hint is not None}
    return resolve({**hints, **(overrides or {})})


def resolve(overrides=None):
    """Return name -> value, defaults with `overrides` put in; unknown names raise."""
    values = {name: limit.default for name, limit in THRESHOLDS.items()}
    unknown = set(overrides or {}) - set(values)
    if unknown:
        raise ValueError(
            f"unknown thresholds {sorted(unknown)}; doctor.THRESHOLDS lists the names"
        )
    values.update(overrides or {})
    return values
