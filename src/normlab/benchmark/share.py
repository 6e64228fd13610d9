"""How much of a call's time kernels take: what is left is Python, the framework and fresh memory.

The kernels' own entry is wrapped while a few calls run, in the process that times and after its timing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .. import kernels
from .timing import low

__all__ = ["inside_kernels"]

CALLS = 11  # as many as a contestant has turns at least


def inside_kernels(run: Callable[[], object]) -> float | None:
    """Seconds of a call that pass inside kernels, the 10th percentile of `CALLS` calls; None where none is used."""
    if not kernels.available():
        return None
    samples = []
    for _ in range(CALLS):
        with _watched() as spent:
            run()
        samples.append(sum(spent))
    return low(samples) if any(samples) else None


@contextmanager
def _watched() -> Iterator[list[float]]:
    """Collect the seconds of every call that the pool of kernels is given."""
    from ..kernels import pool

    real, spent = pool.spread, list[float]()  # `pool.run` ends there as well

    def timed(*arguments: Any, **settings: Any) -> None:
        began = time.perf_counter()
        real(*arguments, **settings)
        spent.append(time.perf_counter() - began)

    pool.spread = timed
    try:
        yield spent
    finally:
        pool.spread = real
