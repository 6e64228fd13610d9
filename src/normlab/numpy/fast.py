"""NumPy arrays through the kernels, where Numba is installed and one of them covers the call; else the formula runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import kernels
from ..calling import Ready, Rule
from ..pattern import Plan
from ..windowing import Window, through_window
from .arrays import HALF

__all__ = ["Fast", "Windowed", "standardize", "windowed"]


def _bits(a: np.ndarray) -> np.ndarray:
    """`a` as kernels read it: bfloat16 by its bits."""
    return a.view(np.uint16) if a.dtype.name == HALF else a


@dataclass
class Fast:
    """A forward pass that a kernel did, and what `pull` needs."""

    y: np.ndarray
    x: np.ndarray
    plan: Plan
    how: Mapping[str, Any]  # rule, weight and bias, as the kernels take them
    known: bool  # running statistics took the place of the batch's
    done: Any

    def pull(self, dy: np.ndarray, lead: int = 0) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """The gradients of x, weight and bias for `dy`, which may carry `lead` more axes in front."""
        if not lead:
            return self._pull(dy)
        front = dy.shape[:lead]
        held = [self.how["weight"], self.how["bias"]]
        made: list[np.ndarray | None] = [np.empty(front + self.x.shape, self.x.dtype)]
        made += [None if a is None else np.empty(front + a.shape) for a in held]
        for index in np.ndindex(*front):
            for whole, one in zip(made, self._pull(dy[index]), strict=True):
                if whole is not None:
                    whole[index] = one
        dx, dweight, dbias = made
        assert dx is not None
        return dx, dweight, dbias

    def _pull(self, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        like = np.empty_like(self.x)
        with np.errstate(over="ignore"):
            like[...] = dy
        dx, dweight, dbias = kernels.standardize_backward(
            _bits(like), _bits(self.x), self.plan, self.done.kept, running=self.known, **self.how
        )
        return dx.view(self.x.dtype), dweight, dbias


def standardize(
    x: np.ndarray, plan: Plan, rule: Rule, *, weight: np.ndarray | None, bias: np.ndarray | None,
    running: tuple[np.ndarray, np.ndarray] | None, keep: bool,
) -> Fast | None:  # fmt: skip
    """Normalize x; None where no kernel does. `keep`: x may be changed before the way back, so a copy is kept."""
    if not kernels.available():
        return None
    how = {
        "centre": rule.centre, "spread": rule.spread, "eps": rule.eps, "eps_rule": rule.eps_rule, "weight": weight,
        "bias": bias,
    }  # fmt: skip
    done = kernels.standardize(_bits(x), plan, running=running, **how)
    if done is None:
        return None
    return Fast(done.y.view(x.dtype), x.copy(order="K") if keep else x, plan, how, running is not None, done)


@dataclass
class Windowed:
    """A finished pass of the sliding window, and what `pull` needs."""

    y: np.ndarray
    x: np.ndarray
    window: Window

    def pull(self, dy: np.ndarray, lead: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The gradient of x for `dy`, which may carry `lead` more axes in front; nothing else has one."""
        dx = np.empty(dy.shape[:lead] + self.x.shape, self.x.dtype) if lead else np.empty_like(self.y)
        for index in np.ndindex(*dy.shape[:lead]):
            like = np.empty_like(self.x)
            like[...] = dy[index]
            dx[index] = kernels.window_power_backward(_bits(like), _bits(self.x), *self.window).view(self.x.dtype)
        return dx, {}


def windowed(ready: Ready, *, training: bool, keep: bool) -> Windowed | None:
    """Run a forward that is the sliding window and nothing else; None for any other."""
    if not kernels.available():
        return None

    def run(x: np.ndarray, window: Window) -> np.ndarray | None:
        y = kernels.window_power(_bits(x), *window)
        return None if y is None else y.view(x.dtype)

    found = through_window(np, ready, run, same=np.shares_memory, training=training)
    if found is None:
        return None
    y, window = found
    return Windowed(y, ready.x.copy(order="K") if keep else ready.x, window)
