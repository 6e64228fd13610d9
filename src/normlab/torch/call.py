"""One call of a method on tensors. Layers and functions both come here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from .. import traced
from ..definition import Definition
from .arrays import FACE

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
    return Call(*traced.call(FACE, definition, x, arrays, state, options, **given))


def normalize(x: Any, pools: str, **given: Any) -> Tensor:
    """`normlab.normalize` for tensors."""
    return traced.normalize(FACE, x, pools, **given)
