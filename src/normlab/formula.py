"""The two steps that all methods made of statistics share, written once for every framework.

`statistics` measures the sets (mean, and the root that divides), `normalize` uses them. Both take `xp`, a module that
speaks NumPy's language, work in the dtype they are given (the faces widen first) and reduce over `axes`, which stay
with size 1. Population statistics, never E[x^2] - E[x]^2:

    d    = x - mean(x);  d = d - mean(d)          # the second centring takes out the rounding of the first mean
    root = sqrt(mean(d^2))                        # or another spread
    y    = d / sqrt(root^2 + eps)                 # or root + eps, or max(root, eps)
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Statistics", "centred", "denominator", "normalize", "range_unit", "statistics"]

Array = Any


class Statistics(NamedTuple):
    """What a set is normalized with, in units of `unit` (a power of two, 1 unless squares would leave the range)."""

    mean: Array  # of unit * x; 0 where nothing is centred
    residue: Array  # the mean of unit * x - mean: what the rounding of the mean left
    root: Array  # the spread of unit * x
    unit: Array
    count: Array  # elements of a set that count (fewer than its size under a mask)


def range_unit(xp: Any, x: Array, axes: tuple[int, ...], eps: float) -> Array:
    """A power of two for each set that keeps the squares of its elements, and eps beside them, in the dtype's range.

    1 for ordinary values: near 1e20 in float32 a square is infinite and near 1e-30 it is 0.
    """
    info = xp.finfo(x.dtype)
    half, digits = info.maxexp // 2, info.nmant
    largest = xp.maximum(xp.max(xp.abs(x), axis=axes, keepdims=True), eps**0.5)
    # 2**24 below the root of the range leaves room for the sum of that many squares.
    huge, tiny = 2.0 ** (half - 24), 2.0 ** -(half - 4)
    down, up = 2.0 ** -(half + 24), 2.0 ** (half + digits + 1)
    return xp.where(largest > huge, down, xp.where((largest < tiny) & (largest > 0), up, xp.ones_like(largest)))


def _mean(xp: Any, x: Array, axes: tuple[int, ...], mask: Array | None, count: Array) -> Array:
    if mask is not None:
        x = xp.where(mask, x, xp.zeros_like(x))
    return xp.sum(x, axis=axes, keepdims=True) / count


def statistics(
    xp: Any, x: Array, axes: tuple[int, ...], *, centre: bool, spread: str | None, eps: float = 0.0,
    mask: Array | None = None,
) -> Statistics:  # fmt: skip
    """The statistics of every set of `x` along `axes`; elements where `mask` is False do not count."""
    if mask is not None:
        x = xp.where(mask, x, xp.zeros_like(x))  # what is masked out may be NaN
        count = xp.maximum(xp.sum(mask * xp.ones_like(x), axis=axes, keepdims=True), 1)
    else:
        count = float(_product(x.shape[a] for a in axes))
    unit = range_unit(xp, x, axes, eps)
    x = x * unit
    nothing = xp.zeros_like(unit)
    mean = residue = nothing
    if centre or spread == "std":
        mean = _mean(xp, x, axes, mask, count)
        residue = _mean(xp, x - mean, axes, mask, count)
    d = (x - mean) - residue
    if mask is not None:
        d = xp.where(mask, d, xp.zeros_like(d))
    root = _root(xp, d, axes, spread, count)
    if not centre:
        mean = residue = nothing
    return Statistics(mean, residue, root, unit, count)


def _root(xp: Any, d: Array, axes: tuple[int, ...], spread: str | None, count: Array) -> Array:
    if spread in ("std", "rms"):
        return xp.sqrt(xp.sum(d * d, axis=axes, keepdims=True) / count)
    if spread == "l2":
        return xp.sqrt(xp.sum(d * d, axis=axes, keepdims=True))
    if spread == "mean_abs":
        return xp.sum(xp.abs(d), axis=axes, keepdims=True) / count
    if spread == "l1":
        return xp.sum(xp.abs(d), axis=axes, keepdims=True)
    if spread == "max":
        return xp.max(xp.abs(d), axis=axes, keepdims=True)
    return xp.ones_like(xp.sum(d, axis=axes, keepdims=True))


def denominator(xp: Any, root: Array, unit: Array, eps: float, eps_rule: str) -> Array:
    """What divides, in units of `unit`: `inside` sqrt(root^2 + eps), `outside` root + eps, `floor` max(root, eps)."""
    if eps == 0:
        return root
    if eps_rule == "inside":
        return xp.sqrt(root * root + eps * (unit * unit))
    if eps_rule == "outside":
        return root + eps * unit
    return xp.maximum(root, eps * unit)


def centred(xp: Any, x: Array, s: Statistics) -> Array:
    """`x` in units of `s.unit`, less its mean."""
    return (x * s.unit - s.mean) - s.residue


def normalize(
    xp: Any, x: Array, s: Statistics, *, spread: str | None, eps: float, eps_rule: str
) -> tuple[Array, Array]:
    """The normalized `x`, and what multiplied it; a set without spread gives 0, also where eps is 0."""
    if spread is None:
        one = xp.ones_like(s.root)
        return centred(xp, x, s) / s.unit, one
    below = denominator(xp, s.root, s.unit, eps, eps_rule)
    empty = below == 0
    scale = xp.where(empty, xp.zeros_like(below), 1.0 / xp.where(empty, xp.ones_like(below), below))
    return centred(xp, x, s) * scale, scale


def _product(sizes: Any) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result
