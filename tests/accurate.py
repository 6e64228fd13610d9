"""The shapes, sets and true values of the accuracy tests."""

from __future__ import annotations

from typing import Any

import numpy as np

import normlab as nl
from comparing import compare
from face_base import channel_axis
from faces import Done, Face, Work
from grid import made_of_statistics
from long_references import Long, long_reference
from normlab.definition import Definition

METHODS = made_of_statistics()
RATIOS = {"float32": [0, 1, 1e2, 1e4, 1e6], "float64": [0, 1, 1e2, 1e4, 1e6, 1e9, 1e12]}
# The elements of a set: a prime, one beside a vector's multiple, one above NumPy's block of 128, one past a long block.
LENGTHS = [37, 129, 1000, 4099]


def rows_of(d: Definition, layout: str, shape: tuple[int, ...], options: dict[str, Any] | None = None) -> np.ndarray:
    """(sets, elements) indices into the flat array, by the numbers that `shares` gives (tested by counting)."""
    filled = d.validate(options or {})
    line = d.lines(filled)[""].arrange(layout)
    channels = shape[layout.split().index("c") if layout.endswith("...") else -1] if "c" in layout else shape[0]
    numbers = nl.shares(line, shape, **d.factor_sizes(filled, channels)).ravel()
    return np.argsort(numbers, kind="stable").reshape(int(numbers.max()) + 1, -1)


def truth_of(
    d: Definition, x: np.ndarray, rows: np.ndarray, dy: np.ndarray | None = None, eps: float | None = None
) -> Long:
    g = None if dy is None else dy.ravel()[rows]
    return long_reference(
        x.ravel()[rows], g, centre=d.centre, spread=d.spread or "std", eps_rule=d.eps_rule,
        eps=(d.eps or 0.0) if eps is None else eps,
    )  # fmt: skip


def row_sets(a: np.ndarray) -> np.ndarray:
    return np.broadcast_to(np.arange(len(a))[:, None], a.shape)


def shape_with(d: Definition, layout: str, length: int) -> tuple[int, ...]:
    """A shape in which a set has about `length` elements, and a few sets."""
    pooled = d.lines(d.validate({}))[""].arrange(layout).pooled
    sizes = {"n": 3, "c": 6, "o": 3, "i": 5, "...": 5}
    inside = [n for n in layout.split() if n in pooled or (n == "c" and "c" in pooled)]
    long = inside[-1] if inside else "c"
    if long == "c" and "g" in d.lines(d.validate({}))[""].names:
        long = "..."
    sizes[long] = length
    return tuple(sizes[n] for n in layout.split())


def on_layer(face: Face, d: Definition, x: np.ndarray, layout: str | None = None, **settings: Any) -> Done:
    """A layer of the face called on x, without parameters unless told otherwise."""
    layout = layout or d.layout
    given = {"affine": False, **settings}
    return face.run(Work(d, x, x.shape[channel_axis(layout, x.ndim)], layout, **given))


def in_rows(x: np.ndarray, y: np.ndarray, row: str = "forward", **how: Any) -> None:
    """Every row of x and y is one set."""
    compare(y, long_reference(x, **how).z, row, sets=row_sets(x))
