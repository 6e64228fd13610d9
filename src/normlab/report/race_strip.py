"""A whole training in one picture: layers by time, the colour is the gradient's size, and under it the signal share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..language import both
from .arms import chosen_rows
from .drawing import Drawing, Text, number, ramp
from .numerals import amount, power, rounded, share
from .race_arms import shortened

__all__ = ["decades", "strip"]

_WIDTH, _LEFT, _RIGHT, _HIGH = 432.0, 30.0, 356.0, 13.0
_MOST_ROWS = 12
_OVER = 0.3  # cells reach a little into the next one, or the ground would show between them
_SHADES = 40  # so many colours can be told apart at most, and cells of one colour are one path
SIGNAL_FLOOR = -5  # a share of 1e-5 is as good as none

Arm = Mapping[str, Any]


def decades(arms: Sequence[Arm]) -> tuple[int, int]:
    """The powers of ten that hold every gradient norm of every arm: one scale for all pictures."""
    logs = [
        math.log10(v) for arm in arms for layers in arm["layers"] for one in layers
        if (v := one["grad_norm"]) is not None and v > 0
    ]  # fmt: skip
    low = math.floor(min(logs)) if logs else -1
    return low, max(math.ceil(max(logs)) if logs else 0, low + 1)


def strip(arm: Arm, scale: tuple[int, int], lang: str, *, columns: int = 0, going: bool = False) -> Drawing:
    """Two pictures of the same layers and steps: gradient norm, on the decades of `scale`, and signal share.

    `columns`: so many points are expected; where there are fewer, their place stays empty. `going`: more will come.
    """
    layers: Sequence[Sequence[Mapping[str, Any]]] = arm["layers"]
    rows = chosen_rows(layers[0], _MOST_ROWS) if layers else []
    high = _HIGH * len(rows)
    drawing = Drawing(_WIDTH, 2 * high + 134, lang)
    drawing.text(0, 13, shortened(arm["label"], 24), size=13, bold=True)
    drawing.text(_WIDTH, 13, both("learning rate {lr}", lr=rounded(arm["lr"])), anchor="end", quiet=True)
    tops = (38.0, high + 82)
    heads = (both("gradient norm of the layer's weights"), both("signal share of what the layer hands on"))
    scales = (scale, (SIGNAL_FLOOR, 0))
    for top, head, name, (low, upper), write in zip(
        tops, heads, ("grad_norm", "signal"), scales, (lambda v: amount(v, 2), share), strict=True
    ):
        drawing.text(_LEFT, top - 6, head, quiet=True)
        _picture(drawing, layers, rows, name, (low, upper), top, write, columns)
        beside = both("now") if going else both("at the end")
        _bar(drawing, top + high + 7, low, upper, beside, percent=name == "signal")
    if len(layers) >= columns:
        _time(drawing, arm["curve"], tops[1] + high)
    return drawing


def _picture(
    drawing: Drawing, layers: Sequence[Sequence[Mapping[str, Any]]], rows: Sequence[int], name: str,
    scale: tuple[int, int], top: float, write: Callable[[Any], str], columns: int,
) -> None:  # fmt: skip
    wide = (_RIGHT - _LEFT) / max(len(layers), columns, 1)
    shades: dict[int | None, list[str]] = {}
    for k, row in enumerate(rows):
        y = top + _HIGH * k
        for t, point in enumerate(layers):
            value = point[row][name] if row < len(point) else None
            cell = f"M{number(_LEFT + wide * t)} {number(y + _HIGH / 2)}h{number(wide + _OVER)}"
            shades.setdefault(_shade(value, *scale), []).append(cell)
        drawing.text(_LEFT - 6, y + 10, str(row + 1), anchor="end", size=9, quiet=True)
        last = layers[-1][row][name] if row < len(layers[-1]) else None
        drawing.text(_RIGHT + 6, y + 10, write(last), size=9.5)
    for shade, cells in shades.items():
        pale = ".12" if shade is None else None
        ink = "currentColor" if shade is None else ramp(shade / _SHADES)
        drawing.path("".join(cells), stroke=ink, stroke_opacity=pale, stroke_width=number(_HIGH - 1))


def _shade(value: float | None, low: int, high: int) -> int | None:
    """Where a value stands between two powers of ten; None where it is no number."""
    if value is None:
        return None
    place = (math.log10(value) - low) / (high - low) if value > 0 else 0.0
    return round(min(max(place, 0.0), 1.0) * _SHADES)


def _bar(drawing: Drawing, y: float, low: int, high: int, beside: Text, *, percent: bool) -> None:
    """The colours with their numbers, and when the values beside the rows hold."""
    left, room = _LEFT + 60, 150.0
    for k in range(_SHADES):
        drawing.rect(left + room * k / _SHADES, y, room / _SHADES + 0.4, 7, fill=ramp(k / (_SHADES - 1)))
    ends: tuple[str, str] = (share(10.0**low), share(10.0**high)) if percent else (power(low), power(high))
    drawing.text(left - 6, y + 7, ends[0], size=9, anchor="end", quiet=True)
    drawing.text(left + room + 6, y + 7, ends[1], size=9, quiet=True)
    drawing.text(_RIGHT + 6, y + 7, beside, size=9, quiet=True)


def _time(drawing: Drawing, curve: Sequence[Mapping[str, Any]], bottom: float) -> None:
    """First and last step, under the last picture."""
    if not curve:
        return
    y = bottom + 30
    drawing.text(_LEFT, y, both("layer, from the input on; step {step}", step=curve[0]["step"]), size=9, quiet=True)
    drawing.text(_RIGHT, y, both("step {step}", step=f"{curve[-1]['step']:,}"), size=9, anchor="end", quiet=True)
