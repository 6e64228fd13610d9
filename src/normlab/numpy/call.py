"""One call of a method on NumPy arrays: check, choose the family, compute. Layers and functions both come here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..calling import RUNNING, Ready, Rule, moved, prepare, prepare_line
from ..definition import Definition
from ..errors import ShapeError
from . import derived, fast
from .arrays import as_float, as_numbers, narrow, total, widen
from .standardize import Standardized, standardize

__all__ = ["Call", "call", "normalize"]


class _Arrays:
    """NumPy's arrays, as a call is made ready with them."""

    as_float = staticmethod(as_float)

    @staticmethod
    def as_numbers(a: Any, who: str, name: str, like: np.ndarray) -> np.ndarray:
        # Copies, so that whoever changes a parameter or state in place does not change the way back.
        return as_numbers(a, who, name).copy()

    @staticmethod
    def as_mask(mask: Any, like: np.ndarray) -> tuple[np.ndarray, bool]:
        found = np.asarray(mask)
        return found, found.dtype == np.bool_


ARRAYS = _Arrays()


@dataclass
class Call:
    """A finished call: the result, the new state where it has one, and the way back."""

    y: np.ndarray
    state: dict[str, np.ndarray] | None
    arrays: Mapping[str, np.ndarray]  # parameters and inputs
    done: Standardized | fast.Fast | fast.Windowed | derived.Derived | None  # None: the batch was empty
    affine: tuple[str | None, str | None] = (None, None)

    def pull(self, dy: np.ndarray, lead: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The gradients of x and, by name, of parameters and inputs, for `dy` of y's shape behind `lead` more axes."""
        if dy.shape[lead:] != self.y.shape:
            raise ShapeError(f"backward: dy must have the output's shape {self.y.shape}, got {dy.shape}.")
        front = dy.shape[:lead]
        if self.done is None:
            dx = dy.astype(self.y.dtype)
            named = {n: np.zeros(front + a.shape) for n, a in self.arrays.items()}
        elif isinstance(self.done, derived.Derived | fast.Windowed):
            dx, named = self.done.pull(dy, lead)
        else:
            dx, *gradients = self.done.pull(dy, lead)
            named = {n: g for n, g in zip(self.affine, gradients, strict=True) if n is not None and g is not None}
        return dx, {n: narrow(g.reshape(front + self.arrays[n].shape), self.arrays[n].dtype) for n, g in named.items()}


def call(
    definition: Definition, x: Any, arrays: Mapping[str, Any], state: Mapping[str, Any], options: Mapping[str, Any], *,
    layout: str | None = None, eps: float | None = None, training: bool = True, mask: Any = None, key: Any = None,
    trailing: int = 1, channels: tuple[int, ...] | None = None, keep: bool = False,
) -> Call:  # fmt: skip
    """Run `definition` on x. `arrays`: parameters and inputs by name; `state` likewise; None where left out.

    `keep`: whether x may be changed before `Call.pull` is called.
    """
    ready = prepare(
        ARRAYS, definition, x, arrays, state, options, layout=layout, eps=eps, training=training, mask=mask,
        trailing=trailing, channels=channels,
    )  # fmt: skip
    x, live, held = ready.x, ready.live, dict(ready.held)
    if ready.empty:
        return Call(np.empty_like(x), held or None, live, None)
    window = fast.windowed(ready, training=training, keep=keep) if ready.plan is None else None
    if window is not None:
        return Call(window.y, held or None, live, window)
    if ready.plan is None:
        done = derived.run(ready, training=training, key=key)
        return Call(done.y, done.state if done.state is not None else held or None, live, done)
    broad = {n: widen(a).reshape(ready.targets[n]) for n, a in (*live.items(), *held.items()) if n in ready.targets}
    weight, bias = (broad.get(n or "") for n in definition.affine)
    running = (broad[RUNNING[0]], broad[RUNNING[1]]) if ready.frozen else None
    by_kernel = None
    if ready.mask is None:
        by_kernel = fast.standardize(x, ready.plan, ready.rule, weight=weight, bias=bias, running=running, keep=keep)
    moving = held and ready.keeps and not ready.frozen
    if by_kernel is not None:
        if moving:
            held |= _fresh(ready, by_kernel.done.mean, by_kernel.done.var, float(ready.plan.count), options)
        return Call(by_kernel.y, held or None, live, by_kernel, definition.affine)
    shown = standardize(x, ready.plan, ready.rule, weight=weight, bias=bias, mask=ready.mask, running=running)
    s = shown.statistics
    if moving and s is not None:
        with np.errstate(over="ignore", invalid="ignore"):
            mean, var = (s.mean + s.residue) / s.unit + np.zeros_like(s.root), s.square / s.unit / s.unit
        held |= _fresh(ready, mean, var, s.count, options)
    return Call(shown.y, held or None, live, shown, definition.affine)


def normalize(
    x: Any, pools: str, *, centre: bool, spread: str | None, eps: float, eps_rule: str, weight: Any, bias: Any,
    affine: str | None, sizes: Mapping[str, Any],
) -> np.ndarray:  # fmt: skip
    """`normlab.normalize` for NumPy arrays."""
    x, plan, rule, found, targets = prepare_line(
        ARRAYS, x, pools, rule=Rule(centre, spread, eps, eps_rule), weight=weight, bias=bias, affine=affine, sizes=sizes
    )
    if x.size == 0:
        return np.empty_like(x)
    broad = [None if a is None else widen(a).reshape(t) for a, t in zip(found, targets, strict=True)]
    by_kernel = fast.standardize(x, plan, rule, weight=broad[0], bias=broad[1], running=None, keep=False)
    if by_kernel is not None:
        return by_kernel.y
    return standardize(x, plan, rule, weight=broad[0], bias=broad[1]).y


def _fresh(ready: Ready, mean: Any, var: Any, count: Any, options: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The running statistics after a batch, each in its own dtype."""
    wide = replace(ready, held={n: widen(a) for n, a in ready.held.items()})
    with np.errstate(over="ignore", invalid="ignore"):
        fresh = moved(np, wide, widen(mean), widen(var), count, options["momentum"], total=total)
        return {n: narrow(a, ready.held[n].dtype) for n, a in fresh.items()}
