"""Weight normalization: the gradient is orthogonal to v, v only grows, and a start from data standardizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from normlab.formatting import number
from normlab.language import N_, both

from ..activations import Array
from ..training.parts import MEASURE
from ..training.stack import Stack
from .claim import Claim, Finding
from .figures import figure
from .training import stack_of

SETTINGS: dict[str, Any] = {
    "layers": 3, "width": 100, "activation": "relu", "init": "he", "batch": 64, "steps": 200, "momentum": 0.0,
    "dtype": "float64",
}  # fmt: skip
LR = 0.1
ROUNDING = 1e-12  # thousands of units of float64's last place: sums of a hundred products, and what they cancel
STANDARD = 1e-9  # the start from data divides by a standard deviation and is followed by another sum


def measure(seeds: Sequence[int]) -> list[Finding]:
    """One training by plain gradient descent, watched at every step; and the first batch after a start from data."""
    made = stack_of("wn", seeds, LR, **SETTINGS)
    cosine, shrunk = 0.0, 0.0
    first = before = _lengths(made)
    while made.going:
        v = [layer.linear.weight.parameter.value.copy() for layer in made.network.layers]
        made.step()
        cosine = max([cosine, *(_cosine(a, layer) for a, layer in zip(v, made.network.layers, strict=True))])
        now = _lengths(made)
        shrunk = max(shrunk, float((1 - now / before).max()))
        before = now
    data = stack_of("wn:start=data", seeds, LR, **SETTINGS)
    return [_orthogonal(cosine), _grows(shrunk, before / first), _starts(data)]


def _lengths(made: Stack) -> Array:
    """The length of every unit's v, (slots, units of all layers)."""
    held = [layer.linear.weight.parameter.value for layer in made.network.layers]
    return np.concatenate([np.linalg.norm(v, axis=1) for v in held], axis=1)


def _cosine(v: Array, layer: Any) -> float:
    """The largest |cosine| of the angle between a unit's v and its gradient; a unit that rests has none."""
    g = layer.linear.weight.parameter.gradient
    lengths = np.linalg.norm(v, axis=1) * np.linalg.norm(g, axis=1)
    along = np.abs((v * g).sum(axis=1))
    return float(np.divide(along, lengths, out=np.zeros_like(along), where=lengths > 0).max())


def _orthogonal(cosine: float) -> Finding:
    said = both(N_("largest |cosine| between a unit's v and its gradient, of all steps and seeds: {cosine}"),
                cosine=number(cosine, 2))  # fmt: skip
    return Finding(cosine <= ROUNDING, said, {"cosine": cosine})


def _grows(shrunk: float, growth: Array) -> Finding:
    means = growth.mean(axis=1).tolist()
    said = both(
        N_("largest shrinking of a unit's v in one step: {shrunk} of its length; at the end {growth} times as long"),
        shrunk=number(max(shrunk, 0.0), 2), growth=figure(means, 4),
    )  # fmt: skip
    return Finding(shrunk <= ROUNDING and bool(growth.mean() > 1), said, {"shrunk": shrunk, "growth": means})


def _starts(made: Stack) -> Finding:
    """What enters the activation functions for the batch that the start was made from."""
    rows = np.stack([order.take(SETTINGS["batch"]) for order in made.orders])
    entering: list[Array] = []
    made.network.forward(made.split.train.x[rows], MEASURE, None, entering)
    mean = max(float(np.abs(z.mean(axis=1)).max()) for z in entering)
    var = max(float(np.abs(z.var(axis=1) - 1).max()) for z in entering)
    said = both(N_("of any unit, layer and seed at most: |mean| {mean}, |variance - 1| {var}"),
                mean=number(mean, 2), var=number(var, 2))  # fmt: skip
    return Finding(max(mean, var) <= STANDARD, said, {"mean": mean, "variance": var})


claim = Claim(
    letter="i",
    title=both(
        N_("Weight normalization's gradient is orthogonal to v, v only grows, and a start from data standardizes.")
    ),
    source="Salimans and Kingma, arXiv 1602.07868, sections 2.1 and 3",
    setting=both(
        N_("three layers of 100 ReLU units on the digits in float64, 200 steps of gradient descent without momentum")
    ),
    conditions=(
        both(N_("every unit's gradient of v is orthogonal to v at every step: |cosine| at most 1e-12")),
        both(N_("no unit's v shrinks in any step by more than 1e-12 of its length, and on average v has grown")),
        both(N_("after a start from data every unit has mean 0 and variance 1 on that batch, to 1e-9")),
    ),
    measure=measure,
    seeds=5,
    seconds=5,
)
