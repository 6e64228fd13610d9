"""The steps between one layer's sums and the next layer: an activation function, a normalization, or both in one.

A step goes forward on one array and back on a stack of cotangents, (K, n, ...). Steps own the cotangents that they
are given and may write over them. Which steps an arm has follows from its role.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from normlab.pattern import parse_plain

from .activations import Activation, Array, activation_named
from .arms import Arm

if TYPE_CHECKING:
    from normlab.numpy import Layer

# The inputs on which the steepest slope of an activation function that is a method is looked for.
_PROBE = np.linspace(-10, 10, 201)


class Step(Protocol):
    """One step."""

    def forward(self, x: Array) -> Array:
        """The result for x."""

    def backward(self, g: Array) -> Array:
        """The cotangents of x; may reuse `g`."""


class Applied:
    """An activation function of ours."""

    def __init__(self, activation: Activation) -> None:
        self.activation, self.steepest = activation, activation.steepest
        self.slope: Array | None = None

    def forward(self, x: Array) -> Array:
        value = self.activation.value(x)
        self.slope = self.activation.slope(x, value)
        return value

    def backward(self, g: Array) -> Array:
        return np.multiply(g, self.slope, out=g)  # type: ignore[arg-type]


class Pointwise:
    """A method that is an activation function: each element for itself, so its slopes come from one pull of ones."""

    def __init__(self, layer: Layer, channels: int) -> None:
        self.layer = layer
        probe = np.repeat(_PROBE[:, None], channels, axis=1)
        layer(probe)
        self.steepest = float(np.abs(layer.backward(np.ones_like(probe))).max())
        self.slope: Array | None = None

    def forward(self, x: Array) -> Array:
        value = self.layer(x)
        self.slope = self.layer.backward(np.ones_like(x))
        return value

    def backward(self, g: Array) -> Array:
        return np.multiply(g, self.slope, out=g)  # type: ignore[arg-type]


class Normalized:
    """A layer of the NumPy face; it has no slope of its own."""

    steepest = None
    slope = None

    def __init__(self, layer: Layer) -> None:
        self.layer = layer

    def forward(self, x: Array) -> Array:
        return self.layer(x)

    def backward(self, g: Array) -> Array:
        return self.layer.backward(g)


def new_layer(arm: Arm, channels: int, *, layout: str, dtype: Any, key: int) -> Layer:
    """The arm's layer at its start. Of mere statistics, weight 1 and bias 0 are left out: they would only cost time."""
    from normlab.numpy import build

    assert arm.definition is not None  # the arm without has no layer
    plain = arm.definition.role == "norm" and arm.definition.forward is None
    own = parse_plain(arm.definition.layout).names
    if "n" not in own and "o" not in own and arm.definition.forward is not None:
        layout = arm.definition.layout  # such as "... c": at home in ours as it is, whose channels are last, too
    settings = {"layout": layout, "eps": arm.eps, "affine": not plain, "dtype": dtype, "key": key}
    return build(arm.definition, channels, options=arm.options, **settings)


def steps(arm: Arm, activation: str, place: str, channels: int, *, layout: str, dtype: Any, key: int) -> Sequence[Any]:
    """The steps of one layer, and which of them is the activation function: `(first, second ...), index`."""
    role = arm.role
    applied = Applied(activation_named(activation))
    if role in ("none", "weight", "input"):
        return (applied,), 0
    layer = new_layer(arm, channels, layout=layout, dtype=dtype, key=key)
    if role == "activation":
        return (Pointwise(layer, channels),), 0
    if role == "norm_and_activation":
        return (Normalized(layer),), 0
    if role == "dropout":
        named = arm.definition.activation if arm.definition is not None else None
        return (Applied(activation_named(named or activation)), Normalized(layer)), 0
    return ((Normalized(layer), applied), 1) if place == "before" else ((applied, Normalized(layer)), 0)
