"""Claims: sentences of a chapter that the chapter itself checks.

A claim prints a verdict that is the same on every machine and, on a line of its own,
the number that was measured. The notebook check compares the verdict and passes over
the number (tests/nbval_sanitize.cfg), so a cell marked for checking prints claims and
nothing else that varies.
"""

from __future__ import annotations

import math
import operator
import sys

COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class ClaimFailed(AssertionError):
    """A measured value did not keep a claim of the text."""


def claim(
    text: str,
    value: float,
    op: str,
    bound: float,
    *,
    tol: float | None = None,
    unit: str = "",
    note: str = "",
) -> None:
    """Print that a claim holds, with the measured value, or raise ClaimFailed.

    `op` is "<", "<=", ">", ">=", or "~" for |value - bound| <= tol. `text` must not
    contain the measured value. `unit` and `note` follow the numbers. A value of NaN
    keeps no claim. A claim that could not be checked at all raises ValueError.

    >>> claim("PCA with 200 components beats the mean image", 0.003, "<", 0.0614)
    ✓ PCA with 200 components beats the mean image
      measured 0.003 < 0.0614
    >>> claim("the PSNR is as recorded", 25.22, "~", 25.2, tol=0.1, unit="dB")
    ✓ the PSNR is as recorded
      measured 25.22 ~ 25.2 dB (within 0.1 dB)
    """
    if not text.strip() or "\n" in text:
        raise ValueError(f"a claim is one line of text, got {text!r}")
    if op not in COMPARE and op != "~":
        raise ValueError(f"op must be one of < <= > >= ~, got {op!r}")
    if (op == "~") != (tol is not None):
        raise ValueError(f'tol goes with op "~" and only with it, got {op!r}, {tol=}')
    if tol is not None and not 0 <= tol < math.inf:
        raise ValueError(f"tol must be a finite number from 0 up, got {tol}")
    value, bound = _number(value), _number(bound)
    if not math.isfinite(bound):
        raise ValueError(f"bound must be a finite number, got {bound}")

    near = tol if tol is not None else 0.0
    holds = abs(value - bound) <= near if op == "~" else COMPARE[op](value, bound)
    measured = "  ".join(filter(None, [_comparison(value, op, bound, tol, unit), note]))
    if not holds:
        exact = f"{value!r} {op} {bound!r}" + (
            f" within {tol!r}" if tol is not None else ""
        )
        raise ClaimFailed(f"{text}\n  measured {measured}\n  exactly {exact}")
    print(f"{_tick()} {text}\n  measured {measured}")


def _number(value: float) -> float | int:
    """Return the plain number in a Python, NumPy or torch scalar."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(
            f"a claim compares numbers, got {value!r} ({type(value).__name__})"
        )
    return value


def _comparison(
    value: float, op: str, bound: float, tol: float | None, unit: str
) -> str:
    """Write both sides with as many digits as it takes to tell them apart."""
    unit = f" {unit}" if unit else ""
    for digits in range(4, 18):
        left, right = _format(value, digits), _format(bound, digits)
        if left != right or value == bound:
            break
    within = "" if tol is None else f" (within {_format(tol, 4)}{unit})"
    return f"{left} {op} {right}{unit}{within}"


def _format(value: float, digits: int) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if 10_000 <= abs(value) < 1e15:
        return f"{value:,.{max(0, digits - len(str(int(abs(value)))))}f}"
    return f"{value:.{digits}g}"


def _tick() -> str:
    """Return the tick, or "ok" where the console cannot show it (Windows, cp1252)."""
    try:
        "✓".encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return "ok"
    return "✓"
