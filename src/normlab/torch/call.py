"""One call of a method on tensors. Layers and functions both come here."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .. import traced
from ..definition import Definition
from . import compiled
from .arrays import FACE
from .layout import laid_out, with_gradient_like

__all__ = ["Call", "call", "normalize"]


class Call(NamedTuple):
    """A finished call: the result, and the new state where the method has one."""

    y: Tensor
    state: dict[str, Tensor] | None


def call(
    definition: Definition, x: Any, arrays: Mapping[str, Any], state: Mapping[str, Any], options: Mapping[str, Any],
    **given: Any,
) -> Call:  # fmt: skip
    """Run `definition` on x. `arrays`: parameters and inputs by name; `state` likewise; None where left out."""
    with _exactly(x):
        if torch.compiler.is_compiling():
            return Call(*compiled.call(definition, x, arrays, state, options, **given))
        seen = with_gradient_like(x) if isinstance(x, Tensor) else x
        y, fresh = traced.call(FACE, definition, seen, arrays, state, options, **given)
        return Call(laid_out(y, x), fresh)


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
