"""How kernels are compiled: which liberties the compiler has, and that what it made is kept on the disk.

`SUMMED` functions may be reordered into lanes and what is multiplied and added may be fused; `EXACT` ones are done as
written, so an element is computed alike in the middle of a row and at its end. Neither may assume that there are no
NaN, as `fastmath=True` would.

Numba keeps a compiled kernel beside its file and looks at that file's date only: after a change in another file that
the kernel calls it would go on with what it made before. So the stamp here is one of the whole folder's contents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit

__all__ = ["EXACT", "INLINE", "STAMP", "SUMMED", "kernel", "stamp"]

EXACT: dict[str, Any] = {"error_model": "numpy", "nogil": True}
SUMMED: dict[str, Any] = {**EXACT, "fastmath": {"reassoc", "contract", "arcp", "nsz"}}
# For what is called once a row: a call that is not inlined costs as much as 16 elements.
INLINE: dict[str, Any] = {**EXACT, "forceinline": True}


def stamp(folder: Path) -> str:
    """What the folder's code comes to."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


STAMP = stamp(Path(__file__).parent)


def kernel(function: Callable[..., None]) -> Any:
    """Compile a function over a range of blocks on first use, by the EXACT rules, and keep it on the disk."""
    try:
        made = njit(cache=True, **EXACT)(function)
        made._cache._cache_file._source_stamp = STAMP
    except (AttributeError, RuntimeError):  # Numba's insides have changed, or no folder may be written to
        made = njit(**EXACT)(function)
    return made
