"""Kernels in eager mode: one autograd.Function about the kernels' forward and backward.

An autograd.Function costs about 5 microseconds a call, a registered operation with a gradient 20: eager calls go this
way, and only traces meet the operation (`library`). A second derivative is that of the formula.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch._C import _functorch
from torch.autograd.graph import increment_version

from .. import kernels, traced
from ..calling import Rule
from ..kernels import pool
from ..pattern import Plan
from .arrays import FACE, widen
from .deciding import Decided, Learnt, decide_for, looks_of, sees_memory

__all__ = ["backward", "differentiated", "measured", "move", "of_line", "run", "threads_of_torch"]

UNIT = 4  # the row of what a kernel keeps of each set in which its units are


def of_line(x: Tensor, plan: Plan, rule: Rule, learnt: Any, targets: Any) -> Tensor | None:
    """The result for one bare line of notation; None where the formula must do it."""
    if not kernels.available() or not all(a is None or sees_memory(a) for a in (x, *learnt)):
        return None
    shown = [(a, None if a is None else t) for a, t in zip(learnt, targets, strict=True)]
    decided = decide_for(x, plan, rule, shown[0], shown[1])
    made = None if decided is None else run(decided, x, learnt[0], learnt[1])
    return None if made is None else made[0]


def run(
    decided: Decided, x: Tensor, weight: Tensor | None, bias: Tensor | None,
    running: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor] | None:  # fmt: skip
    """y, and what the kernel kept of every set; None where it meets numbers that are not for kernels."""
    try:
        if torch.is_grad_enabled() and (
            x.requires_grad
            or (weight is not None and weight.requires_grad)
            or (bias is not None and bias.requires_grad)
        ):
            kept: list[Tensor] = []
            return _apply(x, weight, bias, running, decided, kept), kept[0]
        return _forward(decided, x, weight, bias, running)
    except _Refused:
        return None


class _Refused(Exception):
    """A kernel met numbers that it leaves to the formula."""


def _forward(
    decided: Decided, x: Tensor, weight: Tensor | None, bias: Tensor | None, running: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor]:  # fmt: skip
    found, y = decided.standardizer, torch.empty_like(x)
    kept = torch.empty((5, found.problem.sets), dtype=decided.wide)
    if running is not None and not _given(decided, kept, *running):
        raise _Refused
    w, b, at = _parameters(decided, weight, bias, kept)
    if decided.shared:
        with threads_of_torch():
            done = found.forward(x.data_ptr(), y.data_ptr(), w, b, at)
    else:
        done = found.forward(x.data_ptr(), y.data_ptr(), w, b, at)
    if not done:
        raise _Refused
    return y, kept


def threads_of_torch() -> Any:
    """No more threads than torch has, nor than kernels may have."""
    return pool.at_most(min(torch.get_num_threads(), pool.threads()))


def _parameters(decided: Decided, weight: Tensor | None, bias: Tensor | None, kept: Tensor) -> tuple[Any, Any, Any]:
    """Weight, bias and what is kept as a kernel takes them: addresses where it can, for they cost a tenth of arrays."""
    wide = decided.wide
    if (
        decided.direct
        and (weight is None or (weight.dtype is wide and weight.is_contiguous()))
        and (bias is None or (bias.dtype is wide and bias.is_contiguous()))
    ):
        return _at(weight), _at(bias), kept.data_ptr()
    flat = decided.standardizer.flat
    return flat(_array(weight, decided.weight)), flat(_array(bias, decided.bias)), kept.numpy()


def _given(decided: Decided, kept: Tensor, mean: Tensor, var: Tensor) -> bool:
    """Fill in statistics that are given; the usual ones in one step."""
    rule, found = decided.rule, decided.standardizer
    if decided.whole and rule.eps and rule.eps_rule == "inside" and _ready(mean, kept) and _ready(var, kept):
        found.read(mean.data_ptr(), var.data_ptr(), kept.data_ptr())
        return True
    from ..kernels import results

    return bool(results.recall(found, decided.plan, kept.numpy(), (mean.detach().numpy(), var.detach().numpy())))


def move(decided: Decided, kept: Tensor, mean: Tensor, var: Tensor, momentum: float, biased: bool) -> None:
    """Move running statistics, of which there is one of each for every set, `kept`'s dtype, in place."""
    at = kept.data_ptr(), mean.data_ptr(), var.data_ptr()
    decided.standardizer.move(float(momentum), biased, *at)
    increment_version((mean, var))


def _ready(a: Tensor, kept: Tensor) -> bool:
    return a.dtype is kept.dtype and a.is_contiguous()


def _at(a: Tensor | None) -> int:
    return 0 if a is None else a.data_ptr()


def _array(a: Tensor | None, shape: tuple[int, ...] | None) -> Any:
    if a is None:
        return None
    a = widen(a.detach())
    return (a if shape is None else a.reshape(shape)).numpy()


