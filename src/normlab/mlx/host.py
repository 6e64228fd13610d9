"""Weight methods around a module of MLX: `weight_norm(nn.Linear(3, 4))` is that layer with a normalized weight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn

from ..definition import Definition
from ..errors import UsageError
from .layers import Layer, build

__all__ = ["Hosted", "host"]


class Hosted(mlx.nn.Module):
    """`module`, whose array `name` goes through the weight method `norm` at every call."""

    def __init__(self, module: mlx.nn.Module, norm: Layer, name: str) -> None:
        super().__init__()
        self.module, self.norm, self._name = module, norm, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the module gives with its weight normalized."""
        raw = self.module[self._name]
        self.module[self._name] = self.norm(raw)
        try:
            return self.module(*args, **kwargs)
        finally:
            self.module[self._name] = raw


def host(definition: Definition) -> Callable[..., Hosted]:
    """The function that puts a weight method around a module: `(module, name="weight", **options)`."""

    def wrap(module: mlx.nn.Module, name: str = "weight", **options: Any) -> Hosted:
        weight = module.get(name) if isinstance(module, mlx.nn.Module) else None
        if not isinstance(weight, mx.array):
            came = type(module).__name__
            raise UsageError(f"{definition.name}: module must be an MLX module with an array {name!r}, got {came}.")
        # The outputs stand first in the weights of all MLX's layers, those of transposed convolutions too.
        norm = build(definition, weight.shape[0], options=options, dtype=weight.dtype)
        norm.start(weight)
        return Hosted(module, norm, name)

    wrap.__name__ = wrap.__qualname__ = definition.name
    wrap.__module__ = "normlab.mlx"
    wrap.__doc__ = f"{definition.title} of a module's weight, by default its array `weight`; options as the layer's."
    return wrap
