"""Finds out whether a method's forward is one sliding window and nothing else: then a kernel may do all of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .calling import Ready, own_forward, to_own
from .operations import Operations

__all__ = ["Window", "through_window"]

Array = Any


class Window(NamedTuple):
    """A window along an axis of x, as kernels take it."""

    axis: int
    before: int
    after: int
    k: float
    alpha: float
    beta: float


class _AnotherOperation(Exception):
    """A forward asked for another operation than the window's, or the kernel refused."""


def _refuse(*_: Any) -> Any:
    raise _AnotherOperation


class _Only(Operations):
    """Operations of which there is only one."""

    def __init__(self, xp: Any, layout: str, run: Callable[[Array, Window], Array | None]) -> None:
        super().__init__(xp, layout, erf=_refuse, random=_refuse, stop=_refuse, eigh=_refuse)
        self._run = run
        self.seen: tuple[Array, Array, str, Window] | None = None

    def __getattr__(self, name: str) -> Any:
        raise _AnotherOperation

    def window_power(
        self, x: Array, name: str, before: int, after: int, *, k: float, alpha: float, beta: float
    ) -> Array:  # fmt: skip
        window = Window(self.layout.split().index(name), before, after, k, alpha, beta)
        y = self._run(x, window) if self.seen is None else None
        if y is None:
            raise _AnotherOperation
        self.seen = (x, y, name, window)
        return y


def through_window(
    xp: Any, ready: Ready, run: Callable[[Array, Window], Array | None], *, same: Callable[[Array, Array], bool],
    training: bool,
) -> tuple[Array, Window] | None:  # fmt: skip
    """y, and the window along x's own axis; None where the forward does anything else, or `run` gives None.

    `same` says whether two arrays share memory: what a forward does to x before, or to the result after, would be
    missing on the way back.
    """
    d, x = ready.definition, ready.x
    if d.params or d.states or d.inputs:
        return None
    ops = _Only(xp, d.layout, run)
    try:
        y, _ = own_forward(ops, d, x, {}, {}, ready.options, layout=ready.layout, training=training)
    except _AnotherOperation:
        return None
    if ops.seen is None or not (same(ops.seen[0], x) and same(ops.seen[1], y)):
        return None
    _, _, name, window = ops.seen
    own, missing = to_own(d.layout, ready.layout, len(x.shape))
    return y, window._replace(axis=own[d.layout.split().index(name) - missing])
