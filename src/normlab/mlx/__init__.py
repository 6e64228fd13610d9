"""The MLX face: every method as an `mlx.nn.Module`.

>>> import mlx.core as mx
>>> from normlab.mlx import BatchNorm
>>> layer = BatchNorm(2, affine=False)
>>> layer(mx.array([[0.0, 2.0], [2.0, 6.0]])).round(3)
array([[-1, -1],
       [1, 1]], dtype=float32)
"""

from __future__ import annotations

from typing import Any

from .. import registry
from ..errors import missing_extra

try:
    import mlx.core as _  # noqa: F401
except ImportError as error:  # on Linux also where only half of it is there: mlx needs mlx-cpu or a CUDA build
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("mlx"):
        raise
    raise missing_extra("mlx", "mlx") from None

from .call import call, fusing, normalize
from .host import Hosted, host
from .layers import Layer, build, layer_class

__all__ = ["Hosted", "Layer", "build", "call", "fusing", "host", "layer_class", "normalize"]


def __getattr__(name: str) -> Any:
    for definition in registry.methods():
        if definition.class_name == name and definition.role != "input":
            globals()[name] = layer_class(definition)
        elif definition.name == name and definition.role == "weight":
            globals()[name] = host(definition)
        else:
            continue
        return globals()[name]
    raise AttributeError(f"module 'normlab.mlx' has no layer {name!r}; it has {', '.join(__dir__())}")


def __dir__() -> list[str]:
    acting = [d for d in registry.methods() if d.role != "input"]
    return sorted([*__all__, *(d.class_name for d in acting), *(d.name for d in acting if d.role == "weight")])
