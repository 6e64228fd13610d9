"""The law of the gradient's gain per layer at initialization, for wide dense nets.

A layer's weight gradient shrinks or grows by one factor per layer. With z ~ N(0, 1) and phi the activation function

    gain = sqrt(E phi'(z)^2 / D)

where D = Var phi if the statistic is taken over the inputs, unit by unit, so that what is the same for every input is
thrown away; and D = E phi^2 if it is taken over the units, so that it stays. The squared mean of phi is the whole
difference. Without normalization the variance of what enters phi settles at q = s^2 E phi(sqrt(q) z)^2, and the gain
is sqrt(s^2 E phi'(sqrt(q) z)^2); s^2 is the fan-in times the weights' variance.

Nothing here knows a method: what a statistic pools decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.definition import Definition
from normlab.pattern import Plan

from .activations import ACTIVATIONS, activation_named
from .network import LayerRun, presumed_init, standard_deviation
from .settings import Settings

if TYPE_CHECKING:
    from .arms import Arm

SMALLEST_SET = 16  # fewer elements scatter: with 4 units a set the measured gain is 0.47 to 0.56, not 0.39
# A bias, or eps, that adds less than this part to the variance is left out of the law.
NEGLIGIBLE = 0.06
# tanh with s = 1 creeps to its fixed point 0 like 1/(2 steps) and never arrives: that many steps give 0.9997.
SETTLING_STEPS = 1600
_VANISHING, _BOUNDLESS = 1e-24, 1e12  # of q: beyond, an activation function has one slope on either side of 0
_REACH = 12.0  # standard deviations; beyond, the normal density is under 1e-31
_HALVINGS = 26  # panels halve towards 0, so that a kink at 0 and a step as narrow as 1e-7 are both integrated


@lru_cache(maxsize=1)
def _quadrature() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Points and weights of E f(z), z ~ N(0, 1): Gauss-Legendre on panels that meet at 0, where ReLU has its kink."""
    points, weights = np.polynomial.legendre.leggauss(12)
    edges = np.concatenate([[0.0], _REACH * 0.5 ** np.arange(_HALVINGS, -1, -1)])
    half = np.diff(edges)[:, None] / 2
    z = (edges[:-1, None] + half * (points + 1)).ravel()
    density = (half * weights).ravel() * np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return np.concatenate([-z[::-1], z]), np.concatenate([density[::-1], density])


def moments(activation: str, scale: float = 1.0) -> tuple[float, float, float]:
    """E phi, E phi^2 and E phi'^2 at scale * z, z ~ N(0, 1)."""
    z, weight = _quadrature()
    phi = activation_named(activation)
    value = phi.value(scale * z)
    slope = phi.slope(scale * z, value)
    return float(weight @ value), float(weight @ value**2), float(weight @ slope**2)


@lru_cache(maxsize=256)
def normalized_gain(activation: str, *, offsets_removed: bool) -> float:
    """sqrt(E phi'^2 / D): D = Var phi where each unit's offset is removed, E phi^2 where it stays."""
    mean, square, slope_square = moments(activation)
    return math.sqrt(slope_square / (square - mean * mean if offsets_removed else square))


@lru_cache(maxsize=256)
def free_gain(activation: str, weight_scale: float) -> float:
    """sqrt(s^2 E phi'(sqrt(q) z)^2) where q has settled; `weight_scale` is s^2, fan-in times the weights' variance.

    Where q does not settle but shrinks or grows by a factor per layer (ReLU with s = 1, identity with any other s), so
    do the inputs that the weights' gradients are products with: the gain is less by the root of that factor.
    """
    q, drift = weight_scale, 1.0
    for _ in range(SETTLING_STEPS):
        before, q = q, weight_scale * moments(activation, math.sqrt(q))[1]
        if not _VANISHING < q < _BOUNDLESS:
            drift = before / q if q > 0 else 1.0
            break
        if abs(q - before) <= 1e-12 * q:
            break
    return math.sqrt(weight_scale * moments(activation, math.sqrt(q))[2] * drift)


def predicted_gain(arm: Arm, settings: Settings, layers: Sequence[LayerRun]) -> float | None:
    """What the law says for an arm that was run, or None where it does not cover it."""
    if settings.is_conv or len(layers) < 2:
        return None
    role, activation = arm.role, settings.activation
    deviation = standard_deviation(presumed_init(arm, settings), settings.width, settings.width)
    scale = settings.width * deviation * deviation
    if role == "norm":
        return _normalized(arm, settings, deviation)
    if role == "activation":
        activation = arm.method
    elif role == "weight":
        scale = float(np.mean([len(run.w) * np.mean(np.square(run.w, dtype=np.float64)) for run in layers[1:]]))
    elif role not in ("none", "input"):
        return None
    if any(run.bias is not None for run in layers) or activation not in ACTIVATIONS or not 0 < scale < math.inf:
        return None
    return free_gain(activation, scale)


def _normalized(arm: Arm, settings: Settings, deviation: float) -> float | None:
    definition = arm.definition
    assert definition is not None  # the role norm has one
    if settings.place != "before" or definition.forward is not None or definition.spread not in ("std", "rms"):
        return None
    (line,) = definition.lines(arm.options).values()
    pattern = line.arrange("n c")
    sizes = {n: s for n, s in definition.factor_sizes(arm.options, settings.width).items() if n in pattern.names}
    plan = pattern.plan((settings.batch, settings.width), sizes)
    rows, units = (_pooled(plan, axis) for axis in "nc")
    offsets_removed = units == 1 and definition.centre
    if (rows if offsets_removed else units) < SMALLEST_SET or (definition.spread == "std" and not definition.centre):
        return None
    mean, square, _ = moments(settings.activation)
    entering = settings.width * deviation * deviation * (square - mean * mean if offsets_removed else square)
    if not 0 < entering < math.inf:
        return None
    hidden = _eps_share(definition, arm.eps or 0.0, entering)
    shift = deviation * deviation / entering if settings.bias and not offsets_removed else 0.0
    if max(hidden, shift) > NEGLIGIBLE:
        return None
    return normalized_gain(settings.activation, offsets_removed=offsets_removed)


def _pooled(plan: Plan, axis: str) -> int:
    """How many elements along the axis of that name share a statistic: all, those of a group, or one."""
    (term,) = (t for t in plan.pattern.terms if axis in (f.name for f in t.factors))
    return math.prod(plan.size(f.name) for f in term.factors if f.pooled)


def _eps_share(definition: Definition, eps: float, variance: float) -> float:
    """How much of what divides is eps, in units of the variance."""
    return eps / variance if definition.eps_rule == "inside" else eps / math.sqrt(variance)
