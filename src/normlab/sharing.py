"""Which elements share a statistic, as numbers: the picture behind every sharing board."""

from __future__ import annotations

from typing import TYPE_CHECKING, SupportsIndex

from .pattern import Pattern, parse

if TYPE_CHECKING:
    import numpy

__all__ = ["shares"]


def shares(pools: str | Pattern, shape: tuple[int, ...], **sizes: SupportsIndex) -> numpy.ndarray:
    """The number of the statistic that each element belongs to.

    Args: `pools`, a line of notation in the order of the array's axes; `shape`, of the array; the sizes of factors.
    Returns: int64 array of `shape`; statistics are numbered 0, 1, 2 ... in row-major order of what is not pooled.
    Raises: PatternError for a line that cannot be read, ShapeError for a shape that does not fit.
    Example:
        >>> shares("n (g [c])", (2, 4), g=2)
        array([[0, 0, 1, 1],
               [2, 2, 3, 3]])
    """
    import numpy as np

    pattern = pools if isinstance(pools, Pattern) else parse(pools)
    plan = pattern.plan(shape, sizes)

    kept = [size if axis in plan.kept else 1 for axis, size in enumerate(plan.split)]
    numbers = np.arange(plan.sets, dtype=np.int64).reshape(kept)
    return np.ascontiguousarray(np.broadcast_to(numbers, plan.split)).reshape(plan.shape)
