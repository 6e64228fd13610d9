"""One call of a method on tensors. Layers and functions both come here."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .. import traced
from ..calling import RUNNING, Ready, Rule, prepare, prepare_line
from ..definition import Definition
from . import compiled, eager, windowed
from .arrays import FACE, widen
from .deciding import Decided, decide
from .layout import laid_out, with_gradient_like

__all__ = ["Call", "call", "normalize"]

GIVEN = (("training", True), ("momentum", None), ("key", None), ("measure", None))


class Call(NamedTuple):
    """A finished call: the result, and the new state where the method has one."""

    y: Tensor
    state: dict[str, Tensor] | None
    decided: Decided | None = None  # the kernels that did it


def call(
    definition: Definition, x: Any, arrays: Mapping[str, Any], state: Mapping[str, Any], options: Mapping[str, Any],
    **given: Any,
) -> Call:  # fmt: skip
    """Run `definition` on x. `arrays`: parameters and inputs by name; `state` likewise; None where left out."""
    with _exactly(x):
        if torch.compiler.is_compiling():
            return Call(*compiled.call(definition, x, arrays, state, options, **given))
        training, momentum, key, measure = (given.pop(n, d) for n, d in GIVEN)
        shared = measure is not None
        ready = prepare(FACE, definition, x, arrays, state, options, training=training, shared=shared, **given)
        window = windowed.run(ready, training) if ready.plan is None else None
        if window is not None:
            return Call(window, dict(ready.held) or None)
        decided = None if shared else decide(ready)
        done = None if decided is None else _by_kernels(decided, ready, momentum)
        if done is not None:
            return done
        ready = replace(ready, x=with_gradient_like(x))
        y, fresh = traced.run(FACE, ready, training=training, momentum=momentum, key=key, measure=measure)
        return Call(laid_out(y, x), fresh)


def _by_kernels(decided: Decided, ready: Ready, momentum: Any) -> Call | None:
    weight, bias = (ready.live.get(n or "") for n in ready.definition.affine)
    running = None
    if ready.frozen:
        mean, var = (widen(ready.held[n]).reshape(ready.targets[n]) for n in RUNNING)
        running = (mean, var)
    made = eager.run(decided, ready.x, weight, bias, running)
    if made is None:
        return None
    y, kept = made
    held = dict(ready.held)
    if ready.keeps and not ready.frozen:
        held |= traced.new_state(
            FACE, ready, eager.measured(decided, kept), ready.options["momentum"] if momentum is None else momentum
        )
    return Call(y, held or None, decided)


def normalize(
    x: Any, pools: str, *, centre: bool, spread: str | None, eps: float, eps_rule: str, weight: Any, bias: Any,
    affine: str | None, sizes: Mapping[str, Any],
) -> Tensor:  # fmt: skip
    """`normlab.normalize` for tensors."""
    rule = Rule(centre, spread, eps, eps_rule)
    with _exactly(x):
        if torch.compiler.is_compiling():
            return compiled.normalize(x, pools, rule, weight, bias, affine, sizes)
        x, plan, rule, found, targets = prepare_line(
            FACE, x, pools, rule=rule, weight=weight, bias=bias, affine=affine, sizes=sizes
        )
        if 0 in x.shape:
            return x
        made = eager.of_line(x, plan, rule, found, targets)
        if made is not None:
            return made
        broad = [None if a is None else widen(a).reshape(t) for a, t in zip(found, targets, strict=True)]
        return laid_out(traced.standardize(FACE, with_gradient_like(x), plan, rule, broad[0], broad[1])[0], x)


def _exactly(x: Any) -> AbstractContextManager[Any]:
    """No casts by autocast: statistics are taken in float32 at least, and the result has x's own dtype."""
    if isinstance(x, Tensor) and torch._C._is_any_autocast_enabled() and torch.amp.is_autocast_available(x.device.type):
        return torch.autocast(x.device.type, enabled=False)
    return nullcontext()
