"""How long a kernel took to compile, kept beside what was compiled: who only reads that can still say what it cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["keep", "recall"]


def _file(kernel: Any, dtype: Any) -> Path:
    function = kernel.py_func
    name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}.{dtype}.seconds"
    return Path(kernel.stats.cache_path) / name


def keep(kernel: Any, dtype: Any, seconds: float) -> None:
    """Write down what compiling took; nothing where what was compiled is not kept either."""
    try:
        _file(kernel, dtype).write_text(f"{seconds:.3f}", encoding="ascii")
    except (AttributeError, OSError, TypeError):  # a plain function, a folder that takes nothing, no folder
        return


def recall(kernel: Any, dtype: Any) -> float | None:
    """What compiling took, in seconds, when it was done; None where nobody wrote it down."""
    try:
        return float(_file(kernel, dtype).read_text(encoding="ascii"))
    except (AttributeError, OSError, TypeError, ValueError):
        return None
