"""Memory layouts: a result, and the gradient of x, lie in memory as x does (channels_last stays channels_last)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch._C import _functorch

__all__ = ["laid_out", "with_gradient_like"]


def laid_out(y: Tensor, x: Tensor) -> Tensor:
    """`y` in x's memory layout. A transform shows other strides than memory has: there it is left to torch."""
    if y.stride() == x.stride() or _functorch.peek_interpreter_stack() is not None:
        return y
    wanted = torch.empty_like(x)
    return y if wanted.stride() == y.stride() else wanted.copy_(y)


def with_gradient_like(x: Tensor) -> Tensor:
    """`x`, whose gradient will lie in memory as x does."""
    watched = x.requires_grad and torch.is_grad_enabled()
    if not watched or x.is_contiguous() or _functorch.peek_interpreter_stack() is not None:
        return x
    return _GradientLike.apply(x) if torch.empty_like(x).stride() == x.stride() else x


class _GradientLike(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.strides = inputs[0].stride()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        if g.stride() == ctx.strides or _functorch.peek_interpreter_stack() is not None:
            return g
        return torch.empty_strided(g.shape, ctx.strides, dtype=g.dtype, device=g.device).copy_(g)

    @staticmethod
    def jvp(ctx: Any, t: Tensor) -> Tensor:
        return t.view_as(t)
