"""The pictures of a sweep: a metric along a number of the grid, a line an arm; without such a number, a row an arm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..language import both
from .drawing import DIVERGED, Drawing, Linear, Log, Text, number
from .numerals import interval, power, rounded
from .race_arms import DASHES, HUES, shortened
from .race_curves import spread
from .sweep_points import Axes, Point, axes_of, points_of, setting_of, spoken, together, word, writer

__all__ = ["MOST_PANELS", "panels"]

MOST_PANELS = 24
MOST_LINES = len(HUES)
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BASE = 432.0, 268.0, 46.0, 284.0, 34.0, 228.0
_ROW, _FROM, _TO = 26.0, 116.0, 362.0
_WIDE = 20.0  # beyond so many times, an axis is logarithmic
_APART = 5.0  # between the marks of two arms at the same place
_LABEL = 26.0  # room for a number under the axis

def panels(document: Mapping[str, Any], metric: str, lang: str) -> list[tuple[Drawing, Text]]:
    """A drawing and its title for each combination of the arguments that are no line and no axis; all on one scale."""
    axes, points = axes_of(document), points_of(document)
    reach = _reach(points, metric)
    groups = [
        (setting, lines[k : k + MOST_LINES])
        for setting, own in together(points, axes.rest)
        for lines in [_lines(own, axes)]
        for k in range(0, len(lines), MOST_LINES)
    ][:MOST_PANELS]
    found = []
    for setting, lines in groups:
        title = spoken(metric, setting_of(setting)).name
        drawn = _along if axes.across else _beside
        found.append((drawn(lines, axes, metric, reach, title, points, lang), title))
    return found


def _lines(points: Sequence[Point], axes: Axes) -> list[tuple[str, list[Point]]]:
    if axes.lines is None:
        return [("", list(points))]
    return [(_label(axes.lines, own[axes.lines]), held) for own, held in together(points, [axes.lines])]


def _label(name: str, value: Any) -> str:
    return word(value) if isinstance(value, str) else f"{name} {word(value)}"


def _reach(points: Sequence[Point], metric: str) -> list[float]:
    """Every value and every end of an interval; an accuracy's intervals end at 0 and 1."""
    values = [v for point in points for v in point.by_seed(metric).values() if v is not None]
    ends = [end for point in points if (pair := interval(point.band(metric))) is not None for end in pair]
    if metric.endswith("accuracy"):
        ends = [min(max(end, 0.0), 1.0) for end in ends]
    elif values:  # a skewed interval may reach far: it is cut off at a range beyond what was seen
        room = max(values) - min(values) or abs(values[0]) or 1.0
        ends = [min(max(end, min(values) - room), max(values) + room) for end in ends]
    return [*values, *ends]


def _scale(reach: Sequence[float], metric: str, start: float, end: float) -> Linear | Log:
    if not reach:
        return Linear(0, 1, start, end)
    low, high = min(reach), max(reach)
    if metric.endswith("accuracy"):  # tenths, so that a small difference is not made large
        return Linear(math.floor(10 * low + 1e-9) / 10, math.ceil(10 * high - 1e-9) / 10, start, end)
    if low > 0 and high > _WIDE * low:
        return Log(reach, start, end)
    room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return Linear(low - room, high + room, start, end)


def _ticks(scale: Linear | Log, metric: str) -> list[tuple[float, str]]:
    if isinstance(scale, Log):
        return [(scale(10.0**tick), power(tick)) for tick in scale.ticks(4)]
    percent = metric.endswith("accuracy")
    return [(scale(tick), f"{100 * tick:.0f} %" if percent else rounded(tick)) for tick in scale.ticks(4)]


def _along(
    lines: Sequence[tuple[str, list[Point]]], axes: Axes, metric: str, reach: Sequence[float], title: Text,
    points: Sequence[Point], lang: str,
) -> Drawing:  # fmt: skip
    """Means as dots joined by a line, intervals as bars, the seeds as faint dots."""
    drawing = Drawing(_WIDTH, _HEIGHT, lang)
    drawing.text(0, 14, title, size=13, bold=True)
    y, name = _scale(reach, metric, _BASE, _TOP), str(axes.across)
    places = _places(sorted({float(point.setting[name]) for point in points}))
    for place, words in _ticks(y, metric):
        drawing.line(_LEFT, place, _RIGHT, place, faint=True, stroke_opacity=".14")
        drawing.text(_LEFT - 6, place + 3, words, anchor="end", quiet=True)
    _foot(drawing, places, name)
    ends = []
    for k, (label, own) in enumerate(lines):
        shift = _APART * (k - (len(lines) - 1) / 2)
        at = {id(point): places[float(point.setting[name])] + shift for point in own}
        end = _line(drawing, sorted(own, key=lambda point: at[id(point)]), at, metric, y, k)
        ends.append((label, end))
    _names(drawing, ends, metric)
    return drawing


def _places(values: Sequence[float]) -> dict[float, float]:
    """Where each value of the axis stands; by its logarithm where they span more than `_WIDE` times."""
    logs = values[0] > 0 and values[-1] > _WIDE * values[0]
    moved = [math.log10(value) if logs else value for value in values]
    scale = Linear(moved[0], moved[-1], _LEFT + 22, _RIGHT - 22)
    return {value: scale(place) for value, place in zip(values, moved, strict=True)}


