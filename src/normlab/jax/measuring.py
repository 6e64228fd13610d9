"""The statistics of sets as JAX's compiler wants them: exact for constant sets, and merged over a named axis.

Under `axis_name` the sets go on in the other elements of a mapped axis (`jax.vmap`, `jax.pmap`, `jax.shard_map`): every
sum and maximum of the formula runs over that axis as well, so counts, the mean, and the mean square about that mean are
those of the whole batch, and gradients pass from one element to the others as they would inside one array.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from .. import formula
from ..errors import ShapeError, UsageError

__all__ = ["AxisName", "shared_over", "statistics"]

AxisName = str | tuple[str, ...]


def statistics(
    xp: Any, x: Array, axes: tuple[int, ...], *, centre: bool, spread: str | None, eps: float = 0.0,
    mask: Array | None = None,
) -> formula.Statistics:  # fmt: skip
    """`formula.statistics`, with no spread at all where every element of a set is the same number.

    XLA divides by a count by multiplying with its rounded reciprocal, so the mean of equal numbers need not be that
    number, even after the second centring, and with eps 0 what is left would be divided by itself.
    """
    s = formula.statistics(xp, x, axes, centre=centre, spread=spread, eps=eps, mask=mask)
    if not centre:
        return s
    high, low = (end(xp, lax.stop_gradient(x), axes, mask) for end in (_highest, _lowest))
    flat = high == low
    # A constant, so that slopes stay those of the formula: (g - mean of g) / sqrt(eps) where there is an eps.
    number = lax.stop_gradient(high * s.unit - s.mean)
    mean = s.mean + jnp.where(flat, number, 0.0)
    root, square, residue = (jnp.where(flat, 0.0, a) for a in (s.root, s.square, s.residue))
    return s._replace(mean=mean, root=root, square=square, residue=residue)


def _highest(xp: Any, x: Array, axes: tuple[int, ...], mask: Array | None) -> Array:
    """The largest element of every set that counts."""
    x = x if mask is None else jnp.where(mask, x, -jnp.inf)
    return xp.max(x, axis=axes, keepdims=True)


def _lowest(xp: Any, x: Array, axes: tuple[int, ...], mask: Array | None) -> Array:
    return -_highest(xp, -x, axes, mask)


class _Shared:
    """A namespace whose sums and maxima run over a named axis as well."""

    def __init__(self, xp: Any, axis_name: AxisName, spread: str | None) -> None:
        self.xp, self.axis_name, self.spread = xp, axis_name, spread

    def __getattr__(self, name: str) -> Any:
        return getattr(self.xp, name)

    def sum(self, a: Array, axis: Any, keepdims: bool) -> Array:
        """The sum over `axis` and the named axis."""
        return lax.psum(jnp.sum(a, axis=axis, keepdims=keepdims), self.axis_name)

    def max(self, a: Array, axis: Any, keepdims: bool) -> Array:
        """The largest element along `axis` and the named axis; it has a slope where it is the spread."""
        a = jnp.max(a, axis=axis, keepdims=keepdims)
        fixed = lax.stop_gradient(a)
        top = lax.pmax(fixed, self.axis_name)  # which has no derivative
        if self.spread != "max":
            return top
        reached = fixed == top  # those that share the maximum share its slope, as inside one array
        slopes, number = lax.psum((jnp.where(reached, a - fixed, 0.0), reached.astype(a.dtype)), self.axis_name)
        return top + slopes / number


def shared_over(axis_name: AxisName, who: str) -> Callable[..., formula.Statistics]:
    """`statistics` of the sets that all elements of a named axis have together."""
    try:
        elements = lax.axis_size(axis_name)
    except NameError:
        raise UsageError(
            f"{who}: axis_name={axis_name!r} is the name of no mapped axis here.",
            hint="Call it inside jax.vmap, jax.pmap or jax.shard_map with that name, or without axis_name.",
        ) from None

    def measure(xp: Any, x: Array, axes: tuple[int, ...], *, mask: Array | None, **how: Any) -> formula.Statistics:
        together = elements * math.prod(x.shape[a] for a in axes)
        if together == 1 and (how["centre"] or how["spread"] == "std"):
            raise ShapeError(
                f"{who}: x has 1 element in each set, on all of axis_name={axis_name!r} together, and less its own "
                f"mean that is 0.", hint="Give each set at least 2 elements.",
            )  # fmt: skip
        if mask is None:  # the formula then counts the elements, rather than read them off a shape
            mask = jnp.ones((1,) * x.ndim, bool)
        return statistics(_Shared(xp, axis_name, how["spread"]), x, axes, mask=mask, **how)

    return measure
