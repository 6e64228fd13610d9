"""A small recurrent network that reads an image row by row: every seed's at once, with or without a normalization.

h = tanh(norm(x W + h V)), as layer normalization's paper has it (equation 4), then a linear classifier on the last h.
The way back is written out, since a layer is used once a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..activations import Array
from ..arms import read_arm
from ..presets import NO_PRESET
from ..training.normalizing import normalization
from ..training.optimizers import Adam
from ..training.order import Order
from ..training.parameters import Flat, Parameter
from ..training.parts import EVALUATE, TRAIN
from ..training.stack import Samples, cross_entropy

__all__ = ["Recurrent", "blank"]

WIDTH, BATCH = 64, 32
_STREAM, _LENGTHS = 23, 24


def blank(x: Array, rows: int) -> Array:
    """Images (..., height, width) with so many empty rows before them: what a network must wait through."""
    return np.concatenate([np.zeros((*x.shape[:-2], rows, x.shape[-1]), x.dtype), x], axis=-2)


class Recurrent:
    """The networks of some seeds under one arm that pools no samples, or none."""

    def __init__(self, arm: str, seeds: Sequence[int], features: int, classes: int, lr: float) -> None:
        draws = [np.random.default_rng([seed, _STREAM]) for seed in seeds]
        self.into, self.again, self.head = (
            _drawn(draws, size) for size in ((features, WIDTH), (WIDTH, WIDTH), (WIDTH, classes))
        )
        self.bias, self.top = (Parameter(np.zeros((len(seeds), 1, n), np.float32)) for n in (WIDTH, classes))
        self.norm = _part(arm, seeds)
        own = self.norm.parameters if self.norm is not None else ()
        self.flat = Flat([self.into, self.again, self.head, self.bias, self.top, *own])
        self.optimizer = Adam(self.flat.value, np.full(len(seeds), lr), momentum=0.0, weight_decay=0.0)
        self.seeds = seeds

    def train(self, samples: Samples, steps: int, waits: Sequence[int]) -> None:
        """Take `steps` steps; each step waits through a number of empty rows drawn from `waits`."""
        orders = [Order(seed, len(samples.y)) for seed in self.seeds]
        lengths = np.random.default_rng(_LENGTHS).choice(waits, steps)  # one a step, the same for every seed
        for wait in lengths:
            rows = np.stack([order.take(BATCH) for order in orders])
            logits = self.forward(blank(samples.x[rows], int(wait)), TRAIN)
            self.backward(cross_entropy(logits, samples.y[rows])[2])
            self.optimizer.step(self.flat.value, self.flat.gradient)

    def accuracies(self, samples: Samples, wait: int) -> list[float]:
        """Each seed's part of right answers."""
        x = blank(samples.x, wait)
        logits = self.forward(np.broadcast_to(x, (len(self.seeds), *x.shape)), EVALUATE)
        return [float(v) for v in (logits.argmax(axis=-1) == samples.y).mean(axis=-1)]

    def forward(self, x: Array, mode: str) -> Array:
        """The classifier's numbers, (seeds, n, classes), for images (seeds, n, height, width)."""
        h = np.zeros((*x.shape[:2], WIDTH), np.float32)
        self.tape: list[tuple[Array, Array, Array, Any]] = []
        for row in range(x.shape[2]):
            z = x[:, :, row] @ self.into.value + h @ self.again.value + self.bias.value
            if self.norm is not None:
                z = self.norm.forward(z, mode)
            before, h = h, np.tanh(z)
            if mode == TRAIN:
                self.tape.append((x[:, :, row], before, h, getattr(self.norm, "done", None)))
        self.last = h
        return np.asarray(h @ self.head.value + self.top.value)

    def backward(self, g: Array) -> None:
        """Set the gradients for the cotangents of the latest training pass."""
        self.flat.gradient[...] = 0
        self.head.gradient += self.last.swapaxes(-1, -2) @ g
        self.top.gradient += g.sum(axis=1, keepdims=True)
        g = g @ self.head.value.swapaxes(-1, -2)
        for x, before, h, done in reversed(self.tape):
            g = self._through_norm(g * (1 - h * h), done)
            self.into.gradient += x.swapaxes(-1, -2) @ g
            self.again.gradient += before.swapaxes(-1, -2) @ g
            self.bias.gradient += g.sum(axis=1, keepdims=True)
            g = g @ self.again.value.swapaxes(-1, -2)

    def _through_norm(self, g: Array, done: Any) -> Array:
        """Back through one row's normalization; its parameters gather over the rows."""
        if self.norm is None:
            return g
        held = [p.gradient.copy() for p in self.norm.parameters]
        self.norm.done = done
        g = self.norm.backward(g)
        for parameter, before in zip(self.norm.parameters, held, strict=True):
            parameter.gradient += before
        return g


def _drawn(draws: Sequence[np.random.Generator], size: tuple[int, int]) -> Parameter:
    return Parameter(np.stack([one.standard_normal(size) / np.sqrt(size[0]) for one in draws]).astype(np.float32))


def _part(arm: str, seeds: Sequence[int]) -> Any:
    """The normalization of the sums, None for the arm without."""
    read = read_arm(arm, NO_PRESET)
    if read.definition is None:
        return None
    return normalization(read, WIDTH, "n c", np.float32, list(seeds), (BATCH, WIDTH))
