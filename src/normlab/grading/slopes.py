"""The known mistakes of a backward pass: what each gives for dx, and for the gradients of weight and bias."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from .asked import Asked
from .findings import difference
from .recipe import Given, Recipe, Statistics, compute, statistics

__all__ = ["STEP", "dx_mistakes", "parameter_mistakes"]

STEP = 2.0**-17


def dx_mistakes(recipe: Recipe, given: Given, dy: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Key and gradient of each known mistake."""
    at = statistics(recipe, given)

    def slope(*hold: str, of: Given = given) -> np.ndarray:
        return _slope(recipe, of, dy, at, frozenset(hold))

    alone, no_spread, no_mean, whole = slope("mean", "spread"), slope("spread"), slope("mean"), slope()
    by_mean, by_spread = alone - no_spread, alone - no_mean
    yield "gradient_ignores_statistics", alone
    yield "gradient_ignores_variance", no_spread
    yield "gradient_ignores_mean", no_mean
    if given.weight is not None:
        bare = replace(given, weight=np.ones_like(given.weight))
        yield "gradient_without_weight", slope(of=bare)
        yield "gradient_without_weight", slope("mean", "spread", of=bare)
    count = given.plan.count
    yield "gradient_sums_not_means", alone - count * (by_mean + by_spread)
    yield "gradient_sums_not_means", alone - count * by_mean - by_spread
    yield "gradient_sums_not_means", alone - by_mean - count * by_spread
    yield "gradient_averaged", whole / count
    yield "gradient_averaged", whole / given.x.shape[0]
    yield "gradient_averaged", whole * count
    yield "gradient_sign", alone - by_mean + by_spread
    yield "gradient_sign", alone + by_mean - by_spread
    yield "gradient_sign", alone + by_mean + by_spread
    yield "gradient_sign", -whole
    yield "gradient_not_divided", _times_root(recipe, given, whole, at)
    yield "gradient_not_divided", _times_root(recipe, given, alone, at)
    yield "gradient_is_dy", dy


def _slope(recipe: Recipe, given: Given, dy: np.ndarray, at: Statistics, hold: frozenset[str]) -> np.ndarray:
    """The derivative of a recipe by central differences, with the statistics in `hold` constant."""
    found = np.zeros(given.x.size)
    for k in range(given.x.size):
        ends = []
        for sign in (1, -1):
            moved = given.x.copy()
            moved.flat[k] += sign * STEP
            ends.append(float((dy * compute(recipe, replace(given, x=moved), at=at, hold=hold)).sum()))
        found[k] = (ends[0] - ends[1]) / (2 * STEP)
    return found.reshape(given.x.shape)


def _times_root(recipe: Recipe, given: Given, gradient: np.ndarray, at: Statistics) -> np.ndarray:
    """A gradient that was never divided by the root."""
    root = np.sqrt(at.square + (given.eps if recipe.eps_rule == "inside" else 0.0))
    return np.asarray((gradient.reshape(given.plan.split) * root).reshape(given.x.shape))


def parameter_mistakes(
    name: str, asked: Asked, dy: np.ndarray, came: Sequence[np.ndarray],
    wanted: dict[str, np.ndarray], tolerance: float,
) -> Iterator[str]:  # fmt: skip
    """The keys of what would give one of the arrays that came."""
    want = wanted[name]
    shared = asked.x.size // max(want.size, 1)
    for a in came:
        if a.size > want.size and any(difference(s, want) <= tolerance for s in _sums(a, want.size)):
            yield "gradient_not_summed"
    same = [a.reshape(want.shape) for a in came if a.size == want.size]
    if any(difference(a * shared, want) <= tolerance for a in same):
        yield "gradient_averaged"
    if any(difference(a * len(asked.x), want) <= tolerance for a in same):
        yield "gradient_averaged"
    other = wanted.get("bias" if name == "weight" else "weight")
    alone = other is not None and len(came) == 1 and came[0].size == other.size
    if other is not None and alone and difference(came[0].reshape(other.shape), other) <= tolerance:
        yield "gradients_swapped"
    if name == "weight" and any(difference(a, _over(asked, dy * asked.x, want)) <= tolerance for a in same):
        yield "gradient_of_raw_x"
    if any(difference(-a, want) <= tolerance for a in same):
        yield "gradient_sign"


def _over(asked: Asked, product: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The sum of `product` over all axes but the parameter's."""
    main = "o" if "o" in asked.frame.axes else "c"
    at = asked.frame.axes.index(main)
    total = product.sum(axis=tuple(a for a in range(product.ndim) if a != at))
    return total.reshape(like.shape) if total.size == like.size else np.full(like.shape, np.inf)


def _sums(a: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """`a` summed over all of its axes but one of that size."""
    for axis, length in enumerate(a.shape):
        if length == size:
            yield a.sum(axis=tuple(k for k in range(a.ndim) if k != axis))
