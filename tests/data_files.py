"""Files of the published formats, written byte by byte: what the readers are held against is not made by them."""

from __future__ import annotations

import gzip
import io
import math
import struct
import zipfile
from pathlib import Path

import numpy as np

IDX_CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx_bytes(array: np.ndarray) -> bytes:
    """The IDX file of an array: the magic number, the big-endian sizes, the big-endian values."""
    code = IDX_CODES[array.dtype.str[1:]]
    header = struct.pack(">BBBB", 0, 0, code, array.ndim) + b"".join(struct.pack(">I", size) for size in array.shape)
    values = struct.pack(f">{array.size}{array.dtype.char}", *array.ravel().tolist())
    return header + values


def idx_header(code: int, *sizes: int) -> bytes:
    return bytes([0, 0, code, len(sizes)]) + b"".join(size.to_bytes(4, "big") for size in sizes)


def digits_like(rows: int, classes: int = 3, side: int = 5, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images (rows, side, side), each pixel another, and labels that take turns."""
    pixels = (np.arange(rows * side * side) * 7 + first) % 256
    return pixels.astype(np.uint8).reshape(rows, side, side), (np.arange(rows) % classes).astype(np.uint8)


def write_mnist(folder: Path, packed: bool = False, point: bool = False) -> tuple[np.ndarray, ...]:
    """The four files of MNIST with a dozen and a half dozen images."""
    parts = (*digits_like(12), *digits_like(6, first=3))
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    for name, part in zip(names, parts, strict=True):
        name = (name.replace("-idx", ".idx") if point else name) + "-ubyte" + (".gz" if packed else "")
        content = idx_bytes(part)
        (folder / name).write_bytes(gzip.compress(content) if packed else content)
    return parts


def cifar_bytes(labels: list[tuple[int, ...]], first: int = 0) -> bytes:
    """Records: the label or labels, then red, green and blue of 32 x 32; colours and rows can be told apart."""
    out = bytearray()
    for number, label in enumerate(labels):
        out += bytes(label)
        for colour in range(3):
            for row in range(32):
                out += bytes((first + number + 50 * colour + row + column) % 256 for column in range(32))
    return bytes(out)


def cifar_pixel(number: int, colour: int, row: int, column: int, first: int = 0) -> int:
    return (first + number + 50 * colour + row + column) % 256


def npy_bytes(header: str, content: bytes = b"") -> bytes:
    """An .npy file of version 1.0 with any header."""
    text = header.encode("latin-1")
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


def npz_bytes(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def pgm(pixels: np.ndarray, largest: int = 255, comment: bool = False) -> bytes:
    """A P5 or P6 file of (height, width) or (height, width, 3)."""
    kind = "P5" if pixels.ndim == 2 else "P6"
    note = "# a comment, 7 8 9\n" if comment else ""
    head = f"{kind}\n{note}{pixels.shape[1]} {pixels.shape[0]}\n{largest}\n".encode()
    return head + pixels.astype(np.uint8 if largest < 256 else ">u2").tobytes()


def balanced(counts: list[int]) -> np.ndarray:
    """Labels 0, 1 ... with these counts, mixed by a fixed rule."""
    labels = np.repeat(np.arange(len(counts)), counts)
    return labels[(np.arange(len(labels)) * 7919) % len(labels)] if math.gcd(7919, len(labels)) == 1 else labels
