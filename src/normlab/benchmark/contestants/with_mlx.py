"""MLX on its default device: our layer, and mlx.nn's own, each compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from ... import mlx as face
from ..suite import Case
from . import Ready, Refusal, twins
from .material import Material, Outcome, can_be_plain, plain

__all__ = ["ours", "theirs"]

Function = Callable[[Any, Any], Any]


def ours(case: Case, material: Material) -> Ready:
    """`normlab.mlx`'s layer."""
    layer = face.build(case.definition, case.channels, layout=case.layout)
    return _ready(case, material, layer, layer)


def theirs(case: Case, material: Material) -> Ready:
    """mlx.nn's layer, or the formula in MLX's operations where it has none."""
    try:
        entry = twins.known(case, "mlx.nn.")
    except Refusal:
        if not can_be_plain(case.definition):
            raise
        return _ready(case, material, None, lambda x, p: plain(mx, case, x, p))
    layer = twins.build(entry, case, {"pytorch_compatible": True})
    if case.layout != "n c ...":
        return _ready(case, material, layer, layer)
    return _ready(case, material, layer, lambda x: mx.moveaxis(layer(mx.moveaxis(x, 1, -1)), -1, 1))


def _ready(case: Case, material: Material, layer: Any, function: Any) -> Ready:
    dtype = getattr(mx, case.dtype)
    if case.dtype == "float64":
        raise Refusal("MLX has no float64 on its default device")
    x, dy = _array(material.x, dtype), _array(material.dy, dtype)
    params = {n: _array(a, dtype) for n, a in material.params.items()}
    if layer is not None:
        layer.update({n: a for n, a in params.items() if n in layer})

    def apply(p: Any, x: Any) -> Any:
        if layer is None:
            return function(x, p)
        layer.update(p)
        return function(x)

    held = params if layer is None else layer.trainable_parameters()
    state = [layer.state] if layer is not None else []
    forward = mx.compile(apply, inputs=state, outputs=state)

    def gradients(p: Any, x: Any, dy: Any) -> Any:
        def projected(p: Any, x: Any) -> Any:
            y = apply(p, x)
            return (y * dy).sum(), y

        (_, y), found = mx.value_and_grad(projected, argnums=(0, 1))(p, x)
        return y, found

    both = mx.compile(gradients, inputs=state, outputs=state)

    def run() -> Any:
        found = both(held, x, dy) if case.both else forward(held, x)
        mx.eval(found)
        return found

    def outcome() -> Outcome:
        found = run()
        y, dx = (found[0], found[1][1]) if case.both else (found, None)
        return Outcome(_numpy(y), None if dx is None else _numpy(dx))

    return Ready(run, outcome)


def _array(a: np.ndarray, dtype: Any) -> Any:
    return mx.array(a.astype(np.float32)).astype(dtype)


def _numpy(a: Any) -> np.ndarray:
    return np.asarray(a.astype(mx.float32)).astype(np.float64)
