"""Kernels in eager mode: one autograd.Function about the kernels' forward and backward.

An autograd.Function costs about 5 microseconds a call, a registered operation with a gradient 20: eager calls go this
way, and only traces meet the operation (`library`). Kernels see memory, so whatever looks on from outside (torch.func,
forward-mode differentiation, tensor subclasses, other tracers) must find the formula instead: `sees_memory` tells. A
second derivative is that of the formula.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy
import torch
from torch import Tensor
from torch._C import _functorch
from torch.autograd import forward_ad

from .. import kernels, traced
from ..calling import RUNNING, Ready, Rule
from ..pattern import Plan
from .arrays import FACE, widen

__all__ = ["Decided", "backward", "decide", "decide_for", "differentiated", "fits", "measured", "move", "of_line", "run",
    "sees_memory",
]

STORED = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "uint16", torch.float16: "int16"}
MEAN, RESIDUE, RSTD, SQUARE, UNIT = range(5)  # rows of what a kernel keeps of each set
PLAIN = (Tensor, torch.nn.Parameter)
Learnt = tuple[Tensor | None, tuple[int, ...] | None]  # a parameter, and the shape in which it broadcasts


class Decided(NamedTuple):
    """How a call is done by kernels, for every x of this shape, dtype and memory layout."""

    standardizer: Any
    plan: Plan
    rule: Rule
    weight: tuple[int, ...] | None  # the shapes that broadcast over the split axes; None where there is none
    bias: tuple[int, ...] | None
    running: tuple[int, ...] | None
    learnt: tuple[Any, Any]  # shape and dtype of weight and bias themselves
    wide: torch.dtype
    whole: bool  # running statistics are one for each set, in the order of memory
    direct: bool  # parameters are read where they lie


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
    learnt = [None if n is None else ready.live.get(n) for n in d.affine]
    return decide_for(
        ready.x, plan, ready.rule, (learnt[0], weight), (learnt[1], bias), frozen=ready.frozen,
        running=ready.targets.get(RUNNING[0]) if ready.held else None,
    )  # fmt: skip


def of_line(x: Tensor, plan: Plan, rule: Rule, learnt: Any, targets: Any) -> Tensor | None:
    """The result for one bare line of notation; None where the formula must do it."""
    if not kernels.available() or not all(a is None or sees_memory(a) for a in (x, *learnt)):
        return None
    shown = [(a, None if a is None else t) for a, t in zip(learnt, targets, strict=True)]
    decided = decide_for(x, plan, rule, shown[0], shown[1])
    made = None if decided is None else run(decided, x, learnt[0], learnt[1])
    return None if made is None else made[0]


def decide_for(
    x: Tensor, plan: Plan, rule: Rule, weight: Learnt, bias: Learnt, *, frozen: bool = False,
    running: tuple[int, ...] | None = None,
) -> Decided | None:  # fmt: skip
    """The kernels for x in memory; `running`: the shape in which running statistics broadcast, where there are any."""
    from ..kernels.standardizing import Form, prepare

    if x.data_ptr() % x.element_size():
        return None
    affine = weight[1] if weight[1] is not None else bias[1]
    stored = numpy.dtype(STORED[x.dtype])
    form = Form(x.stride(), stored, affine, rule.centre, rule.spread, rule.eps, rule.eps_rule, frozen)
    found = prepare(plan, form)
    if isinstance(found, str):
        return None
    wide = torch.float64 if x.dtype is torch.float64 else torch.float32
    whole = running is not None and math.prod(running) == found.problem.sets and found.problem.back in ((), (0,))
    return Decided(
        found, plan, rule, weight[1], bias[1], running, (_looks(weight[0]), _looks(bias[0])), wide, whole,
        _direct(found, weight[1] is None),
    )  # fmt: skip


def _looks(a: Tensor | None) -> Any:
    return None if a is None else (a.shape, a.dtype)


def _direct(found: Any, bare: bool) -> bool:
    """Whether the kernel takes weight and bias as they lie in memory, so that their addresses are enough."""
    layout = found.layout
    if found.beside or layout is None or not found.in_order:
        return False
    return not layout.each or (not bare and layout.own == (layout.problem.length, 1))


def fits(decided: Decided, weight: Tensor | None, bias: Tensor | None) -> bool:
    """Whether parameters are what they were when it was decided."""
    for a, looks in zip((weight, bias), decided.learnt, strict=True):
        if a is None:
            if looks is not None:
                return False
        elif looks is None or type(a) not in PLAIN or not a.is_cpu or (a.shape, a.dtype) != looks:
            return False
    return True


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
            # Function.apply itself first looks for what torch.func left behind: here there is none.
            y = super(torch.autograd.Function, _Standardize).apply(x, weight, bias, running, decided, kept)
            return y, kept[0]
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
    if running is not None and not _given(decided, kept.numpy(), running):
        raise _Refused
    w, b, at = _parameters(decided, weight, bias, kept)
    if not found.forward(x.data_ptr(), y.data_ptr(), w, b, at):
        raise _Refused
    return y, kept


def _parameters(decided: Decided, weight: Tensor | None, bias: Tensor | None, kept: Tensor) -> tuple[Any, Any, Any]:
    """Weight, bias and what is kept as a kernel takes them: addresses where it can, for they cost a tenth of arrays."""
    if decided.direct and _lies_ready(weight, decided.wide) and _lies_ready(bias, decided.wide):
        return _at(weight), _at(bias), kept.data_ptr()
    flat = decided.standardizer.flat
    return flat(_array(weight, decided.weight)), flat(_array(bias, decided.bias)), kept.numpy()


def _given(decided: Decided, kept: Any, running: tuple[Tensor, Tensor]) -> bool:
    """Fill in statistics that are given; the usual ones in few steps."""
    mean, var = (a.detach().numpy() for a in running)
    rule, found = decided.rule, decided.standardizer
    if not (decided.whole and rule.eps and rule.eps_rule == "inside" and mean.dtype == kept.dtype == var.dtype):
        from ..kernels.results import _recall

        return bool(_recall(found, decided.plan, kept, (mean, var)))
    kept[MEAN], kept[SQUARE] = mean.reshape(-1) if rule.centre else 0.0, var.reshape(-1)
    kept[RESIDUE], kept[UNIT] = 0.0, 1.0
    with numpy.errstate(invalid="ignore"):
        kept[RSTD] = 1.0 / numpy.sqrt(numpy.add(kept[SQUARE], rule.eps, dtype=numpy.float64))
    return True


def move(decided: Decided, kept: Tensor, mean: Tensor, var: Tensor, momentum: float, biased: bool) -> None:
    """Move running statistics, of which there is one of each for every set, in place."""
    k, count = kept.numpy(), decided.plan.count
    unit = k[UNIT]
    square = k[SQUARE] / (unit * unit)
    if not biased:
        square *= count / max(count - 1, 1)
    mean.lerp_(torch.from_numpy((k[MEAN] + k[RESIDUE]) / unit), momentum)
    var.lerp_(torch.from_numpy(square), momentum)


def _lies_ready(a: Tensor | None, wide: torch.dtype) -> bool:
    return a is None or (a.dtype is wide and a.is_contiguous())


def _at(a: Tensor | None) -> int | None:
    return None if a is None else a.data_ptr()


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
            found = differentiated(decided.plan, decided.rule, dy, x, *learnt, tuple(running) or None, wanted)
        else:
            found = backward(decided, dy, x, weight, kept, any(ctx.needs_input_grad[1:3]))
        return *found, None, None, None


def backward(
    decided: Decided, dy: Tensor, x: Tensor, weight: Tensor | None, kept: Tensor, wanted: bool
) -> tuple[Tensor, Tensor | None, Tensor | None]:  # fmt: skip
    """The gradients of x, weight and bias by kernels; of the latter two where they are `wanted`."""
    found, dx = decided.standardizer, torch.empty_like(x)
    if dy.stride() != x.stride() or dy.data_ptr() % dy.element_size():
        dy = torch.empty_like(x).copy_(dy)
    w, _, at = _parameters(decided, weight, None, kept)
    sums = found.backward(dy.data_ptr(), x.data_ptr(), dx.data_ptr(), w, at, wanted)
    if sums is None:
        return dx, None, None
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
        learnt = [a if again or a is None else a.detach().requires_grad_() for a in (x, weight[0])]
        broad = None if learnt[1] is None else widen(learnt[1]).reshape(weight[1])
        y, _ = traced.standardize(FACE, learnt[0], plan, rule, broad, None, running=running)
        asked = [a for a, needed in zip(learnt, wanted, strict=False) if needed]
        found = iter(torch.autograd.grad(y, asked, dy, create_graph=again) if asked else ())
    dx, dweight = (next(found) if needed else None for needed in wanted[:2])
    if not wanted[2]:
        return dx, dweight, None
    shape, dtype = _looks(bias[0]) if isinstance(bias[0], Tensor) else bias[0]
    axes = [k for k, size in enumerate(bias[1]) if size == 1]
    g = widen(dy).reshape(plan.split)
    return dx, dweight, (g.sum(axes) if axes else g).reshape(shape).to(dtype)


def measured(decided: Decided, kept: Tensor) -> traced.Measured:
    """The statistics of a batch, from what a kernel kept."""
    problem, plan = decided.standardizer.problem, decided.plan
    mean, residue, _, square, unit = kept.unbind()
    sizes = [plan.split[a] for a in plan.kept]

    def shown(a: Tensor) -> Tensor:
        return a.reshape(problem.kept).permute(problem.back).reshape(sizes)

    return traced.Measured(shown((mean + residue) / unit), shown(square / unit / unit), float(plan.count))
