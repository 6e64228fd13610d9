"""What a network is trained and judged on: rows, their classes, and a fingerprint that says whether they changed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ShapeError, UsageError

__all__ = ["Dataset"]

Rows = NDArray[np.float32]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Rows with their classes, in a part to train on and a part to judge by.

    Arrays of other dtypes are cast; all four are read-only and are not copied where they fit already.

    Shapes:
        x, test_x (n, features) or (n, channels, height, width), float32; y, test_y (n,), int64

    Args:
        name: what people call it.
        x, y: the training rows, and for each the number of its class, from 0.
        test_x, test_y: the rows that training does not see; at least one.
        classes: the name of each class; its place is its number. At least two.
        notes: what was done to the rows, each a sentence by language, {"en": ..., "ko": ...}.

    Raises:
        ShapeError: the arrays do not fit together.
        UsageError: fewer than two classes, no rows, or a number of no class.

    Example:
        >>> from normlab.data import load
        >>> digits = load("digits")
        >>> digits, digits.shape
        (Dataset('digits': 1347 + 450 rows of 1 x 8 x 8, 10 classes), (1, 8, 8))
    """

    name: str
    x: Rows
    y: Numbers
    test_x: Rows
    test_y: Numbers
    classes: tuple[str, ...]
    notes: tuple[dict[str, str], ...] = ()

    def __post_init__(self) -> None:
        for field, dtype in (("x", np.float32), ("y", np.int64), ("test_x", np.float32), ("test_y", np.int64)):
            object.__setattr__(self, field, _locked(getattr(self, field), dtype))
        object.__setattr__(self, "classes", tuple(map(str, self.classes)))
        object.__setattr__(self, "notes", tuple(self.notes))
        if len(self.classes) < 2:
            raise UsageError(f"{self.name}: at least two classes are required, got {len(self.classes)}.")
        _check_part(self, "training", self.x, self.y)
        _check_part(self, "test", self.test_x, self.test_y)
        if self.x.shape[1:] != self.test_x.shape[1:]:
            raise ShapeError(
                f"{self.name}: test rows must have the shape of training rows, {self.shape}, "
                f"got {self.test_x.shape[1:]}."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row: (features,) or (channels, height, width)."""
        return self.x.shape[1:]

    @property
    def is_images(self) -> bool:
        """Whether the rows are images."""
        return self.x.ndim == 4

    @cached_property
    def fingerprint(self) -> str:
        """32 hexadecimal digits (BLAKE2b) of the arrays and the classes; the name and the notes are no part of it."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(json.dumps(self.classes).encode())
        for array in (self.x, self.y, self.test_x, self.test_y):
            digest.update(repr(array.shape).encode())
            digest.update(array.data)
        return digest.hexdigest()

    def require(self, batch: int) -> None:
        """Raise ShapeError where there are fewer training rows than a batch takes."""
        if batch > len(self.x):
            raise ShapeError(
                f"{self.name}: the data have {len(self.x)} training rows, batch is {batch}.",
                hint=f"Give batch={len(self.x)} at most, or more rows.",
            )

    def to_dict(self) -> dict[str, Any]:
        """What documents say of it: name, shape, counts, classes, notes and fingerprint; never the rows."""
        counts = {
            part: np.bincount(y, minlength=len(self.classes)).tolist()
            for part, y in (("training", self.y), ("test", self.test_y))
        }
        return {
            "name": self.name,
            "rows": len(self.x),
            "test_rows": len(self.test_x),
            "shape": list(self.shape),
            "classes": list(self.classes),
            "counts": counts,
            "notes": [dict(note) for note in self.notes],
            "fingerprint": self.fingerprint,
        }

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.shape)) + ("" if self.is_images else " features")
        rows = f"{len(self.x)} + {len(self.test_x)} rows of {shape}"
        return f"Dataset({self.name!r}: {rows}, {len(self.classes)} classes)"


def _locked(array: ArrayLike, dtype: type) -> NDArray[Any]:
    """A read-only view in row-major order and the machine's byte order: the fingerprint stays true."""
    view: NDArray[Any] = np.ascontiguousarray(array, dtype=dtype).view()
    view.flags.writeable = False
    return view


def _check_part(dataset: Dataset, part: str, x: Rows, y: Numbers) -> None:
    if x.ndim not in (2, 4) or y.shape != x.shape[:1] or not x.size:
        raise ShapeError(
            f"{dataset.name}: {part} rows must be (n, features) or (n, channels, height, width), each "
            f"with a class (n,), at least one, got {x.shape} and {y.shape}."
        )
    if y.min() < 0 or y.max() >= len(dataset.classes):
        raise UsageError(
            f"{dataset.name}: {part} classes must be from 0 to {len(dataset.classes) - 1}, got {y.min()} to {y.max()}.",
            hint="normlab.data.load((x, y)) numbers any labels.",
        )
