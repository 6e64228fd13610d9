"""Grey and colour images of the Netpbm formats, P5 and P6: the few bytes of header, then the pixels as they are.

Source: J. Poskanzer, the manual pages pgm(5) and ppm(5) of Netpbm.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .files import read_exactly, reading
from .limits import MAX_VALUES

__all__ = ["read_portable_map"]

_BREAK = rb"(?:[ \t\r\n]|#[^\r\n]*[\r\n])+"  # white space, or a comment to the end of its line
_HEADER = re.compile(rb"P([56])" + 3 * (_BREAK + rb"(\d{1,10})") + rb"[ \t\r\n]")
HEADER_BYTES = 1024  # comments make it longer than its dozen


def read_portable_map(file: Path) -> NDArray[np.float32]:
    """The image of a .pgm or .ppm file, (1 or 3, height, width), from 0 to 1."""
    with reading(file), file.open("rb") as stream:
        head = _HEADER.match(stream.read(HEADER_BYTES))
        if head is None:
            raise UsageError(
                f"{file}: a binary .pgm or .ppm begins with P5 or P6, width, height and the largest value.",
                hint="Save it as binary, or as .png.",
            )
        channels = 1 if head[1] == b"5" else 3
        width, height, largest = (int(head[i]) for i in (2, 3, 4))
        if not (width and height and 0 < largest < 65536) or channels * width * height > MAX_VALUES:
            raise UsageError(
                f"{file}: width and height of at least 1 and a largest value from 1 to 65535 are required, at most "
                f"{MAX_VALUES:,} values in all, got {width} x {height} and {largest}."
            )
        stream.seek(head.end())
        dtype = np.dtype(np.uint8 if largest < 256 else ">u2")
        count = channels * width * height * dtype.itemsize
        content = read_exactly(file, stream, count, f"the pixels of {width} x {height}")
    pixels = np.frombuffer(content, dtype).reshape(height, width, channels)
    return np.moveaxis(pixels, -1, 0).astype(np.float32) / np.float32(largest)
