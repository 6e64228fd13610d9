"""The two steps that all methods made of statistics share, written once for every framework.

`statistics` measures the sets (mean, and the root that divides), `normalize` uses them. Both take `xp`, a module that
speaks NumPy's language, work in the dtype they are given (the faces widen first) and reduce over `axes`, which stay
with size 1. Population statistics, never E[x^2] - E[x]^2:

    d    = x - mean(x);  d = d - mean(d)          # the second centring takes out the rounding of the first mean
    root = sqrt(mean(d^2))                        # or another spread; its sum is corrected once in the same way
    y    = d / sqrt(root^2 + eps)                 # or root + eps, or max(root, eps)

A framework that differentiates by itself may differentiate this: what is constant in exact arithmetic (the units, what
a rounding left) is cut off by `xp.stop`, where xp has it, and no root of 0 is differentiated.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Statistics", "centred", "denominator", "normalize", "range_unit", "safe_sqrt", "statistics"]

Array = Any


class Statistics(NamedTuple):
    """What a set is normalized with, in units of `unit` (a power of two, 1 unless squares would leave the range)."""

    mean: Array  # of unit * x; 0 where nothing is centred
    residue: Array  # the mean of unit * x - mean: what the rounding of the mean left
    root: Array  # the spread of unit * x
    square: Array  # root^2, not rounded twice
    unit: Array
    count: Array  # elements of a set that count (fewer than its size under a mask)


def range_unit(xp: Any, x: Array, axes: tuple[int, ...], eps: float) -> Array:
    """A power of two for each set that keeps the squares of its elements, and eps beside them, in the dtype's range.

    1 for ordinary values: near 1e20 in float32 a square is infinite and near 1e-30 it is 0.
    """
    info = xp.finfo(x.dtype)
    half, digits = info.maxexp // 2, info.nmant
    largest = xp.maximum(xp.max(xp.abs(x), axis=axes, keepdims=True), eps**0.5)
    # 2**24 below the root of the range leaves room for the sum of that many squares; at the lower end the square of
    # the smallest difference between two elements must not be lost either.
    huge, tiny = 2.0 ** (half - 24), 2.0 ** -(half - digits)
    down, up = 2.0 ** -(half + 24), 2.0 ** (half + digits + 1)
    unit = xp.where((largest < tiny) & (largest > 0), up, xp.ones_like(largest))
    return _constant(xp, xp.where(largest > huge, down, unit))


def _constant(xp: Any, a: Array) -> Array:
    """`a` without a gradient."""
    stop = getattr(xp, "stop", None)
    return a if stop is None else stop(a)


def safe_sqrt(xp: Any, square: Array) -> Array:
    """The root, with slope 0 instead of infinity at 0."""
    above = square != 0  # NaN too
    return xp.where(above, xp.sqrt(xp.where(above, square, 1.0)), 0.0)


def _sum(xp: Any, x: Array, axes: tuple[int, ...], mask: Array | None) -> Array:
    if mask is not None:
        x = xp.where(mask, x, xp.zeros_like(x))
    return xp.sum(x, axis=axes, keepdims=True)


def _sum_twice(xp: Any, x: Array, axes: tuple[int, ...], mask: Array | None, count: Array) -> Array:
    """The sum of numbers of one sign, plus what its own rounding left: float64's last bits are wanted right as well."""
    first = _sum(xp, x, axes, mask)
    return first + _constant(xp, _sum(xp, x - first / count, axes, mask))


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
        mean = _sum(xp, x, axes, mask) / count
        residue = _constant(xp, _sum(xp, x - mean, axes, mask) / count)
    d = (x - mean) - residue
    if mask is not None:
        d = xp.where(mask, d, xp.zeros_like(d))
    if spread in ("std", "rms", "l2"):
        square = _sum_twice(xp, d * d, axes, mask, count) / (count if spread != "l2" else 1.0)
        root = safe_sqrt(xp, square)
    else:
        root = _root(xp, xp.abs(d), axes, spread, mask, count)
        square = root * root
    if not centre:
        mean = residue = nothing
    return Statistics(mean, residue, root, square, unit, count)


def _root(xp: Any, size: Array, axes: tuple[int, ...], spread: str | None, mask: Array | None, count: Array) -> Array:
    if spread in ("mean_abs", "l1"):
        return _sum_twice(xp, size, axes, mask, count) / (count if spread == "mean_abs" else 1.0)
    if spread == "max":
        return xp.max(size, axis=axes, keepdims=True)
    return xp.ones_like(xp.sum(size, axis=axes, keepdims=True))


def denominator(xp: Any, s: Statistics, eps: float, eps_rule: str) -> Array:
    """What divides, in units of `s.unit`: `inside` sqrt(root^2 + eps), `outside` root + eps, `floor` max(root, eps)."""
    if eps == 0:
        return s.root
    if eps_rule == "inside":
        return safe_sqrt(xp, s.square + eps * s.unit * s.unit)
    if eps_rule == "outside":
        return s.root + eps * s.unit
    return xp.maximum(s.root, eps * s.unit)


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
    below = denominator(xp, s, eps, eps_rule)
    below = xp.where(below == 0, xp.full_like(below, xp.inf), below)
    return centred(xp, x, s) / below, 1.0 / below


def _product(sizes: Any) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result
