"""What every experiment runs under, so that the same seed gives the same bytes."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from normlab import kernels

__all__ = ["by_the_formula"]


@functools.cache
def _pools() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()  # finding the libraries takes a millisecond or more; limiting them does not


@functools.cache
def _keep_freed_memory() -> None:
    """Halve the time of a run under glibc, and change nothing elsewhere.

    Freed arrays of 128 kB or more go back to the system, and the next one pays for its pages again, until the program
    has once freed a larger one: from then on arrays up to that size (32 MB at most) are kept for reuse.
    """
    np.empty(30 * 2**20, np.uint8)


@contextmanager
def by_the_formula() -> Iterator[None]:
    """Within this block the formula, and BLAS on one thread: on two, the order of its sums and the last bits differ."""
    _keep_freed_memory()
    with kernels.off(), _pools().limit(limits=1):
        yield