class _Standardize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, running: Any, decided: Decided,
        told: list[Tensor],
    ) -> Tensor:  # fmt: skip
        y, kept = _forward(decided, x, weight, bias, running)
        told.append(kept)
        ctx.save_for_backward(x, weight, kept, *(running or ()))
        ctx.decided = decided
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, kept, *running = ctx.saved_tensors
        decided: Decided = ctx.decided
        batched = _functorch.is_legacy_batchedtensor(dy)  # torch.autograd.grad(is_grads_batched=True)
        if torch.is_grad_enabled() or batched or not sees_memory(dy):
            learnt = (weight, decided.weight), (decided.learnt[1], decided.bias)
            wanted = ctx.needs_input_grad[:3]
            shape = decided.running or ()
            given = (widen(running[0]).reshape(shape), widen(running[1]).reshape(shape)) if running else None
            found = differentiated(decided.plan, decided.rule, dy, x, *learnt, given, wanted)
        else:
            found = backward(decided, dy, x, weight, kept, True in ctx.needs_input_grad[1:3])
        return *found, None, None, None


# Function.apply itself first looks for what torch.func left behind: whoever comes here has found that there is none.
_apply: Any = super(torch.autograd.Function, _Standardize).apply


def backward(
    decided: Decided, dy: Tensor, x: Tensor, weight: Tensor | None, kept: Tensor, wanted: bool
) -> tuple[Tensor, Tensor | None, Tensor | None]:  # fmt: skip
    """The gradients of x, weight and bias by kernels; of the latter two where they are `wanted`."""
    found, dx = decided.standardizer, torch.empty_like(x)
    if dy.stride() != x.stride() or dy.data_ptr() % dy.element_size():
        dy = torch.empty_like(x).copy_(dy)
    w, _, at = _parameters(decided, weight, None, kept)
    given = (dy.data_ptr(), x.data_ptr(), dx.data_ptr(), w, at, wanted)
    dweight = dbias = into = None
    if wanted and decided.straight:
        looks, other = decided.learnt
        dweight = None if looks is None else torch.empty(looks[0], dtype=looks[1])
        dbias = None if other is None else torch.empty(other[0], dtype=other[1])
        into = _at(dweight), _at(dbias)
    if decided.shared:
        with threads_of_torch():
            sums = found.backward(*given, into)
    else:
        sums = found.backward(*given, into)
    if sums is not None:
        dweight = None if weight is None else _own(found, sums[0], decided.weight, *decided.learnt[0])
        dbias = None if decided.bias is None else _own(found, sums[1], decided.bias, *decided.learnt[1])
    return dx, dweight, dbias


def _own(found: Any, flat: Any, target: Any, shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """A gradient that lies as x lies in memory, in its parameter's own shape."""
    g = torch.from_numpy(flat)
    if not found.in_order:
        order = found.problem.order
        g = g.reshape([target[k] for k in order]).permute(sorted(range(len(order)), key=order.__getitem__))
    g = g if g.shape == shape else g.reshape(shape)
    return g if g.dtype is dtype else g.to(dtype)


def differentiated(
    plan: Plan, rule: Rule, dy: Tensor, x: Tensor, weight: Learnt, bias: tuple[Any, Any],
    running: tuple[Tensor, Tensor] | None, wanted: tuple[bool, ...],
) -> tuple[Any, ...]:  # fmt: skip
    """The same gradients by differentiating the formula, so that they have derivatives themselves.

    `bias`: it, or its shape and dtype, and the shape in which it broadcasts; its gradient needs no more.
    """
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        w, shape = weight
        if not again:
            x, w = x.detach().requires_grad_(), None if w is None else w.detach().requires_grad_()
        broad = None if w is None or shape is None else widen(w).reshape(shape)
        y, _ = traced.standardize(FACE, x, plan, rule, broad, None, running=running)
        asked = [a for a, needed in zip((x, w), wanted, strict=False) if needed and a is not None]
        found = iter(torch.autograd.grad(y, asked, dy, create_graph=again) if asked else ())
    dx, dweight = (next(found) if needed else None for needed in wanted[:2])
    if not wanted[2]:
        return dx, dweight, None
    own, dtype = looks_of(bias[0]) if isinstance(bias[0], Tensor) else bias[0]
    axes = [k for k, size in enumerate(bias[1]) if size == 1]
    g = widen(dy).reshape(plan.split)
    return dx, dweight, (g.sum(axes) if axes else g).reshape(own).to(dtype)


def measured(decided: Decided, kept: Tensor) -> traced.Measured:
    """The statistics of a batch, from what a kernel kept."""
    problem, plan = decided.standardizer.problem, decided.plan
    mean, residue, _, square, unit = kept.unbind()
    sizes = [plan.split[a] for a in plan.kept]

    def shown(a: Tensor) -> Tensor:
        return a.reshape(problem.kept).permute(problem.back).reshape(sizes)

    return traced.Measured(shown((mean + residue) / unit), shown(square / unit / unit), float(plan.count))
