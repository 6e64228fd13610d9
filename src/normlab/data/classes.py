"""From labels of any kind to numbers 0, 1, 2 ...: text, whole numbers, one-hot rows; quantities are refused."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import DtypeError, NonFiniteError, ShapeError, UsageError
from ..language import both
from .limits import shorten
from .source import Source

__all__ = ["Numbered", "number_classes"]

Labels = NDArray[Any]
# Whole numbers of which hardly any comes twice are amounts or ids. Up to ten classes, few rows may be a small example.
FEW_CLASSES = 10


class Numbered(NamedTuple):
    """Numbers of classes, for the rows and for the test rows that a source brings, and the classes' names."""

    y: NDArray[np.int64]
    test_y: NDArray[np.int64] | None
    classes: tuple[str, ...]
    notes: list[dict[str, str]]


def number_classes(source: Source) -> Numbered:
    """Number the classes in their order: numbers by size, text by its letters.

    Raises UsageError for a single class, quantities, and a test set with a class that training lacks.
    """
    labels = _plain(source, "labels", source.y, source.x)
    found, y = np.unique(labels, return_inverse=True)
    _check_count(source, found, len(labels))
    classes = tuple(_spell(source, value) for value in found)
    test_y = None
    if source.test_x is not None and source.test_y is not None:
        test_y = _among(source, found, _plain(source, "labels of the test set", source.test_y, source.test_x))
    return Numbered(y.astype(np.int64), test_y, classes, _notes(found, classes))


def _plain(source: Source, what: str, y: Labels, x: NDArray[Any]) -> Labels:
    """Labels (n,): bool, whole numbers or text."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    elif y.ndim == 2 and _is_one_hot(y):
        y = y.argmax(axis=1)
    if y.shape != x.shape[:1]:
        raise ShapeError(f"{source.where}: {what} must be one a row, ({len(x)},), got shape {y.shape}.")
    if y.dtype.kind == "O" and all(isinstance(value, str) for value in y):
        y = y.astype(str)
    if y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8", "replace")
    if y.dtype.kind not in "buifU":
        raise DtypeError(f"{source.where}: {what} must be whole numbers or text, got dtype {y.dtype}.")
    return _whole(source, what, y) if y.dtype.kind == "f" else y


def _is_one_hot(y: Labels) -> bool:
    return y.dtype.kind in "buif" and bool(np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all())


def _whole(source: Source, what: str, y: Labels) -> Labels:
    wrong = ~np.isfinite(y)
    if wrong.any():
        row = source.line(int(wrong.argmax()))
        raise NonFiniteError(
            f"{source.where}: {what} must be finite, got {int(wrong.sum())} that are not, the first in row {row}.",
            hint="Leave these rows out.",
        )
    broken = y != np.trunc(y)
    if broken.any():
        first = int(broken.argmax())
        raise UsageError(
            f"{source.where}: {what} must be whole numbers or text, "
            f"got {float(y[first]):g} in row {source.line(first)}: "
            "predicting a quantity (regression) is not supported.",
            hint="Turn the quantity into classes, such as low and high.",
        )
    return y


def _check_count(source: Source, found: Labels, rows: int) -> None:
    if len(found) < 2:
        came = f"all {rows} rows are of the class {shorten(_spell(source, found[0]))}" if rows else "there are no rows"
        raise UsageError(f"{source.where}: at least two classes are required, {came}.")
    if len(found) > max(FEW_CLASSES, rows // 2):
        raise UsageError(
            f"{source.where}: classes that come more than once are required, got {len(found)} in {rows} rows: "
            "that is a quantity or a name of each row.",
            hint="Name the column with the class label, target, y or class; or turn the quantity into classes.",
        )


def _among(source: Source, found: Labels, labels: Labels) -> NDArray[np.int64]:
    if (found.dtype.kind == "U") != (labels.dtype.kind == "U"):
        raise DtypeError(f"{source.where}: labels and those of the test set must be of one kind, got text and numbers.")
    new = sorted(set(np.unique(labels).tolist()) - set(found.tolist()))
    if new:
        raise UsageError(
            f"{source.where}: the test set may have no class that training lacks, got {shorten(new)}.",
            hint="Look whether both are of the same data.",
        )
    return np.searchsorted(found, labels).astype(np.int64)


def _spell(source: Source, value: Any) -> str:
    if isinstance(value, str | np.bool_):
        return str(value)
    number = int(value)
    return source.labels[number] if 0 <= number < len(source.labels) else str(number)


def _notes(found: Labels, classes: tuple[str, ...]) -> list[dict[str, str]]:
    if found.dtype.kind not in "uif" or found.tolist() == list(range(len(found))):
        return []
    return [both("The classes {first} to {last} are numbered from 0.", first=classes[0], last=classes[-1])]
