"""A plain network under one arm: forward once, back with a stack of cotangents.

Dense layers take (n, features); convolutional ones (n, 8, 8, channels), channels last, because then one product of
matrices does all pixels. Layout never changes what a normalization pools.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .activations import Array
from .arms import Arm
from .draws import Draws
from .settings import SIDE, Settings
from .steps import Step, new_layer, steps

# A gradient that leaves these bounds is brought back by a power of two, which is remembered: float32 ends at 1e-45.
_SMALL, _LARGE, _MOST_SHIFT = 2.0**-30, 2.0**30, 100
# A weight method that iterates has settled when its weights move by less than this part of the largest.
SETTLED, MOST_CALLS, STEPS_A_CALL = 1e-13, 400, 25


class Linear(Protocol):
    """The linear part of a layer: sums of inputs by weights."""

    def forward(self, x: Array) -> Array:
        """The sums."""

    def backward(self, g: Array) -> Array:
        """The cotangents of x for a stack."""

    def gradient(self, g: Array) -> Array:
        """The gradients of the weights for a stack, (K, inputs of a unit, units)."""


class Dense:
    """x @ w, w of shape (in, out)."""

    def __init__(self, w: Array) -> None:
        self.w = w

    def forward(self, x: Array) -> Array:
        self.x = x
        return x @ self.w

    def backward(self, g: Array) -> Array:
        return g @ self.w.T

    def gradient(self, g: Array) -> Array:
        return self.x.T @ g


class Conv:
    """A 3 x 3 convolution, stride 1, one row of zeros around; w of shape (out, in, 3, 3), images channels last."""

    def __init__(self, w: Array) -> None:
        self.taps = [(i, j, np.ascontiguousarray(w[:, :, i, j].T)) for i in range(3) for j in range(3)]

    def forward(self, x: Array) -> Array:
        self.padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        sums = np.zeros((*x.shape[:-1], self.taps[0][2].shape[1]), x.dtype)
        for i, j, tap in self.taps:
            sums += self._window(self.padded, i, j) @ tap
        return sums

    def backward(self, g: Array) -> Array:
        out = np.zeros((*g.shape[:2], SIDE + 2, SIDE + 2, self.padded.shape[-1]), g.dtype)
        for i, j, tap in self.taps:
            self._window(out, i, j)[...] += g @ tap.T
        return np.ascontiguousarray(out[..., 1:-1, 1:-1, :])

    def gradient(self, g: Array) -> Array:
        flat = g.reshape(len(g), -1, g.shape[-1])
        inputs = self.padded.shape[-1]
        parts = [self._window(self.padded, i, j).reshape(-1, inputs).T @ flat for i, j, _ in self.taps]
        return np.concatenate(parts, axis=1)

    @staticmethod
    def _window(x: Array, i: int, j: int) -> Array:
        return x[..., i : i + SIDE, j : j + SIDE, :]


@dataclass
class LayerRun:
    """One layer after the forward pass."""

    w: Array  # the weights that multiply
    bias: Array | None
    linear: Linear
    steps: tuple[Step, ...]
    pre: Array  # what enters the activation function
    slope: Array | None  # of the activation function there; None where it is one with a normalization
    steepest: float | None
    out: Array  # what the next layer receives


def standard_deviation(init: str | float, fan_in: int, fan_out: int) -> float:
    """The weights' standard deviation under an initialization."""
    if not isinstance(init, str):
        return float(init)
    variances = {"xavier": 1 / fan_in, "lecun": 1 / fan_in, "he": 2 / fan_in, "glorot": 2 / (fan_in + fan_out)}
    return math.sqrt(variances[init])


def presumed_init(arm: Arm, settings: Settings) -> str | float:
    """The initialization: the settings', or the one that the arm's method presumes."""
    init = arm.definition.init if arm.definition is not None else None
    return settings.init if init is None else init.removesuffix("_normal")


def layout_of(settings: Settings) -> str:
    """The order of axes of the activations."""
    return "n ... c" if settings.is_conv else "n c"


