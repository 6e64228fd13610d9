"""Whether kernels may do a call, and how: decided once for a shape, a dtype and a memory layout.

Kernels see memory, so whatever looks on from outside (torch.func, forward-mode differentiation, tensor subclasses,
other tracers) must find the formula instead: a registered operation raises under torch.func.grad, and gives a tangent
of zero under jvp without a word. `sees_memory` tells.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy
import torch
from torch import Tensor
from torch._C import _functorch
from torch.autograd import forward_ad

from .. import kernels
from ..calling import RUNNING, Ready, Rule
from ..pattern import Plan

__all__ = ["Decided", "Learnt", "decide", "decide_for", "fits", "is_plain", "looks_of", "sees_memory"]

STORED = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "uint16", torch.float16: "int16"}
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
    straight: bool  # and their gradients written likewise
    shared: bool  # large enough for several threads


def is_plain(a: Tensor) -> bool:
    """Whether this is a tensor in this machine's memory, as far as its kind tells."""
    return type(a) in PLAIN and a.is_cpu


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


def decide_for(
    x: Tensor, plan: Plan, rule: Rule, weight: Learnt, bias: Learnt, *, frozen: bool = False,
    running: tuple[int, ...] | None = None,
) -> Decided | None:  # fmt: skip
    """The kernels for x in memory; `running`: the shape in which running statistics broadcast, where there are any."""
    from ..kernels import pool
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
    learnt = looks_of(weight[0]), looks_of(bias[0])
    direct = _direct(found, weight[1] is None, affine is None)
    straight = direct and found.straight and all(looks is None or looks[1] is wide for looks in learnt)
    return Decided(
        found, plan, rule, weight[1], bias[1], running, learnt, wide, whole, direct, straight,
        x.numel() >= pool.WORTH_ELEMENTS // 8,  # kernels count an element up to nine times
    )  # fmt: skip


def looks_of(a: Tensor | None) -> Any:
    """A parameter's own shape and dtype."""
    return None if a is None else (a.shape, a.dtype)


def _direct(found: Any, unweighted: bool, bare: bool) -> bool:
    """Whether the kernel takes weight and bias as they lie in memory, so that their addresses are enough."""
    layout, problem = found.layout, found.problem
    if not found.in_order:
        return False
    if found.beside:
        return problem.counts[1] == 1 and (bare or problem.counts[2:] == (problem.inner, problem.length))
    return layout is not None and (not layout.each or (not unweighted and layout.own == (layout.problem.length, 1)))


def fits(decided: Decided, weight: Tensor | None, bias: Tensor | None) -> bool:
    """Whether parameters are what they were when it was decided."""
    looks, other = decided.learnt
    return _looks(weight, looks) and _looks(bias, other)


def _looks(a: Tensor | None, looks: Any) -> bool:
    if a is None or looks is None:
        return a is looks
    return type(a) in PLAIN and a.is_cpu and a.dtype is looks[1] and a.shape == looks[0]
