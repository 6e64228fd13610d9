"""Rows and labels from an .npz archive, under the names that people give them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DtypeError, UnknownNameError, UsageError
from .limits import MAX_BYTES, MAX_VALUES, shorten
from .npy_arrays import Members, members_of, refuse_objects
from .source import Source

__all__ = ["read_labelled_npz"]

# Pairs of rows and labels, in the order in which they are looked for; the first as Keras' mnist.npz has them.
TRAINING = (
    ("x_train", "y_train"), ("X_train", "y_train"), ("train_x", "train_y"), ("train_images", "train_labels"),
    ("x", "y"), ("X", "y"), ("data", "target"), ("data", "labels"), ("images", "labels"),
)  # fmt: skip
TEST = (
    ("x_test", "y_test"), ("X_test", "y_test"), ("test_x", "test_y"), ("test_images", "test_labels"),
)  # fmt: skip


def read_labelled_npz(file: Path) -> Source:
    """Read rows, labels and, where it is there, a test set; nothing is unpickled."""
    with members_of(file) as members:
        pair = _find(TRAINING, members)
        if pair is None:
            raise UnknownNameError(
                f"{file}: rows and labels are required, called x and y, x_train and y_train, or data and target; "
                f"got {_listed(members)}.",
                hint="Save them so: numpy.savez(path, x=rows, y=labels).",
            )
        test = _find(TEST, members)
        x, y = (members.read(name, _check) for name in pair)
        test_x, test_y = (members.read(name, _check) for name in test) if test else (None, None)
    return Source(str(file), file.name, x, y, test_x, test_y)


def _find(pairs: tuple[tuple[str, str], ...], members: Members) -> tuple[str, str] | None:
    return next((pair for pair in pairs if set(pair) <= set(members.names)), None)


def _listed(members: Members) -> str:
    if not members.names:
        return "an empty archive"
    return f"{len(members.names)}: {shorten(sorted(members.names), 200)}"


def _check(file: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    refuse_objects(file, dtype)
    if dtype.kind not in "buifUS":
        raise DtypeError(f"{file}: numbers are required, and numbers or text as labels, got dtype {dtype}.")
    count = math.prod(shape)
    if count > MAX_VALUES or count * dtype.itemsize > MAX_BYTES:
        came = f"got {count:,} of {dtype.itemsize:,} bytes"
        raise UsageError(
            f"{file}: at most {MAX_VALUES:,} values and {MAX_BYTES:,} bytes an array are read, {came}.",
            hint="Take a part of the rows, or save pixels as uint8.",
        )
