"""The 1797 handwritten digits that ship with normlab; origin and licence (CC BY 4.0): DIGITS-LICENSE.md."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadWriteError

__all__ = ["load_digits"]

COUNT, SIDE = 1797, 8
# One byte for each label, then one byte for each pixel, image by image and row by row; compressed with gzip.
_FILE = Path(__file__).with_name("digits.u8.gz")


def load_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Load the handwritten digits of the UCI repository: 1797 grey images of 8 x 8 pixels, and their labels.

    Pixels run from 0 (paper) to 16 (ink). Images and order are those of scikit-learn's `load_digits`.

    Shapes:
        images (1797, 8, 8), labels (1797,)

    Returns:
        `images`, uint8, and `labels`, int64, from 0 to 9. Both are new at every call and yours to change.

    Raises:
        ReadWriteError: the data file is missing from this copy of normlab, or damaged.

    Source:
        E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository,
        1998, doi 10.24432/C50P49, CC BY 4.0.

    Example:
        >>> from normlab.data import load_digits
        >>> images, labels = load_digits()
        >>> images.shape, images.dtype.name, int(images.max()), labels[:5].tolist()
        ((1797, 8, 8), 'uint8', 16, [0, 1, 2, 3, 4])
    """
    data = np.frombuffer(_read(_FILE), dtype=np.uint8)
    images = data[COUNT:].reshape(COUNT, SIDE, SIDE).copy()
    return images, data[:COUNT].astype(np.int64)


def _read(path: Path) -> bytes:
    expected, advice = COUNT * (1 + SIDE * SIDE), "Install normlab again."
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as problem:
        raise ReadWriteError(f"load_digits: {path.name} cannot be read: {problem}.", hint=advice) from problem
    if len(content) != expected:
        came = f"{path.name} must hold {expected} bytes, got {len(content)}."
        raise ReadWriteError(f"load_digits: {came}", hint=advice)
    return content
