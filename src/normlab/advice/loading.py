"""A torch model by its name, `module:name`, and a batch by its shape: what the command line can say of either."""

from __future__ import annotations

import importlib
import math
import os
import re
import reprlib
import sys
from typing import Any

from ..errors import NormlabError, UsageError, missing_extra, near
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

    Modules of the current folder are found too, as `python -m` does it.

    Raises:
        UsageError: no such module or name, a call that failed (with its reason), or what came is no `torch.nn.Module`.
    """
    path, colon, attribute = name.partition(":")
    if not (path and colon and attribute):
        raise UsageError(translate("--model: 'module:name' is required, got {came}.", came=repr(name)))
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    found = _attribute(_imported(path), attribute, path)
    if not isinstance(found, torch.nn.Module) and callable(found):
        try:
            found = found()
        except Exception as problem:
            reason = f"{type(problem).__name__}: {problem}"
            message = translate("--model: {name}() failed: {reason}", name=name, reason=reason)
            raise UsageError(message) from problem
    if not isinstance(found, torch.nn.Module):
        came = type(found).__name__
        raise UsageError(translate("--model: {name} must give a torch.nn.Module, got {came}.", name=name, came=came))
    return found


def _imported(path: str) -> Any:
    try:
        return importlib.import_module(path)
    except NormlabError:
        raise
    except Exception as problem:
        reason = f"{type(problem).__name__}: {problem}"
        message = translate("--model: module {name} cannot be imported: {reason}", name=path, reason=reason)
        raise UsageError(message) from problem


def _attribute(module: Any, name: str, path: str) -> Any:
    if hasattr(module, name):
        return getattr(module, name)
    close = near(name, (n for n in vars(module) if not n.startswith("_")))
    hint = translate("Did you mean {names}?", names=", ".join(close)) if close else None
    raise UsageError(translate("--model: module {path} has no {name}.", path=path, name=name), hint=hint)


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
