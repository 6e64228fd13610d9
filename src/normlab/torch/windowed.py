"""A forward that is one sliding window, through the kernel: eager mode on a CPU, as in `eager`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import kernels
from ..calling import Ready
from ..operations import Operations
from ..windowing import Window, through_window
from .arrays import Namespace, narrow, widen
from .deciding import sees_memory
from .eager import threads_of_torch

__all__ = ["run"]


def run(ready: Ready, training: bool) -> Tensor | None:
    """The output of a forward that is the sliding window and nothing else; None for any other."""
    x = ready.x
    if not kernels.available() or ready.empty or not sees_memory(x):
        return None
    found = through_window(Namespace(x), ready, _apply, same=_share, training=training)
    return None if found is None else found[0]


def _share(a: Tensor, b: Tensor) -> bool:
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


def _apply(x: Tensor, window: Window) -> Tensor | None:
    try:
        made: Tensor = _Windowed.apply(x, window)
        return made
    except _Refused:
        return None


class _Refused(Exception):
    """The kernel does not take this memory."""


def _seen(a: Tensor) -> np.ndarray:
    """The memory of a tensor, as kernels read it."""
    a = a.detach()
    found: np.ndarray = a.view(torch.int16).numpy().view(np.uint16) if a.dtype is torch.bfloat16 else a.numpy()
    return found


class _Windowed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, window: Window) -> Tensor:
        y = torch.empty_like(x)
        with threads_of_torch():
            done = kernels.window_power(_seen(x), *window, out=_seen(y))
        if done is None:
            raise _Refused
        ctx.save_for_backward(x)
        ctx.window = window
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, None]:
        (x,) = ctx.saved_tensors
        if not ctx.needs_input_grad[0]:
            return None, None
        if torch.is_grad_enabled() or not sees_memory(dy) or torch._C._functorch.is_legacy_batchedtensor(dy):
            return _differentiated(ctx.window, dy, x), None
        dx = torch.empty_like(x)
        with threads_of_torch():
            done = kernels.window_power_backward(_seen(dy), _seen(x), *ctx.window, out=_seen(dx))
        if done is None:
            return _differentiated(ctx.window, dy, x), None
        return dx, None


def _differentiated(window: Window, dy: Tensor, x: Tensor) -> Tensor:
    """The same gradient by differentiating the formula, so that it has derivatives itself."""
    axis, before, after, k, alpha, beta = window
    with torch.enable_grad():
        wide = widen(x)
        ops = Operations(
            Namespace(wide), " ".join(f"a{i}" for i in range(x.ndim)), erf=torch.erf, random=_none, stop=Tensor.detach,
            eigh=torch.linalg.eigh,
        )  # fmt: skip
        y = narrow(ops.window_power(wide, f"a{axis}", before, after, k=k, alpha=alpha, beta=beta), x)
        (dx,) = torch.autograd.grad(y, x, dy, create_graph=torch.is_grad_enabled())
    found: Tensor = dx
    return found


def _none(*_: Any) -> Any:
    raise AssertionError("a window draws no random numbers")
