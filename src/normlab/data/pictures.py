"""Images of another size and number of channels, and images as rows of numbers: what a network asks for."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..errors import ShapeError, UsageError
from ..language import both
from .dataset import Dataset, Rows
from .limits import MAX_VALUES

__all__ = ["as_images", "flattened"]


def flattened(dataset: Dataset) -> Dataset:
    """The rows as (n, features), channel after channel and line after line."""
    x, test_x = (part.reshape(len(part), -1) for part in (dataset.x, dataset.test_x))
    return replace(dataset, x=x, test_x=test_x)


def as_images(dataset: Dataset, channels: int = 3, size: int = 32) -> Dataset:
    """The rows as square images of that size: bilinear between the centres of pixels, grey repeated in each channel.

    It gives what torch's `interpolate(mode="bilinear", align_corners=False)` gives. Rows of a table are taken as
    square grey images, line after line.

    Shapes:
        x (n, 1 or channels, height, width) or (n, height * height) -> (n, channels, size, size)

    Raises:
        ShapeError: the rows are no square images, or have another number of channels than 1 and `channels`.
        UsageError: the result is too large, or `channels` or `size` is no whole number of at least 1.

    Example:
        >>> from normlab.data import as_images, load
        >>> as_images(load("digits")).shape
        (3, 32, 32)
    """
    for name, value in (("channels", channels), ("size", size)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UsageError(f"as_images: {name} must be a whole number of at least 1, got {value!r}.")
    rows = len(dataset.x) + len(dataset.test_x)
    if rows * channels * size * size > MAX_VALUES:
        raise UsageError(
            f"as_images: at most {MAX_VALUES:,} numbers, got {rows:,} images of {channels} x {size} x {size}.",
            hint="Take a smaller size, or a part of the rows.",
        )
    x, test_x = (_resized(_pixels(dataset, part), channels, size) for part in (dataset.x, dataset.test_x))
    note = both("Images are scaled to {channels} x {size} x {size}.", channels=channels, size=size)
    return replace(dataset, x=x, test_x=test_x, notes=(*dataset.notes, note))


def _pixels(dataset: Dataset, x: Rows) -> Rows:
    if x.ndim == 4:
        return x
    side = math.isqrt(x.shape[1])
    if side * side != x.shape[1]:
        raise ShapeError(f"{dataset.name}: square images are required, got rows of {x.shape[1]} features.")
    return x.reshape(len(x), 1, side, side)


def _resized(x: Rows, channels: int, size: int) -> Rows:
    if x.shape[1] not in (1, channels):
        raise ShapeError(f"as_images: images of 1 or {channels} channels are required, got {x.shape[1]}.")
    y = _between(_between(x, size, axis=2), size, axis=3)
    return np.repeat(y, channels // y.shape[1], axis=1)


def _between(x: Rows, size: int, axis: int) -> Rows:
    """The pixels along one axis, each new one between the two old ones nearest to its centre.

    By element, not as a product of matrices: the bytes then depend on no library and no number of threads.
    """
    length = x.shape[axis]
    centre = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)  # counted in old pixels
    left = np.floor(centre).astype(np.intp)
    part = (centre - left).astype(np.float32).reshape(-1, *[1] * (x.ndim - 1 - axis))
    right = np.minimum(left + 1, length - 1)
    y: Rows = x.take(left, axis) * (1 - part) + x.take(right, axis) * part
    return y
