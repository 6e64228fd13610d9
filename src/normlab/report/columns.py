"""Two to four arms side by side, large enough for a README: each layer's histogram and, beside it, what is signal.

The study note's picture - a column for each arm, a row for each layer, one axis for all - with the number that a
histogram cannot show, and a title that is the finding of this very document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..formatting import number as plain
from ..language import both
from ..result import center
from .arms import acting, chosen_rows, title_of
from .drawing import DIVERGED, OFFSET, SIGNAL, Drawing, Linear, Text, step_path
from .fate import same_but_different
from .ladder import Axes
from .numerals import count, ratio, rounded, share, signal_share

__all__ = ["columns", "fits"]

_PITCH, _HIST, _SPLIT = 260.0, (0.0, 148.0), (160.0, 232.0)
_LEFT, _TOP, _BAR, _BETWEEN = 44.0, 136.0, 46.0, 16.0
_HEAD = 94.0
_NARROWEST = 700.0  # the words above want that much
_MOST_ROWS = 8
_LONGEST_LABEL = 18  # in a title that names two

Document = Mapping[str, Any]


def fits(document: Document) -> bool:
    """Whether there is something to set side by side, and room for it."""
    return 2 <= len(acting(document)) <= 4


def columns(document: Document, lang: str) -> Drawing:
    """The drawing; `fits` says for which documents."""
    arms, axes = acting(document), Axes(document)
    rows = chosen_rows(max((arm["layers"] for arm in arms), key=len), _MOST_ROWS)
    bottom = _TOP + (_BAR + _BETWEEN) * len(rows)
    width = _LEFT + _PITCH * (len(arms) - 1) + _SPLIT[1]
    drawing = Drawing(max(width, _NARROWEST), bottom + 40, lang)
    title = finding(document)
    for k, line in enumerate(title):
        drawing.text(0, 16 + 22 * k, line, size=16, bold=True)
    words = both("Activations of each layer. Beside them: the share of their variance that still depends on the input.")
    drawing.text(0, 16 + 22 * len(title), words, size=12.5, quiet=True)
    drawing.text(0, _HEAD + 18, both("layer"), size=12, quiet=True)
    for k, row in enumerate(rows):
        drawing.text(0, _TOP + (_BAR + _BETWEEN) * k + 32, str(row + 1), size=13, bold=True)
    for k, arm in enumerate(arms):
        drawing.open(at=(_LEFT + _PITCH * k, 0))
        _column(drawing, arm, axes, rows)
        drawing.close()
    return drawing


def finding(document: Document) -> list[Text]:
    """What the picture shows, in two lines, by the verdicts' own rule; where no pair is alike, what it is."""
    pair = same_but_different(document)
    if pair is None:
        return [both("Histogram and signal share of each layer")]
    last = [arm["layers"][-1] for arm in pair]
    a, b = (str(arm["label"]) for arm in pair)
    a, b = (name if len(name) <= _LONGEST_LABEL else name[: _LONGEST_LABEL - 1] + "…" for name in (a, b))
    left, right = (share(signal_share(layer)) for layer in last)
    return [
        both("After layer {n}, {a} and {b} have the same mean and variance.", n=last[0]["layer"], a=a, b=b),
        both("Share of that variance that still depends on the input: {a} {x}, {b} {y}.", a=a, b=b, x=left, y=right),
    ]


def _column(drawing: Drawing, arm: Mapping[str, Any], axes: Axes, rows: list[int]) -> None:
    label, title = str(arm["label"]), title_of(arm)
    drawing.text(0, _HEAD, label if len(label) < 27 else label[:25] + "…", size=15, bold=True)
    if label not in title.values():
        drawing.text(0, _HEAD + 18, title, size=12, quiet=True)
    drawing.line(0, _HEAD + 26, _SPLIT[1], _HEAD + 26, faint=True)
    bottom = _TOP
    for k, row in enumerate(rows):
        bottom = _TOP + (_BAR + _BETWEEN) * k + _BAR
        if row < len(arm["layers"]):
            _histogram(drawing, arm["layers"][row], axes, bottom)
            _signal(drawing, arm["layers"][row], bottom - 20)
    x = Linear(axes.low, axes.high, *_HIST)
    ticks = x.ticks(2)
    drawing.ticks((x(t) for t in ticks), bottom, bottom + 4, ".6")
    for tick in ticks:
        at = x(tick)
        anchor = "start" if at < 8 else "end" if at > _HIST[1] - 8 else "middle"
        drawing.text(at, bottom + 18, rounded(tick), size=11, anchor=anchor, quiet=True)
    drawing.text(_SPLIT[0], bottom + 18, "0", size=11, quiet=True)
    drawing.text(_SPLIT[1], bottom + 18, "100 %", size=11, anchor="end", quiet=True)
    if arm.get("first_over_last") is not None and len(arm["layers"]) > 1:
        last = arm["layers"][-1]["layer"]
        words = both("gradient, layer 1 over {last}: {ratio}", last=last, ratio=ratio(arm["first_over_last"]))
        drawing.text(0, bottom + 50, words, size=13, bold=True)


def _histogram(drawing: Drawing, layer: Mapping[str, Any], axes: Axes, base: float) -> None:
    drawing.line(_HIST[0], base, _HIST[1], base, faint=True)
    histogram = layer["histogram"]
    counts = [float(c) for c in histogram["counts"]]
    outside = int(histogram["below"] + histogram["above"])
    total = sum(counts) + outside
    if total:
        shares = [c / total for c in counts]
        x, y = Linear(axes.low, axes.high, *_HIST), Linear(0.0, axes.top, base, base - _BAR)
        outline = step_path(shares, x, axes.low, axes.high, base, y)
        drawing.path(outline, fill="currentColor", fill_opacity=".55")
        if axes.cuts(layer):
            at = _HIST[1] * (shares.index(max(shares)) + 0.5) / len(shares)
            at = min(max(at, 20.0), _HIST[1] - 20)
            drawing.text(at, base - _BAR - 2, share(max(shares)), anchor="middle")
        if axes.narrow(layer):
            mean, spread = center(layer["mean"]) or 0.0, (center(layer["var"]) or 0.0) ** 0.5
            at, anchor = (_HIST[1], "end") if x(mean) < _HIST[1] / 2 else (_HIST[0], None)
            drawing.text(at, base - 10, f"{plain(mean)} ± {plain(spread, 2)}", anchor=anchor)
    y_words = base - _BAR + 8
    if outside:
        drawing.text(_HIST[1], y_words, both("outside {n}", n=count(outside)), anchor="end")
    if layer["nonfinite"]:
        words = both("{n} NaN or Inf", n=count(int(layer["nonfinite"])))
        drawing.text(_HIST[1], y_words + 12 * bool(outside), words, anchor="end", fill=DIVERGED)


def _signal(drawing: Drawing, layer: Mapping[str, Any], y: float) -> None:
    part = signal_share(layer)
    if part is None:
        drawing.text(_SPLIT[0], y, both("no variance") if layer["var"] is not None else "–", size=12, quiet=True)
        return
    middle = Linear(0.0, 1.0, *_SPLIT)(part)
    drawing.text(_SPLIT[0], y, share(part), size=13)
    if middle - _SPLIT[0] > 0.3:
        drawing.rect(_SPLIT[0], y + 7, middle - _SPLIT[0], 10, fill=SIGNAL)
    if _SPLIT[1] - middle > 1:
        drawing.rect(middle + 0.5, y + 7.5, _SPLIT[1] - middle - 1, 9, fill=OFFSET, fill_opacity=".16", stroke=OFFSET)
