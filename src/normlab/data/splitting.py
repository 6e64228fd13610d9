"""Which rows are kept back to judge by: of every class its share, the same rows for the same seed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError

__all__ = ["split"]

Indices = NDArray[np.intp]
Counts = NDArray[np.int64]
# A stream of its own under the caller's seed; the number must never change.
_SPLIT = 11


def split(where: str, y: NDArray[np.int64], share: float, seed: int) -> tuple[Indices, Indices]:
    """The training rows and the test rows, each in their order.

    In all ceil(share * n) rows are kept back, of each class as many as fits its size best, but at least one and not
    the last one. A class with a single row is trained on only.

    Raises UsageError where every class has a single row.
    """
    counts = np.bincount(y)
    if counts.max() < 2:
        raise UsageError(
            f"{where}: at least one class with two rows is required, one to train on and one to judge by; "
            f"got {len(counts)} classes with one row each."
        )
    drawn = np.random.default_rng([seed, _SPLIT]).permutation(len(y))
    ordered = drawn[np.argsort(y[drawn], kind="stable")]  # class by class, shuffled within
    starts = np.concatenate([[0], np.cumsum(counts)])
    kept = [ordered[start : start + count] for start, count in zip(starts, _quotas(counts, share), strict=False)]
    test = np.sort(np.concatenate(kept))
    return np.setdiff1d(np.arange(len(y)), test, assume_unique=True), test


def _quotas(counts: Counts, share: float) -> Counts:
    """How many rows of each class are kept back: the method of the largest remainder, then the bounds."""
    exact = counts * share
    quotas = np.floor(exact).astype(np.int64)
    # the product may lie a rounding above a whole number, as 0.07 * 100 does
    missing = math.ceil(round(float(exact.sum()), 9)) - int(quotas.sum())
    quotas[np.argsort(quotas - exact, kind="stable")[:missing]] += 1
    return np.clip(quotas, np.minimum(1, counts - 1), counts - 1)
