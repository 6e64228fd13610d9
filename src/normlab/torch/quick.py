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
    if layer.training and layer.blueprint.states and not _moves_simply(layer, decided):
        return
    if len(layer._decided) >= MOST:
        layer._decided.clear()
    layer._decided[x.shape, x.stride(), x.dtype, layer.training] = decided


def _moves_simply(layer: Any, decided: Decided) -> bool:
    """Whether running statistics need no more than `eager.move`."""
    simple = decided.whole and layer.options["momentum"] is not None
    return simple and all(getattr(layer, n).dtype is decided.wide for n in RUNNING)


def again(layer: Any, x: Any) -> Tensor | None:
    """The output; None where no call like this one is remembered."""
    if not isinstance(x, Tensor):
        return None
    decided = layer._decided.get((x.shape, x.stride(), x.dtype, layer.training))
    if decided is None or not sees_memory(x) or x.data_ptr() % x.element_size() or not kernels.available():
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
        made = eager.run(decided, x, weight, bias, (mean.reshape(decided.running), var.reshape(decided.running)))
        return None if made is None else made[0]
    if not _moves_simply(layer, decided):
        return None
    made = eager.run(decided, x, weight, bias)
    if made is not None and not recomputing():
        options = layer.options
        eager.move(decided, made[1], mean, var, options["momentum"], options["running_var_biased"])
        layer._buffers[COUNT].add_(1)
    return None if made is None else made[0]
