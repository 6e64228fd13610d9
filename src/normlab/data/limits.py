"""How much of a user's file is read at most, and how its content is quoted in a message."""

from __future__ import annotations

import math
from pathlib import Path

from ..errors import UsageError

__all__ = ["MAX_BYTES", "MAX_CELLS", "MAX_VALUES", "check_bytes", "check_cells", "shorten"]

MAX_BYTES = 256 * 2**20  # of the file, and of an archive's member once it is unpacked
MAX_CELLS = 20_000_000  # 160 MB as float64; a text file of this size takes about ten seconds
MAX_VALUES = 200_000_000  # of a labelled set, 800 MB as float32: all of CIFAR is 184 million
_FEWER = "Take a part of the rows."


def check_bytes(file: Path, count: int) -> None:
    """Refuse a file, or an unpacked part of one, of more than MAX_BYTES."""
    if count > MAX_BYTES:
        raise UsageError(f"{file}: at most {MAX_BYTES:,} bytes are read, got {count:,}.", hint=_FEWER)


def check_cells(file: Path, shape: tuple[int, ...]) -> None:
    """Refuse a table of more than MAX_CELLS."""
    if math.prod(shape) > MAX_CELLS:
        came = f"got {math.prod(shape):,} or more"
        raise UsageError(f"{file}: at most {MAX_CELLS:,} cells are read, {came}.", hint=_FEWER)


def shorten(text: object, limit: int = 60) -> str:
    """`repr(text)`, cut to `limit` characters."""
    shown = repr(text)
    return shown if len(shown) <= limit else shown[: limit - 4] + " ..."
