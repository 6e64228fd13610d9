"""Normalizations in a stack of networks.

A method made of statistics is one line of notation, and the slots are one more axis in front of it that is not pooled:
one call does all slots. Any other method runs as one layer of the NumPy face for each slot, unless it says that samples
do not meet and learns nothing: then the slots are just more samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from normlab.calling import RUNNING, Ready, moved, prepare
from normlab.fitting import fit
from normlab.numpy import Layer, build
from normlab.numpy.arrays import total, widen
from normlab.numpy.call import ARRAYS
from normlab.numpy.standardize import standardize
from normlab.pattern import Plan, parse_plain

from ..activations import Array
from ..arms import Arm
from .parameters import Parameter
from .parts import EVALUATE, TRAIN, Part, Weight

__all__ = ["Together", "normalization", "weights"]

SLOT = "slot"  # the name of the axis in front; no line can hold it, since a line's own names are roles
SETTLING_CALLS = 15  # of a weight method that iterates, before the first step: as many as torch makes


def normalization(
    arm: Arm, channels: int, layout: str, dtype: Any, keys: Sequence[int], shape: tuple[int, ...]
) -> Part:  # fmt: skip
    """The arm's part after a layer's sums, for slots with these keys and activations of `shape` (n, ..., channels)."""
    definition = arm.definition
    assert definition is not None  # the arm without has no part
    layers = [_layer(arm, channels, layout, dtype, key) for key in keys]
    fitted = fit(definition, shape, layers[0].layout, layers[0].options, {}) if definition.role == "norm" else None
    if fitted is not None and fitted.plan is not None and definition.start is None:
        return Stacked(layers)
    alike = not layers[0].params and not layers[0].state and definition.role != "dropout"
    if alike and ("independent" in definition.invariances or definition.layout == "..."):
        return Together(layers[0])
    return PerSlot(layers)


def weights(arm: Arm, start: Array, dtype: Any, keys: Sequence[int]) -> Weight:
    """The weights of a layer as the arm makes them; `start` is (slots, inputs, outputs)."""
    if arm.role != "weight":
        return Weight(start)
    return Reweighted([_layer(arm, start.shape[-1], "i o", dtype, key) for key in keys], start)


def _layer(arm: Arm, channels: int, layout: str, dtype: Any, key: int) -> Layer:
    assert arm.definition is not None
    own = parse_plain(arm.definition.layout).names
    if "n" not in own and "o" not in own and arm.definition.forward is not None:
        layout = arm.definition.layout
    return build(arm.definition, channels, options=arm.options, layout=layout, eps=arm.eps, dtype=dtype, key=key)


class Stacked:
    """A line of notation for all slots in one call."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layer = layers[0]
        self.names = list(self.layer.params)
        self.learnt = {n: Parameter(np.stack([one.params[n] for one in layers])) for n in self.names}
        self.parameters = tuple(self.learnt.values())
        self.running = {n: np.stack([one.state[n] for one in layers]) for n in self.layer.state if n in RUNNING}
        self.counted = 0

    def forward(self, x: Array, mode: str) -> Array:
        layer, affine = self.layer, self.layer.definition.affine
        ready = prepare(
            ARRAYS, layer.definition, x[0], {n: p.value[0] for n, p in self.learnt.items()},
            {n: a[0] for n, a in self.running.items()}, layer.options, layout=layer.layout, eps=layer.eps,
            training=mode != EVALUATE, channels=layer.blueprint.made_for,
        )  # fmt: skip
        assert ready.plan is not None
        slots = len(x)
        plan = _with_slots(ready.plan, slots)
        broad = {n: widen(a).reshape(len(a), *ready.targets[n]) for n, a in self._arrays()}
        weight, bias = (broad.get(name or "") for name in affine)
        running = (broad[RUNNING[0]], broad[RUNNING[1]]) if ready.frozen else None
        done = standardize(x, plan, ready.rule, weight=weight, bias=bias, running=running)
        if mode == TRAIN:
            self.done = done
            if self.running:
                self._move(replace(ready, plan=plan), done.statistics)
        return done.y

    def _arrays(self) -> list[tuple[str, Array]]:
        return [*((n, p.value) for n, p in self.learnt.items()), *self.running.items()]

    def _move(self, ready: Ready, s: Any) -> None:
        self.counted += 1
        given = self.layer.options["momentum"]
        momentum = 1.0 / self.counted if given is None else given
        held = replace(ready, held={n: widen(a) for n, a in self.running.items()})
        mean, var = (s.mean + s.residue) / s.unit + np.zeros_like(s.root), s.square / s.unit / s.unit
        fresh = moved(np, held, mean, var, s.count, momentum, total=total, lead=(SLOT,))
        for name, value in fresh.items():
            self.running[name][...] = value

    def state(self) -> dict[str, Any]:
        return {**self.running, "counted": self.counted}

    def restore(self, state: dict[str, Any]) -> None:
        self.counted = state["counted"]
        for name, a in self.running.items():
            a[...] = state[name]

    def backward(self, g: Array) -> Array:
        dx, *gradients = self.done.pull(g)
        for name, gradient in zip(self.layer.definition.affine, gradients, strict=True):
            if name in self.learnt:
                assert gradient is not None
                into = self.learnt[name].gradient
                into[...] = gradient.reshape(into.shape)
        return dx


