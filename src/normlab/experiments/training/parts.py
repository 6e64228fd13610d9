"""The parts of a stack of networks that are no normalization: linear maps, activation functions, pooling.

`forward(x, mode)` and `backward(g)` on (slots, n, features) or (slots, n, height, width, channels); what a part learns
is in `parameters`.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from ..activations import Activation, Array
from .parameters import Parameter

__all__ = [
    "EVALUATE", "MEASURE", "SIDE", "TRAIN", "Applied", "Convolution", "Flatten", "Linear", "Part", "Pool", "Weight",
]  # fmt: skip

# Training moves running statistics; measuring takes the batch's own and moves nothing; evaluating takes the running.
TRAIN, MEASURE, EVALUATE = "train", "measure", "evaluate"
SIDE = 3  # of a convolution's window


class Part(Protocol):
    """One step of the way through the network."""

    parameters: tuple[Parameter, ...]

    def forward(self, x: Array, mode: str) -> Array:
        """The result for x."""

    def backward(self, g: Array) -> Array:
        """The cotangents of x; sets the gradients of the parameters. May write over `g`."""


class Weight:
    """Weights as they are, (slots, inputs, outputs)."""

    def __init__(self, start: Array) -> None:
        self.parameter = Parameter(start)
        self.parameters: tuple[Parameter, ...] = (self.parameter,)

    def begin(self, respond: Any) -> Array | None:
        """Set what presumes data; `respond(slot, weights)` gives the sums for a batch. A bias that must be added."""
        return None

    def forward(self, mode: str) -> Array:
        """The weights that multiply."""
        return self.parameter.value

    @property
    def target(self) -> Array:
        """Where the gradient of what multiplies is to be written."""
        return self.parameter.gradient

    def backward(self) -> None:
        """Go back from `target` to the parameters."""


class Linear:
    """x @ w + b. The first of a network has no cotangents to hand down."""

    def __init__(self, weight: Weight, bias: Array | None, *, first: bool = False) -> None:
        self.weight, self.first = weight, first
        self.bias = None if bias is None else Parameter(bias)
        self.parameters = (*weight.parameters, *(() if self.bias is None else (self.bias,)))

    def forward(self, x: Array, mode: str) -> Array:
        w = self.weight.forward(mode)
        rows = self._rows(x)
        if mode == TRAIN:
            self.x, self.w, self.shape = rows, w, x.shape
        return self._shaped(self._shifted(rows @ w), x)

    def sums(self, x: Array, w: Array) -> Array:
        """The sums for other weights, without a bias."""
        return self._shaped(self._rows(x) @ w, x)

    def backward(self, g: Array) -> Array:
        np.matmul(self.x.swapaxes(-1, -2), g, out=self.weight.target)
        self.weight.backward()
        self._sum_bias(g)
        return g if self.first else g @ self.w.swapaxes(-1, -2)

    @staticmethod
    def _rows(x: Array) -> Array:
        return x

    @staticmethod
    def _shaped(z: Array, x: Array) -> Array:
        return z

    def _shifted(self, z: Array) -> Array:
        if self.bias is not None:
            z += self.bias.value[:, None]
        return z

    def _sum_bias(self, g: Array) -> None:
        if self.bias is not None:  # by a product, which adds each slot's rows in the same order whatever lies beside
            np.matmul(np.ones((1, g.shape[-2]), g.dtype), g, out=self.bias.gradient[:, None])


class Convolution(Linear):
    """A 3 x 3 convolution, stride 1, one row of zeros around; w is (slots, 9 * channels, outputs), channels last."""

    @staticmethod
    def _rows(x: Array) -> Array:
        return _windows(x)

    @staticmethod
    def _shaped(z: Array, x: Array) -> Array:
        return z.reshape(-1, *x.shape[1:-1], z.shape[-1])

    def backward(self, g: Array) -> Array:
        down = super().backward(g.reshape(len(g), -1, g.shape[-1]))
        return down if self.first else _unwindowed(down, self.shape)


def _windows(x: Array) -> Array:
    """(slots, n, h, w, c) -> (slots, n * h * w, 9 * c): what each output sees."""
    slots, n, h, w, c = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, (SIDE, SIDE), axis=(2, 3))
    return seen.transpose(0, 1, 2, 3, 5, 6, 4).reshape(slots, n * h * w, SIDE * SIDE * c)


def _unwindowed(g: Array, shape: tuple[int, ...]) -> Array:
    """The transposed map: what each input gets from the windows that see it."""
    slots, n, h, w, c = shape
    taps = g.reshape(slots, n, h, w, SIDE, SIDE, c)
    out = np.zeros((slots, n, h + 2, w + 2, c), g.dtype)
    for i in range(SIDE):
        for j in range(SIDE):
            out[:, :, i : i + h, j : j + w] += taps[:, :, :, :, i, j]
    return np.ascontiguousarray(out[:, :, 1:-1, 1:-1])


class Applied:
    """An activation function of ours."""

    parameters: tuple[Parameter, ...] = ()

    def __init__(self, activation: Activation) -> None:
        self.activation = activation

    def forward(self, x: Array, mode: str) -> Array:
        value = self.activation.value(x)
        if mode == TRAIN:
            self.slope = self.activation.slope(x, value)
        return value

    def backward(self, g: Array) -> Array:
        return np.multiply(g, self.slope, out=g)


class Pool:
    """The largest of every 2 x 2 pixels; the first of equal ones gets the gradient."""

    parameters: tuple[Parameter, ...] = ()

    def forward(self, x: Array, mode: str) -> Array:
        parts = [x[:, :, i::2, j::2] for i in range(2) for j in range(2)]
        y = np.maximum(np.maximum(parts[0], parts[1]), np.maximum(parts[2], parts[3]))
        if mode == TRAIN:
            self.x, self.y = x, y
        return y

    def backward(self, g: Array) -> Array:
        out, open_ = np.empty_like(self.x), np.ones(g.shape, bool)
        for i in range(2):
            for j in range(2):
                here = (self.x[:, :, i::2, j::2] == self.y) & open_
                out[:, :, i::2, j::2] = np.where(here, g, 0)
                open_ &= ~here
        return out


class Flatten:
    """Images as rows."""

    parameters: tuple[Parameter, ...] = ()

    def forward(self, x: Array, mode: str) -> Array:
        if mode == TRAIN:
            self.shape = x.shape
        return x.reshape(*x.shape[:2], -1)

    def backward(self, g: Array) -> Array:
        return g.reshape(self.shape)