def forward(arm: Arm, settings: Settings, draws: Draws, x: Array) -> Iterator[LayerRun]:
    """Run the network on x, (n, features) or (n, 8, 8, channels), layer by layer."""
    dtype, dense = np.dtype(settings.dtype), not settings.is_conv
    init = presumed_init(arm, settings)
    for k, drawn in enumerate(draws.weights):
        fans = drawn.shape if dense else (drawn[0].size, drawn[:, 0].size)
        scale = dtype.type(standard_deviation(init, *fans))
        w = drawn * scale
        bias: Any = draws.biases[k] * scale if draws.biases else None
        key = draws.key(k)
        if arm.role == "weight":
            w, shift = reweighted(arm, w, x, dense, key)
            bias = shift if bias is None or shift is not None else bias
        linear: Linear = Dense(w) if dense else Conv(w)
        z = linear.forward(x)
        if bias is not None:
            z = z + bias
        line, place = steps(
            arm, settings.activation, settings.place, settings.width, layout=layout_of(settings), dtype=dtype, key=key
        )
        for at, step in enumerate(line):
            if at == place:
                pre = z
            z = step.forward(z)
        acting = line[place]
        yield LayerRun(w, bias, linear, line, pre, acting.slope, acting.steepest, z)
        x = z


def reweighted(arm: Arm, w: Array, x: Array, dense: bool, key: int) -> tuple[Array, Array | None]:
    """The weights as the arm's method makes them, in w's order, and the bias that its start asks for."""
    v = np.ascontiguousarray(w.T) if dense else w
    layer = new_layer(arm, len(v), layout="o i ...", dtype=v.dtype, key=key)

    def respond(candidate: Array) -> Array:
        made = candidate.astype(v.dtype)
        z = (Dense(made.T) if dense else Conv(made)).forward(x)
        return z if dense else np.moveaxis(z, -1, 1)

    added = layer.start(v, respond).get("bias")
    made = layer(v)
    if layer.state and "steps" not in arm.given:  # it iterates from call to call
        if "steps" in layer.options:
            layer.options["steps"] = STEPS_A_CALL
        for _ in range(MOST_CALLS):
            before, made = made, layer(v)
            if not np.abs(made - before).max() > SETTLED * np.abs(made).max():
                break
    return (made.T if dense else made), None if added is None else added.astype(v.dtype)


def gradients(layers: Sequence[LayerRun], g: Array) -> Iterator[tuple[int, Array, int]]:
    """The weights' gradients for a stack of cotangents, from the last layer to the first: number, gradients, exponent.

    The true gradients are those times 2^exponent. The weights are those that multiply: for a method that makes them
    out of others, what it made.
    """
    exponent = 0
    for k in reversed(range(len(layers))):
        for step in reversed(layers[k].steps):
            g = step.backward(g)
        gradient = layers[k].linear.gradient(g).astype(np.float64, copy=False)
        yield k, gradient, exponent
        if k > 0:
            g = layers[k].linear.backward(g)
            size = math.sqrt(np.vdot(gradient, gradient))
            if 0 < size < _SMALL or _LARGE < size < math.inf:
                shift = max(-_MOST_SHIFT, min(_MOST_SHIFT, math.frexp(size)[1]))
                g *= g.dtype.type(2.0**-shift)
                exponent += shift


def gradient_norms(layers: Sequence[LayerRun], cotangents: Iterable[Array]) -> tuple[list[float], list[int]]:
    """The norm of each layer's weight gradient, root mean square over the cotangents; and how much is not finite."""
    norms = [0.0] * len(layers)
    broken = [0] * len(layers)
    count = 0
    for g in cotangents:
        count += len(g)
        for k, gradient, exponent in gradients(layers, g):
            size = math.sqrt(np.vdot(gradient, gradient))
            norms[k] = math.hypot(norms[k], float(np.ldexp(size, exponent)))
            if not math.isfinite(size):
                broken[k] += int(gradient.size - np.count_nonzero(np.isfinite(gradient)))
    return [norm / math.sqrt(count) for norm in norms], broken