def _foot(drawing: Drawing, places: Mapping[float, float], name: str) -> None:
    """The axis below: a tick for each value, its number where there is room."""
    drawing.line(_LEFT, _BASE, _RIGHT, _BASE, faint=True)
    last = -math.inf
    for value, place in places.items():
        drawing.line(place, _BASE, place, _BASE + 4, faint=True)
        if place - last >= _LABEL:
            drawing.text(place, _BASE + 16, rounded(value), anchor="middle", quiet=True)
            last = place
    drawing.text(_RIGHT, _BASE + 33, shortened(name, 30), anchor="end", quiet=True)


def _line(
    drawing: Drawing, points: Sequence[Point], at: Mapping[int, float], metric: str, y: Linear | Log, k: int
) -> tuple[float, float, float] | None:
    """One arm; returns place and value of its last mean. A cross stands where some run has no number."""
    hue, known = HUES[k % len(HUES)], []
    for point in points:
        x, band, values = at[id(point)], point.band(metric), list(point.by_seed(metric).values())
        numbers = [y(v) for v in values if v is not None]
        for place in numbers if len(values) > 1 else []:
            drawing.add("circle", cx=x, cy=place, r=1.5, fill=hue, fill_opacity=".55")
        if None in values:
            _cross(drawing, x, min([*numbers, _BASE]) if band["mean"] is not None else _BASE)
        if (ends := interval(band)) is not None:
            drawing.line(x, y(ends[0]), x, y(ends[1]), stroke=hue, stroke_width="1.5")
        if band["mean"] is not None:
            drawing.add("circle", cx=x, cy=y(band["mean"]), r=3, fill=hue)
            known.append((x, y(band["mean"]), band["mean"]))
    if known:
        path = "M" + "L".join(f"{number(a)} {number(b)}" for a, b, _ in known)
        drawing.path(path, stroke=hue, stroke_width="2", stroke_dasharray=DASHES[k % len(DASHES)])
    return known[-1] if known else None


def _cross(drawing: Drawing, x: float, y: float) -> None:
    drawing.path(f"M{number(x - 4)} {number(y - 4)}l8 8m0-8l-8 8", stroke=DIVERGED, stroke_width="1.5")


def _names(
    drawing: Drawing, ends: Sequence[tuple[str, tuple[float, float, float] | None]], metric: str
) -> None:
    """Beside the end of each line its arm and its last mean; below the title those without any."""
    shown = sorted((end[1], k) for k, (_, end) in enumerate(ends) if end is not None)
    for (_, k), place in zip(shown, spread([height for height, _ in shown], _BASE + 6), strict=True):
        label, end = ends[k]
        assert end is not None  # `shown` holds no other
        hue = HUES[k % len(HUES)]
        lead = f"M{number(end[0])} {number(end[1])}L{number(_RIGHT + 12)} {number(place)}"
        drawing.path(lead, stroke=hue, stroke_opacity=".6")
        drawing.text(_RIGHT + 16, place + 4, f"{shortened(label, 12)} {writer(metric)(end[2])}", size=11, bold=True)
    for k, label in enumerate(label for label, end in ends if end is None):
        words = both("{label}: no mean", label=shortened(label or metric, 14))
        drawing.text(_LEFT + 6, _TOP + 10 + 12 * k, words, size=9, quiet=True)


def _beside(
    lines: Sequence[tuple[str, list[Point]]], axes: Axes, metric: str, reach: Sequence[float], title: Text,
    points: Sequence[Point], lang: str,
) -> Drawing:  # fmt: skip
    """A row for each arm: its mean, its interval, and the seeds as strokes."""
    bottom = 30 + _ROW * len(lines)
    drawing, x = Drawing(_WIDTH, bottom + 24, lang), _scale(reach, metric, _FROM, _TO)
    drawing.text(0, 14, title, size=13, bold=True)
    for place, words in _ticks(x, metric):
        drawing.line(place, 26, place, bottom, faint=True, stroke_opacity=".14")
        drawing.text(place, bottom + 16, words, anchor="middle", quiet=True)
    for k, (label, own) in enumerate(lines):
        y, hue = 30 + _ROW * (k + 0.5), HUES[k % len(HUES)]
        drawing.text(0, y + 4, shortened(label, 15), size=12, bold=True)
        drawing.line(_FROM, y, _TO, y, faint=True, stroke_opacity=".14")
        for point in own:
            _row(drawing, point, metric, x, y, hue)
    return drawing


def _row(drawing: Drawing, point: Point, metric: str, x: Linear | Log, y: float, hue: str) -> None:
    values, band = list(point.by_seed(metric).values()), point.band(metric)
    places = [x(value) for value in values if value is not None]
    drawing.ticks(places if len(values) > 1 else [], y - 7, y + 7, ".5")
    if None in values:
        _cross(drawing, _TO + 8, y)
    if (ends := interval(band)) is not None:
        drawing.line(x(ends[0]), y, x(ends[1]), y, stroke=hue, stroke_width="3")
    if band["mean"] is not None:
        drawing.add("circle", cx=x(band["mean"]), cy=y, r=4.5, fill=hue)
        drawing.text(_TO + 16, y + 4, writer(metric)(band), size=11, bold=True)
