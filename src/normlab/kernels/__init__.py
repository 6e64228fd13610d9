"""Fast paths for whole families of methods on a CPU, compiled by Numba on first use; each may refuse, with a reason.

Kernels know plans and numbers, never methods or frameworks. Importing this imports neither NumPy nor Numba.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..pattern import Plan

if TYPE_CHECKING:
    import numpy as np

    from .results import Done

__all__ = [
    "available", "compiled", "covers", "off", "set_threads", "standardize", "standardize_backward", "window_power",
    "window_power_backward",
]  # fmt: skip

_OFF: ContextVar[bool] = ContextVar("normlab_kernels_off", default=False)


@cache
def _numba_is_there() -> bool:
    return find_spec("numba") is not None


def available() -> bool:
    """Whether kernels may be used here and now: Numba is installed, and they are not switched `off`."""
    return not _OFF.get() and _numba_is_there()


@contextmanager
def off() -> Iterator[None]:
    """Within this block every call goes by the formula, in this thread and what it starts with its context."""
    token = _OFF.set(True)
    try:
        yield
    finally:
        _OFF.reset(token)


def set_threads(count: int | None) -> None:
    """Let at most `count` threads share a call; None: NORMLAB_THREADS, or as many as this process has cores."""
    from . import pool

    pool.set_threads(count)


def compiled() -> list[Any]:
    """What was made ready in this process: (name, seconds, cached: read from the disk and not compiled)."""
    if not _numba_is_there():
        return []
    from . import pool

    return pool.compiled()


def covers(x: np.ndarray, plan: Plan, **how: Any) -> str | None:
    """Why no kernel does `standardize(x, plan, **how)`; None where one does."""
    if not available():
        return "kernels are off, or Numba is not installed"
    from . import results

    return results.covers(x, plan, **how)


def standardize(x: np.ndarray, plan: Plan, **how: Any) -> Done | None:
    """`results.standardize`; None where kernels are not available."""
    if not available():
        return None
    from . import results

    return results.standardize(x, plan, **how)


def standardize_backward(dy: np.ndarray, x: np.ndarray, plan: Plan, kept: np.ndarray, **how: Any) -> Any:
    """`results.standardize_backward`; None where kernels are not available."""
    if not available():
        return None
    from . import results

    return results.standardize_backward(dy, x, plan, kept, **how)


def window_power(*arguments: Any, **how: Any) -> Any:
    """`window.window_power`; None where kernels are not available."""
    if not available():
        return None
    from . import window

    return window.window_power(*arguments, **how)


def window_power_backward(*arguments: Any, **how: Any) -> Any:
    """`window.window_power_backward`; None where kernels are not available."""
    if not available():
        return None
    from . import window

    return window.window_power_backward(*arguments, **how)
