"""Arrays from .npy and .npz files: nothing is unpickled, and headers are checked before data are read."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadWriteError, ShapeError, UnknownNameError, UsageError
from .limits import check_bytes, check_cells

__all__ = ["read_npy", "read_npz"]

_AGAIN = "Save it again."
# An archive that is damaged, encrypted or packed in an unknown way.
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


def read_npy(file: Path) -> NDArray[Any]:
    """The array of an .npy file, with two axes and real numbers."""
    with file.open("rb") as stream:
        return _array(file, stream)


def read_npz(file: Path) -> NDArray[Any]:
    """The only array of an .npz file, or the one called x or X."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = {name.removesuffix(".npy"): name for name in archive.namelist()}
            member = archive.getinfo(members[_choose(file, list(members))])
            check_bytes(file, member.file_size)
            with archive.open(member) as stream:
                return _array(file, stream)
    except _BROKEN as problem:
        raise ReadWriteError(f"{file}: is no readable .npz archive: {problem}.", hint=_AGAIN) from problem


def _choose(file: Path, names: list[str]) -> str:
    if not names:
        raise UsageError(f"{file}: one array is required, the archive is empty.")
    wanted = [name for name in names if len(names) == 1 or name in ("x", "X")]
    if len(wanted) == 1:
        return wanted[0]
    raise UnknownNameError(
        f"{file}: one array is required, or one called x or X, got {len(names)}: {', '.join(sorted(names))}.",
        hint="Save the table alone: numpy.savez(path, x=table).",
    )


def _array(file: Path, stream: IO[bytes]) -> NDArray[Any]:
    """The array in an .npy stream; its header is checked before the data are read."""
    try:
        first = np.lib.format.read_magic(stream) == (1, 0)
        header = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(stream)
        stream.seek(0)
    except (ValueError, EOFError) as problem:
        raise ReadWriteError(f"{file}: is no readable NumPy array: {problem}.", hint=_AGAIN) from problem
    _check_array(file, shape, dtype)
    try:
        loaded: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    except (ValueError, EOFError) as problem:
        raise ReadWriteError(
            f"{file}: the array is cut short or damaged: {problem}.", hint=_AGAIN
        ) from problem
    return loaded


def _check_array(file: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if dtype.hasobject:
        raise UsageError(
            f"{file}: numbers are required, got Python objects, which are never loaded: that can run code.",
            hint="Convert it first: numpy.save(path, table.astype(float)).",
        )
    if dtype.kind not in "buif":
        hint = "Convert it first: numpy.save(path, table.astype(float))."
        raise UsageError(f"{file}: real numbers are required, got dtype {dtype}.", hint=hint)
    if len(shape) != 2:
        hint = "For one feature: x.reshape(-1, 1)."
        if len(shape) > 2:
            hint = "Flatten each sample: x.reshape(len(x), -1)."
        raise ShapeError(f"{file}: two axes (rows, features) are required, got shape {shape}.", hint=hint)
    if not all(shape):
        raise ShapeError(f"{file}: at least one row and one column are required, got shape {shape}.")
    check_cells(file, shape)
