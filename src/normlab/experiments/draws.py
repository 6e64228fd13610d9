"""The randomness of one seed: inputs, labels, weights, biases, cotangents. All arms share it.

Inputs and weights come from one generator, in that order: depth changes no earlier layer, and because a fixed block
of inputs is drawn of which the first `batch` are used, neither does the batch. Everything else has a stream of its
own, so that nothing that is added changes what was there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from normlab.errors import UsageError

from .activations import Array
from .settings import SIDE, Settings

BLOCK_ROWS = 1000  # inputs that are drawn whatever the batch is
NOTE_ROWS, NOTE_FEATURES = 100, 20  # the study note's inputs: uniform in [0, 1)
CLASSES = 10
# Cotangents go back in stacks of about this many values: a convolution's would otherwise fill the memory.
PART_VALUES = 2_000_000
DARKEST = 16  # the digits' pixels run from 0 to 16
# The streams beside the main one; the numbers must never change.
_SUBSET, _LABELS, _COTANGENTS, _ARMS = 1, 2, 3, 4


@dataclass(frozen=True)
class Inputs:
    """The data of a run, before a batch is taken: None where they are drawn."""

    rows: Array | None
    labels: Array | None = None


@dataclass(frozen=True)
class Draws:
    """What one seed gives, in the run's dtype; weights and biases are standard normal, yet to be scaled."""

    seed: int
    x: Array
    labels: Array
    weights: tuple[Array, ...]  # dense (in, out), conv (out, in, 3, 3)
    biases: tuple[Array, ...]

    def cotangents(self, count: int, shape: Sequence[int]) -> Iterator[Array]:
        """`count` standard normal arrays of `shape` over the number of inputs: what a mean over the inputs sends down.

        They come in stacks, yours to write over.
        """
        part = max(1, PART_VALUES // math.prod(shape))
        generator = np.random.default_rng([self.seed, _COTANGENTS])
        for start in range(0, count, part):
            drawn = generator.standard_normal((min(part, count - start), *shape))
            drawn /= shape[0]
            yield drawn.astype(self.x.dtype, copy=False)

    def head(self, features: int) -> Array:
        """The weights of a linear classifier on top, (features, classes)."""
        generator = np.random.default_rng([self.seed, _LABELS, 1])
        head: Array = generator.standard_normal((features, CLASSES)) / np.sqrt(features)
        return head.astype(self.x.dtype)

    def key(self, layer: int) -> int:
        """The seed of whatever a layer of an arm draws itself; the same for every arm."""
        return int(np.random.SeedSequence([self.seed, _ARMS, layer]).generate_state(1)[0])


def load(data: str) -> Inputs:
    """Read the data that are not drawn. Raises ReadWriteError or UsageError for a file that cannot be used."""
    if data in ("normal", "note"):
        return Inputs(None)
    from normlab.data import load_digits, read_table

    if data == "digits":
        images, labels = load_digits()
        return Inputs(images.reshape(len(images), -1) / float(DARKEST), labels)
    return Inputs(read_table(data))


def draw(settings: Settings, inputs: Inputs, seed: int) -> Draws:
    """Everything random of one seed."""
    legacy = settings.rules.legacy
    generator: Any = np.random.RandomState(seed) if legacy else np.random.default_rng(seed)
    dtype = np.dtype(settings.dtype)
    x, labels = _batch(settings, inputs, generator, seed)
    shapes = weight_shapes(settings, x.shape[1])
    weights = [generator.standard_normal(shape).astype(dtype, copy=False) for shape in shapes]
    biases = [generator.standard_normal(settings.width).astype(dtype, copy=False) for _ in shapes if settings.bias]
    return Draws(seed, np.ascontiguousarray(x, dtype=dtype), labels, tuple(weights), tuple(biases))


def weight_shapes(settings: Settings, features: int) -> list[tuple[int, ...]]:
    """The shape of every layer's weights, for inputs of that many features or channels."""
    sizes = [features] + [settings.width] * settings.layers
    return [(o, i, 3, 3) if settings.is_conv else (i, o) for i, o in pairwise(sizes)]


def _batch(settings: Settings, inputs: Inputs, generator: Any, seed: int) -> tuple[Array, Array]:
    """The inputs and their labels: (n, features), or (n, channels, 8, 8)."""
    others = np.random.default_rng([seed, _LABELS])
    if inputs.rows is None:
        if settings.data == "note":
            x = generator.random((max(settings.batch, NOTE_ROWS), NOTE_FEATURES))
        else:
            features = SIDE * SIDE if settings.is_conv else settings.width
            x = generator.standard_normal((max(settings.batch, BLOCK_ROWS), features))
        x = x[: settings.batch]
        labels = others.integers(0, CLASSES, len(x))
    else:
        x, count = inputs.rows, len(inputs.rows)
        labels = others.integers(0, CLASSES, count) if inputs.labels is None else inputs.labels
        if settings.batch < count:
            chosen = np.random.default_rng([seed, _SUBSET]).permutation(count)[: settings.batch]
            x, labels = x[chosen], labels[chosen]
    return (_as_images(x, settings.data) if settings.is_conv else x), labels


def _as_images(x: Array, data: str) -> Array:
    """Rows of pixels as images of 8 x 8, one channel after another."""
    pixels = SIDE * SIDE
    if x.shape[1] % pixels:
        raise UsageError(
            f"compare: net='conv' needs images of {SIDE} x {SIDE} pixels: a multiple of {pixels} columns a row, "
            f"{data} has {x.shape[1]}.",
            hint="Use net='dense' for other tables.",
        )
    return x.reshape(len(x), -1, SIDE, SIDE)
