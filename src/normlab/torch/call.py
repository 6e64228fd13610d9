"""One call of a method on tensors. Layers and functions both come here."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .. import traced
from ..calling import RUNNING, Ready, prepare
from ..definition import Definition
from . import compiled, eager, windowed
from .arrays import FACE, widen
from .layout import laid_out, with_gradient_like

__all__ = ["Call", "call", "normalize"]

GIVEN = (("training", True), ("momentum", None), ("key", None), ("measure", None))


class Call(NamedTuple):
    """A finished call: the result, and the new state where the method has one."""

    y: Tensor
    state: dict[str, Tensor] | None
    decided: eager.Decided | None = None  # the kernels that did it


def call(
    definition: Definition, x: Any, arrays: Mapping[str, Any], state: Mapping[str, Any], options: Mapping[str, Any],
    **given: Any,
) -> Call:  # fmt: skip
    """Run `definition` on x. `arrays`: parameters and inputs by name; `state` likewise; None where left out."""
    with _exactly(x):
        if torch.compiler.is_compiling():
            return Call(*compiled.call(definition, x, arrays, state, options, **given))
        seen = with_gradient_like(x) if isinstance(x, Tensor) else x
        training, momentum, key, measure = (given.pop(n, d) for n, d in GIVEN)
        ready = prepare(FACE, definition, seen, arrays, state, options, training=training, shared=measure is not None, **given)
        window = windowed.run(ready, training) if ready.plan is None else None
        if window is not None:
            return Call(window, dict(ready.held) or None)
        decided = None if measure is not None else eager.decide(ready)
        done = None if decided is None else _by_kernels(decided, ready, momentum)
        if done is not None:
            return done
        y, fresh = traced.run(FACE, ready, training=training, momentum=momentum, key=key, measure=measure)
        return Call(laid_out(y, x), fresh)


def _by_kernels(decided: eager.Decided, ready: Ready, momentum: Any) -> Call | None:
    weight, bias = (ready.live.get(n or "") for n in ready.definition.affine)
    running = None
    if ready.frozen:
        running = tuple(widen(ready.held[n]).reshape(ready.targets[n]) for n in RUNNING)
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


def normalize(x: Any, pools: str, **given: Any) -> Tensor:
    """`normlab.normalize` for tensors."""
    with _exactly(x):
        if torch.compiler.is_compiling():
            return traced.normalize(FACE, x, pools, **given)
        seen = with_gradient_like(x) if isinstance(x, Tensor) else x
        return laid_out(traced.normalize(FACE, seen, pools, **given), x)


def _exactly(x: Any) -> AbstractContextManager[Any]:
    """No casts by autocast: statistics are taken in float32 at least, and the result has x's own dtype."""
    if isinstance(x, Tensor) and torch._C._is_any_autocast_enabled() and torch.amp.is_autocast_available(x.device.type):
        return torch.autocast(x.device.type, enabled=False)
    return nullcontext()
