"""A call inside torch.onnx.export: by torch's operation for the same pools, which ONNX has an operator for.

Traced as it stands, the formula becomes 40 nodes, right to the last digit and five to twenty times slower than the one
node that runtimes have a kernel for. What has none (other spreads, an eps of 0, masks) is left to the formula.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..calling import Rule

__all__ = ["by_operator", "is_exporting"]


def is_exporting() -> bool:
    """Whether this is traced for ONNX."""
    return torch.compiler.is_exporting() and torch.onnx.is_in_onnx_export()


def by_operator(
    x: Tensor, plan: Any, rule: Rule, weight: Tensor | None, bias: Tensor | None, running: tuple[Tensor, Tensor] | None
) -> Tensor | None:
    """The result of a call whose arrays broadcast over the plan's split axes; None where no operator does it."""
    centred, scaled = rule.centre and rule.spread == "std", not rule.centre and rule.spread == "rms"
    if rule.eps == 0 or rule.eps_rule != "inside" or not (centred or scaled):
        return None
    affine = {"weight": weight, "bias": bias}
    given = {n: a.to(x.dtype) for n, a in affine.items() if a is not None}
    kept, more = tuple(plan.kept), len(plan.split) - x.ndim
    # Channels along the second axis, which may be split in two.
    channels = set(range(1, 2 + more))
    plain: dict[str, Any] = {n: a.flatten() for n, a in given.items()}
    by_channel = centred and all(_lies_along(a, channels, plan.split) for a in given.values())
    if running is not None:
        if more or not by_channel or not all(_lies_along(a, channels, x.shape) for a in running):
            return None
        mean, var = (a.flatten().to(x.dtype) for a in running)
        return functional.batch_norm(x, mean, var, **plain, training=False, eps=rule.eps)
    if by_channel and kept == (0, 1) and not more and x.ndim > 2:
        return functional.instance_norm(x, **plain, use_input_stats=True, eps=rule.eps)
    if by_channel and kept == (0, 1) and more == 1:
        return functional.group_norm(x, plan.split[1], **plain, eps=rule.eps)
    return None if more else _by_last_axes(x, plan, rule, given)


def _lies_along(a: Tensor, axes: set[int], shape: Any) -> bool:
    """Whether an array has its elements along these axes, and all of theirs."""
    return all(size == (shape[k] if k in axes else 1) for k, size in enumerate(a.shape))


def _by_last_axes(x: Tensor, plan: Any, rule: Rule, given: dict[str, Tensor]) -> Tensor:
    """What is pooled moved to the end, where layer and RMS normalization want it, and back."""
    order = (*plan.kept, *plan.pooled)
    back = tuple(sorted(range(x.ndim), key=order.__getitem__))
    sizes = [x.shape[a] for a in plan.pooled]
    inside = {n: a.reshape(sizes) for n, a in given.items() if _lies_along(a, set(plan.pooled), x.shape)}
    if not rule.centre or ("weight" in given and "weight" not in inside):
        inside.pop("bias", None)  # the operator cannot add it, or would before the weight
    normalize = functional.layer_norm if rule.centre else functional.rms_norm
    y = normalize(x.permute(order), sizes, **inside, eps=rule.eps).permute(back)
    y = y * given["weight"] if "weight" in given.keys() - inside.keys() else y
    return y + given["bias"] if "bias" in given.keys() - inside.keys() else y
