"""A torch model by its name, `module:name`, and a batch by its shape: what the command line can say of either."""

from __future__ import annotations

import math
import re
import reprlib
from typing import Any

from ..errors import UsageError, missing_extra
from ..importing import named
from ..language import N_, translate

try:
    import torch
except ImportError as absent:
    raise missing_extra("torch", "torch") from absent

__all__ = ["batch_of", "made"]

MOST_AXES = 8  # more than any network reads
MOST_ELEMENTS = 2**48  # none is ever allocated, but torch counts their bytes in 63 bits


def made(name: str) -> Any:
    """The module that `package.module:name` names, or that a function or class of that name returns without arguments.

    Raises:
        UsageError: no such module or name, a call that failed (with its reason), or what came is no `torch.nn.Module`.
    """
    found = named(name, "--model")
    if not isinstance(found, torch.nn.Module) and callable(found):
        try:
            found = found()
        except Exception as problem:  # the user's code, which may fail in any way
            reason = f"{type(problem).__name__}: {problem}"
            message = translate("--model: {name}() failed: {reason}", name=name, reason=reason)
            raise UsageError(message) from problem
    if not isinstance(found, torch.nn.Module):
        came = type(found).__name__
        raise UsageError(translate("--model: {name} must give a torch.nn.Module, got {came}.", name=name, came=came))
    return found


def batch_of(shape: str) -> torch.Tensor:
    """A batch without memory of a shape such as `8x3x32x32`, of float32, or of whole numbers with `:int` behind it.

    Raises:
        UsageError: what is no such shape.
    """
    sizes, _, kind = shape.strip().lower().partition(":")
    parts = sizes.split("x")
    axes = [int(part) for part in parts if re.fullmatch(r"[0-9]{1,15}", part)]
    fits = len(axes) == len(parts) <= MOST_AXES and 0 < math.prod(axes) <= MOST_ELEMENTS
    if not fits or kind not in ("", "float", "int"):
        message = N_(
            "--input: at most {axes} sizes of at least 1 with x between are required, such as 8x3x32x32, "
            "{most} elements at most, got {came}."
        )
        raise UsageError(translate(message, axes=MOST_AXES, most=f"{MOST_ELEMENTS:.0e}", came=reprlib.repr(shape)))
    dtype = torch.int64 if kind == "int" else torch.float32
    return torch.empty(axes, dtype=dtype, device="meta")
