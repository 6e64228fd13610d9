"""The binary files of CIFAR-10 and CIFAR-100: records of a label and 3 x 32 x 32 bytes.

A record of CIFAR-10 is one byte for the label, one of CIFAR-100 a byte for the coarse label and one for the fine; then
1024 bytes for red, 1024 for green and 1024 for blue, each row by row.

Source: A. Krizhevsky, The CIFAR-10 and CIFAR-100 datasets (2009), "Binary version".
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadWriteError, UsageError
from ..language import both
from .files import listing, read_exactly, reading
from .source import Source

__all__ = ["is_cifar_folder", "read_cifar"]

PIXELS = 3 * 32 * 32


class Kind(NamedTuple):
    """One of the two sets: the bytes before the pixels (the last is the label), its classes and its files."""

    labels: int
    classes: int
    training: str
    test: str
    names: str


TEN = Kind(1, 10, "data_batch_", "test_batch.bin", "batches.meta.txt")
HUNDRED = Kind(2, 100, "train.bin", "test.bin", "fine_label_names.txt")


def is_cifar_folder(folder: Path) -> bool:
    """Whether a folder holds training files of either set."""
    return any(_training(folder, kind) for kind in (TEN, HUNDRED))


def read_cifar(path: Path) -> Source:
    """Read a folder, or one file with the test set beside it; CIFAR-100 with its fine labels."""
    folder = path if path.is_dir() else path.parent
    kind = _kind(path)
    files = _training(folder, kind) if path.is_dir() else [path]
    parts = [_read(file, kind) for file in files]
    x, y = (np.concatenate([part[i] for part in parts]) for i in range(2))
    notes = [both("Read from {files}.", files=", ".join(file.name for file in files))]
    labels = _names(folder, kind)
    test = folder / kind.test
    if test not in files and test.is_file():
        notes.append(both("The test set is {file}.", file=test.name))
        return Source(str(path), path.name, x, y, *_read(test, kind), labels=labels, notes=notes)
    return Source(str(path), path.name, x, y, labels=labels, notes=notes)


def _training(folder: Path, kind: Kind) -> list[Path]:
    return [folder / name for name in listing(folder) if name.startswith(kind.training) and name.endswith(".bin")]


def _kind(path: Path) -> Kind:
    """By the names, and for another name by which record divides the file."""
    if path.is_dir():
        return TEN if _training(path, TEN) else HUNDRED
    for kind in (TEN, HUNDRED):
        if path.name == kind.test or (path.name.startswith(kind.training) and path.name.endswith(".bin")):
            return kind
    with reading(path):
        size = path.stat().st_size
    return HUNDRED if size % (HUNDRED.labels + PIXELS) == 0 and size % (TEN.labels + PIXELS) else TEN


def _read(file: Path, kind: Kind) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    record = kind.labels + PIXELS
    with reading(file), file.open("rb") as stream:
        size = file.stat().st_size
        if not size or size % record:
            raise ReadWriteError(
                f"{file}: records of {record:,} bytes are required, got {size:,} bytes, "
                f"which is {size // record:,} records and {size % record:,} bytes more.",
                hint="Download or unpack it again.",
            )
        content = read_exactly(file, stream, size, "the records")
    records = np.frombuffer(content, np.uint8).reshape(-1, record)
    labels = records[:, kind.labels - 1]
    if labels.max() >= kind.classes:
        first = int((labels >= kind.classes).argmax())
        raise UsageError(
            f"{file}: labels must be from 0 to {kind.classes - 1}, got {labels[first]} in record {first + 1}.",
            hint="Look whether it is the binary version of CIFAR.",
        )
    return records[:, kind.labels :].reshape(-1, 3, 32, 32), labels


def _names(folder: Path, kind: Kind) -> list[str]:
    """The classes' names, where their file lies beside the others and names them all."""
    file = folder / kind.names
    if not file.is_file():
        return []
    with reading(file), file.open("rb") as stream:
        text = stream.read(10_000).decode("utf-8", "replace")
    names = text.split()
    return names if len(names) == kind.classes else []
