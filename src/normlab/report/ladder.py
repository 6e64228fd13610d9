"""The ladder: one row per layer, for each arm a panel, the same axes in all of them.

A row holds the histogram of what the next layer receives, the split of its variance into signal (across inputs) and
offset (across units), and the norm of the weights' gradient on a logarithmic axis.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..formatting import number as plain
from ..language import both
from ..result import center
from .arms import acting, chosen_rows, edges, gradients, title_of
from .drawing import DIVERGED, GRADIENT, OFFSET, SIGNAL, Drawing, Linear, Log, Text, side_by_side, step_path
from .numerals import amount, count, interval, power, ratio, rounded, share, signal_share

__all__ = ["WIDTH", "Axes", "ladder", "panel", "row_limit", "row_places"]

WIDTH = 344.0
_TOP, _BAR, _BETWEEN = 70.0, 34.0, 14.0  # head of a panel, height of a histogram, from one to the next
_TALL = 96.0  # of a histogram where there are but one or two
_HIST, _SPLIT, _GRAD = (22.0, 172.0), (190.0, 256.0), (274.0, 340.0)
# A bin above the axis is cut and its share printed: one spike would flatten every other histogram. The axis is as high
# as the tallest bin below the first figure, or, where most layers have a taller one, at most as high as the second.
_TALL_BIN, _TALLEST = 0.2, 0.4
# Below this part of the axis a histogram is one or two bins: then an inset shows it enlarged.
_NARROW = 1 / 50


class Axes:
    """What all panels of a document share: the range of values, the height of a bin, the gradient's powers of ten."""

    def __init__(self, document: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> None:
        """`before`: an earlier run, whose gradients must find their place on the axis as well."""
        self.low, self.high = edges(document)
        tallest = [_tallest(layer) for arm in acting(document) for layer in arm["layers"]]
        low = [share for share in tallest if 0 < share <= _TALL_BIN]
        self.top = max(low) if 2 * len(low) >= len(tallest) > 0 else min(_TALLEST, max([*tallest, 0.01]))
        self.value = Linear(self.low, self.high, *_HIST)
        self.share = Linear(0.0, 1.0, *_SPLIT)
        self.gradient = Log([*gradients(document), *([] if before is None else gradients(before))], *_GRAD)
        self.bar = _TALL if max((len(arm["layers"]) for arm in acting(document)), default=0) < 3 else _BAR

    def narrow(self, layer: Mapping[str, Any]) -> bool:
        """Whether a layer's values would fill a bin or two of the shared range."""
        variance = center(layer["var"])
        return variance is not None and math.sqrt(max(variance, 0.0)) < (self.high - self.low) * _NARROW

    def cuts(self, layer: Mapping[str, Any]) -> bool:
        """Whether a bin of the layer's histogram is taller than the axis."""
        return _tallest(layer) > self.top * 1.0001


def row_limit(arms: int) -> int:
    """How many layers a panel draws: fewer where there are many panels, so that the whole stays readable."""
    return 12 if arms <= 5 else 8


def row_places(arm: Mapping[str, Any], axes: Axes, most: int = 12) -> list[tuple[int, float, float]]:
    """For each row of the arm's panel the layer's number, and the top and the height of the row."""
    pitch = axes.bar + _BETWEEN
    rows = chosen_rows(arm["layers"], most)
    return [(arm["layers"][row]["layer"], _TOP + pitch * k - _BETWEEN / 2, pitch) for k, row in enumerate(rows)]


def panel(
    arm: Mapping[str, Any], axes: Axes, lang: str, most: int = 12, before: Mapping[str, Any] | None = None
) -> Drawing:
    """One arm's ladder, at most `most` layers drawn; in outlines the same layers of an arm of an earlier run."""
    rows = chosen_rows(arm["layers"], most)
    pitch = axes.bar + _BETWEEN
    bottom = _TOP + pitch * len(rows)
    earlier = {} if before is None else {layer["layer"]: layer for layer in before["layers"]}
    drawing = Drawing(WIDTH, bottom + 46, lang)
    _head(drawing, arm)
    drawing.ticks((axes.gradient(10.0**place) for place in axes.gradient.ticks()), _TOP - 2, bottom - 8, ".14")
    for k, row in enumerate(rows):
        layer = arm["layers"][row]
        y = _TOP + pitch * k
        middle = y + (axes.bar - _BAR) / 2
        drawing.text(0, middle + 21, str(layer["layer"]), size=11, bold=True)
        _histogram(drawing, layer, axes, y)
        _split(drawing, layer, axes, middle)
        _gradient(drawing, layer, axes, middle)
        if layer["layer"] in earlier:
            _ghost(drawing, earlier[layer["layer"]], axes, y, middle)
        if k + 1 < len(rows) and rows[k + 1] > row + 1:
            drawing.text(0, y + 40, "⋮", size=11, quiet=True)
    _feet(drawing, axes, bottom)
    _counts(drawing, [arm["layers"][row] for row in rows], axes, bottom + 40)
    return drawing


def ladder(document: Mapping[str, Any], lang: str, *, columns: int = 3, most: int = 12) -> Drawing:
    """All panels in one drawing, for a notebook or a file."""
    axes = Axes(document)
    return side_by_side([panel(arm, axes, lang, most) for arm in acting(document)], columns, lang)


def _head(drawing: Drawing, arm: Mapping[str, Any]) -> None:
    label = str(arm["label"])
    drawing.text(0, 13, label if len(label) < 30 else label[:28] + "…", size=14, bold=True)
    if arm.get("first_over_last") is not None and len(arm["layers"]) > 1:
        last = arm["layers"][-1]["layer"]
        words = both("gradient, layer 1 over {last}: {ratio}", last=last, ratio=ratio(arm["first_over_last"]))
        drawing.text(WIDTH, 13, words, size=10.5, anchor="end")
    title = title_of(arm)
    if label not in title.values():
        drawing.text(0, 29, title, size=10.5, quiet=True)
    for x, words in (
        (_HIST[0], both("activations")), (_SPLIT[0], both("signal share")), (_GRAD[0], both("gradient")),
    ):  # fmt: skip
        drawing.text(x, 50, words, size=9.5, quiet=True)
    drawing.line(0, 56, WIDTH, 56, faint=True)


def _histogram(drawing: Drawing, layer: Mapping[str, Any], axes: Axes, y: float) -> None:
    base = y + axes.bar
    drawing.line(_HIST[0], base, _HIST[1], base, faint=True)
    histogram = layer.get("histogram") or {}
    counts = [float(c) for c in histogram.get("counts") or ()]
    below, above = int(histogram.get("below") or 0), int(histogram.get("above") or 0)
    total = sum(counts) + below + above
    if layer["nonfinite"]:
        words = both("{n} NaN or Inf", n=count(int(layer["nonfinite"])))
        drawing.text(_HIST[0], y + 9, words, size=9, fill=DIVERGED, bold=True)
    if total:
        height = Linear(0.0, axes.top, base, y)
        shares = [c / total for c in counts]
        outline = step_path(shares, axes.value, axes.low, axes.high, base, height)
        drawing.path(outline, fill="currentColor", fill_opacity=".5")
        if axes.cuts(layer):
            _cut(drawing, shares, axes, y)
        if axes.narrow(layer):
            _inset(drawing, layer, axes, y)
    if below:
        drawing.text(_HIST[0], base + 9, f"◂ {count(below)}", size=8, quiet=True)
    if above:
        drawing.text(_HIST[1], base + 9, f"{count(above)} ▸", size=8, anchor="end", quiet=True)


def _cut(drawing: Drawing, shares: Sequence[float], axes: Axes, y: float) -> None:
    """Mark the bin that is taller than the axis, and print how much it holds."""
    place = max(range(len(shares)), key=lambda k: shares[k])
    width = (_HIST[1] - _HIST[0]) / len(shares)
    x = _HIST[0] + (place + 0.5) * width
    drawing.line(x - width, y + 6, x + width, y + 2, stroke_width="1.2")
    drawing.text(min(max(x, _HIST[0] + 16), _HIST[1] - 16), y - 2, share(shares[place]), size=8.5, anchor="middle")


def _inset(drawing: Drawing, layer: Mapping[str, Any], axes: Axes, y: float) -> None:
    """The narrow histogram enlarged: its own bins where the document has them, else mean and spread."""
    mean, spread = float(center(layer["mean"]) or 0.0), math.sqrt(max(float(center(layer["var"]) or 0.0), 0.0))
    spike = axes.value(mean)
    left = _HIST[0] + 62 if spike < _HIST[0] + 52 else _HIST[0] + 4 if spike > _HIST[0] + 82 else (
        _HIST[1] - 62 if spike < (_HIST[0] + _HIST[1]) / 2 else _HIST[0]
    )  # fmt: skip
    right = left + 60
    zoom = (layer.get("histogram") or {}).get("zoom")
    low, high = (zoom["edges"][0], zoom["edges"][-1]) if zoom else (mean - 3 * spread, mean + 3 * spread)
    near = right if right < spike else left
    drawing.path(f"M{spike:.1f} {y + axes.bar}L{near} {y + 23}", stroke="currentColor", stroke_opacity=".4")
    drawing.rect(left, y + 1, 60, 22, stroke="currentColor", stroke_opacity=".4")
    inside = Linear(low, high, left + 2, right - 2)
    if zoom:
        shares = [float(c) for c in zoom["counts"]]
        height = Linear(0.0, max([*shares, 1.0]), y + 22, y + 4)
        drawing.path(step_path(shares, inside, low, high, y + 22, height), fill="currentColor", fill_opacity=".5")
    else:
        drawing.line(inside(mean - spread), y + 12, inside(mean + spread), y + 12, stroke_width="2")
        drawing.line(inside(mean), y + 6, inside(mean), y + 18)
    drawing.text((left + right) / 2, y + 31.5, f"{plain(mean)} ± {plain(spread, 2)}", size=8, anchor="middle")


def _split(drawing: Drawing, layer: Mapping[str, Any], axes: Axes, y: float) -> None:
    part = signal_share(layer)
    if part is None:
        drawing.text(_SPLIT[0], y + 21, both("no variance") if layer["var"] is not None else "–", size=10, quiet=True)
        return
    middle = axes.share(part)
    drawing.text(_SPLIT[0], y + 14, share(part), size=10)
    if middle - _SPLIT[0] > 0.3:
        drawing.rect(_SPLIT[0], y + 20, middle - _SPLIT[0], 9, fill=SIGNAL)
    if _SPLIT[1] - middle > 0.6:
        drawing.rect(
            middle + 0.5, y + 20.5, max(_SPLIT[1] - middle - 1, 0.1), 8, fill=OFFSET, fill_opacity=".16", stroke=OFFSET
        )


def _gradient(drawing: Drawing, layer: Mapping[str, Any], axes: Axes, y: float) -> None:
    value = center(layer["grad_norm"])
    if value is None:
        drawing.text(_GRAD[0], y + 21, both("not finite"), size=10, fill=DIVERGED)
        return
    end = axes.gradient(float(value))
    drawing.text(_GRAD[0], y + 14, amount(value, 2), size=10)
    drawing.line(_GRAD[0], y + 24.5, end, y + 24.5, stroke=GRADIENT, stroke_width="3")
    ends = interval(layer["grad_norm"])
    if ends:
        drawing.line(axes.gradient(ends[0]), y + 24.5, axes.gradient(ends[1]), y + 24.5, stroke_width="1.2")
    drawing.add("circle", cx=end, cy=y + 24.5, r=3.6, fill=GRADIENT)


def _ghost(drawing: Drawing, layer: Mapping[str, Any], axes: Axes, y: float, middle: float) -> None:
    """The row of an earlier run in grey outlines; its histogram only where it has the same axis."""
    drawing.open(fill="none", stroke="currentColor", stroke_opacity=".6", stroke_dasharray="2 1.5")
    histogram = layer["histogram"]
    total = sum(histogram["counts"]) + histogram["below"] + histogram["above"]
    if total and (histogram["edges"][0], histogram["edges"][-1]) == (axes.low, axes.high):
        base = y + axes.bar
        height = Linear(0.0, axes.top, base, y)
        shares = [c / total for c in histogram["counts"]]
        drawing.path(step_path(shares, axes.value, axes.low, axes.high, base, height), fill=None)
    part, gradient = signal_share(layer), center(layer["grad_norm"])
    if part is not None:
        drawing.line(axes.share(part), middle + 17, axes.share(part), middle + 32, stroke=None)
    if gradient is not None:
        drawing.add("circle", cx=axes.gradient(gradient), cy=middle + 24.5, r=5.5)
    drawing.close()


def _feet(drawing: Drawing, axes: Axes, y: float) -> None:
    """The three axes under the last row."""
    drawing.line(0, y - 4, WIDTH, y - 4, faint=True)
    ticks = axes.value.ticks(4)
    marks: list[tuple[float, str, str | None]] = [(axes.value(t), rounded(t), "middle") for t in ticks]
    marks += [(_SPLIT[0], "0", None), (_SPLIT[1], "100 %", "end")]
    marks += [(_GRAD[0], power(axes.gradient.low), None), (_GRAD[1], power(axes.gradient.high), "end")]
    drawing.ticks((x for x, _, _ in marks), y - 4, y, ".6")
    for x, words, anchor in marks:
        drawing.text(x, y + 10, words, size=9, anchor=anchor, quiet=True)
    drawing.text(_HIST[0], y + 23, both("value"), size=9, quiet=True)
    drawing.text(_SPLIT[0], y + 23, both("of the variance"), size=9, quiet=True)
    drawing.text(_GRAD[0], y + 23, both("norm, log axis"), size=9, quiet=True)


def _counts(drawing: Drawing, layers: Sequence[Mapping[str, Any]], axes: Axes, y: float) -> None:
    """How many values a row holds, over which range, and how many lie outside or are not finite."""
    sizes, outside, broken = set(), 0, 0
    for layer in layers:
        histogram = layer.get("histogram") or {}
        out = int(histogram.get("below") or 0) + int(histogram.get("above") or 0)
        sizes.add(sum(histogram.get("counts") or ()) + out + layer["nonfinite"])
        outside, broken = outside + out, broken + int(layer["nonfinite"])
    shown = count(max(sizes)) if len(sizes) == 1 else f"{count(min(sizes))}–{count(max(sizes))}"
    words: Text = both(
        "n = {n} a row, {low} to {high}; outside {outside}, not finite {broken}", n=shown,
        low=rounded(axes.low), high=rounded(axes.high), outside=count(outside), broken=count(broken),
    )  # fmt: skip
    drawing.text(0, y + 4, words, size=9, quiet=True)


def _tallest(layer: Mapping[str, Any]) -> float:
    histogram = layer.get("histogram") or {}
    counts = histogram.get("counts") or [0]
    total = sum(counts) + int(histogram.get("below") or 0) + int(histogram.get("above") or 0)
    return max(counts) / total if total else 0.0
