"""Modules for Flax (`flax.nnx`), one class a method, around the layers of `normlab.jax`.

What is learnt is an `nnx.Param`, running statistics and other state an `nnx.BatchStat`, named as the definition names
them (weight, bias). `model.train()` and `model.eval()` work as on Flax's own modules. Weight methods are joined to a
module by a function, and what they learn is trained with it:

>>> import jax.numpy as jnp
>>> from flax import nnx
>>> from normlab.jax.nnx import BatchNorm, weight_norm
>>> layer = weight_norm(nnx.Linear(2, 3, rngs=nnx.Rngs(0)))
>>> norm = BatchNorm(3)
>>> norm(layer(jnp.eye(2))).shape, int(norm.num_batches_tracked[...])
((2, 3), 1)
"""

from __future__ import annotations

from typing import Any

from .. import registry
from ..errors import missing_extra

try:
    import flax as _  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "flax":  # it is there, but something inside it is not
        raise
    raise missing_extra("flax", "flax") from None

from .flax_modules import Module, build, module_class
from .hosting import Hosted, host

__all__ = ["Hosted", "Module", "build", "host", "module_class"]


def __getattr__(name: str) -> Any:
    for definition in registry.methods():
        if definition.class_name == name and definition.role != "input":
            globals()[name] = module_class(definition)
        elif definition.name == name and definition.role == "weight":
            globals()[name] = host(definition)
        else:
            continue
        return globals()[name]
    raise AttributeError(f"module 'normlab.jax.nnx' has no module {name!r}; it has {', '.join(__dir__())}")


def __dir__() -> list[str]:
    acting = [d for d in registry.methods() if d.role != "input"]
    return sorted([*__all__, *(d.class_name for d in acting), *(d.name for d in acting if d.role == "weight")])
