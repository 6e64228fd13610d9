"""The PyTorch face: every method as a `torch.nn.Module`.

>>> import torch
>>> from normlab.torch import BatchNorm
>>> layer = BatchNorm(2, affine=False)
>>> layer(torch.tensor([[0.0, 2.0], [2.0, 6.0]])).round(decimals=3)
tensor([[-1., -1.],
        [ 1.,  1.]])
"""

from __future__ import annotations

from typing import Any

from .. import registry
from ..errors import missing_extra

try:
    import torch as _  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":  # it is there, but something inside it is not
        raise
    raise missing_extra("torch", "torch") from None

from .call import call, normalize
from .layers import Layer, build, layer_class
from .parametrize import joining

__all__ = ["Layer", "build", "call", "joining", "layer_class", "normalize"]


def __getattr__(name: str) -> Any:
    for definition in registry.methods():
        if definition.class_name == name and definition.role != "input":
            globals()[name] = layer_class(definition)
            return globals()[name]
        if definition.role == "weight" and definition.name == name:
            globals()[name] = joining(definition)
            return globals()[name]
    raise AttributeError(f"module 'normlab.torch' has no layer {name!r}; it has {', '.join(__dir__())}")


def __dir__() -> list[str]:
    weights = [d.name for d in registry.methods() if d.role == "weight"]
    return sorted([*__all__, *weights, *(d.class_name for d in registry.methods() if d.role != "input")])
