"""The optimizers, on (slots, numbers) with a learning rate for each slot.

SGD with momentum as in Sutskever and others (ICML 2013) in the form that torch uses: m = mu m + g, w -= lr m. Adam:
arXiv 1412.6980, algorithm 1. AdamW: arXiv 1711.05101, algorithm 2, with weight decay multiplied by the learning rate.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from normlab.errors import unknown

from ..activations import Array

__all__ = ["OPTIMIZERS", "Adam", "AdamW", "Optimizer", "Sgd", "optimizer_named"]

BETAS = (0.9, 0.999)
SMALLEST = 1e-8  # added to Adam's root


class Optimizer(ABC):
    """One rule; `state` is what it remembers from step to step."""

    grid: tuple[float, ...]  # the learning rates that are tried where none is given
    state: dict[str, Array]

    def __init__(self, value: Array, lr: Array, *, momentum: float, weight_decay: float) -> None:
        self.lr = lr.astype(value.dtype)[:, None]
        self.momentum, self.weight_decay = momentum, weight_decay
        self.state = {name: np.zeros_like(value) for name in self.memories}
        self.taken = 0

    memories: tuple[str, ...] = ()

    def remembered(self) -> dict[str, Any]:
        """The state and how many steps were taken; `recall` puts it back."""
        return {**self.state, "taken": self.taken}

    def recall(self, state: Mapping[str, Any]) -> None:
        """Go on from what was `remembered`."""
        self.taken = int(state["taken"])
        for name, a in self.state.items():
            a[...] = state[name]

    def step(self, value: Array, gradient: Array) -> None:
        """Move `value` in place; may write over `gradient`."""
        self.taken += 1
        self._move(value, gradient)

    @abstractmethod
    def _move(self, value: Array, gradient: Array) -> None:
        """Move `value` by the rule."""


class Sgd(Optimizer):
    """Gradient descent with momentum."""

    grid = (0.01, 0.1, 1.0)
    memories = ("m",)

    def _move(self, value: Array, gradient: Array) -> None:
        if self.weight_decay:
            gradient += value.dtype.type(self.weight_decay) * value
        m = self.state["m"]
        m *= value.dtype.type(self.momentum)
        m += gradient
        value -= np.multiply(self.lr, m, out=gradient)


class Adam(Optimizer):
    """Adam; weight decay is added to the gradient."""

    grid = (0.001, 0.01, 0.1)
    memories = ("m", "v")

    def _move(self, value: Array, gradient: Array) -> None:
        real = value.dtype.type
        if self.weight_decay:
            gradient += real(self.weight_decay) * value
        first, second = BETAS
        m, v = self.state["m"], self.state["v"]
        m += real(1 - first) * (gradient - m)
        v *= real(second)
        v += real(1 - second) * np.square(gradient, out=gradient)
        below = np.sqrt(v / real(1 - second**self.taken), out=gradient)
        below += real(SMALLEST)
        value -= np.divide(m * (self.lr / real(1 - first**self.taken)), below, out=below)


class AdamW(Adam):
    """Adam; weight decay shrinks the weights beside it."""

    def _move(self, value: Array, gradient: Array) -> None:
        decay, self.weight_decay = self.weight_decay, 0.0
        if decay:
            value *= 1 - self.lr * value.dtype.type(decay)
        super()._move(value, gradient)
        self.weight_decay = decay


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": Sgd, "adam": Adam, "adamw": AdamW}


def optimizer_named(name: str) -> type[Optimizer]:
    """The optimizer of that name; an unknown one is an error that lists the nearest."""
    if name not in OPTIMIZERS:
        raise unknown("optimizer", str(name), OPTIMIZERS)
    return OPTIMIZERS[name]
