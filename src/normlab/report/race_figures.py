"""The other pictures of a race: the grid of learning rates, and the two modes apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..language import both
from ..result import center
from .drawing import GRADIENT, OFFSET, SIGNAL, Drawing, Linear, Text, ink_on, number, ramp
from .numerals import interval, rounded, share
from .race_arms import shortened

__all__ = ["MOST_RATES", "grid_picture", "mode_values", "modes", "modes_picture"]

MOST_RATES = 10  # more are read in the table
_CELL, _HIGH, _NAMES = 74.0, 32.0, 104.0
_ROW, _FROM, _TO = 30.0, 112.0, 416.0

Arm = Mapping[str, Any]


def grid_picture(arms: Sequence[Arm], rates: Sequence[float], lang: str) -> Drawing:
    """A row for each arm, a cell for each learning rate: validation accuracy; framed the one that was taken."""
    drawing = Drawing(_NAMES + _CELL * len(rates) + 2, 40 + _HIGH * len(arms), lang)
    drawing.text(_NAMES, 11, both("learning rate"), quiet=True)
    for c, rate in enumerate(rates):
        drawing.text(_NAMES + _CELL * (c + 0.5), 30, rounded(rate), size=11, anchor="middle", bold=True)
    for r, arm in enumerate(arms):
        y = 36 + _HIGH * r
        drawing.text(0, y + 20, shortened(arm["label"], 15), size=12, bold=True)
        for line in arm["grid"]:
            if line["lr"] in rates:
                _cell(drawing, line, _NAMES + _CELL * rates.index(line["lr"]), y, line["lr"] == arm["lr"])
    return drawing


def _cell(drawing: Drawing, line: Mapping[str, Any], x: float, y: float, taken: bool) -> None:
    value = center(line["validation_accuracy"])
    if value is None:
        drawing.text(x + _CELL / 2, y + 20, "–", anchor="middle")
        return
    ink = ink_on(value)
    drawing.rect(x + 2, y + 2, _CELL - 4, _HIGH - 4, fill=ramp(value))
    lost = int(line["stopped"].get("diverged", 0))
    drawing.text(x + _CELL / 2, y + (14 if lost else 20), share(value), size=11, anchor="middle", bold=taken, fill=ink)
    if lost:
        runs = sum(int(n) for n in line["stopped"].values())
        words = both("{lost} of {runs} diverged", lost=lost, runs=runs)
        drawing.text(x + _CELL / 2, y + 25, words, size=8, anchor="middle", fill=ink)
    if taken:
        drawing.rect(x + 0.5, y + 0.5, _CELL - 1, _HIGH - 1, stroke="currentColor", stroke_width="2")


def modes() -> list[Text]:
    """What the three marks are."""
    return [
        both("training rows, training mode"), both("test rows, evaluation mode"),
        both("test rows, each batch's own statistics"),
    ]  # fmt: skip


def mode_values(arm: Arm) -> list[Any]:
    """The accuracies behind the three marks, in the order of `modes`."""
    last = arm["curve"][-1]["train_accuracy"] if arm["curve"] else None
    return [last, arm["final"]["test_accuracy"], arm["final"]["own_statistics_accuracy"]]


def modes_picture(arms: Sequence[Arm], lang: str) -> Drawing:
    """A row for each arm: accuracy in training and in evaluation, and how the test rows fare without the past."""
    top = 76.0
    drawing = Drawing(432, top + _ROW * len(arms) + 34, lang)
    for k, words in enumerate(modes()):
        _mark(drawing, k, 8, 10 + 17.0 * k)
        drawing.text(22, 14 + 17.0 * k, words, size=11)
    bottom, x = top + _ROW * len(arms), Linear(0, 1, _FROM, _TO)
    for tick in x.ticks(5):
        drawing.line(x(tick), top - 6, x(tick), bottom, faint=True, stroke_opacity=".14")
        drawing.text(x(tick), bottom + 16, f"{100 * tick:.0f} %", anchor="middle", quiet=True)
    for r, arm in enumerate(arms):
        y = top + _ROW * (r + 0.5)
        drawing.text(0, y + 4, shortened(arm["label"], 15), size=12, bold=True)
        drawing.line(_FROM, y, _TO, y, faint=True, stroke_opacity=".14")
        for k, value in enumerate(mode_values(arm)):
            ends, middle = interval(value), center(value)
            if middle is None:
                continue
            level = y + 8.0 * (k - 1)
            if ends is not None:
                drawing.line(x(ends[0]), level, x(ends[1]), level, stroke_opacity=".6")
            _mark(drawing, k, x(middle), level)
    return drawing


def _mark(drawing: Drawing, kind: int, x: float, y: float) -> None:
    if kind == 0:
        drawing.path(f"M{number(x - 5)} {number(y + 4)}h10l-5-9z", fill=OFFSET)
    elif kind == 1:
        drawing.add("circle", cx=x, cy=y, r=4.5, fill=SIGNAL)
    else:
        drawing.rect(x - 4, y - 4, 8, 8, stroke=GRADIENT, stroke_width="2")