def _with_slots(plan: Plan, slots: int) -> Plan:
    """The plan with one more axis in front that is not pooled."""
    return Plan(
        plan.pattern, (slots, *plan.shape), (slots, *plan.split), (SLOT, *plan.names),
        tuple(a + 1 for a in plan.pooled), (0, *(a + 1 for a in plan.kept)),
    )  # fmt: skip


class Together:
    """A method without parameters in which samples do not meet: the slots are more samples."""

    parameters: tuple[Parameter, ...] = ()

    def __init__(self, layer: Layer) -> None:
        self.layer = layer

    def forward(self, x: Array, mode: str) -> Array:
        self.layer.training = mode != EVALUATE
        return self.layer(x.reshape(-1, *x.shape[2:])).reshape(x.shape)

    def backward(self, g: Array) -> Array:
        return self.layer.backward(g.reshape(-1, *g.shape[2:])).reshape(g.shape)


class PerSlot:
    """A layer for each slot."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = layers
        self.learnt = {n: Parameter(np.stack([one.params[n] for one in layers])) for n in layers[0].params}
        self.parameters = tuple(self.learnt.values())

    def forward(self, x: Array, mode: str) -> Array:
        made = []
        for slot, layer in enumerate(self.layers):
            layer.training = mode != EVALUATE
            for name, parameter in self.learnt.items():
                layer.params[name] = parameter.value[slot]
            held, drawn = dict(layer.state), layer.draws_state()
            made.append(layer(x[slot if len(x) > 1 else 0]))
            if mode != TRAIN:
                layer.state.update(held)
                layer.restore_draws(drawn)
        return np.stack(made)

    def backward(self, g: Array) -> Array:
        made = []
        for slot, layer in enumerate(self.layers):
            made.append(layer.backward(g[slot]))
            for name, parameter in self.learnt.items():
                parameter.gradient[slot] = layer.grads[name]
        return np.stack(made)


    def state(self) -> dict[str, Any]:
        held = {f"{k}.{n}": a for k, layer in enumerate(self.layers) for n, a in layer.state.items()}
        return {**held, "draws": [layer.draws_state() for layer in self.layers]}

    def restore(self, state: dict[str, Any]) -> None:
        for k, layer in enumerate(self.layers):
            layer.state.update({n: np.asarray(state[f"{k}.{n}"]) for n in layer.state})
            layer.restore_draws(state["draws"][k])


class Reweighted(Weight):
    """Weights that a method makes of others."""

    def __init__(self, layers: Sequence[Layer], start: Array) -> None:
        super().__init__(start)
        self.part = PerSlot(layers)
        self.parameters = (self.parameter, *self.part.parameters)
        self.made = np.empty_like(start)

    def begin(self, respond: Any) -> Array | None:
        added = []
        for slot, layer in enumerate(self.part.layers):
            found = layer.start(self.parameter.value[slot], partial(respond, slot))
            for name, parameter in self.part.learnt.items():
                parameter.value[slot] = layer.params[name]
            if layer.state:  # it iterates from call to call
                for _ in range(SETTLING_CALLS):
                    layer(self.parameter.value[slot])
            if "bias" in found:
                added.append(found["bias"])
        return np.stack(added).astype(self.made.dtype) if added else None

    def forward(self, mode: str) -> Array:
        return self.part.forward(self.parameter.value, mode)

    @property
    def target(self) -> Array:
        return self.made

    def backward(self) -> None:
        self.parameter.gradient[...] = self.part.backward(self.made)

    def state(self) -> dict[str, Any]:
        """What the method remembers."""
        return self.part.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Put back a `state`."""
        self.part.restore(state)
