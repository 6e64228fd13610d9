"""The NumPy face: a layer for every method, forward and backward.

>>> import numpy as np
>>> from normlab.numpy import BatchNorm
>>> layer = BatchNorm(2)
>>> layer(np.array([[0.0, 2.0], [2.0, 6.0]])).round(3)
array([[-1., -1.],
       [ 1.,  1.]])
"""

from __future__ import annotations

from typing import Any

from .. import registry
from .call import call, normalize
from .layers import Layer, build, layer_class

__all__ = ["Layer", "build", "call", "layer_class", "normalize"]


def __getattr__(name: str) -> Any:
    for definition in registry.methods():
        if definition.class_name == name and definition.role != "input":
            globals()[name] = layer_class(definition)
            return globals()[name]
    raise AttributeError(f"module 'normlab.numpy' has no layer {name!r}; it has {', '.join(__dir__())}")


def __dir__() -> list[str]:
    return sorted([*__all__, *(d.class_name for d in registry.methods() if d.role != "input")])
