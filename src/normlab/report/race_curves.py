"""The curves of a race: accuracy, loss or a ratio of gradients over the steps, a band and a name for every arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..language import both
from ..result import center
from .drawing import Drawing, Linear, Log, Text, number
from .numerals import amount, interval, power, ratio, rounded, share
from .race_arms import DASHES, HUES, shortened

__all__ = ["ACCURACY", "GRADIENT_RATIO", "LOSS", "curves", "spread"]

ACCURACY, LOSS, GRADIENT_RATIO = "test_accuracy", "train_loss", "gradient_ratio"
_WRITE = {ACCURACY: share, LOSS: amount, GRADIENT_RATIO: ratio}
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BASE = 432.0, 268.0, 42.0, 312.0, 34.0, 228.0
_APART = 14.0  # between two names
_WIDE = 20.0  # beyond so many times, the loss has a logarithmic axis

Arm = Mapping[str, Any]


def curves(
    arms: Sequence[Arm], metric: str, title: Text, lang: str, *, chance: float | None = None, last: int | None = None
) -> Drawing:  # fmt: skip
    """One panel: `metric` of every arm, on an axis from 0 to 1 for an accuracy, up to step `last`.

    Across it the accuracy of guessing, `chance`; of a ratio 1, where both are the same.
    """
    drawing = Drawing(_WIDTH, _HEIGHT, lang)
    drawing.text(0, 14, title, size=13, bold=True)
    reached = max((int(point["step"]) for arm in arms for point in arm["curve"]), default=1)
    x, y = Linear(0, last or reached, _LEFT, _RIGHT), _scale(arms, metric)
    _axes(drawing, x, y, metric)
    level = {ACCURACY: chance, GRADIENT_RATIO: 1.0}.get(metric)
    if level is not None:
        drawing.line(_LEFT, y(level), _RIGHT, y(level), stroke_opacity=".5", stroke_dasharray="1 4")
    ends = [_line(drawing, arm, metric, x, y, k) for k, arm in enumerate(arms)]
    _names(drawing, arms, metric, ends, _edge(ends, last))
    return drawing


def _scale(arms: Sequence[Arm], metric: str) -> Linear | Log:
    if metric == ACCURACY:
        return Linear(0, 1, _BASE, _TOP)
    values = [v for arm in arms for point in arm["curve"] if (v := center(point[metric])) is not None]
    if metric == GRADIENT_RATIO:
        return Log([*(values or [1e-3]), 1.0], _BASE, _TOP)
    if values and min(values) > 0 and max(values) > _WIDE * min(values):
        return Log(values, _BASE, _TOP)
    tops = [ends[1] for arm in arms for point in arm["curve"] if (ends := interval(point[metric])) is not None]
    return Linear(0, max([*values, *tops], default=1.0), _BASE, _TOP)


def _axes(drawing: Drawing, x: Linear, y: Linear | Log, metric: str) -> None:
    for tick in y.ticks(4):
        place = y(10.0**tick) if isinstance(y, Log) else y(tick)
        plain = f"{100 * tick:.0f} %" if metric == ACCURACY else rounded(tick)
        words = power(int(tick)) if isinstance(y, Log) else plain
        drawing.line(_LEFT, place, _RIGHT, place, faint=True, stroke_opacity=".14")
        drawing.text(_LEFT - 6, place + 3, words, anchor="end", quiet=True)
    drawing.line(_LEFT, _BASE, _RIGHT, _BASE, faint=True)
    for tick in x.ticks(4):
        drawing.line(x(tick), _BASE, x(tick), _BASE + 4, faint=True)
        drawing.text(x(tick), _BASE + 16, f"{tick:,.0f}", anchor="middle", quiet=True)
    drawing.text(_RIGHT, _BASE + 33, both("step"), anchor="end", quiet=True)


def _line(drawing: Drawing, arm: Arm, metric: str, x: Linear, y: Linear | Log, k: int) -> tuple[float, float] | None:
    """Draw an arm's band and its line, a cross where a run was lost; return where the line ends."""
    hue, points = HUES[k % len(HUES)], arm["curve"]
    band = [(x(p["step"]), y(e[0]), y(e[1])) for p in points if (e := interval(p[metric])) is not None]
    if len(band) > 1:
        over = [(a, high) for a, _, high in band]
        under = [(a, low) for a, low, _ in reversed(band)]
        drawing.path(_path([*over, *under]) + "z", fill=hue, fill_opacity=".16")
    known = [(x(p["step"]), y(v), int(p["runs"])) for p in points if (v := center(p[metric])) is not None]
    if not known:
        return None
    dash = DASHES[k % len(DASHES)]
    drawing.path(_path([(a, b) for a, b, _ in known]), stroke=hue, stroke_width="2", stroke_dasharray=dash)
    for (a, b, runs), after in zip(known, [*(r for _, _, r in known[1:]), _survivors(arm)], strict=True):
        if after < runs:
            cross = f"M{number(a - 4)} {number(b - 4)}l8 8m0-8l-8 8"
            drawing.path(cross, stroke="currentColor", stroke_width="1.5")
    if len(known) == 1:
        drawing.add("circle", cx=known[0][0], cy=known[0][1], r=3, fill=hue)
    return known[-1][:2]


def _survivors(arm: Arm) -> int:
    return sum(run["stopped"] != "diverged" for run in arm["runs"])


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points)


def _edge(ends: Sequence[tuple[float, float] | None], last: int | None) -> float:
    """Where the names stand: at the right edge, but beside lines that are still on their way."""
    return _RIGHT if last is None else max((end[0] for end in ends if end is not None), default=_RIGHT)


def _names(
    drawing: Drawing, arms: Sequence[Arm], metric: str, ends: Sequence[tuple[float, float] | None], edge: float
) -> None:  # fmt: skip
    """Beside the end of each line its arm and its last value, moved apart where two would meet."""
    shown = sorted((end[1], end[0], k) for k, end in enumerate(ends) if end is not None)
    for (end, at, k), place in zip(shown, spread([s[0] for s in shown], _BASE + 6), strict=True):
        hue, last = HUES[k % len(HUES)], _latest(arms[k], metric)
        lead = f"M{number(at)} {number(end)}L{number(edge + 12)} {number(place)}"
        drawing.path(lead, stroke=hue, stroke_opacity=".6")
        words = f"{shortened(arms[k]['label'], 9)} {_WRITE[metric](last)}"
        drawing.text(edge + 16, place + 4, words, size=11, bold=True)
    for k, arm in enumerate(a for a, end in zip(arms, ends, strict=True) if end is None):
        words_gone = both("{label}: no point", label=shortened(arm["label"], 12))
        drawing.text(_LEFT + 6, _TOP + 10 + 12 * k, words_gone, size=9, quiet=True)


def _latest(arm: Arm, metric: str) -> Any:
    """The last value that is a number; while a race goes on, not every point has every number."""
    return next((p[metric] for p in reversed(arm["curve"]) if center(p[metric]) is not None), None)


def spread(places: Sequence[float], below: float) -> list[float]:
    """Sorted places for names, moved down and then up again until no two touch and none lies under `below`."""
    found: list[float] = []
    for place in places:
        found.append(max(place, found[-1] + _APART) if found else place)
    for k in reversed(range(len(found))):
        found[k] = min(found[k], below)
        below = found[k] - _APART
    return found
