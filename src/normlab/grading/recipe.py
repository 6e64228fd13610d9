"""A normalization as a recipe whose every ingredient can be wrong: what a known mistake computes, and what is right.

With its fields at their defaults a recipe is the method; a mistake changes a field. The arithmetic is plain float64 and
as short as people write it: what is compared with it was written by hand too, and differs by rounding alone.

    z = (x - mean) / (square + eps)^power        y = weight * z + bias
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from ..definition import Definition
from ..pattern import Plan
from .asked import MOMENTUM
from .frames import Frame

__all__ = ["Given", "Recipe", "Statistics", "compute", "right"]

Array = np.ndarray
Axes = tuple[int, ...]


class Statistics(NamedTuple):
    """A mean and a mean square about it, each broadcasting over the split axes."""

    mean: Array
    square: Array


@dataclass(frozen=True)
class Given:
    """What a call is given: arrays in float64, weight and bias None where the method has none."""

    frame: Frame
    plan: Plan
    x: Array
    weight: Array | None = None
    bias: Array | None = None
    eps: float = 0.0
    running: tuple[Array, Array] | None = None
    training: bool = True
    memory: dict[Any, Statistics] = field(default_factory=dict, compare=False, repr=False)  # of this x


@dataclass(frozen=True)
class Recipe:
    """Every ingredient of a normalization. Axes are those of the plan's split shape."""

    centring: Axes | None  # the axes whose mean is subtracted; None: nothing is
    spreading: Axes
    spread: str | None
    eps_rule: str  # inside, outside, floor; none: forgotten, added: to the quotient
    centred: bool = True  # the spread is taken about the mean (of its own axes where `own_mean`)
    own_mean: bool = True
    ddof: int = 0
    power: float = 0.5  # of the mean square that divides: 1 is the variance itself
    sign: int = 1  # of the mean: -1 adds it
    multiplied: bool = False  # by the root, in the place of divided
    parentheses: str = "whole"  # "quotient": x - mean / root; "none": weight * x - mean / root + bias
    weight: str | None = "weight"
    bias: str | None = "bias"
    weight_offset: float = 0.0
    bias_sign: int = 1
    shift_first: bool = False  # weight * (z + bias)
    crossed: bool = False  # the pooled axes are dropped, so the statistics meet x's last axes
    interleaved: bool = False  # the groups take every g-th channel
    evaluation: str = "running"
    training: str = "batch"  # "running": the given ones, "mixed": with the batch's mixed in; "none": no normalization


def right(definition: Definition, plan: Plan) -> Recipe:
    """The method itself on the plan's split axes."""
    measured = definition.lines(definition.validate({})) if definition.forward is None else {}
    if not measured:
        return Recipe(None, (), None, "none")
    centring = plan.pooled if definition.centre else None
    rule = "none" if definition.eps is None else definition.eps_rule
    return Recipe(centring, plan.pooled, definition.spread, rule)


def compute(
    recipe: Recipe, given: Given, *, at: Statistics | None = None, hold: frozenset[str] = frozenset()
) -> Array:
    """The output of a recipe. `at` are statistics of another x, of which those in `hold` are kept constant."""
    with np.errstate(all="ignore"):
        x = _split(given.x, given.plan, recipe)
        found = statistics(recipe, given, x, at, hold)
        y = _affine(recipe, given, _normalized(recipe, given, x, found), x, found)
        return _joined(y, given.plan, recipe)


def statistics(
    recipe: Recipe, given: Given, x: Array | None = None, at: Statistics | None = None,
    hold: frozenset[str] = frozenset(),
) -> Statistics:  # fmt: skip
    """What the recipe subtracts and divides by: of x, or the running ones where they take their place."""
    x = _split(given.x, given.plan, recipe) if x is None else x
    if at is not None:
        return _measured(recipe, given, x, at, hold)
    # Thousands of recipes are tried on one x, and most of them share their statistics.
    key = (
        recipe.centring, recipe.spreading, recipe.spread, recipe.centred, recipe.own_mean, recipe.ddof, recipe.crossed,
        recipe.interleaved, recipe.training, recipe.evaluation, given.training, given.running is None,
    )  # fmt: skip
    if key not in given.memory:
        given.memory[key] = _measured(recipe, given, x, None, hold)
    return given.memory[key]


def _measured(
    recipe: Recipe, given: Given, x: Array, at: Statistics | None, hold: frozenset[str]
) -> Statistics:  # fmt: skip
    """The same, computed."""
    source = recipe.training if given.training else recipe.evaluation
    if given.running is not None and source == "running":
        mean, square = (a.reshape(given.frame.target(_running_axes(given), given.plan)) for a in given.running)
        return Statistics(mean, square)
    if given.running is not None and source == "mixed":
        return _mixed(recipe, given, x)
    if recipe.crossed:
        return _crossed(recipe, x)
    mean = _mean(x, recipe.centring) if at is None or "mean" not in hold else at.mean
    if at is not None and "spread" in hold:
        return Statistics(mean, at.square)
    return Statistics(mean, _square(recipe, x, mean, at is not None and "mean" in hold))


