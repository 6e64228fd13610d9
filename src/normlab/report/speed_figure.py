"""The picture of a benchmark: a row for each method, a lettered mark for each contestant, a bar for the ceiling."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from .drawing import GRADIENT, OFFSET, SIGNAL, Drawing, Log
from .numerals import rounded

__all__ = ["rates"]

_LABEL, _RIGHT, _WIDTH, _PITCH, _TOP = 210.0, 700.0, 720.0, 24.0, 52.0
_COLOURS = (SIGNAL, OFFSET, GRADIENT, "#4b9a6a", "#a8577e", "#7a7f87")
_TOUCHING, _LIFT = 14.0, 5.0
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


def rates(lines: Sequence[Mapping[str, Any]], lang: str) -> Drawing:
    """Draw the lines of a summary, all of one pass; normlab's own other faces stand in the tables only."""
    lines = [s for s in lines if not s["peer"].startswith("normlab")]
    rows = list(dict.fromkeys((s["method"], s["layout"]) for s in lines))
    peers = list(dict.fromkeys(s["peer"] for s in lines))
    values = [1.0, *(s["ratio"] for s in lines), *(s["ceiling"] for s in lines if s["ceiling"])]
    scale = _scale(values)
    bottom = _TOP + _PITCH * len(rows)
    drawing = Drawing(_WIDTH, bottom + 22, lang)
    for k, peer in enumerate(peers):
        x = 8.0 + 118.0 * k
        _mark(drawing, x, 10.0, k, peer)
        drawing.text(x + 12, 14, peer, size=11)
    for tick in _TICKS:
        if scale.low <= math.log10(tick) <= scale.high:
            heavy = tick == 1
            drawing.line(scale(tick), _TOP - 8, scale(tick), bottom, stroke_opacity=".8" if heavy else ".14")
            drawing.text(scale(tick), _TOP - 12, rounded(tick), size=10, anchor="middle", quiet=not heavy)
    for r, row in enumerate(rows):
        y = _TOP + _PITCH * (r + 0.5)
        drawing.text(0, y + 4, row[0], size=12, bold=True)
        drawing.text(_LABEL - 14, y + 4, row[1], size=10, anchor="end", quiet=True)
        _row(drawing, [s for s in lines if (s["method"], s["layout"]) == row], peers, scale, y)
    return drawing


def _scale(values: Sequence[float]) -> Log:
    """From the tick below the smallest to the tick above the largest."""
    scale = Log(values, _LABEL, _RIGHT)
    lower = [t for t in _TICKS if t <= min(values)] or [_TICKS[0]]
    upper = [t for t in _TICKS if t >= max(values)] or [_TICKS[-1]]
    scale.low, scale.high = math.log10(lower[-1]), math.log10(upper[0])  # type: ignore[assignment]
    return scale


def _row(
    drawing: Drawing, lines: Sequence[Mapping[str, Any]], peers: Sequence[str], scale: Log, y: float
) -> None:
    drawing.line(_LABEL, y, _RIGHT, y, faint=True, stroke_opacity=".14")
    ceiling = next((s["ceiling"] for s in lines if s["peer"] == "torch" and s["ceiling"]), None)
    if ceiling is not None:
        drawing.rect(scale(ceiling) - 1.5, y - 9, 3.0, 18.0, fill="currentColor", fill_opacity=".55")
    ordered = sorted(lines, key=lambda s: s["ratio"])
    places = [scale(s["ratio"]) for s in ordered]
    for line, x, lift in zip(ordered, places, _lifts(places), strict=True):
        _mark(drawing, x, y + lift, peers.index(line["peer"]), line["peer"])


def _lifts(places: Sequence[float]) -> list[float]:
    """Marks that would hide each other stand above and below the line in turn; the others on it."""
    touches = [b - a < _TOUCHING for a, b in pairwise(places)]
    found, turn = [], 0
    for before, after in zip([False, *touches], [*touches, False], strict=True):
        turn = turn + 1 if before else 0
        found.append((_LIFT if turn % 2 else -_LIFT) if before or after else 0.0)
    return found[: len(places)]


def _mark(drawing: Drawing, x: float, y: float, index: int, name: str) -> None:
    drawing.add("circle", cx=x, cy=y, r=7.5, fill=_COLOURS[index % len(_COLOURS)])
    letter = name.split()[-1][0].upper()
    drawing.text(x, y + 3.5, letter, size=9, anchor="middle", bold=True, fill="#ffffff")
