"""The IDX format of MNIST: images and their labels in two files that know each other by name, packed or not.

A file is two zero bytes, a byte for the type, a byte for the number of axes, the length of each axis as four bytes,
the highest first, and then the values in row-major order.

Source: Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database of handwritten digits, which describes the format.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadWriteError, ShapeError, UsageError
from ..language import both
from .files import listing, read_exactly, unpacked
from .limits import MAX_VALUES, shorten
from .source import Source

__all__ = ["find_images", "is_idx", "read_idx", "read_idx_file"]

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_NAME = re.compile(r"images|labels")
_TRAINING = re.compile(r"train")
_TEST_WORDS = ("t10k", "test")


def read_idx(file: Path) -> Source:
    """Read images, the labels beside them and, for training files, the test set beside them.

    `train-images-idx3-ubyte` belongs to `train-labels-idx1-ubyte`, and `t10k-` or `test-` in the place of `train-` is
    the test set; with a point before `idx`, or `.gz` behind, they are found as well. A file of labels stands for its
    images.
    """
    images = _beside(file, "images") if "labels" in file.name else file
    x, y = _pair(images)
    tests = [one for one in _others(images, _TRAINING, _TEST_WORDS) if one is not None]
    notes = []
    if tests:
        test_x, test_y = _pair(tests[0])
        notes.append(both("The test set is {file}.", file=tests[0].name))
        return Source(str(images), images.name, x, y, test_x, test_y, notes=notes)
    return Source(str(images), images.name, x, y)


def find_images(folder: Path) -> Path | None:
    """The training images in a folder; None where it holds no images in this format."""
    names = [name for name in listing(folder) if re.search(r"images.*(idx|ubyte)", name)]
    training = [name for name in names if _TRAINING.search(name)] or names
    plain = {name.removesuffix(".gz"): name for name in sorted(training, reverse=True)}  # one, where both lie there
    if len(plain) > 1:
        raise UsageError(
            f"{folder}: one file of training images is required, got {len(plain)}: {shorten(sorted(plain), 200)}.",
            hint="Give the file instead of the folder.",
        )
    return folder / next(iter(plain.values())) if plain else None


def is_idx(file: Path) -> bool:
    """Whether a file begins as this format does."""
    with unpacked(file) as stream:
        head = stream.read(4)
    return len(head) == 4 and head[:2] == b"\0\0" and head[2] in TYPES and head[3] > 0


def read_idx_file(file: Path) -> NDArray[Any]:
    """The array of one file, in the machine's byte order."""
    with unpacked(file) as stream:
        head = stream.read(4)
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES or not head[3]:
            known = ", ".join(f"{code:#04x}" for code in TYPES)
            raise UsageError(
                f"{file}: an IDX file begins with two zero bytes, a type of {known}, and the number of axes, "
                f"got {head.hex(' ') or 'an empty file'}."
            )
        dtype, axes = np.dtype(TYPES[head[2]]), head[3]
        sizes = stream.read(4 * axes)
        if len(sizes) < 4 * axes:
            raise ReadWriteError(f"{file}: the lengths of {axes} axes must follow, the file is cut short.")
        shape = tuple(np.frombuffer(sizes, ">u4").tolist())
        _check_shape(file, shape)
        content = read_exactly(file, stream, math.prod(shape) * dtype.itemsize, f"the values of {_times(shape)}")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _check_shape(file: Path, shape: tuple[int, ...]) -> None:
    if not all(shape) or len(shape) > 4:
        raise ShapeError(f"{file}: one to four axes of at least 1 are required, got {_times(shape)}.")
    if math.prod(shape) > MAX_VALUES:
        raise UsageError(f"{file}: at most {MAX_VALUES:,} values are read, the file says {_times(shape)}.")


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape[:6])) + (" ..." if len(shape) > 6 else "")


def _pair(images: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    x, labels = read_idx_file(images), _beside(images, "labels")
    y = read_idx_file(labels)
    if y.shape != x.shape[:1]:
        raise ShapeError(f"{labels}: one label for each of {len(x)} images is required, got {_times(y.shape)}.")
    return x, y


def _beside(file: Path, kind: str) -> Path:
    """The file of the other kind, "images" or "labels"."""
    axes = {"images": "idx3", "labels": "idx1"}[kind]
    name = re.sub(r"idx\d", axes, _NAME.sub(kind, file.name))
    found = _existing(file.parent, name) if name != file.name else None
    if found is None:
        raise ReadWriteError(
            f"{file}: the {kind} must lie beside it, as {name}; there is no such file.",
            hint="Names are like train-images-idx3-ubyte and train-labels-idx1-ubyte.",
        )
    return found


def _others(file: Path, pattern: re.Pattern[str], words: tuple[str, ...]) -> list[Path | None]:
    if not pattern.search(file.name):
        return []
    return [_existing(file.parent, pattern.sub(word, file.name)) for word in words]


def _existing(folder: Path, name: str) -> Path | None:
    """The file of that name, whether packed or not, with - or . before idx."""
    bare = name.removesuffix(".gz")
    names = [bare, re.sub(r"[-.](idx\d)", r"-\1", bare), re.sub(r"[-.](idx\d)", r".\1", bare)]
    return next((folder / n for one in names for n in (one, one + ".gz") if (folder / n).is_file()), None)
