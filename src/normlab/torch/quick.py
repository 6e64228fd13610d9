"""A layer's call like one before: checking anew costs more than a small call itself, so what was decided is remembered.

Remembered are calls that kernels did. What can have changed since is looked at again: where x lies, the parameters,
and who looks on.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .. import kernels
from ..calling import RUNNING
from . import eager
from .deciding import Decided, fits, is_plain, sees_memory
from .moving import recomputing

__all__ = ["COUNT", "again", "remember"]

COUNT = "num_batches_tracked"
MOST = 64  # shapes that a layer remembers


def remember(layer: Any, x: Tensor, decided: Decided) -> None:
    """Keep how a call was done, if `again` can do it."""
    if layer.training and layer.blueprint.states and not decided.whole:
        return
    if len(layer._decided) >= MOST:
        layer._decided.clear()
    layer._decided[x.shape, x.stride(), x.dtype, layer.training] = decided


def again(layer: Any, x: Any) -> Tensor | None:
    """The output; None where no call like this one is remembered."""
    if not isinstance(x, Tensor):
        return None
    decided = layer._decided.get((x.shape, x.stride(), x.dtype, layer.training))
    if decided is None or not sees_memory(x) or x.data_ptr() % x.itemsize or not kernels.available():
        return None
    first, second = layer.definition.affine
    weight, bias = layer._parameters.get(first), layer._parameters.get(second)
    if not fits(decided, weight, bias):
        return None
    if not layer.blueprint.states:
        made = eager.run(decided, x, weight, bias)
        return None if made is None else made[0]
    mean, var = layer._buffers.get(RUNNING[0]), layer._buffers.get(RUNNING[1])
    if mean is None or var is None or not is_plain(mean) or not is_plain(var):
        return None
    if not layer.training:
        if not decided.whole:
            mean, var = mean.reshape(decided.running), var.reshape(decided.running)
        made = eager.run(decided, x, weight, bias, (mean, var))
        return None if made is None else made[0]
    options = layer.blueprint.options
    momentum = options["momentum"]
    if momentum is None or not all(a.dtype is decided.wide and a.is_contiguous() for a in (mean, var)):
        return None
    made = eager.run(decided, x, weight, bias)
    if made is not None and not recomputing():
        eager.move(decided, made[1], mean, var, momentum, options["running_var_biased"])
        layer._buffers[COUNT].add_(1)
    return None if made is None else made[0]
