"""Known mistakes of methods that are given by a forward: what somebody may have written in its place.

The first kind needs no method's name: an option that is ignored. The others belong to one formula each, known by the
options it has or by what it stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..definition import Definition
from ..methods.selu import ALPHA, SCALE
from .asked import Asked
from .truth import forward

__all__ = ["alternatives", "other_ways"]

Alternative = tuple[str, dict[str, Any], Callable[[Asked], np.ndarray]]
DIGITS = range(7, 1, -1)  # how many digits of a constant somebody may have kept


def alternatives(definition: Definition) -> Iterator[Alternative]:
    """Key, fields and what the mistake computes."""
    names = {o.name: o.default for o in definition.options}
    for name, default in names.items():
        yield "option_ignored", {"name": name, "value": str(default)}, _with({name: default})
    if {"size", "alpha", "beta", "k"} <= names.keys():
        yield from _windowed()
    if definition.role == "activation":
        yield from _activation()
    if definition.role == "weight":
        yield from _spectral()


def other_ways(definition: Definition) -> Iterator[tuple[str, Callable[[Asked], np.ndarray]]]:
    """Key of a convention of others, and what it computes: as right as ours."""
    if definition.role == "weight" and "steps" in {o.name for o in definition.options}:
        yield "vector_not_renewed", _by_last_pair


def _by_last_pair(asked: Asked) -> np.ndarray:
    """A step gives v of u, then u of v, and sigma is u W v at once. Source: arXiv 1802.05957, algorithm 1."""
    w = asked.x.reshape(len(asked.x), -1).astype(np.float64)
    u = v = np.asarray(asked.states["u"], np.float64).reshape(-1)
    for _ in range(max(int(asked.options.get("steps", 1)), 1)):
        v = w.T @ u / np.linalg.norm(w.T @ u)
        u = w @ v / np.linalg.norm(w @ v)
    return np.asarray(asked.x.astype(np.float64) / (u @ w @ v))


def _with(changes: Mapping[str, Any]) -> Callable[[Asked], np.ndarray]:
    return lambda asked: forward(asked, changes)


def _from(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Asked], np.ndarray]:
    """Options made from those that were asked with."""
    return lambda asked: forward(asked, change({**asked.frame.known, **asked.options}))


def _windowed() -> Iterator[Alternative]:
    """A sum of squares over neighbouring channels."""
    yield "alpha_not_divided", {}, _from(lambda o: {"alpha": o["alpha"] * o["size"]})
    for more in (1, -1, 2, -2):
        yield "window_off_by_one", {}, _from(
            lambda o, m=more: {"size": max(o["size"] + m, 1), "alpha": o["alpha"] * max(o["size"] + m, 1) / o["size"]}  # type: ignore[misc]
        )
        yield "window_off_by_one", {}, _from(lambda o, m=more: {"size": max(o["size"] + m, 1)})  # type: ignore[misc]
    # size taken for what lies on each side of c: the window is twice as long, and one
    yield "size_of_one_side", {}, _from(
        lambda o: {"size": 2 * o["size"] + 1, "alpha": o["alpha"] * (2 * o["size"] + 1) / o["size"]}
    )
    yield "size_of_one_side", {}, _from(lambda o: {"size": 2 * o["size"] + 1})
    yield "window_side", {}, _from(lambda o: {"window": "onnx" if o["window"] == "torch" else "torch"})
    yield "power_missing", {}, _with({"beta": 1.0})
    yield "not_squared", {}, _not_squared
    yield "multiplied", {}, lambda asked: asked.x * asked.x / _over(asked)
    yield "not_normalized", {}, lambda asked: asked.x


def _over(asked: Asked) -> np.ndarray:
    return forward(asked, {})


def _not_squared(asked: Asked) -> np.ndarray:
    """The sum of x, in the place of that of its square."""
    o = {**asked.frame.known, **asked.options}
    x = np.moveaxis(asked.x, asked.frame.axes.index("c"), 0)
    before, after = o["size"] // 2, (o["size"] - 1) // 2
    sums = np.stack([x[max(c - before, 0) : c + after + 1].sum(axis=0) for c in range(len(x))])
    y = x / (o["k"] + o["alpha"] / o["size"] * sums) ** o["beta"]
    return np.moveaxis(y, 0, asked.frame.axes.index("c"))


def _activation() -> Iterator[Alternative]:
    """scale * (x above 0, alpha * (exp(x) - 1) below)."""

    def kinked(above: float, below: float) -> Callable[[Asked], np.ndarray]:
        return lambda asked: np.where(asked.x > 0, above * asked.x, below * np.expm1(np.minimum(asked.x, 0)))

    yield "scale_missing", {}, kinked(1.0, ALPHA)
    yield "alpha_missing", {}, kinked(SCALE, SCALE)
    yield "constants_missing", {}, kinked(1.0, 1.0)
    yield "constants_swapped", {}, kinked(ALPHA, SCALE * ALPHA)
    yield "scale_on_one_side", {}, kinked(SCALE, ALPHA)
    yield "scale_on_one_side", {}, kinked(1.0, SCALE * ALPHA)
    yield "constant_not_subtracted", {}, lambda asked: SCALE * np.where(asked.x > 0, asked.x, ALPHA * np.exp(asked.x))
    yield "sides_swapped", {}, lambda asked: SCALE * np.where(asked.x <= 0, asked.x, ALPHA * np.expm1(asked.x))
    for digits in DIGITS:
        alpha, scale = round(ALPHA, digits), round(SCALE, digits)
        yield "constants_rounded", {"digits": digits}, kinked(scale, scale * alpha)
        factor = 10.0**digits
        alpha, scale = int(ALPHA * factor) / factor, int(SCALE * factor) / factor
        yield "constants_rounded", {"digits": digits}, kinked(scale, scale * alpha)


def _spectral() -> Iterator[Alternative]:
    """A weight divided by its largest singular value."""

    def by(size: Callable[[np.ndarray], float]) -> Callable[[Asked], np.ndarray]:
        return lambda asked: asked.x / size(asked.x.reshape(len(asked.x), -1))

    yield "frobenius_norm", {}, by(lambda w: float(np.linalg.norm(w)))
    yield "sum_of_singular_values", {}, by(lambda w: float(np.linalg.norm(w, "nuc")))
    yield "square_of_singular_value", {}, by(lambda w: float(np.linalg.norm(w, 2)) ** 2)
    yield "largest_sum", {}, by(lambda w: float(np.abs(w).sum(axis=1).max()))
    yield "no_iteration", {}, _with({"steps": 0})
    yield "largest_element", {}, by(lambda w: float(np.abs(w).max()))
    yield "not_normalized", {}, lambda asked: asked.x
