"""Numbers of the size that networks like: pixels from 0 to 1, columns of a table with mean 0 and spread 1.

Whatever is learnt for it is learnt from the training rows; the test rows are scaled by the same numbers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..language import both
from .dataset import Dataset, Rows
from .scalers import learn

__all__ = ["as_float32", "normalized", "scale_pixels", "standardize"]

Notes = list[dict[str, str]]
Parts = tuple[Rows, Rows]
LARGEST = {"u1": 255.0, "u2": 65535.0}  # what a pixel of that dtype can be


def normalized(dataset: Dataset) -> Dataset:
    """Give each column of a table mean 0 and spread 1 in the training rows; images, from 0 to 1 already, are left.

    x[:, j] = (x[:, j] - mean_j) / spread_j, test_x likewise with the same mean_j and spread_j

    Numerics:
        Mean and population standard deviation in float64. A column that is constant in the training rows has its
        value subtracted and is divided by nothing.

    Raises:
        UsageError: a test row lies so far off that float32 cannot hold it.
    """
    if dataset.is_images:
        return dataset
    (x, test_x), notes = standardize(dataset.name, dataset.x, dataset.test_x)
    return replace(dataset, x=x, test_x=test_x, notes=(*dataset.notes, *notes))


def standardize(where: str, x: NDArray[Any], test_x: NDArray[Any]) -> tuple[Parts, Notes]:
    """Both parts, column by column; see `normalized`."""
    parts = np.empty(x.shape, np.float32), np.empty(test_x.shape, np.float32)
    constant = 0
    for at in range(x.shape[1]):
        column, test_column = x[:, at].astype(np.float64), test_x[:, at].astype(np.float64)
        as_float32(where, np.concatenate([column, test_column]))  # beyond float32 squares may overflow
        scaler = learn("z_score", column)
        constant += bool(column.min() == column.max())
        parts[0][:, at] = as_float32(where, scaler(column))
        parts[1][:, at] = as_float32(where, scaler(test_column))
    notes = [both("Columns are standardized with the mean and the spread of the training rows.")]
    if constant:
        notes.append(both("Columns that never change in the training rows: {count}.", count=constant))
    return parts, notes


def scale_pixels(where: str, x: NDArray[Any], test_x: NDArray[Any], divisor: float | None) -> tuple[Parts, Notes]:
    """Images from 0 to 1: by their dtype, by `divisor`, or else by the largest training pixel.

    Other numbers than whole ones are left as they are where they lie from 0 to 1 already, or are negative too.
    """
    if divisor is None:
        divisor = LARGEST.get(x.dtype.str[1:])
    if divisor is None:
        low, high = float(x.min()), float(x.max())
        if low < 0 or high <= 1:
            note = both("Pixels are left as they are, from {low} to {high}.", low=f"{low:g}", high=f"{high:g}")
            return (as_float32(where, x), as_float32(where, test_x)), [note]
        divisor = high
    parts = as_float32(where, x, divisor), as_float32(where, test_x, divisor)
    return parts, [both("Pixels are divided by {divisor}.", divisor=f"{divisor:g}")]


def as_float32(where: str, x: NDArray[Any], divisor: float = 1.0) -> Rows:
    """A new float32 array in row-major order, x / divisor. Raises UsageError for what is too large for it."""
    with np.errstate(over="ignore"):
        if x.dtype.itemsize > 4 and divisor != 1.0:
            x = x / divisor
            divisor = 1.0
        y: Rows = np.array(x, np.float32, order="C")
    if divisor != 1.0:
        y /= np.float32(divisor)
    if x.dtype.kind == "f":
        _check_range(where, x, y)
    return y


def _check_range(where: str, x: NDArray[Any], y: Rows) -> None:
    """Refuse numbers that were finite in `x` and are not in `y`."""
    if not np.isfinite(y).all():
        raise UsageError(
            f"{where}: numbers must be at most {np.finfo(np.float32).max:.3g}, the largest of float32, "
            f"got {float(np.abs(x).max()):.3g}.",
            hint="Scale the column, or look for a slip in it.",
        )
