"""The JAX face: every method as a pure layer, whose parameters and state are dictionaries of arrays that go in and out.

A training loop and an evaluation. The state that a step returns must be kept: it is what evaluation normalizes with.

>>> import jax, jax.numpy as jnp
>>> from normlab.jax import BatchNorm
>>> norm = BatchNorm(8)
>>> def net(params, state, x, training):
...     h = x @ params["first"]
...     h, state = norm(params["norm"], state, h, training=training)
...     return jnp.tanh(h) @ params["second"], state
>>> def loss(params, state, x, y):
...     out, state = net(params, state, x, training=True)
...     return jnp.mean((out - y) ** 2), state
>>> @jax.jit
... def step(params, state, x, y):
...     (value, state), slope = jax.value_and_grad(loss, has_aux=True)(params, state, x, y)
...     return jax.tree.map(lambda p, g: p - 0.1 * g, params, slope), state, value
>>> keys = jax.random.split(jax.random.key(0), 4)
>>> learnt, state = norm.init(keys[0])
>>> params = {"first": jax.random.normal(keys[1], (3, 8)), "norm": learnt, "second": jnp.zeros((8, 1))}
>>> x = 100.0 + jax.random.normal(keys[2], (256, 3))  # far from 0: without a normalization tanh would be flat
>>> y = x.sum(1, keepdims=True) - 300.0
>>> values = []
>>> for _ in range(100):
...     params, state, value = step(params, state, x, y)
...     values.append(float(value))
>>> evaluate = jax.jit(lambda x: net(params, state, x, training=False)[0])
>>> later = float(jnp.mean((evaluate(x) - y) ** 2))
>>> int(state["num_batches_tracked"]), values[0] > 2, values[-1] < 0.1, later < 0.2
(100, True, True, True)
"""

from __future__ import annotations

import importlib
from typing import Any

from .. import registry
from ..errors import missing_extra

try:
    import jax as _  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "jax":  # it is there, but something inside it is not
        raise
    raise missing_extra("jax", "jax") from None

from .call import call, normalize
from .layers import Layer, build, layer_class

__all__ = ["Layer", "build", "call", "layer_class", "normalize"]


def __getattr__(name: str) -> Any:
    if name == "nnx":  # Flax is an extra of its own, imported when it is asked for
        return importlib.import_module(".nnx", __name__)
    for definition in registry.methods():
        if definition.class_name == name and definition.role != "input":
            globals()[name] = layer_class(definition)
            return globals()[name]
    raise AttributeError(f"module 'normlab.jax' has no layer {name!r}; it has {', '.join(__dir__())}")


def __dir__() -> list[str]:
    return sorted([*__all__, "nnx", *(d.class_name for d in registry.methods() if d.role != "input")])
