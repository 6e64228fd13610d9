"""Fast paths for whole families of methods on a CPU, compiled by Numba on first use; each may refuse, with a reason.

Numba is imported when a kernel is first wanted. `off()` keeps kernels out: experiments run the formula alone.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cache
from typing import Any

__all__ = ["available", "compiled", "is_on", "off"]

_off: ContextVar[bool] = ContextVar("normlab_kernels_off", default=False)


@cache
def available() -> bool:
    """Whether Numba is installed. NORMLAB_KERNELS=0 in the environment keeps it out."""
    return os.environ.get("NORMLAB_KERNELS", "1") != "0" and importlib.util.find_spec("numba") is not None


def is_on() -> bool:
    """Whether kernels may be used here."""
    return not _off.get() and available()


@contextlib.contextmanager
def off() -> Iterator[None]:
    """Within it no kernel runs, only the formula."""
    token = _off.set(True)
    try:
        yield
    finally:
        _off.reset(token)


def compiled() -> list[Any]:
    """The kernels made ready in this process: name, seconds, and whether they were read from the disk."""
    from . import pool

    return list(pool.compiled())
