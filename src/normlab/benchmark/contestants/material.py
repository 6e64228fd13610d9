"""The arrays of a case, the same for every contestant, and the plain formula as a user would write it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ... import signatures
from ...definition import Definition
from ...fitting import shape_of
from ..suite import Case

__all__ = ["Material", "Outcome", "plain", "truth"]

Array = Any


class Outcome(NamedTuple):
    """What a run gave, in NumPy: the output and, after both passes, the gradient of x."""

    y: np.ndarray
    dx: np.ndarray | None


@dataclass(frozen=True)
class Material:
    """x, the cotangent and the parameters in float64, as the dtype of the case can hold them."""

    x: np.ndarray
    dy: np.ndarray
    params: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, case: Case) -> Material:
        """Numbers about 1 with spread 2, weights about 1, biases about 0."""
        return _material(case.method, case.layout, case.shape, case.dtype)


@lru_cache(maxsize=2)
def _material(method: str, layout: str, shape: tuple[int, ...], dtype: str) -> Material:
    case = Case(method, layout, shape, dtype)
    random = np.random.default_rng(0)
    definition = case.definition
    sizes = signatures.sizes(definition, definition.validate({}), case.channels)
    x = as_held(2.0 * random.standard_normal(shape) + 1.0, dtype)
    dy = as_held(random.standard_normal(shape), dtype)
    params = {}
    for spec in definition.params:
        if spec.where != "layer":
            middle = 0.0 if spec.name == definition.affine[1] else 1.0
            own = shape_of(spec.axes, sizes) or ()
            params[spec.name] = as_held(middle + 0.2 * random.standard_normal(own), dtype)
    return Material(x, dy, params)


def as_held(a: np.ndarray, dtype: str) -> np.ndarray:
    """`a` rounded to what `dtype` holds, in float64."""
    if dtype == "bfloat16":
        bits = a.astype(np.float32).view(np.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32).astype(np.float64)
    return a.astype(dtype).astype(np.float64)


def plain(xp: Any, case: Case, x: Array, params: Mapping[str, Array]) -> Array:
    """The method in its training mode as one writes it down: mean, variance, divide, scale and shift."""
    definition, plan = case.definition, case.plan
    assert plan is not None
    s = xp.reshape(x, plan.split)
    if definition.centre:
        s = s - xp.mean(s, axis=plan.pooled, keepdims=True)
    power = xp.mean if definition.spread in ("std", "rms") else xp.sum
    square = power(s * s, axis=plan.pooled, keepdims=True)
    eps = definition.eps or 0.0
    if definition.eps_rule == "floor":
        y = s / xp.maximum(xp.sqrt(square), eps)
    else:
        y = s / xp.sqrt(square + eps)
    scale, shift = (None if n is None or n not in params else params[n] for n in definition.affine)
    shape = plan.align(plan.pattern.whole(definition.params[0].axes))[1] if definition.params else ()
    y = y if scale is None else y * xp.reshape(scale, shape)
    y = y if shift is None else y + xp.reshape(shift, shape)
    return xp.reshape(y, case.shape)


def can_be_plain(definition: Definition) -> bool:
    """Whether `plain` says all of it."""
    simple = definition.spread in ("std", "rms", "l2") and definition.eps_rule in ("inside", "floor")
    return definition.forward is None and simple and (definition.spread != "std" or definition.centre)


def truth(case: Case, material: Material) -> Outcome:
    """The formula in float64, on NumPy."""
    from ... import kernels
    from ... import numpy as face

    with kernels.off():
        layer = face.build(case.definition, case.channels, layout=case.layout)
        layer.params.update(material.params)
        y = layer(material.x)
        return Outcome(y, layer.backward(material.dy) if case.both else None)
