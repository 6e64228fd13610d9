"""What a sigmoid network looks like inside, layer by layer and seed by seed, untrained or trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..activations import Array, activation_named
from ..compare import run
from ..measure import FLAT
from ..training.parts import MEASURE, TRAIN
from ..training.stack import Stack, cross_entropy
from .training import best_stack, to_all

__all__ = ["Inside", "at_the_start", "trained"]

NOTE: dict[str, Any] = {"layers": 5, "width": 64, "activation": "sigmoid", "init": 1.0, "batch": 100, "steps": 300}
RATES = (0.01, 0.1, 1.0)


@dataclass(frozen=True)
class Inside:
    """Each (seeds, layers): what enters the activation function, what leaves it, the weights' gradients."""

    pre_mean: Array
    pre_var: Array
    mean: Array
    var: Array
    signal: Array
    saturated: Array
    grad: Array

    @property
    def first_over_last(self) -> Array:
        """The gradient of the first layer's weights over that of the last one's, (seeds,)."""
        return np.asarray(self.grad[:, 0] / self.grad[:, -1])


def at_the_start(arms: Sequence[str], seeds: Sequence[int], **settings: Any) -> dict[str, Inside]:
    """By arm what `compare` measures at initialization, with random cotangents from above."""
    documents = [run(list(arms), seeds=1, seed=seed, **settings).to_dict() for seed in seeds]
    return {arm: _read([document["arms"][k]["layers"] for document in documents]) for k, arm in enumerate(arms)}


def _read(layers: Sequence[Sequence[dict[str, Any]]]) -> Inside:
    def of(*keys: str) -> Array:
        return np.array([[_at(layer, keys) for layer in own] for own in layers])

    return Inside(
        of("pre", "mean"), of("pre", "var"), of("mean"), of("var"), of("signal_var"), of("saturated"), of("grad_norm")
    )


def _at(layer: Any, keys: Sequence[str]) -> float:
    for key in keys:
        layer = layer[key]
    return float(layer)


def trained(arms: Sequence[str], seeds: Sequence[int]) -> dict[str, Inside]:
    """By arm the note's network after training on the digits, seen through the test images; the loss's gradient."""
    eps = {"bn": "bn:eps=1e-8"}  # the note's
    return {arm: _look(best_stack(eps.get(arm, arm), seeds, RATES, **NOTE)) for arm in arms}


def _look(stack: Stack) -> Inside:
    samples = stack.split.test
    x, y = to_all(stack, samples.x), to_all(stack, samples.y)
    seen: list[Array] = []
    entering: list[Array] = []
    stack.network.forward(x, MEASURE, seen, entering)
    # (seeds, layers, n, units)
    out, pre = (np.stack([a.astype(np.float64) for a in own], axis=1) for own in (seen, entering))
    phi = activation_named(NOTE["activation"])
    slope = np.abs(phi.slope(pre, phi.value(pre)))
    _, _, g = cross_entropy(stack.network.forward(x, TRAIN), y)
    stack.network.backward(g)
    over = (2, 3)
    return Inside(
        pre.mean(axis=over), pre.var(axis=over), out.mean(axis=over), out.var(axis=over),
        out.var(axis=2).mean(axis=-1), (slope < FLAT * phi.steepest).mean(axis=over), stack.network.gradient_norms().T,
    )  # fmt: skip