def _crossed(recipe: Recipe, x: Array) -> Statistics:
    """Statistics without keepdims: they broadcast against x from the last axis on."""
    axes = recipe.spreading
    mean = np.zeros(()) if recipe.centring is None else x.mean(axis=recipe.centring)
    d = x if recipe.centring is None else x - (_mean(x, axes) if recipe.own_mean else mean)
    square = (d * d).sum(axis=axes)
    return Statistics(mean, square if recipe.spread == "l2" else square / np.prod([x.shape[a] for a in axes]))


def _mixed(recipe: Recipe, given: Given, x: Array) -> Statistics:
    """The running statistics after the batch; `ddof` is of the variance that is mixed in."""
    old = statistics(replace(recipe, training="running"), given, x)
    mean = _mean(x, recipe.centring)
    new = Statistics(mean, _square(recipe, x, mean, False))
    return Statistics(*((1 - MOMENTUM) * a + MOMENTUM * b for a, b in zip(old, new, strict=True)))


def _running_axes(given: Given) -> str:
    return next(s.axes for s in given.frame.definition.states if s.name == "running_var")


def _mean(x: Array, axes: Axes | None) -> Array:
    return np.zeros((1,) * x.ndim) if axes is None else x.mean(axis=axes, keepdims=True)


def _square(recipe: Recipe, x: Array, mean: Array, held: bool) -> Array:
    """The square of the spread."""
    axes = recipe.spreading
    if recipe.spread is None:
        return np.ones((1,) * x.ndim)
    if not recipe.centred:
        d = x
    elif recipe.spread == "std" and (recipe.own_mean or recipe.centring is None) and not held:
        d = x - _mean(x, axes)
    else:
        d = x - mean
    count = float(np.prod([x.shape[a] for a in axes])) - recipe.ddof
    if recipe.spread in ("std", "rms", "l2"):
        return (d * d).sum(axis=axes, keepdims=True) / (1.0 if recipe.spread == "l2" else count)
    size = np.abs(d)
    if recipe.spread == "max":
        return size.max(axis=axes, keepdims=True) ** 2
    return (size.sum(axis=axes, keepdims=True) / (1.0 if recipe.spread == "l1" else count)) ** 2


def _below(recipe: Recipe, given: Given, square: Array) -> Array:
    """What divides."""
    if recipe.spread is None:
        return np.ones_like(square)
    if recipe.eps_rule == "inside":
        return (square + given.eps) ** recipe.power
    root = square**recipe.power
    if recipe.eps_rule == "outside":
        return root + given.eps
    return np.maximum(root, given.eps) if recipe.eps_rule == "floor" else root


def _normalized(recipe: Recipe, given: Given, x: Array, found: Statistics) -> Array:
    if recipe.training == "none":
        return x
    below = _below(recipe, given, found.square)
    if recipe.multiplied:
        below = 1.0 / below
    mean = recipe.sign * found.mean
    z = (x - mean) / below if recipe.parentheses == "whole" else x - mean / below
    return z + given.eps if recipe.eps_rule == "added" else z


def _affine(recipe: Recipe, given: Given, z: Array, x: Array, found: Statistics) -> Array:
    weight, bias = (_array(given, name, recipe) for name in (recipe.weight, recipe.bias))
    scale = 1.0 if weight is None else weight + recipe.weight_offset
    shift = 0.0 if bias is None else recipe.bias_sign * bias
    if recipe.parentheses == "none":
        return scale * x - found.mean / _below(recipe, given, found.square) + shift
    return scale * (z + shift) if recipe.shift_first else scale * z + shift


def _array(given: Given, name: str | None, recipe: Recipe) -> Array | None:
    """Weight or bias as it broadcasts over the split axes."""
    a = None if name is None else getattr(given, name)
    if a is None:
        return None
    target = given.frame.target(given.frame.affine, given.plan)
    return _swapped(a, given.plan, target) if recipe.interleaved else a.reshape(target)


def _split(x: Array, plan: Plan, recipe: Recipe) -> Array:
    if not recipe.interleaved:
        return x.reshape(plan.split)
    return _swapped(x, plan, plan.split)


def _swapped(x: Array, plan: Plan, split: tuple[int, ...]) -> Array:
    """x with its split axis read inner factor first: every g-th channel is one group."""
    outer, inner = _factor(plan)
    sizes = list(split)
    sizes[outer], sizes[inner] = sizes[inner], sizes[outer]
    return x.reshape(sizes).swapaxes(outer, inner)


def _factor(plan: Plan) -> tuple[int, int]:
    """The split axes of the one axis that is split."""
    at = 0
    for term in plan.pattern.terms:
        if len(term.factors) == 2:
            return at, at + 1
        at += plan.names.count(term.factors[0].name)
    raise ValueError("no axis is split")


def _joined(y: Array, plan: Plan, recipe: Recipe) -> Array:
    shape: Any = plan.split
    y = np.broadcast_to(y, shape)
    if recipe.interleaved:
        y = y.swapaxes(*_factor(plan))
    return np.ascontiguousarray(y).reshape(plan.shape)


def changed(recipe: Recipe, **fields: Any) -> Recipe:
    """The recipe with some ingredients another."""
    return replace(recipe, **fields)
