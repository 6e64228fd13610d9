"""Inputs x units of the last layer as a heat map: an offset shows as stripes, a signal as texture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from ..language import both
from .arms import acting
from .drawing import Drawing, ramp
from .numerals import amount

__all__ = ["heat", "sampled"]

_CELL = 8
_STEPS = 12  # colours; more cannot be told apart
_LEFT, _TOP = 16.0, 34.0


def sampled(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The arms that have a finite sample of their last layer."""
    return [arm for arm in acting(document) if arm.get("sample")]


def heat(arm: Mapping[str, Any], lang: str) -> Drawing:
    """The heat map of one arm, with its own colour bar."""
    sample = arm["sample"]
    values: Sequence[Sequence[int]] = sample["values"]
    width, height = _CELL * len(values[0]), _CELL * len(values)
    drawing = Drawing(_LEFT + width + 2, _TOP + height + 48, lang)
    drawing.text(_LEFT, 13, str(arm["label"])[:30], size=13, bold=True)
    drawing.text(_LEFT, _TOP - 6, both("units →"), size=9, quiet=True)
    drawing.text(0, 0, both("inputs →"), size=9, quiet=True, transform=f"translate(4 {_TOP:g}) rotate(90)")
    # Runs of one colour are strokes as wide as a cell: half the bytes of rectangles.
    across, runs = _runs(values)
    half = _CELL / 2
    x, y = (_LEFT, _TOP + half) if across else (_LEFT + half, _TOP)
    drawing.open(transform=f"translate({x:g} {y:g}) scale({_CELL})", fill="none", shape_rendering="crispEdges")
    for step, points in enumerate(runs):
        if points:
            drawing.add("path", d="".join(points), stroke=ramp(step / (_STEPS - 1)))
    drawing.close()
    _bar(drawing, sample, width, _TOP + height + 12)
    return drawing


def _runs(values: Sequence[Sequence[int]]) -> tuple[bool, list[list[str]]]:
    """Whether rows have fewer runs than columns; for each colour its runs, as pieces of a path in units of a cell."""
    steps = [[min(v * _STEPS // 256, _STEPS - 1) for v in line] for line in values]
    rows = [(step, f"M{start} {k}h{length}") for k, line in enumerate(steps) for step, start, length in _lengths(line)]
    columns = [
        (step, f"M{k} {start}v{length}")
        for k, line in enumerate(zip(*steps, strict=True))
        for step, start, length in _lengths(line)
    ]
    pieces: list[list[str]] = [[] for _ in range(_STEPS)]
    across = len(rows) <= len(columns)
    for step, piece in rows if across else columns:
        pieces[step].append(piece)
    return across, pieces


def _lengths(line: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """The runs of equal steps: (step, where it starts, how long it is)."""
    start = 0
    for step, run in groupby(line):
        length = len(list(run))
        yield step, start, length
        start += length


def _bar(drawing: Drawing, sample: Mapping[str, Any], width: float, y: float) -> None:
    for step in range(_STEPS):
        drawing.rect(_LEFT + step * width / _STEPS, y, width / _STEPS + 0.2, 7, fill=ramp(step / (_STEPS - 1)))
    drawing.text(_LEFT, y + 18, amount(sample["low"]), size=9, quiet=True)
    drawing.text(_LEFT + width, y + 18, amount(sample["high"]), size=9, anchor="end", quiet=True)
