"""Same mean, same variance, different fate: two arms whose last layers look alike and whose gradients do not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any

from ..language import both
from ..result import center
from .arms import chosen_rows, edges
from .drawing import OFFSET, SIGNAL, Drawing, Linear, Log, step_path
from .numerals import amount, power, rounded, share, signal_share

__all__ = ["fate", "same_but_different"]

_HIST, _LINES = (6.0, 334.0), (44.0, 330.0)
_TOP, _BASE = 44.0, 214.0
_STYLES = ((None, SIGNAL), ("5 3", OFFSET))

Arm = Mapping[str, Any]


def same_but_different(document: Mapping[str, Any]) -> tuple[Arm, Arm] | None:
    """The pair of arms that ends with the same mean and variance and whose gradients differ most, the better first.

    What counts as the same and as different is decided where the verdicts are, so that picture and sentence agree.
    """
    from ..experiments.verdicts import limits
    from ..experiments.verdicts.readings import read

    found = []
    for a, b in combinations(read(document).by_merit, 2):
        if a.ratio is None or b.ratio is None or min(a.ratio.mean, b.ratio.mean) <= 0 or a.ratio.overlaps(b.ratio):
            continue
        width = abs(math.log(a.ratio.mean / b.ratio.mean))
        if width > math.log(limits.OTHER_FATE) and a.same_moments(b) and not a.same_forward(b, limits.SAME_FORWARD):
            found.append((width, a.data, b.data))
    best = max(found, key=lambda pair: pair[0], default=None)
    return None if best is None else (best[1], best[2])


def fate(pair: tuple[Arm, Arm], document: Mapping[str, Any], lang: str) -> list[Drawing]:
    """The two last histograms, one over the other; and the gradient of each layer's weights, bottom to top."""
    left, right = Drawing(344, 262, lang), Drawing(344, 262, lang)
    last = pair[0]["layers"][-1]["layer"]
    left.text(0, 16, both("Layer {n}: what a histogram shows", n=last), size=12, bold=True)
    _histograms(left, pair, document)
    right.text(0, 16, both("What arrives at each layer"), size=12, bold=True)
    right.text(0, 32, both("norm of the weights' gradient, log axis"), size=10, quiet=True)
    _gradients(right, pair)
    return [left, right]


def _histograms(drawing: Drawing, pair: tuple[Arm, Arm], document: Mapping[str, Any]) -> None:
    low, high = edges(document)
    x = Linear(low, high, *_HIST)
    shares = []
    for arm in pair:
        counts = arm["layers"][-1]["histogram"]["counts"]
        shares.append([c / max(sum(counts), 1) for c in counts])
    y = Linear(0.0, max(map(max, shares)), _BASE, _TOP + 22)
    for parts, (dash, colour) in zip(shares, _STYLES, strict=True):
        outline = step_path(parts, x, low, high, _BASE, y)
        drawing.path(outline, fill=colour, fill_opacity=".12", stroke=colour, stroke_width="1.8", stroke_dasharray=dash)
    drawing.line(_HIST[0], _BASE, _HIST[1], _BASE, faint=True)
    for tick in x.ticks(4):
        drawing.text(x(tick), _BASE + 15, rounded(tick), size=10, anchor="middle", quiet=True)
    drawing.text(
        _HIST[0],
        _BASE + 32,
        both("activation, share of all values in each of {n} bins", n=len(shares[0])),
        size=10,
        quiet=True,
    )
    for k, (arm, (dash, colour)) in enumerate(zip(pair, _STYLES, strict=True)):
        layer = arm["layers"][-1]
        drawing.line(
            _HIST[0], 32 + 16 * k, _HIST[0] + 24, 32 + 16 * k, stroke=colour, stroke_width="2", stroke_dasharray=dash
        )
        words = both(
            "{label}: mean {mean}, variance {var}",
            label=arm["label"],
            mean=amount(layer["mean"]),
            var=amount(layer["var"]),
        )
        drawing.text(_HIST[0] + 32, 36 + 16 * k, words, size=11)


def _gradients(drawing: Drawing, pair: tuple[Arm, Arm]) -> None:
    norms = [[center(layer["grad_norm"]) for layer in arm["layers"]] for arm in pair]
    y = Log([v for line in norms for v in line if v is not None], _BASE, _TOP + 4)
    last = len(norms[0])
    x = Linear(1, max(last, 2), *_LINES)
    for tick in y.ticks(4):
        drawing.line(_LINES[0] - 8, y(10.0**tick), _LINES[1], y(10.0**tick), faint=True, stroke_opacity=".14")
        drawing.text(_LINES[0] - 14, y(10.0**tick) + 3, power(tick), size=10, anchor="end", quiet=True)
    for row in chosen_rows(norms[0], 6):
        drawing.text(x(row + 1), _BASE + 15, str(row + 1), size=10, anchor="middle", quiet=True)
    drawing.text(_LINES[1], _BASE + 32, both("layer"), size=10, anchor="end", quiet=True)
    for line, arm, (dash, colour) in zip(norms, pair, _STYLES, strict=True):
        points = [(x(k + 1), y(float(v))) for k, v in enumerate(line) if v is not None]
        if not points:
            continue
        drawing.path(
            "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points),
            stroke=colour,
            stroke_width="2",
            stroke_dasharray=dash,
        )
        if len(points) <= 12:
            for a, b in points:
                drawing.add("circle", cx=a, cy=b, r=3, fill=colour)
        words = both("{label}, signal {share}", label=arm["label"], share=share(signal_share(arm["layers"][-1])))
        rises = points[-1][1] < points[0][1] - 20
        x0, y0 = points[0]
        # Beside the first point, on the side where the line does not go.
        at = (x0 + 4, y0 - 10) if not rises else (x0 + 8, y0 + 18) if y0 + 22 < _BASE else (x0 + 14, y0 + 4)
        drawing.text(*at, words, size=11, bold=True)
