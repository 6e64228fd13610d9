"""The activation functions of the experiments: value and slope together, because measuring needs both.

Each is written on NumPy arrays of any float dtype and keeps that dtype. The slope is computed from the value where
that is cheaper. `span` is the fixed range of the histograms: a function of the settings only, so that adding an arm
changes no other arm's picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from normlab.errors import unknown

Array = np.ndarray[Any, np.dtype[Any]]

SELU_SCALE = 1.0507009873554805  # lambda and alpha of 1706.02515, equation 14
SELU_ALPHA = 1.6732632423543772


@dataclass(frozen=True)
class Activation:
    """One activation function: `value(z)`, `slope(z, value)`, the largest |slope|, and the histograms' range."""

    name: str
    value: Callable[[Array], Array]
    slope: Callable[[Array, Array], Array]
    steepest: float
    span: tuple[float, float]


def _sigmoid(z: Array) -> Array:
    with np.errstate(over="ignore"):  # exp(-z) is inf below -709 (float64), and 1 / inf is the right 0
        return 1 / (1 + np.exp(-z))


def _gelu(z: Array) -> Array:
    halves = (z.ravel() * math.sqrt(0.5)).tolist()  # NumPy has no erf; Python's is exact to the last bit or two
    below = np.fromiter(map(math.erf, halves), z.dtype, len(halves)).reshape(z.shape)
    return z * (0.5 * (1 + below))


def _gelu_slope(z: Array, value: Array) -> Array:
    below = np.divide(value, z, out=np.full_like(z, 0.5), where=z != 0)  # the share of the normal density below z
    return below + z * np.exp(-0.5 * z * z) * z.dtype.type(1 / math.sqrt(2 * math.pi))


def _selu(z: Array) -> Array:
    below = SELU_ALPHA * np.expm1(np.minimum(z, 0))
    return (SELU_SCALE * np.where(z > 0, z, below)).astype(z.dtype, copy=False)


def _selu_slope(z: Array, value: Array) -> Array:
    return np.where(z > 0, SELU_SCALE, value + SELU_SCALE * SELU_ALPHA).astype(z.dtype, copy=False)


_ALL = (
    Activation("sigmoid", _sigmoid, lambda z, a: a * (1 - a), 0.25, (0.0, 1.0)),
    Activation("tanh", np.tanh, lambda z, a: 1 - a * a, 1.0, (-1.0, 1.0)),
    Activation("relu", lambda z: np.maximum(z, 0), lambda z, a: (z > 0).astype(z.dtype), 1.0, (0.0, 4.0)),
    Activation("gelu", _gelu, _gelu_slope, 1.1289042, (-1.0, 4.0)),  # steepest at sqrt(2)
    Activation("selu", _selu, _selu_slope, SELU_SCALE * SELU_ALPHA, (-2.0, 4.0)),
    Activation("identity", lambda z: z, lambda z, a: np.ones_like(z), 1.0, (-4.0, 4.0)),
)
ACTIVATIONS = {activation.name: activation for activation in _ALL}


def activation_named(name: object) -> Activation:
    """The activation function of that name; an unknown one is an error that lists the nearest."""
    found = ACTIVATIONS.get(name) if isinstance(name, str) else None
    if found is None:
        raise unknown("activation", str(name), list(ACTIVATIONS))
    return found
