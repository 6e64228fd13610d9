"""Arrays as the implementation wants them, NumPy's or torch's, and its answers as NumPy's; torch where it is there."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from .problems import Failed

__all__ = ["answered", "copied", "gradients", "is_array", "numbers", "overwrite", "to_native"]

HELD = (np.ndarray, list, tuple, int, float)


def torch_module() -> Any:
    """torch where somebody's file, or the process, has imported it; None elsewhere."""
    return sys.modules.get("torch")


def to_native(a: np.ndarray | None, framework: str, gradient: bool = False) -> Any:
    """A copy of `a` as an array of that framework."""
    if a is None:
        return None
    if framework == "numpy":
        return np.array(a, copy=True)
    torch = torch_module()
    return torch.from_numpy(np.array(a, copy=True)).requires_grad_(gradient)


def gradients(framework: str, training: bool) -> AbstractContextManager[Any]:
    """torch records no gradients in evaluation; some implementations tell the two apart by that alone."""
    return nullcontext() if framework == "numpy" or training else torch_module().no_grad()


def is_array(a: Any) -> bool:
    """Whether `a` is an array of either framework."""
    torch = torch_module()
    return isinstance(a, np.ndarray) or (torch is not None and isinstance(a, torch.Tensor))


def numbers(a: Any) -> np.ndarray | None:
    """`a` as a NumPy array where it is an array of real numbers, or lists or a number; else None."""
    torch = torch_module()
    if torch is not None and isinstance(a, torch.Tensor):
        a = a.detach().cpu()
        a = (a.float() if a.dtype == torch.bfloat16 else a).numpy()
    if not isinstance(a, (*HELD, np.generic)) or isinstance(a, bool):
        return None
    try:
        found = np.asarray(a)
    except ValueError:  # lists of unequal lengths
        return None
    return found if found.dtype.kind in "fiu" else None


def copied(a: Any) -> np.ndarray | None:
    """`numbers`, as a copy that later calls cannot change."""
    found = numbers(a)
    return None if found is None else np.array(found, copy=True)


def overwrite(old: Any, new: np.ndarray) -> Any:
    """What takes the place of the array `old`: of its kind and shape, with the values `new`; tensors are filled."""
    torch = torch_module()
    if torch is not None and isinstance(old, torch.Tensor):
        with torch.no_grad():
            old.copy_(torch.from_numpy(np.ascontiguousarray(new)).reshape(old.shape))
        return old
    return np.array(new, copy=True).reshape(np.shape(old))


def answered(result: Any, shape: tuple[int, ...], who: str) -> tuple[np.ndarray, list[Any], bool]:
    """The output, what came beside it, and whether it was a list. Raises Failed for what is no array of `shape`."""
    rest: list[Any] = []
    if isinstance(result, tuple):
        if not result:
            raise Failed("returns_other", who=who, came="()")
        result, *rest = result
    if result is None:
        raise Failed("returns_none", who=who)
    if inspect.isgenerator(result) or inspect.iscoroutine(result):
        kind = "returns_generator" if inspect.isgenerator(result) else "returns_coroutine"
        result.close()
        raise Failed(kind, who=who)
    y = copied(result)
    if y is None:
        raise Failed("returns_other", who=who, came=_described(result))
    if y.ndim == 0:
        raise Failed("returns_scalar", who=who, shape=shape)
    if y.shape != shape:
        raise Failed("wrong_shape", who=who, came=y.shape, shape=shape)
    return y, rest, isinstance(result, list)


def _described(result: Any) -> str:
    if isinstance(result, np.ndarray):
        return f"numpy.ndarray, {result.dtype}"
    return "dict" if isinstance(result, Mapping) else type(result).__name__
