"""Kernels in eager mode: one autograd.Function about the kernels' forward and backward.

An autograd.Function costs about 5 microseconds a call, a registered operation with a gradient 20: eager calls go this
way, and only traces meet the operation (`library`). Kernels see memory, so whatever looks on from outside (torch.func,
forward-mode differentiation, tensor subclasses, other tracers) must find the formula instead: `sees_memory` tells. A
second derivative is that of the formula.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._C import _functorch
from torch.autograd import forward_ad

from .. import kernels, traced
from ..calling import RUNNING, Ready, Rule
from ..pattern import Plan
from .arrays import FACE, widen

__all__ = ["Decided", "decide", "measured", "run", "sees_memory"]

STORED = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "uint16", torch.float16: "int16"}
MEAN, RESIDUE, SQUARE, UNIT = 0, 1, 3, 4  # rows of what a kernel keeps of each set
PLAIN = (Tensor, torch.nn.Parameter)


class Decided(NamedTuple):
    """How a call is done by kernels, for every x of this shape, dtype and memory layout."""

    standardizer: Any
    plan: Plan
    rule: Rule
    weight: tuple[int, ...] | None  # the shapes that broadcast over the split axes; None where there is none
    bias: tuple[int, ...] | None


def sees_memory(x: Tensor) -> bool:
    """Whether nothing stands between this tensor and its memory, and nobody but autograd wants to know what is done."""
    return (
        type(x) in PLAIN
        and x.is_cpu
        and _functorch.peek_interpreter_stack() is None
        and forward_ad._current_level < 0
        and not torch._C._len_torch_dispatch_stack()
        and torch._C._get_tracing_state() is None
        and not x.is_neg()
    )


def decide(ready: Ready) -> Decided | None:
    """The kernels for a call that is ready; None where the formula must do it."""
    d, plan = ready.definition, ready.plan
    if plan is None or ready.mask is not None or ready.empty or not kernels.available():
        return None
    if not all(sees_memory(a) for a in (ready.x, *ready.live.values(), *ready.held.values())):
        return None
    weight, bias = (ready.targets[n] if n is not None and n in ready.live else None for n in d.affine)
    if weight is not None and bias is not None and weight != bias:
        return None
    return _decided(ready.x, plan, ready.rule, weight, bias, ready.frozen)


def _decided(
    x: Tensor, plan: Plan, rule: Rule, weight: tuple[int, ...] | None, bias: tuple[int, ...] | None, frozen: bool
) -> Decided | None:  # fmt: skip
    import numpy as np

    from ..kernels.standardizing import Form, prepare

    size = x.element_size()
    if x.data_ptr() % size:
        return None
    affine = weight if weight is not None else bias
    found = prepare(
        plan,
        Form(x.stride(), np.dtype(STORED[x.dtype]), affine, rule.centre, rule.spread, rule.eps, rule.eps_rule, frozen),
    )
    return None if isinstance(found, str) else Decided(found, plan, rule, weight, bias)


def run(
    decided: Decided, x: Tensor, weight: Tensor | None, bias: Tensor | None, running: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor] | None:  # fmt: skip
    """y, and what the kernel kept of every set; None where it meets numbers that are not for kernels."""
    try:
        if torch.is_grad_enabled() and any(a is not None and a.requires_grad for a in (x, weight, bias)):
            made: tuple[Tensor, Tensor] = _Standardize.apply(x, weight, bias, running, decided)
            return made
        return _forward(decided, x, weight, bias, running)
    except _Refused:
        return None


class _Refused(Exception):
    """A kernel met numbers that it leaves to the formula."""


def _forward(
    decided: Decided, x: Tensor, weight: Tensor | None, bias: Tensor | None, running: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor]:  # fmt: skip
    import numpy as np

    from ..kernels.results import _recall

    found, y = decided.standardizer, torch.empty_like(x)
    kept = np.empty((5, found.problem.sets), found.wide)
    if running is not None:
        _recall(found, decided.plan, kept, tuple(_array(a, None) for a in running))
    w, b = found.flat(_array(weight, decided.weight)), found.flat(_array(bias, decided.bias))
    if not found.forward(x.data_ptr(), y.data_ptr(), w, b, kept):
        raise _Refused
    return y, torch.from_numpy(kept)


def _array(a: Tensor | None, shape: tuple[int, ...] | None) -> Any:
    if a is None:
        return None
    a = widen(a.detach())
    return (a if shape is None else a.reshape(shape)).numpy()


class _Standardize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, running: Any, decided: Decided
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        y, kept = _forward(decided, x, weight, bias, running)
        ctx.save_for_backward(x, weight, kept, *(running or ()))
        ctx.decided, ctx.bias = decided, None if bias is None else (bias.shape, bias.dtype)
        ctx.mark_non_differentiable(kept)
        return y, kept

    @staticmethod
    def backward(ctx: Any, dy: Tensor, _: Any) -> tuple[Tensor | None, ...]:
        x, weight, kept, *running = ctx.saved_tensors
        batched = _functorch.is_legacy_batchedtensor(dy)  # torch.autograd.grad(is_grads_batched=True)
        if torch.is_grad_enabled() or batched or not sees_memory(dy) or not sees_memory(x):
            return *_differentiated(ctx, dy, x, weight, tuple(running) or None), None, None
        return *_backward(ctx, dy, x, weight, kept), None, None


def _backward(
    ctx: Any, dy: Tensor, x: Tensor, weight: Tensor | None, kept: Tensor
) -> tuple[Tensor, Tensor | None, Tensor | None]:  # fmt: skip
    decided: Decided = ctx.decided
    found, dx = decided.standardizer, torch.empty_like(x)
    if dy.stride() != x.stride() or dy.data_ptr() % dy.element_size():
        dy = torch.empty_like(x).copy_(dy)
    wanted = any(ctx.needs_input_grad[1:3])
    w = found.flat(_array(weight, decided.weight))
    sums = found.backward(dy.data_ptr(), x.data_ptr(), dx.data_ptr(), w, kept.numpy(), wanted)
    if sums is None:
        return dx, None, None
    order = found.problem.order
    dweight = None if weight is None else _own(sums[0], decided.weight, order, weight.shape, weight.dtype)
    dbias = None if ctx.bias is None else _own(sums[1], decided.bias, order, *ctx.bias)
    return dx, dweight, dbias


def _own(flat: Any, target: Any, order: tuple[int, ...], shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """A gradient that lies as x lies in memory, in its parameter's own shape."""
    g = torch.from_numpy(flat).reshape([target[k] for k in order])
    back = sorted(range(len(order)), key=order.__getitem__)
    return g.permute(back).reshape(shape).to(dtype)


