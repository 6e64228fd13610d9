"""JAX, jitted: our layer, and the formula as JAX's users write it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ... import jax as face
from ..suite import Case
from . import Ready, Refusal
from .material import Material, Outcome, can_be_plain, plain

__all__ = ["jitted", "ours"]

Function = Callable[[Any, Any], Any]


def ours(case: Case, material: Material) -> Ready:
    """`normlab.jax`'s layer under `jax.jit`."""
    layer = face.build(case.definition, case.channels, layout=case.layout)
    params, state = layer.init(jax.random.key(0))
    params = {**params, **_held(case, material.params)}
    more = {"key": jax.random.key(1)} if case.definition.role == "dropout" else {}
    return _ready(case, material, params, lambda p, x: layer(p, state, x, training=True, **more)[0])


def jitted(case: Case, material: Material) -> Ready:
    """The plain formula under `jax.jit`, in the dtype of x."""
    if not can_be_plain(case.definition):
        raise Refusal(f"{case.definition.name} is given by its own forward, which is what normlab runs on JAX")
    return _ready(case, material, _held(case, material.params), lambda p, x: plain(jnp, case, x, p))


def _held(case: Case, arrays: Any) -> dict[str, jax.Array]:
    if case.dtype == "float64" and not jax.config.read("jax_enable_x64"):
        raise Refusal("JAX has no float64 without jax_enable_x64")
    return {n: jnp.asarray(a, dtype=case.dtype) for n, a in arrays.items()}


def _ready(case: Case, material: Material, params: dict[str, jax.Array], function: Function) -> Ready:
    arrays = _held(case, {"x": material.x, "dy": material.dy})
    x, dy = arrays["x"], arrays["dy"]

    @jax.jit
    def forward(p: Any, x: Any) -> Any:
        return function(p, x)

    @jax.jit
    def both(p: Any, x: Any, dy: Any) -> Any:
        y, pull = jax.vjp(function, p, x)
        return y, *pull(dy)

    def run() -> Any:
        return jax.block_until_ready(both(params, x, dy) if case.both else forward(params, x))

    def outcome() -> Outcome:
        found = run()
        y, dx = (found[0], found[2]) if case.both else (found, None)
        return Outcome(_numpy(y), None if dx is None else _numpy(dx))

    return Ready(run, outcome)


def _numpy(a: Any) -> np.ndarray:
    return np.asarray(a).astype(np.float64)
