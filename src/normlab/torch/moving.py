"""How the buffers of a layer move: in place, outside gradients, through torch.func's transforms, once a step.

Under `vmap` a new value has one version for every element of the mapped axis: a buffer that is not mapped moves by
their mean. While activation checkpointing runs a forward pass again, nothing moves.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch._C import _functorch
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

__all__ = ["recomputing", "store"]


def recomputing() -> bool:
    """Whether this call is part of a backward pass: a checkpoint's second forward pass, whose first one has counted."""
    return not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1


def store(buffer: Tensor, value: Tensor) -> None:
    """Put `value` into `buffer` in place; axes that only `value` is mapped over are averaged."""
    with torch.no_grad():
        if torch.compiler.is_compiling() or _functorch.peek_interpreter_stack() is None:
            buffer.copy_(value)
        else:
            _settle(buffer, value.detach())


def _settle(buffer: Tensor, value: Tensor) -> None:
    """Take both out of their wrappers, the outermost first, and copy what is left."""
    inner, outer = _functorch.maybe_get_level(buffer), _functorch.maybe_get_level(value)
    level = max(inner, outer)
    if level == -1:
        with temporarily_clear_interpreter_stack():
            buffer.copy_(value)
        return
    buffer, place = _unwrapped(buffer, inner == level)
    value, mapped = _unwrapped(value, outer == level)
    if place is not None:
        value = value.unsqueeze(place) if mapped is None else value.movedim(mapped, place)
    elif mapped is not None:
        value = value.mean(mapped)
    _settle(buffer, value)


def _unwrapped(a: Tensor, here: bool) -> tuple[Tensor, int | None]:
    """What `a` wraps at this level, and along which axis that was mapped."""
    if not here:
        return a, None
    axis = _functorch.maybe_get_bdim(a) if _functorch.is_batchedtensor(a) else None
    return _functorch.get_unwrapped(a), axis