def _differentiated(
    ctx: Any, dy: Tensor, x: Tensor, weight: Tensor | None, running: tuple[Tensor, Tensor] | None
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    """The same gradients by differentiating the formula, so that they have derivatives themselves."""
    decided: Decided = ctx.decided
    with torch.enable_grad():
        broad = None if weight is None else widen(weight).reshape(decided.weight)
        y, _ = traced.standardize(FACE, x, decided.plan, decided.rule, broad, None, running=running)
        wanted = [a for a, needed in zip((x, weight), ctx.needs_input_grad[:2], strict=True) if needed]
        found = iter(torch.autograd.grad(y, wanted, dy, create_graph=torch.is_grad_enabled()) if wanted else ())
    dx, dweight = (next(found) if needed else None for needed in ctx.needs_input_grad[:2])
    dbias = None
    if ctx.needs_input_grad[2]:
        shape, dtype = ctx.bias
        axes = [k for k, size in enumerate(decided.bias or ()) if size == 1]
        g = widen(dy).reshape(decided.plan.split)
        dbias = (g.sum(axes) if axes else g).reshape(shape).to(dtype)
    return dx, dweight, dbias


def measured(decided: Decided, kept: Tensor) -> traced.Measured:
    """The statistics of a batch, from what a kernel kept."""
    problem, plan = decided.standardizer.problem, decided.plan
    mean, residue, _, square, unit = kept.unbind()
    sizes = [plan.split[a] for a in plan.kept]

    def shown(a: Tensor) -> Tensor:
        return a.reshape(problem.kept).permute(problem.back).reshape(sizes)

    return traced.Measured(shown((mean + residue) / unit), shown(square / unit / unit), float(plan.count))
