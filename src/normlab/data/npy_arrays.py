"""Arrays from .npy and .npz files: nothing is unpickled, and headers are checked before data are read."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadWriteError, ShapeError, UnknownNameError, UsageError
from .limits import check_bytes, check_cells

__all__ = ["Members", "members_of", "read_npy", "read_npz", "refuse_objects"]

Check = Callable[[Path, tuple[int, ...], np.dtype[Any]], None]

_AGAIN = "Save it again."
# An archive that is damaged, encrypted or packed in an unknown way.
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


def read_npy(file: Path) -> NDArray[Any]:
    """The array of an .npy file, with two axes and real numbers."""
    with file.open("rb") as stream:
        return read_array(file, stream, _check_table)


def read_npz(file: Path) -> NDArray[Any]:
    """The only array of an .npz file, or the one called x or X."""
    with members_of(file) as members:
        return members.read(_choose(file, list(members.names)), _check_table)


class Members:
    """The arrays of an open archive, by name."""

    def __init__(self, file: Path, archive: zipfile.ZipFile) -> None:
        self._file, self._archive = file, archive
        self.names = {name.removesuffix(".npy"): name for name in archive.namelist()}

    def read(self, name: str, check: Check) -> NDArray[Any]:
        """One array; the size that the archive states for it is checked first."""
        member = self._archive.getinfo(self.names[name])
        check_bytes(self._file, member.file_size)
        with self._archive.open(member) as stream:
            return read_array(self._file, stream, check)


@contextmanager
def members_of(file: Path) -> Iterator[Members]:
    """Open an .npz file. Raises ReadWriteError where it, or what is read of it, is damaged."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield Members(file, archive)
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


def read_array(file: Path, stream: IO[bytes], check: Check) -> NDArray[Any]:
    """The array in an .npy stream; its header passes `check` before the data are read."""
    try:
        first = np.lib.format.read_magic(stream) == (1, 0)
        header = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(stream)
        stream.seek(0)
    except (ValueError, EOFError) as problem:
        raise ReadWriteError(f"{file}: is no readable NumPy array: {problem}.", hint=_AGAIN) from problem
    check(file, shape, dtype)
    try:
        loaded: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    except (ValueError, EOFError) as problem:
        raise ReadWriteError(
            f"{file}: the array is cut short or damaged: {problem}.", hint=_AGAIN
        ) from problem
    return loaded


def refuse_objects(file: Path, dtype: np.dtype[Any]) -> None:
    """Refuse what would have to be unpickled."""
    if dtype.hasobject:
        raise UsageError(
            f"{file}: numbers are required, got Python objects, which are never loaded: that can run code.",
            hint="Convert it first: numpy.save(path, table.astype(float)).",
        )


def _check_table(file: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    refuse_objects(file, dtype)
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
