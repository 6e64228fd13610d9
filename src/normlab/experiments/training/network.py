"""A stack of networks: layers of sums, a normalization and an activation function, then a linear classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..activations import Array, activation_named
from ..arms import Arm
from ..network import presumed_init, standard_deviation
from .normalizing import normalization, weights
from .parameters import Flat
from .parts import MEASURE, SIDE, Applied, Convolution, Flatten, Linear, Part, Pool

__all__ = ["Network"]

# The streams of a seed, beside those of `draws`; they must never change.
_WEIGHTS, _KEYS = 12, 13
TAPS = SIDE * SIDE
LEAST_SIDE = 4  # images are not halved below half of this


Seen = list[Array] | None


class Layer(NamedTuple):
    """Sums and what follows them, up to the next layer."""

    linear: Linear
    parts: Sequence[Part]


class Network:
    """The networks of some slots under one arm.

    `settings`: net, layers, width, activation, init, place, bias, dtype. `shape`: of one sample, (features,) or
    (height, width, channels).
    """

    def __init__(self, arm: Arm, settings: Any, shape: tuple[int, ...], classes: int, seeds: Sequence[int]) -> None:
        self.arm, self.settings, self.seeds = arm, settings, seeds
        self.dtype = np.dtype(settings.dtype)
        self.layers: list[Layer] = []
        for number in range(settings.layers):
            made, shape = self._layer(number, shape)
            self.layers.append(made)
        flatten: list[Part] = [Flatten()] if len(shape) > 1 else []
        features = int(np.prod(shape))
        self.head = self._linear(settings.layers, (features, classes), plain=True)
        self.top: list[Part] = [*flatten, self.head]
        parts = [p for layer in self.layers for p in (layer.linear, *layer.parts)]
        self.parts: list[Part] = [*parts, *self.top]
        self.flat = Flat([q for p in self.parts for q in p.parameters])

    def _layer(self, number: int, shape: tuple[int, ...]) -> tuple[Layer, tuple[int, ...]]:
        settings, images = self.settings, len(shape) > 1
        inputs = shape[-1] * (TAPS if images else 1)
        linear = self._linear(number, (inputs, settings.width))
        shape = (*shape[:-1], settings.width)
        parts = list(self._between(number, shape))
        if images and min(shape[:2]) >= LEAST_SIDE and not any(side % 2 for side in shape[:2]):
            parts.append(Pool())
            shape = (shape[0] // 2, shape[1] // 2, shape[2])
        return Layer(linear, parts), shape

    def _linear(self, number: int, size: tuple[int, int], *, plain: bool = False) -> Linear:
        images = self.settings.net == "conv" and not plain
        scale = standard_deviation(presumed_init(self.arm, self.settings), size[0], size[1] * (TAPS if images else 1))
        drawn = [np.random.default_rng([seed, _WEIGHTS, number]).standard_normal(size) * scale for seed in self.seeds]
        start = np.stack(drawn).astype(self.dtype)
        own = Arm("none") if plain else self.arm
        bias = np.zeros((len(start), size[1]), self.dtype) if self.settings.bias or plain else None
        made = weights(own, start, self.dtype, self._keys(number))
        return (Convolution if images else Linear)(made, bias, first=number == 0)

    def _keys(self, number: int) -> list[int]:
        """The seed of whatever a layer of the arm draws itself, for each slot."""
        return [int(np.random.SeedSequence([seed, _KEYS, number]).generate_state(1)[0]) for seed in self.seeds]

    def _between(self, number: int, shape: tuple[int, ...]) -> Sequence[Part]:
        """What follows a layer's sums: which parts, by the arm's role."""
        arm, settings = self.arm, self.settings
        applied: Part = Applied(activation_named(settings.activation))
        if arm.role in ("none", "weight", "input"):
            return (applied,)
        layout = "n ... c" if len(shape) > 1 else "n c"
        made = normalization(arm, settings.width, layout, self.dtype, self._keys(number), (settings.batch, *shape))
        if arm.role in ("activation", "norm_and_activation"):
            return (made,)
        if arm.role == "dropout":
            named = arm.definition.activation if arm.definition is not None else None
            return (Applied(activation_named(named or settings.activation)), made)
        return (made, applied) if settings.place == "before" else (applied, made)

    def begin(self, x: Array) -> None:
        """Set what presumes data, layer by layer, for a batch x of every slot."""
        for layer in self.layers:
            linear = layer.linear

            def respond(slot: int, w: Array, linear: Linear = linear, x: Array = x) -> Array:
                return np.moveaxis(linear.sums(x[slot : slot + 1], w[None])[0], -1, 1)  # (n, units, ...)

            bias = linear.weight.begin(respond)
            if bias is not None and linear.bias is not None:
                linear.bias.value[...] = bias
            x = self._through(layer, x, MEASURE)

    def _through(self, layer: Layer, x: Array, mode: str, seen: Seen = None, entering: Seen = None) -> Array:
        x = layer.linear.forward(x, mode)
        for part in layer.parts:
            if entering is not None and isinstance(part, Applied):
                entering.append(x)
            x = part.forward(x, mode)
        if seen is not None:
            seen.append(x)
        return x

    def forward(self, x: Array, mode: str, seen: Seen = None, entering: Seen = None) -> Array:
        """The classifier's numbers, (slots, n, classes).

        `seen` gets what every layer hands on, `entering` what enters its activation function.
        """
        for layer in self.layers:
            x = self._through(layer, x, mode, seen, entering)
        for part in self.top:
            x = part.forward(x, mode)
        return x

    def backward(self, g: Array) -> None:
        """Set the gradients for the cotangents of the latest training pass."""
        for part in reversed(self.parts):
            g = part.backward(g)

    def gradient_norms(self) -> Array:
        """The norm of the gradient of each layer's weights that multiply, (layers, slots), in float64."""
        found = [layer.linear.weight.target.astype(np.float64) for layer in self.layers]
        return np.sqrt([np.sum((g * g).reshape(len(g), -1), axis=1) for g in found])

    def state(self) -> dict[str, Any]:
        """What the parts remember beside the parameters (running statistics, iterates, draws), by name."""
        return {f"{k}.{name}": a for k, part in self._remembering() for name, a in part.state().items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Put back a `state`."""
        for k, part in self._remembering():
            own = f"{k}."
            part.restore({name.removeprefix(own): a for name, a in state.items() if name.startswith(own)})

    def _remembering(self) -> list[tuple[int, Any]]:
        parts = [getattr(part, "weight", part) for part in self.parts]
        return [(k, part) for k, part in enumerate(parts) if hasattr(part, "restore")]
