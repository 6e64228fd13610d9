"""How a number is written in a sentence, a table or a label: the same in both languages and in every output.

Three kinds of numbers need three spellings. A *ratio* is read against 1, so a small one is a fraction with a
whole denominator; a *share* is a part of a whole, so it is per cent; anything else is a plain *number* with
three digits. What is missing or not finite is `MISSING` everywhere.
"""

from __future__ import annotations

import math
from typing import TypeGuard

__all__ = ["MISSING", "number", "ratio", "share"]

MISSING = "-"
"""Stands for None, NaN and infinities: plain ASCII, one cell wide, no language."""

_PLAIN_LIMIT = 9999.5  # above it, after rounding, five digits: an exponent is easier to compare


def ratio(x: float | None) -> str:
    """Write a ratio so that its distance from 1 is seen at once.

    From 0.1 to 10 two decimals; above, whole numbers; below 0.1 one over a whole number. Beyond 10,000 on
    either side one digit and a power of ten, because there the order of magnitude is all that is meant.

    Args:
        x: the ratio, meant to be positive; None where it is missing.

    Returns:
        Text without spaces.

    Example:
        >>> [ratio(x) for x in (1.0598, 0.32, 0.0062, 2.6e-12, 32.4, 0.0, None)]
        ['1.06', '0.32', '1/161', '1/4e11', '32', '0', '-']
    """
    if not _is_finite(x):
        return MISSING
    if x < 0:
        return f"-{ratio(-x)}"
    if x == 0:
        return "0"
    if x >= 0.1:
        return _above_a_tenth(x)
    return f"1/{_above_a_tenth(1 / x)}" if math.isfinite(1 / x) else "0"


def share(x: float | None) -> str:
    """Write a part of a whole in per cent.

    One decimal from 1 %, two from 0.01 %, and below that one significant digit, so that a vanishing share
    keeps its order of magnitude instead of becoming 0.0 %. Only an exact zero is "0 %".

    Args:
        x: the share, 0 to 1; None where it is missing.

    Returns:
        Text with a space before the per cent sign.

    Example:
        >>> [share(x) for x in (0.99987, 0.0296, 0.0042, 2.9e-5, 2e-9, 0.0)]
        ['100.0 %', '3.0 %', '0.42 %', '0.003 %', '2e-7 %', '0 %']
    """
    if not _is_finite(x):
        return MISSING
    percent = 100 * x
    if percent == 0 or not math.isfinite(percent):
        return "0 %" if percent == 0 else MISSING
    if abs(percent) >= 0.995:
        return f"{percent:.1f} %"
    if abs(percent) >= 0.00995:
        return f"{percent:.2f} %"
    if abs(percent) >= 0.000095:
        return f"{percent:.{1 - _exponent(percent, 1) - 1}f} %"
    return f"{_with_exponent(percent, 1)} %"


def number(x: float | None, digits: int = 3) -> str:
    """Write a plain number with `digits` significant digits; a whole number given as int stays as it is.

    Args:
        x: the number; None where it is missing.
        digits: significant digits, at least 1. Three tell apart what the tables compare.

    Returns:
        Text without spaces, with an exponent below 0.001 and from 10,000 on.

    Example:
        >>> [number(x) for x in (0.01384, 0.043, 7.3749, 2.13e-6, 1234.5, 5, 0.0)]
        ['0.0138', '0.0430', '7.37', '2.13e-6', '1234', '5', '0']
    """
    if not _is_finite(x):
        return MISSING
    if isinstance(x, int):
        return str(x)
    if x == 0:
        return "0"
    exponent = _exponent(x, digits)
    if exponent < -3 or exponent >= max(digits, 4):
        return _with_exponent(x, digits)
    return f"{x:.{max(digits - 1 - exponent, 0)}f}"


def _is_finite(x: float | None) -> TypeGuard[float]:
    return x is not None and math.isfinite(x)


def _above_a_tenth(x: float) -> str:
    if x < 9.995:
        return f"{x:.2f}"
    return f"{x:.0f}" if x < _PLAIN_LIMIT else _with_exponent(x, 1)


def _exponent(x: float, digits: int) -> int:
    """The power of ten of x once it is rounded to `digits` significant digits (9.996 counts as 10)."""
    return int(f"{x:.{digits - 1}e}".split("e")[1])


def _with_exponent(x: float, digits: int) -> str:
    mantissa, exponent = f"{x:.{digits - 1}e}".split("e")
    return f"{mantissa}e{int(exponent)}"
