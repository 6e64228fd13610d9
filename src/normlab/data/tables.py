"""Read a table of numbers from the user's own file, .csv, .npy or .npz, as float64 of shape (rows, features).

Every error says which file, what was required, what came and what to do. Nothing is ever unpickled. Limits,
checked before the data are loaded, keep a mistaken path from filling the memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadWriteError, UsageError
from .csv_text import read_csv
from .files import as_path, reading
from .limits import check_bytes
from .npy_arrays import read_npy, read_npz

__all__ = ["read_table"]

_READERS: dict[str, Callable[[Path], NDArray[Any]]] = {".csv": read_csv, ".npy": read_npy, ".npz": read_npz}


def read_table(path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """Read a table of numbers, one row per sample and one column per feature.

    - `.csv`: UTF-8 text, with or without a byte order mark; comma, semicolon or tab between the cells, a point
      in the numbers; cells may be quoted. A first row without any number is the header and is left out.
      Blank lines count as rows, but hold nothing. `nan` and `inf` are numbers; an empty cell is not.
    - `.npy`: one array with two axes.
    - `.npz`: the only array, or else the one called `x` or `X`.

    NaN and infinity are kept: whoever uses the table decides about them.

    Shapes:
        (rows, features), each at least 1

    Args:
        path: the file; its ending decides how it is read. At most 256 MiB (an `.npz` member: unpacked) and at
            most 20,000,000 cells.

    Returns:
        A new float64 array in row-major order. Integers beyond 2**53 are rounded.

    Raises:
        UsageError: the content is no table of numbers, or too large. For text in a cell the message names row
            and column, both counted from 1, the header included.
        ReadWriteError: there is no such file, it may not be read, or it is damaged.

    Example:
        >>> import tempfile, pathlib
        >>> from normlab.data import read_table
        >>> path = pathlib.Path(tempfile.mkdtemp(), "measured.csv")
        >>> _ = path.write_text("length;width\\n1.5;2\\n3;nan\\n")
        >>> read_table(path)
        array([[1.5, 2. ],
               [3. , nan]])
    """
    file = as_path("read_table", path)
    with reading(file):
        if not file.is_file() and file.exists():
            raise ReadWriteError(f"{file}: a file is required, this is a folder or a device.")
    read = _READERS.get(file.suffix.lower())
    if read is None:
        came = f"got the ending {file.suffix!r}" if file.suffix else "got no ending"
        hint = "Save it as .csv, for example."
        raise UsageError(f"{file}: the file must end in .csv, .npy or .npz, {came}.", hint=hint)
    with reading(file):
        check_bytes(file, file.stat().st_size)
        table = read(file)
    return np.ascontiguousarray(table, dtype=np.float64)
