"""What is right: the formula of the NumPy face, on the numbers that an implementation was given, in float64."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..constraints import Interval
from ..definition import Definition
from ..numpy import call as face_call
from ..numpy import normalize as face_normalize
from .asked import Asked
from .frames import Frame
from .recipe import Given, Recipe, compute, right

__all__ = ["SEED", "draw", "given_of", "is_recipe", "option_values", "questions", "settled", "truth"]

SETTLES = 600  # calls; a share of 2^-36 is left where what converges loses 4 % a call
SEED = 20150211  # of every input: the same implementation is asked the same


def is_recipe(definition: Definition) -> bool:
    """Whether the method is a recipe: given by its fields, or nothing but a scale and a shift."""
    return definition.forward is None or definition.role == "condition"


def option_values(definition: Definition, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options asked with: those given, else values that are not the default, so that an ignored one is seen."""
    found = dict(given)
    for option in definition.options:
        if option.name in found:
            continue
        if option.factor is not None:
            found[option.name] = 3
        elif isinstance(option.constraint, Interval) and isinstance(option.default, int | float):
            step = option.default + 2 if option.constraint.whole else 1.5 * option.default
            found[option.name] = step if option.constraint.accepts(step) else option.default
    return {o.name: found[o.name] for o in definition.options if o.name in found}


def draw(
    frame: Frame, *, seed: int = 0, samples: int | None = None, small: bool = False, spread: float = 1.0,
    dtype: str = "float64", weighted: bool = True, running: bool = False, eps: float | None = None,
    options: Mapping[str, Any] | None = None, offset: float = 1.0,
) -> Asked:  # fmt: skip
    """A question with random numbers: each index of each axis has a mean and spread of its own, so no sets agree."""
    rng = np.random.default_rng([SEED, seed])
    shape = frame.shape(small, samples)
    x = rng.standard_normal(shape)
    for axis, size in enumerate(shape):
        along = [size if a == axis else 1 for a in range(len(shape))]
        x = x * rng.uniform(0.6, 1.6, along) + rng.uniform(-offset, offset, along)
    d = frame.definition
    weight, bias = _affine(frame, shape, rng) if weighted else (None, None)
    kept = _running(frame, shape, rng) if running else None
    arrays = {
        s.name: _as(_unit(frame.own_shape(s.axes, shape) or (), rng), dtype) for s in d.states if not d.has_running
    }
    return Asked(
        frame, _as(spread * x, dtype), _as(weight, dtype), _as(bias, dtype), eps,
        None if kept is None else (_as(kept[0], dtype), _as(kept[1], dtype)), options=options or {}, states=arrays,
    )  # fmt: skip


def _as(a: Any, dtype: str) -> Any:
    return None if a is None else np.asarray(a).astype(dtype)


def _affine(frame: Frame, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[Any, Any]:
    """Weight and bias: neither near 0 nor 1, nor near each other."""
    d = frame.definition
    if not is_recipe(d):
        return None, None
    own = frame.own_shape(frame.affine, shape)
    if own is None:
        return None, None
    weight, bias = rng.uniform(1.3, 2.4, own), rng.uniform(-0.9, 0.9, own)
    return weight, None if d.role == "weight" else bias


def _running(frame: Frame, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[Any, Any] | None:
    state = next((s for s in frame.definition.states if s.name == "running_var"), None)
    own = None if state is None else frame.own_shape(state.axes, shape)
    return None if own is None else (rng.uniform(-0.8, 0.8, own), rng.uniform(0.4, 3.0, own))


def _unit(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    a = rng.standard_normal(shape)
    return np.asarray(a / np.linalg.norm(a))


def given_of(asked: Asked, eps: float) -> Given:
    """The question in the terms of a recipe, in float64."""
    wide = [None if a is None else a.astype(np.float64) for a in (asked.weight, asked.bias)]
    running = None if asked.running is None else tuple(a.astype(np.float64) for a in asked.running)
    plan = asked.frame.plan(asked.x.shape)
    return Given(
        asked.frame, plan, asked.x.astype(np.float64), wide[0], wide[1], eps,
        running, asked.training,  # type: ignore[arg-type]
    )  # fmt: skip


def truth(asked: Asked, eps: float) -> np.ndarray:
    """The right output, in float64."""
    if asked.frame.way is not None:
        return np.asarray(asked.frame.way(asked))
    d = asked.frame.definition
    given = given_of(asked, eps)
    if d.forward is None and (given.running is None or given.training):
        return _by_the_formula(given)
    if is_recipe(d):
        return compute(right(d, given.plan), given)
    return forward(asked, {})


def _by_the_formula(given: Given) -> np.ndarray:
    d, plan = given.frame.definition, given.plan
    z = face_normalize(
        given.x, str(plan.pattern), centre=d.centre, spread=d.spread, eps=given.eps, eps_rule=d.eps_rule, weight=None,
        bias=None, affine=None, sizes={n: s for n, s in zip(plan.names, plan.split, strict=True) if n != "..."},
    )  # fmt: skip
    return compute(Recipe(None, (), None, "none"), Given(given.frame, plan, z, given.weight, given.bias))


def forward(asked: Asked, changes: Mapping[str, Any]) -> np.ndarray:
    """The output of a method that is given by its forward, with some options another."""
    d = asked.frame.definition
    options = d.validate({**asked.frame.known, **asked.options, **changes})
    made = face_call(
        d, asked.x.astype(np.float64), {}, dict(asked.states), options, layout=asked.frame.layout, training=True
    )
    return made.y


def settled(asked: Asked) -> Asked:
    """The question with the method's own state where it ends up: what who takes none must find by itself."""
    d, states = asked.frame.definition, dict(asked.states)
    options = d.validate({**asked.frame.known, **asked.options})
    for _ in range(SETTLES):
        made = face_call(
            d, asked.x.astype(np.float64), {}, states, options, layout=asked.frame.layout, training=True
        )
        states = {name: a for name, a in (made.state or {}).items() if name in states}
    return replace(asked, states=states)


def questions(frame: Frame, **settings: Any) -> Iterator[Asked]:
    """What the output is judged by: an ordinary input, one whose spread is near eps's root, one of another size."""
    yield draw(frame, seed=1, **settings)
    if frame.definition.eps is not None:
        yield draw(frame, seed=2, spread=0.04, **settings)
    yield draw(frame, seed=3, samples=frame.sizes().get("n", 0) + 2 or None, **settings)
