"""NumPy's side of a plan: arrays laid out as sets x elements, summed so that the bytes depend on the set alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DtypeError, ShapeError
from ..pattern import Plan

__all__ = ["as_float", "broadcast_back", "from_sets", "to_sets", "total", "widen"]

# Everything is computed in float64: on NumPy a cast costs less than the care that float32 would need.
WIDE = np.float64


def as_float(x: Any, who: str) -> np.ndarray:
    """`x` itself, checked to be a floating-point array with at least one axis."""
    if isinstance(x, np.ma.MaskedArray):
        raise DtypeError(f"{who}: a masked array loses its mask here.", hint="Pass x.data and mask=~x.mask.")
    if not isinstance(x, np.ndarray):
        raise DtypeError(f"{who}: x must be a NumPy array, got {type(x).__name__}.", hint="Convert with numpy.asarray.")
    # ml_dtypes' bfloat16 is a void kind to NumPy, yet casts both ways.
    if not (np.issubdtype(x.dtype, np.floating) or x.dtype.name in ("bfloat16",)):
        raise DtypeError(
            f"{who}: x must have floating-point elements, got {x.dtype}.", hint="Convert with x.astype(numpy.float32)."
        )
    if x.ndim == 0:
        raise ShapeError(f"{who}: x must have at least one axis, got a 0-d array.")
    return x


def widen(a: Any) -> np.ndarray:
    """`a` in float64 (longer types stay as they are)."""
    a = np.asarray(a)
    return a if a.dtype in (WIDE, np.longdouble) else a.astype(WIDE)


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
    """The inverse of `to_sets`, on the split axes; statistics of shape (lead, sets, 1) come back with pooled axes of 1."""
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
