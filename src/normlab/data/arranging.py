"""Rows of numbers in the axes that networks take: (n, features), or (n, channels, height, width)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DtypeError, NonFiniteError, ShapeError, UsageError
from ..language import both
from .limits import MAX_VALUES
from .source import Source

__all__ = ["arrange"]

CHANNELS = (1, 3, 4)  # grey, RGB, RGB with transparency: the last axis of images as most programs store them
NAMED = 5  # columns that an error names


def arrange(source: Source) -> Source:
    """The source with its axes in order. Raises what `load` says of shapes, dtypes and numbers that are not finite."""
    for part, x in (("", source.x), (" of the test set", source.test_x)):
        if x is not None:
            _check(source, part, x)
    moved, notes = _channels_first(source.x)
    test = None if source.test_x is None else _channels_first(source.test_x)[0]
    if test is not None and test.shape[1:] != moved.shape[1:]:
        raise ShapeError(
            f"{source.where}: rows of the test set must have the shape of training rows, {moved.shape[1:]}, "
            f"got {test.shape[1:]}."
        )
    return replace(source, x=moved, test_x=test, notes=[*source.notes, *notes])


def _check(source: Source, part: str, x: NDArray[Any]) -> None:
    who = f"{source.where}: rows{part}"
    if x.dtype.kind not in "buif":
        raise DtypeError(f"{who} must be real numbers, got dtype {x.dtype}.")
    if x.ndim not in (2, 3, 4):
        hint = "For one feature: x.reshape(-1, 1)." if x.ndim == 1 else None
        axes = "(n, features), (n, height, width) or (n, channels, height, width)"
        raise ShapeError(f"{who} must be {axes}, got shape {x.shape}.", hint=hint)
    if not x.size:
        raise ShapeError(f"{who} must be at least one with at least one number, got shape {x.shape}.")
    if x.size > MAX_VALUES:
        raise UsageError(f"{who} may hold {MAX_VALUES:,} numbers at most, got {x.size:,}.", hint="Take a part of them.")
    if x.dtype.kind == "f":
        _check_finite(source, who, x)


def _check_finite(source: Source, who: str, x: NDArray[Any]) -> None:
    wrong = ~np.isfinite(x)
    count = int(wrong.sum())
    if not count:
        return
    came = "1 number that is not" if count == 1 else f"{count} numbers that are not"
    missing = int(np.isnan(x).sum())
    row = int(wrong.reshape(len(x), -1).any(axis=1).argmax())
    where = f" in {_columns(source, np.flatnonzero(wrong.any(axis=0)))}" if x.ndim == 2 else ""
    line = source.line(row) if x is source.x else row + 1
    raise NonFiniteError(
        f"{who} must be finite, got {came} ({missing} NaN, {count - missing} infinite){where}, "
        f"the first in row {line}.",
        hint="Leave these rows out or fill in what is missing: which is right only you can know.",
    )


def _columns(source: Source, found: NDArray[np.intp]) -> str:
    shown = [f"{at + 1}" + (f" ({source.columns[at]!r})" if source.columns else "") for at in found[:NAMED]]
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"column{'s' if len(found) > 1 else ''} {', '.join(shown)}{more}"


def _channels_first(x: NDArray[Any]) -> tuple[NDArray[Any], list[dict[str, str]]]:
    if x.ndim == 3:
        return x[:, None], [both("Rows of two axes are taken as grey images.")]
    if x.ndim == 4 and x.shape[3] in CHANNELS and x.shape[1] not in CHANNELS:
        return np.moveaxis(x, 3, 1), [both("The last axis is taken as the channels of the images.")]
    return x, []
