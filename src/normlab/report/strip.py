"""Many arms at a glance: a strip of cells per arm, one cell per layer, for the signal and for the gradient."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..language import both
from ..result import center
from .arms import acting, chosen_rows
from .drawing import Drawing, Text, ink_on, ramp
from .numerals import ratio, share, signal_share

__all__ = ["strip"]

_PITCH, _HIGH, _TOP = 24.0, 19.0, 48.0
_LEFTS = (116.0, 478.0)
_ROOM = 260.0
# Both scales are logarithmic and end where nothing is left to tell apart.
_FLOORS = (1e-5, 1e-6)
_MOST = 20  # cells a strip


def strip(document: Mapping[str, Any], lang: str) -> Drawing:
    """Left the signal's share of the variance, right the gradient over the last layer's; dark is lost."""
    arms = acting(document)
    deepest = max(len(arm["layers"]) for arm in arms)
    rows = chosen_rows(range(deepest), _MOST)
    wide = min(_ROOM / len(rows), 44.0)
    drawing = Drawing(824, _TOP + _PITCH * len(arms) + 44, lang)
    heads = (both("signal share of the variance"), both("gradient, over the last layer's"))
    for left, head in zip(_LEFTS, heads, strict=True):
        drawing.text(left, 14, head, size=12, bold=True)
        shown = range(len(rows)) if wide > 16 else (0, len(rows) - 1)
        for k in shown:
            drawing.text(left + (k + 0.5) * wide, 38, str(rows[k] + 1), size=9.5, anchor="middle", quiet=True)
    drawing.text(_LEFTS[0] - 10, 38, both("layer"), size=9.5, anchor="end", quiet=True)
    for k, arm in enumerate(arms):
        y = _TOP + _PITCH * k
        drawing.text(_LEFTS[0] - 10, y + 14, str(arm["label"])[:16], size=12, anchor="end", bold=True)
        layers = [arm["layers"][row] for row in rows if row < len(arm["layers"])]
        last = center(arm["layers"][-1]["grad_norm"])
        signals = [signal_share(layer) for layer in layers]
        gains = [_over(center(layer["grad_norm"]), last) for layer in layers]
        _cells(drawing, signals, _LEFTS[0], y, wide, _FLOORS[0])
        _cells(drawing, gains, _LEFTS[1], y, wide, _FLOORS[1])
        right = len(rows) * wide + 8
        drawing.text(_LEFTS[0] + right, y + 14, share(signals[-1]), size=11)
        drawing.text(_LEFTS[1] + right, y + 14, ratio(gains[0]), size=11)
    foot = _TOP + _PITCH * len(arms) + 14
    _scale(drawing, _LEFTS[0], foot, share(_FLOORS[0]), "100 %", both("last layer's share beside it"))
    _scale(drawing, _LEFTS[1], foot, ratio(_FLOORS[1]), "1", both("layer 1 over the last beside it"))
    return drawing


def _over(value: float | None, last: float | None) -> float | None:
    return None if value is None or not last else value / last


def _cells(drawing: Drawing, values: Sequence[float | None], left: float, y: float, wide: float, floor: float) -> None:
    for k, value in enumerate(values):
        x = left + k * wide
        if value is None:
            drawing.rect(x + 0.5, y + 0.5, wide - 2, _HIGH - 1, stroke="currentColor", stroke_opacity=".4")
            drawing.text(x + wide / 2, y + 13, "–", size=9, anchor="middle")
            continue
        place = 1 - math.log10(min(max(value, floor), 1.0)) / math.log10(floor)
        drawing.rect(x, y, wide - 1, _HIGH, fill=ramp(place))
        if wide > 32:
            drawing.text(x + wide / 2, y + 13, _tiny(value), size=8.5, anchor="middle", fill=ink_on(place))


def _tiny(value: float) -> str:
    """Two digits at most, for the inside of a cell."""
    return f"{value:.2f}" if value >= 0.095 else f"{value:.0e}".replace("e-0", "e-") if value else "0"


def _scale(drawing: Drawing, x: float, y: float, low: str, high: str, words: Text) -> None:
    for step in range(10):
        drawing.rect(x + step * 8, y, 8.2, 8, fill=ramp(step / 9))
    drawing.text(x, y + 20, low, size=9, quiet=True)
    drawing.text(x + 80, y + 20, high, size=9, anchor="end", quiet=True)
    drawing.text(x + 92, y + 8, words, size=9.5, quiet=True)
