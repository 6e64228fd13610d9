"""NumPy's side of a plan: arrays laid out as sets x elements, summed so that the bytes depend on the set alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..calling import refuse_dtype
from ..errors import DtypeError, ShapeError, UsageError
from ..pattern import Plan

__all__ = [
    "as_float", "as_numbers", "broadcast_back", "from_sets", "generator", "narrow", "to_sets", "total", "widen",
]  # fmt: skip


# Everything is computed in float64: on NumPy a cast costs less than the care that float32 would need.
WIDE = np.float64
HALF = "bfloat16"  # of the package ml_dtypes: a void kind to NumPy, yet it casts both ways


def as_float(x: Any, who: str, name: str = "x") -> np.ndarray:
    """`x` itself, checked to be an array of floating-point numbers with at least one axis."""
    if isinstance(x, np.ma.MaskedArray):
        raise DtypeError(
            f"{who}: {name} must be a plain array: a masked one would lose its mask.",
            hint=f"Pass {name}.data; methods that pool over samples or positions take mask=.",
        )
    if not isinstance(x, np.ndarray):
        raise DtypeError(
            f"{who}: {name} must be a NumPy array, got {type(x).__name__}.", hint="Convert with numpy.asarray."
        )
    # What is longer than float64 differs from machine to machine and would be summed no better here.
    if not (np.issubdtype(x.dtype, np.floating) and x.dtype.itemsize <= 8) and x.dtype.name != HALF:
        raise refuse_dtype(who, name, x.dtype, f"{name}.astype(numpy.float64)")
    if x.ndim == 0:
        raise ShapeError(f"{who}: {name} must have at least one axis, got a 0-d array.")
    return np.asarray(x)  # a subclass would put its own meaning on the arithmetic


def as_numbers(a: Any, who: str, name: str) -> np.ndarray:
    """A parameter, state, input or cotangent as an array of real numbers: lists and whole numbers may pass."""
    try:
        found = np.asarray(a)
    except ValueError:
        raise ShapeError(f"{who}: {name} must be an array, got nested lists of unequal lengths.") from None
    if found.dtype.kind not in "fiu" and found.dtype.name != HALF:
        raise DtypeError(f"{who}: {name} must hold real numbers, got elements of {found.dtype}.")
    return found


def widen(a: Any) -> np.ndarray:
    """`a` in float64."""
    return np.asarray(a).astype(WIDE, copy=False)


def narrow(a: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """`a` in the `dtype` of what it belongs to; whole numbers keep no gradient, so for them it stays wide."""
    a = np.asarray(a)  # arithmetic on 0-d arrays gives scalars
    if dtype.kind in "iu":
        return a
    with np.errstate(over="ignore"):
        return a.astype(dtype, copy=False)


def generator(key: Any) -> np.random.Generator:
    """The random numbers that belong to a key: a whole number or a generator; None: other ones every time."""
    try:
        return np.random.default_rng(key)
    except (TypeError, ValueError):
        raise UsageError(f"key must be a whole number of at least 0 or a generator, got {key!r}.") from None


def _order(plan: Plan, lead: int) -> tuple[int, ...]:
    return (*range(lead), *(a + lead for a in plan.kept), *(a + lead for a in plan.pooled))


def to_sets(a: np.ndarray, plan: Plan, lead: int = 0) -> np.ndarray:
    """`a` (x's shape, or that of the split axes, behind `lead` more axes) as (lead, sets, elements), contiguous, wide.

    NumPy adds pairwise only along contiguous memory: laid out so, a set's sum is accurate and its bytes do not depend
    on the sets beside it.
    """
    front = a.shape[:lead]
    s = a.reshape(front + plan.split).transpose(_order(plan, lead)).reshape((*front, plan.sets, plan.count))
    return np.ascontiguousarray(widen(s))


def from_sets(s: np.ndarray, plan: Plan, lead: int = 0) -> np.ndarray:
    """The inverse of `to_sets`, on the split axes; statistics (lead, sets, 1) come back with pooled axes of size 1."""
    front = s.shape[:lead]
    one = s.shape[-1] == 1
    pooled = [1 if one else plan.split[a] for a in plan.pooled]
    s = s.reshape((*front, *(plan.split[a] for a in plan.kept), *pooled))
    return s.transpose(np.argsort(_order(plan, lead)))


def total(a: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The sum over `axes`, which go; pairwise along all of them."""
    if not axes:
        return a
    kept = [k for k in range(a.ndim) if k not in axes]
    sizes = [a.shape[k] for k in kept]
    moved = np.ascontiguousarray(a.transpose(*kept, *axes)).reshape((*sizes, -1 if a.size else 0))
    return moved.sum(axis=-1)


def broadcast_back(g: np.ndarray, shape: tuple[int, ...], lead: int = 0) -> np.ndarray:
    """The gradient of an array of `shape` that was broadcast to g's shape: the sum over the axes where it had 1."""
    axes = tuple(k + lead for k, size in enumerate(shape) if size == 1 and g.shape[k + lead] != 1)
    return total(g, axes).reshape(g.shape[:lead] + shape)
