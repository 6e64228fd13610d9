"""The family "standardize over these axes" with its own way back, in the fewest passes over memory that MLX can make.

The formula's numbers and meaning. MLX would differentiate the formula too, but through every one of its steps, each
with an array of its own. With d the centred x, D what divides, z = d / D, and g the gradient that reaches z:

    dx = g / D - (sum(g * z) / D) * dD/dx          and, where x was centred, less its own mean
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import mlx.core as mx

from .. import formula
from ..calling import Rule
from ..pattern import Plan
from ..traced import Measured
from .arrays import FACE, Custom, widen
from .reducing import largest, smallest, total

__all__ = ["covers", "standardize"]

XP = FACE.xp
Axes = tuple[int, ...]


def covers(rule: Rule, mask: Any) -> bool:
    """Whether a call by its own statistics is one of this family."""
    return mask is None and (rule.spread in ("rms", "l2") or (rule.spread == "std" and rule.centre))


def standardize(
    x: mx.array, plan: Plan, rule: Rule, affine: Sequence[mx.array | None], targets: Sequence[Axes]
) -> tuple[mx.array, Measured]:
    """y in x's dtype, and the statistics; weight and bias in `affine` broadcast in the shapes of `targets`."""
    z, mean, square, unit = _normalizing(plan.pooled, rule)(widen(x).reshape(plan.split))
    for step, a, target in zip((_times, _plus), affine, targets, strict=True):
        z = z if a is None else step(z, widen(a).reshape(target))
    return FACE.narrow(z.reshape(plan.shape), x), Measured(mean / unit, square / unit / unit, float(plan.count))


def _measured(x: mx.array, axes: Axes, rule: Rule) -> tuple[mx.array, formula.Statistics]:
    """The centred x in units of the statistics' unit, and the statistics."""
    count = math.prod(x.shape[a] for a in axes)
    # The largest magnitude from both ends: |x| would be an array more.
    ends = mx.concatenate([end(x, axis=axes, keepdims=True) for end in (largest, smallest)], axis=axes[0])
    unit = formula.range_unit(XP, ends, axes, rule.eps)
    d = x * unit
    mean = mx.zeros_like(unit)
    if rule.centre:
        mean = total(d, axes, keepdims=True) / count
        d = d - mean
        residue = total(d, axes, keepdims=True) / count  # what the rounding of the mean left
        d, mean = d - residue, mean + residue
    square = total(d * d, axes, keepdims=True) / (1 if rule.spread == "l2" else count)
    return d, formula.Statistics(mean, mx.zeros_like(mean), formula.safe_sqrt(XP, square), square, unit, float(count))


def _divisor(s: formula.Statistics, rule: Rule) -> mx.array:
    """What divides; infinite where it would be 0, so that a set without spread gives 0."""
    below = formula.denominator(XP, s, rule.eps, rule.eps_rule)
    return mx.where(below == 0, math.inf, below)


@lru_cache(maxsize=256)
def _normalizing(axes: Axes, rule: Rule) -> Callable[[mx.array], tuple[mx.array, ...]]:
    """x -> (z, mean, mean square, unit); the way back is made of these alone, so it can be differentiated again."""

    @Custom
    def forward(x: mx.array) -> tuple[mx.array, ...]:
        d, s = _measured(x, axes, rule)
        return d / _divisor(s, rule), s.mean, s.square, s.unit

    @forward.vjp
    def backward(x: mx.array, cotangents: Sequence[mx.array], made: Sequence[mx.array]) -> mx.array:
        (g, g_mean, g_square, _), (z, mean, square, unit) = cotangents, made
        count = math.prod(x.shape[a] for a in axes)
        s = formula.Statistics(mean, mean, formula.safe_sqrt(XP, square), square, unit, float(count))
        below = _divisor(s, rule)
        finite = mx.where(below == math.inf, 0.0, below)
        share = 1.0 if rule.spread == "l2" else 1.0 / count
        # g_square and g_mean are 0 but for second derivatives; d(square)/dx = 2 d / count, and d = z D.
        dx = g - z * (total(g * z, axes, keepdims=True) * _slope(s, rule) - 2.0 * share * g_square * finite * finite)
        if rule.centre:
            dx = dx - (total(dx, axes, keepdims=True) - g_mean * finite) / count
        return dx * (unit / below)

    return forward


def _slope(s: formula.Statistics, rule: Rule) -> mx.array | float:
    """dD/dd as a multiple of z."""
    share = 1.0 if rule.spread == "l2" else 1.0 / s.count
    if rule.eps == 0 or rule.eps_rule == "inside":
        return share
    below = _divisor(s, rule) / mx.where(s.root == 0, 1.0, s.root)  # without spread z is 0, and so is the slope
    if rule.eps_rule == "floor":
        below = mx.where(s.root > rule.eps * s.unit, below, 0.0)  # the floor has no slope
    return share * below


def _pulled(g: mx.array, like: mx.array) -> mx.array:
    """The gradient of an array that was broadcast to g's shape: the sum over the axes where it had 1."""
    axes = tuple(k for k, size in enumerate(like.shape) if size == 1 and g.shape[k] != 1)
    return total(g, axes, keepdims=True)


# MLX's own gradients of a broadcast sum and product add one row after the other.
@Custom
def _times(z: mx.array, weight: mx.array) -> mx.array:
    return z * weight


@_times.vjp
def _times_back(primals: Sequence[mx.array], g: mx.array, _: mx.array) -> tuple[mx.array, mx.array]:
    z, weight = primals
    return g * weight, _pulled(g * z, weight)


@Custom
def _plus(z: mx.array, bias: mx.array) -> mx.array:
    return z + bias


@_plus.vjp
def _plus_back(primals: Sequence[mx.array], g: mx.array, _: mx.array) -> tuple[mx.array, mx.array]:
    return g, _pulled(g, primals[1])
