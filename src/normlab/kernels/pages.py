"""Fresh memory for large results: asked for in pages of 2 MiB, where the system gives them to who asks (Linux).

A new array of more than 32 MiB comes from the system page by page, each cleared when it is first written: with pages of
4 KiB that takes several times as long as any kernel. NumPy asks for large pages itself, torch does not.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from functools import cache
from typing import Any

__all__ = ["ask_for_large"]

LEAST_BYTES = 4 * 2**20


@cache
def _advise() -> Callable[..., Any] | None:
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return None
    try:
        call = ctypes.CDLL(None).madvise
    except (AttributeError, OSError, TypeError):
        return None
    call.argtypes, call.restype = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int), ctypes.c_int
    return call


def ask_for_large(address: int, size_bytes: int) -> None:
    """Ask for large pages for memory that is about to be written for the first time; no harm where it was before."""
    if size_bytes < LEAST_BYTES:
        return
    call = _advise()
    if call is not None:
        start = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
        call(start, (address + size_bytes - start) // mmap.PAGESIZE * mmap.PAGESIZE, mmap.MADV_HUGEPAGE)
