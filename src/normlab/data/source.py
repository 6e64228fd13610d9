"""What a reader hands over: rows and labels as they lie in a file, before anything is checked, split or scaled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

__all__ = ["Source"]


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
