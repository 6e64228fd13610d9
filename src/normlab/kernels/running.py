"""Statistics that a layer carries from batch to batch: read for a call that is given them, moved after one that is not.

One number for each set, in the order of memory. Each of these is a few elements' work, which as steps of an array
library costs more than the normalization of a small batch.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import math

from numba import njit

from .compiling import INLINE, kernel
from .halves import like, pointer
from .rows import MEAN, RESIDUE, RSTD, SQUARE, UNIT

__all__ = ["move", "read"]


@kernel
def read(first, last, wide, sets, centre, eps, mean_at, var_at, kept_at):
    """What is kept of sets whose mean and variance are given; `eps` is above 0 and inside the root."""
    mean, var, kept = pointer(mean_at, wide), pointer(var_at, wide), pointer(kept_at, wide)
    zero = like(0.0, wide)
    for s in range(first, last):
        kept[MEAN * sets + s] = mean[s] if centre else zero
        kept[RESIDUE * sets + s] = zero
        kept[RSTD * sets + s] = like(1.0 / math.sqrt(float(var[s]) + eps), zero)
        kept[SQUARE * sets + s], kept[UNIT * sets + s] = var[s], like(1.0, zero)


@njit(**INLINE)
def _between(old, new, share):
    """All of the new at a share of 1, whatever the old one was."""
    return new if share == 1.0 else old + share * (new - old)


@kernel
def move(first, last, wide, sets, momentum, factor, kept_at, mean_at, var_at):
    """mean and var go towards a batch's by the share `momentum`; its variance counts `factor` times."""
    mean, var, kept = pointer(mean_at, wide), pointer(var_at, wide), pointer(kept_at, wide)
    for s in range(first, last):
        unit = float(kept[UNIT * sets + s])
        middle = (float(kept[MEAN * sets + s]) + float(kept[RESIDUE * sets + s])) / unit
        square = float(kept[SQUARE * sets + s]) / unit / unit * factor
        mean[s] = like(_between(float(mean[s]), middle, momentum), wide)
        var[s] = like(_between(float(var[s]), square, momentum), wide)
