"""Methods given by a `forward` on NumPy: run as they stand, differentiated by the autograd package."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import autograd.numpy as traced
import numpy as np
from autograd import make_vjp
from autograd.extend import defvjp, primitive
from autograd.tracer import getval

from ..definition import Definition
from ..operations import Operations
from ..pattern import parse_plain
from .arrays import generator, narrow, widen

__all__ = ["Derived", "operations", "run", "to_own"]


@primitive
def _erf(x: np.ndarray) -> np.ndarray:
    return np.vectorize(math.erf, otypes=[np.float64])(x) if x.size else x


defvjp(_erf, lambda ans, x: lambda g: g * (2 / math.sqrt(math.pi)) * traced.exp(-x * x))


def operations(layout: str, key: Any = None, *, plain: bool = True) -> Operations:
    """The operations of one call; `plain` ones do not trace, and cost nothing."""
    xp = np if plain else traced
    return Operations(xp, layout, erf=_erf, random=generator(key).random, stop=getval, eigh=xp.linalg.eigh)


@dataclass
class Derived:
    """A finished forward pass: the result, the new state, and what `pull` needs to run it again under autograd."""

    y: np.ndarray
    state: dict[str, np.ndarray] | None
    definition: Definition
    x: np.ndarray
    arrays: dict[str, np.ndarray]  # parameters and inputs: what has a gradient
    call: Callable[..., Any] = field(repr=False)

    def pull(self, dy: np.ndarray, lead: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The gradients of x and of every parameter and input for `dy`, which may carry `lead` more axes in front."""
        names = list(self.arrays)

        def result(values: tuple[Any, ...]) -> Any:
            y, _ = self.call(values[0], dict(zip(names, values[1:], strict=True)), plain=False)
            return y

        values = tuple(widen(a) for a in (self.x, *self.arrays.values()))
        with np.errstate(all="ignore"):
            vjp, y = make_vjp(result, 0)(values)
            front = dy.shape[:lead]
            cotangents = widen(dy).reshape((-1, *np.shape(y)))
            pulled = [vjp(c) for c in cotangents]
        stacked = []
        for k, value in enumerate(values):
            all_ = np.stack([p[k] for p in pulled]) if pulled else np.zeros((0, *value.shape))
            stacked.append(all_.reshape(front + np.shape(value)))
        dx = np.empty(front + self.x.shape, self.x.dtype) if lead else np.empty_like(self.y)
        with np.errstate(over="ignore"):
            dx[...] = stacked[0]
        return dx, dict(zip(names, stacked[1:], strict=True))


def run(
    definition: Definition, x: np.ndarray, arrays: Mapping[str, np.ndarray], state: Mapping[str, np.ndarray],
    options: Mapping[str, Any], *, layout: str, training: bool, key: Any = None,
) -> Derived:  # fmt: skip
    """Call the definition's forward on x in its own layout; what follows x's axes comes ready to broadcast."""
    axes, missing = to_own(definition.layout, layout, x.ndim)
    back = tuple(int(k) for k in np.argsort(axes))
    # The same draws when `pull` runs the call again.
    seed = key if not isinstance(key, np.random.Generator) else int(key.integers(2**63))

    def call(value: Any, live: Mapping[str, Any], *, plain: bool) -> tuple[Any, dict[str, np.ndarray] | None]:
        ops = operations(definition.layout, seed, plain=plain)
        own = ops.xp.transpose(value, axes) if axes != tuple(range(x.ndim)) else value
        if missing:
            own = ops.xp.reshape(own, (1, *own.shape))
        if plain:  # sums along an axis depend, in their last bit, on how it lies in memory
            own = np.ascontiguousarray(own)
        params = {p.name: _shaped(ops, p.axes, live.get(p.name), own, definition) for p in definition.params}
        held = {s.name: _shaped(ops, s.axes, state.get(s.name), own, definition) for s in definition.states}
        inputs = {i.name: live.get(i.name) for i in definition.inputs}
        for i in definition.inputs:  # one with all of x's axes follows x's layout
            a = inputs[i.name]
            if a is not None and i.axes == definition.layout and len(a.shape) == len(axes):
                inputs[i.name] = ops.xp.transpose(a, axes)
        made = definition.forward(ops, own, params, held, options, training=training, **inputs)  # type: ignore[misc]
        y, fresh = made if isinstance(made, tuple) else (made, None)
        if missing:
            y = ops.xp.reshape(y, y.shape[1:])
        y = ops.xp.transpose(y, back) if axes != tuple(range(x.ndim)) else y
        if fresh is not None:
            fresh = {n: np.asarray(getval(a)).reshape(state[n].shape) for n, a in fresh.items() if n in state}
        return y, fresh

    with np.errstate(all="ignore"):
        wide, fresh = call(widen(x), {n: widen(a) for n, a in arrays.items()}, plain=True)
        y = np.empty_like(x)
        y[...] = wide
    if fresh is not None:
        fresh = {n: narrow(a, state[n].dtype) for n, a in fresh.items()}
    return Derived(y, fresh, definition, x.copy(), dict(arrays), call)


def _shaped(ops: Operations, axes: str, a: Any, x: Any, definition: Definition) -> Any:
    """`a` ready to broadcast with x where its axes are x's own; as it is otherwise."""
    if a is None:
        return None
    own = parse_plain(definition.layout).names
    return ops.align(a, axes, x) if all(n in own for n in axes.split()) else a


def to_own(own: str, layout: str, ndim: int) -> tuple[tuple[int, ...], bool]:
    """The transposition from `layout` to the definition's own, and whether a batch axis must be added."""
    have, want = parse_plain(layout), parse_plain(own)
    places: dict[str, list[int]] = {}
    axis = 0
    for name in have.names:
        length = ndim - len(have.names) + 1 if name == "..." else 1
        # An axis that the definition's own layout does not name is one of its `...`.
        places.setdefault(name if name in want.names else "...", []).extend(range(axis, axis + length))
        axis += length
    order = [a for name in want.names for a in places.get(name, [])]
    return tuple(order), "n" in want.names and "n" not in have.names
