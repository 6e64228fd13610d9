"""The numbers of a document as text: `normlab.formatting` of a number, of an interval over seeds, or of none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import formatting
from ..result import center

__all__ = ["amount", "count", "interval", "power", "ratio", "rounded", "share", "signal_share"]

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def amount(value: Any, digits: int = 3) -> str:
    """A measured number in `digits` significant digits."""
    return formatting.number(_float(value), digits)


def share(value: Any) -> str:
    """A part of a whole in per cent."""
    return formatting.share(_float(value))


def ratio(value: Any) -> str:
    """A ratio that is read against 1, such as the first layer's gradient over the last one's."""
    return formatting.ratio(_float(value))


def count(value: int) -> str:
    """A whole number with its thousands marked."""
    return f"{value:,}"


def rounded(value: float) -> str:
    """A round number for an axis, as short as it goes: 0.5, 2, 1e-4."""
    text = f"{abs(value):.6g}".replace("e-0", "e-").replace("e+0", "e")
    return f"−{text}" if value < 0 else text


def power(exponent: int) -> str:
    """A power of ten for an axis: 10⁻³."""
    return "1" if exponent == 0 else "10" if exponent == 1 else "10" + str(exponent).translate(_RAISED)


def signal_share(layer: Mapping[str, Any]) -> float | None:
    """The part of a layer's variance that differs between inputs; None where there is no variance or no number."""
    signal, total = center(layer["signal_var"]), center(layer["var"])
    if signal is None or not total:
        return None
    return min(max(signal / total, 0.0), 1.0)


def interval(value: Any) -> tuple[float, float] | None:
    """The lower and upper end of a number measured over several seeds; None with one seed."""
    if not isinstance(value, Mapping) or value.get("low") is None or value.get("high") is None:
        return None
    return float(value["low"]), float(value["high"])


def _float(value: Any) -> float | None:
    middle = center(value)
    return None if middle is None else float(middle)
