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

from ..calling import Ready, own_forward
from ..definition import Definition
from ..operations import Operations
from .arrays import generator, narrow, widen

__all__ = ["Derived", "operations", "run"]


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


def run(ready: Ready, *, training: bool, key: Any = None) -> Derived:
    """Call the definition's forward on x in its own layout."""
    # The same draws when `pull` runs the call again.
    seed = key if not isinstance(key, np.random.Generator) else int(key.integers(2**63))
    held = {n: widen(a) for n, a in ready.held.items()}

    def call(value: Any, live: Mapping[str, Any], *, plain: bool) -> tuple[Any, dict[str, np.ndarray] | None]:
        return own_forward(
            operations(ready.definition.layout, seed, plain=plain), ready.definition, value, live, held, ready.options,
            layout=ready.layout, training=training,
            # sums along an axis depend, in their last bit, on how it lies in memory
            ready=np.ascontiguousarray if plain else _as_it_is,
        )  # fmt: skip

    with np.errstate(all="ignore"):
        wide, fresh = call(widen(ready.x), {n: widen(a) for n, a in ready.live.items()}, plain=True)
        y = np.empty_like(ready.x)
        y[...] = wide
    if fresh is not None:
        fresh = {n: narrow(np.asarray(a), ready.held[n].dtype) for n, a in fresh.items()}
    return Derived(y, fresh, ready.definition, ready.x.copy(), dict(ready.live), call)


def _as_it_is(x: Any) -> Any:
    return x
