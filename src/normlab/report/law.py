"""The law: for each arm the gradient's gain per layer, predicted beside measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..language import both
from ..result import center
from .arms import acting
from .drawing import GRADIENT, Drawing, Linear
from .numerals import amount, interval, rounded

__all__ = ["has_gains", "law"]

_LEFT, _RIGHT, _WIDTH, _PITCH, _TOP = 128.0, 400.0, 412.0, 38.0, 40.0


def has_gains(document: Mapping[str, Any]) -> bool:
    """Whether any arm has a gain: with one layer there is none."""
    return any(center(arm["gain"]["measured"]) is not None for arm in acting(document))


def law(document: Mapping[str, Any], lang: str) -> Drawing:
    """A row per arm: a dot for the measured gain, a diamond for the predicted one, a line at 1."""
    arms = acting(document)
    gains = [center(arm["gain"][kind]) for arm in arms for kind in ("measured", "predicted")]
    top = max([1.2, *(g for g in gains if g is not None)])
    scale = Linear(0.0, min(top * 1.05, 4.0), _LEFT, _RIGHT)
    bottom = _TOP + _PITCH * len(arms)
    drawing = Drawing(_WIDTH, bottom + 40, lang)
    _legend(drawing)
    for tick in scale.ticks(5):
        drawing.line(scale(tick), _TOP - 6, scale(tick), bottom, faint=True, stroke_opacity=".14")
        drawing.text(scale(tick), bottom + 14, rounded(tick), size=10, anchor="middle", quiet=True)
    drawing.line(scale(1.0), _TOP - 6, scale(1.0), bottom, stroke_dasharray="3 3", stroke_opacity=".7")
    drawing.text(_LEFT, bottom + 32, both("gain per layer; below 1 the gradient shrinks"), size=10, quiet=True)
    for k, arm in enumerate(arms):
        _row(drawing, arm, scale, _TOP + _PITCH * (k + 0.5))
    return drawing


def _legend(drawing: Drawing) -> None:
    drawing.add("circle", cx=_LEFT + 5, cy=14.0, r=5, fill=GRADIENT)
    drawing.text(_LEFT + 16, 18, both("measured"), size=11)
    drawing.path(f"M{_LEFT + 96} 5l9 9l-9 9l-9 -9z", stroke="currentColor", stroke_width="1.5")
    drawing.text(_LEFT + 112, 18, both("predicted"), size=11)


def _row(drawing: Drawing, arm: Mapping[str, Any], scale: Linear, y: float) -> None:
    measured, predicted = arm["gain"]["measured"], center(arm["gain"]["predicted"])
    drawing.line(_LEFT, y, _RIGHT, y, faint=True, stroke_opacity=".14")
    drawing.text(0, y - 2, str(arm["label"])[:18], size=12, bold=True)
    law = both("no prediction") if predicted is None else both("predicted {gain}", gain=amount(predicted))
    drawing.text(0, y + 11, {k: f"{amount(measured)}, {law[k]}" for k in ("en", "ko")}, size=10)
    middle, ends = center(measured), interval(measured)
    if ends:
        drawing.line(scale(ends[0]), y, scale(ends[1]), y, stroke=GRADIENT, stroke_width="2.5")
    if middle is not None:
        drawing.add("circle", cx=scale(middle), cy=y, r=5, fill=GRADIENT)
        if middle > scale.high:
            drawing.text(_RIGHT + 3, y + 4, "▸", size=10)
    if predicted is not None:
        x = scale(predicted)
        drawing.path(f"M{x:.1f} {y - 9:g}l9 9l-9 9l-9 -9z", stroke="currentColor", stroke_width="1.5")
