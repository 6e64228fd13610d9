"""NumPy: our layer, and the formula as NumPy's users write it, forward and backward."""

from __future__ import annotations

import numpy as np

from ... import numpy as face
from ..suite import Case
from . import Ready, Refusal
from .material import Material, Outcome, can_be_plain
from .material import plain as written

__all__ = ["ours", "plain"]


def _dtype(case: Case) -> np.dtype:
    if case.dtype != "bfloat16":
        return np.dtype(case.dtype)
    try:
        import ml_dtypes
    except ImportError:
        raise Refusal("NumPy has no bfloat16 without the package ml_dtypes") from None
    return np.dtype(ml_dtypes.bfloat16)


def ours(case: Case, material: Material) -> Ready:
    """`normlab.numpy`'s layer."""
    dtype = _dtype(case)
    layer = face.build(case.definition, case.channels, layout=case.layout, dtype=dtype)
    layer.params.update({n: a.astype(dtype) for n, a in material.params.items()})
    x, dy = material.x.astype(dtype), material.dy.astype(dtype)

    def forward() -> np.ndarray:
        return layer(x)

    def both() -> tuple[np.ndarray, np.ndarray]:
        y = layer(x)
        return y, layer.backward(dy)

    def outcome() -> Outcome:
        return Outcome(*both()) if case.both else Outcome(forward(), None)

    return Ready(both if case.both else forward, outcome)


def plain(case: Case, material: Material) -> Ready:
    """The formula in NumPy, in the dtype of x; backward from the same few lines."""
    d, dtype = case.definition, _dtype(case)
    x, dy = material.x.astype(dtype), material.dy.astype(dtype)
    params = {n: a.astype(dtype) for n, a in material.params.items()}
    if not can_be_plain(d):
        raise Refusal(f"{d.name} is given by its own forward, which is what normlab runs on NumPy")

    def forward() -> np.ndarray:
        result: np.ndarray = written(np, case, x, params)
        return result

    def both() -> tuple[np.ndarray, np.ndarray]:
        return forward(), _gradients(case, x, dy, params)[0]

    def outcome() -> Outcome:
        return Outcome(*both()) if case.both else Outcome(forward(), None)

    return Ready(both if case.both else forward, outcome)


def _gradients(
    case: Case, x: np.ndarray, dy: np.ndarray, params: dict[str, np.ndarray]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The gradients of x and of the parameters."""
    d, plan = case.definition, case.plan
    assert plan is not None
    s, g = x.reshape(plan.split), dy.reshape(plan.split)
    if d.centre:
        s = s - s.mean(axis=plan.pooled, keepdims=True)
    total = np.mean if d.spread in ("std", "rms") else np.sum
    square = total(s * s, axis=plan.pooled, keepdims=True)
    below = np.sqrt(square + (d.eps or 0.0)) if d.eps_rule == "inside" else np.maximum(np.sqrt(square), d.eps or 0.0)
    z = s / below
    shape = plan.align(plan.pattern.whole(d.params[0].axes))[1] if d.params else ()
    others = tuple(a for a, size in enumerate(shape) if size == 1)
    learnt = [] if not d.params else [(g * z).sum(axis=others), g.sum(axis=others)]
    scale = params.get(d.affine[0] or "")
    g = g if scale is None else g * scale.reshape(shape)
    dx = g - z * total(g * z, axis=plan.pooled, keepdims=True)
    if d.centre:
        dx = dx - g.mean(axis=plan.pooled, keepdims=True)
    return (dx / below).reshape(case.shape), learnt
