"""What a reader hands over: rows and labels as they lie in a file, before anything is checked, split or scaled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DtypeError, UsageError

__all__ = ["Source", "from_arrays"]


@dataclass(frozen=True)
class Source:
    """Rows and labels, and what only the reader knows of them.

    Args:
        where: how errors name it, the path as it was given.
        name: how people call it.
        x, y: rows (n, features), (n, h, w), (n, channels, h, w) or (n, h, w, channels), and labels of any kind.
        test_x, test_y: a test set of its own; None where the rows are to be split.
        columns: the names of the features, where they have names.
        lines: the number of each row in its file, where that is not its place counted from 1.
        labels: the name behind each whole number in y, where a file brings them.
        divisor: what pixels are divided by, where the dtype does not say.
        scaled: whether the rows are what they should be: nothing is standardized or divided.
        split_seed: the seed of a split that must not depend on the caller's.
        notes: what the reader did.
    """

    where: str
    name: str
    x: NDArray[Any]
    y: NDArray[Any]
    test_x: NDArray[Any] | None = None
    test_y: NDArray[Any] | None = None
    columns: Sequence[str] = ()
    lines: Sequence[int] = ()
    labels: Sequence[str] = ()
    divisor: float | None = None
    scaled: bool = False
    split_seed: int | None = None
    notes: list[dict[str, str]] = field(default_factory=list)

    def line(self, row: int) -> int:
        """The number of a row, as people count in its file; `row` counts from 0."""
        return self.lines[row] if self.lines else row + 1


def from_arrays(x: Any, y: Any, test_x: Any = None, test_y: Any = None) -> Source:
    """The user's own arrays, or what NumPy makes of lists, frames and tensors on the CPU."""
    if x is None or y is None or (test_x is None) != (test_y is None):
        raise UsageError("load: rows and labels are required together, (x, y) or (x, y, test_x, test_y), got None.")
    rows, labels = _array("x", x), _array("y", y)
    if test_x is None:
        return Source("load", "arrays", rows, labels)
    return Source("load", "arrays", rows, labels, _array("test_x", test_x), _array("test_y", test_y))


def _array(name: str, value: Any) -> NDArray[Any]:
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as problem:
        raise DtypeError(f"load: {name} must be an array, got {type(value).__name__}: {problem}.") from problem
