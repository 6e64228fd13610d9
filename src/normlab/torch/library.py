"""The kernels as operations of torch.library, which torch.compile takes as they are: `normlab::standardize`.

What is pooled travels as a line of notation with the sizes of its factors, so an operation can be read, kept on a disk
and run elsewhere. Outside torch.compile the way through `eager` costs less. An operation that meets memory, or numbers,
that no kernel takes computes the formula and says so in what it keeps: its units are NaN then.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from .. import kernels, traced
from ..calling import Rule
from ..pattern import parse
from . import eager, symbolic
from .arrays import FACE, widen
from .deciding import decide_for

__all__ = ["standardize"]

LINE = (
    "str pools, str names, int[] sizes, str weight_axes, str bias_axes, "
    "bool centre, str spread, float eps, str eps_rule"
)
LIBRARY = torch.library.Library("normlab", "DEF")  # kept: the operations live as long as it does
LIBRARY.define(
    f"standardize(Tensor x, Tensor? weight, Tensor? bias, {LINE}) -> (Tensor y, Tensor kept, Tensor mean, Tensor var)"
)
LIBRARY.define(
    "standardize_backward(Tensor dy, Tensor x, Tensor? weight, Tensor? bias, Tensor kept, "
    f"{LINE}) -> (Tensor dx, Tensor dweight, Tensor dbias)"
)
standardize = torch.ops.normlab.standardize.default
standardize_backward = torch.ops.normlab.standardize_backward.default


@lru_cache(maxsize=1024)
def _read(shape: tuple[int, ...], line: tuple[Any, ...]) -> tuple[Any, ...]:
    """The plan, the rule, and the shapes in which weight and bias broadcast."""
    pools, names, sizes, weight_axes, bias_axes, centre, spread, eps, eps_rule = line
    plan = parse(pools).plan(shape, dict(zip(names.split(), sizes, strict=True)))
    return plan, Rule(centre, spread, eps, eps_rule), plan.align(weight_axes)[1], plan.align(bias_axes)[1]


def _wide(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype is torch.float64 else torch.float32


def _decided(x: Tensor, weight: Tensor | None, bias: Tensor | None, line: tuple[Any, ...]) -> tuple[Any, ...]:
    """How kernels do it, if they do, and how the formula would."""
    plan, rule, weight_shape, bias_shape = read = _read(tuple(x.shape), line)
    if not kernels.available() or 0 in x.shape:
        return None, read
    weight_shape = None if weight is None else weight_shape
    bias_shape = None if bias is None else bias_shape
    return decide_for(x, plan, rule, (weight, weight_shape), (bias, bias_shape)), read


def _forward(x: Tensor, weight: Tensor | None, bias: Tensor | None, *given: Any) -> tuple[Tensor, ...]:
    line = (*given[:2], tuple(given[2]), *given[3:])
    decided, (plan, rule, weight_shape, bias_shape) = _decided(x, weight, bias, line)
    made = None if decided is None else eager.run(decided, x, weight, bias)
    sizes = [plan.split[a] for a in plan.kept]
    if made is not None:
        shown = eager.measured(decided, made[1])
        return made[0], made[1], shown.mean, shown.var
    w, b = (None if a is None else widen(a).reshape(s) for a, s in ((weight, weight_shape), (bias, bias_shape)))
    y, found = traced.standardize(FACE, x, plan, rule, w, b)
    assert found is not None
    kept = torch.full((5, plan.sets), torch.nan, dtype=_wide(x), device=x.device)
    y = y if y.stride() == torch.empty_like(x).stride() else torch.empty_like(x).copy_(y)
    return y, kept, found.mean.expand(found.var.shape).reshape(sizes).clone(), found.var.reshape(sizes).clone()


def _backward(
    dy: Tensor, x: Tensor, weight: Tensor | None, bias: Tensor | None, kept: Tensor, *given: Any
) -> tuple[Tensor, ...]:  # fmt: skip
    line = (*given[:2], tuple(given[2]), *given[3:])
    decided, (plan, rule, weight_shape, bias_shape) = _decided(x, weight, bias, line)
    found: tuple[Any, ...]
    if decided is None or (kept.numel() and bool(kept[eager.UNIT].isnan().any())):
        wanted = (True, weight is not None, bias is not None)
        learnt = (weight, weight_shape), (bias, bias_shape)
        found = eager.differentiated(plan, rule, dy, x, learnt[0], learnt[1], None, wanted)
    else:
        found = eager.backward(decided, dy, x, weight, kept, weight is not None or bias is not None)
    dx = found[0] if found[0].stride() == torch.empty_like(x).stride() else torch.empty_like(x).copy_(found[0])
    return dx, *(x.new_empty(0) if g is None else g for g in found[1:])


@torch.library.register_fake("normlab::standardize", lib=LIBRARY)
def _fake(x: Tensor, weight: Tensor | None, bias: Tensor | None, pools: str, names: str, sizes: Any, *_: Any) -> Any:
    plan = symbolic.plan(pools, tuple(x.shape), dict(zip(names.split(), sizes, strict=True)))
    shown = [plan.split[a] for a in plan.kept]
    one = x.new_empty(shown, dtype=_wide(x))
    return torch.empty_like(x), x.new_empty((5, plan.sets), dtype=_wide(x)), one, torch.empty_like(one)


@torch.library.register_fake("normlab::standardize_backward", lib=LIBRARY)
def _fake_backward(dy: Tensor, x: Tensor, weight: Tensor | None, bias: Tensor | None, *_: Any) -> Any:
    shown = (x.new_empty(0 if a is None else a.shape, dtype=None if a is None else a.dtype) for a in (weight, bias))
    return torch.empty_like(x), *shown


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, weight, bias, *line = inputs
    ctx.save_for_backward(x, weight, bias, output[1])
    ctx.mark_non_differentiable(*output[1:])
    ctx.line = line


def _pull(ctx: Any, dy: Tensor, *_: Any) -> tuple[Any, ...]:
    x, weight, bias, kept = ctx.saved_tensors
    dx, dweight, dbias = standardize_backward(dy, x, weight, bias, kept, *ctx.line)
    nothing = (None,) * len(ctx.line)
    return dx, None if weight is None else dweight, None if bias is None else dbias, *nothing


LIBRARY.impl("standardize", _forward, "CPU")
LIBRARY.impl("standardize_backward", _backward, "CPU")
torch.library.register_autograd("normlab::standardize", _pull, setup_context=_keep, lib=LIBRARY)
