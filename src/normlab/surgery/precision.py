"""`keep_norms_fp32`: normalizations that stay in float32 in a model of half precision, also through later casts.

In bfloat16 a gain of 1 moves in steps of 0.0078 (below 1: 0.0039), so an optimizer with smaller steps never moves it;
in float16 a running variance overflows at 65504.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from .. import torch as face
from .operated import Change, Operated, Refusal
from .recognizing import seems_to_normalize
from .running import LAZY, ModuleCall, has_no_shape, keepers, paths_of, start

__all__ = ["keep_norms_fp32"]


def keep_norms_fp32(model: Any, *, copy: bool = False) -> Operated:
    """Keep parameters and statistics of every normalization in float32, or wider, whatever the model is cast to.

    They compute in float32 on half-precision inputs and give what the next layer expects, the input's own dtype: one
    rounding, at the end. Parameters stay the same objects, but do it before an optimizer's first step, or its state has
    the old dtype. State dicts keep their keys; copies and pickles of the model behave the same.

    Args:
        model: changed in place, before or after it is cast. Digits that a cast has already taken do not come back.
        copy: leave the model as it is and change a deep copy.
    Returns: the report; `undo()` lets the next cast reach them again, and casts back those that were cast here.
    Raises: UsageError.
    Numerics: not for torch.nn.DataParallel over several devices, whose copies would use the original's parameters.
    Example:
        >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
        >>> print(keep_norms_fp32(net))
        1 changed, 0 refused
          1  LayerNorm  -> kept in float32
        >>> net = net.bfloat16()
        >>> net[1].weight.dtype, net(torch.ones(2, 3, dtype=torch.bfloat16)).dtype
        (torch.float32, torch.bfloat16)
    """
    model = start("keep_norms_fp32", model, copy)
    refused: list[Refusal] = []
    kept: dict[torch.nn.Module, list[tuple[Tensor, torch.dtype]]] = {}
    for path, module in _normalizations(model):
        reason = _why_not(path, module)
        if reason is None:
            kept[module] = [(a, a.dtype) for a in _own(module) if _is_half(a)]
        else:
            refused.append(Refusal(path, reason))
    if not kept and not refused:
        refused.append(Refusal("", "no normalization was found in it"))
    narrow = [one for some in kept.values() for one in some]
    _set_dtype([(a, torch.float32) for a, _ in narrow])
    ways = [one.put() for m in kept for one in (_Casts(m), *([] if isinstance(m, face.Layer) else [_Computes(m)]))]

    def back() -> Any:
        while ways:
            ways.pop().take_away()
        _set_dtype(narrow)
        narrow.clear()
        return model

    changed = tuple(Change(path, type(m).__name__, _said(kept[m])) for path, m in paths_of(model, kept))
    return Operated(model, changed, tuple(refused), back=back)


def _normalizations(model: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module]]:
    running, _ = keepers(model)
    for path, module in model.named_modules():
        if module in running or isinstance(module, face.Layer) or seems_to_normalize(module):
            yield path, module


def _said(narrow: list[tuple[Tensor, torch.dtype]]) -> str:
    return f"kept in float32, from {narrow[0][1]}" if narrow else "kept in float32"


def _why_not(path: str, module: torch.nn.Module) -> str | None:
    if "parametrizations" in path.split("."):
        return "it is of a weight, not of what a layer gives"
    if isinstance(module.__dict__.get("_apply"), _Casts):
        return "it is kept in float32 already"
    if "forward" in module.__dict__ or isinstance(module, torch.jit.ScriptModule):
        return "its forward was replaced"
    if has_no_shape(module):
        return LAZY
    if any(m is not module and (m._parameters or m._buffers) for m in module.modules()):
        return "it holds other layers with arrays of their own"
    return None


def _own(module: torch.nn.Module) -> list[Tensor]:
    return [a for a in (*module._parameters.values(), *module._buffers.values()) if a is not None]


def _is_half(a: Tensor) -> bool:
    return a.is_floating_point() and a.element_size() < 4


def _set_dtype(wanted: list[tuple[Tensor, torch.dtype]]) -> None:
    """As `module.to` does it: the same objects, with other contents, so that optimizers go on."""
    for a, dtype in wanted:
        a.data = a.data.to(dtype)
        if a.grad is not None:
            a.grad = a.grad.to(dtype)


class _Casts(ModuleCall):
    """In the place of `_apply`, through which torch moves and casts a module."""

    name = "_apply"

    def __call__(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        def wide(a: Tensor) -> Any:
            new = function(a)
            return a.to(new.device) if _is_half(new) and a.is_floating_point() and not _is_half(a) else new

        return self.own(wide, *args, **kwargs)


class _Computes(ModuleCall):
    """In the place of `forward`: half-precision inputs are widened, and the result has their dtype."""

    name = "forward"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = [a for a in (*args, *kwargs.values()) if isinstance(a, Tensor) and a.is_floating_point()]
        if not given or not _is_half(given[0]):
            return self.own(*args, **kwargs)
        y = self.own(*map(_wide, args), **{n: _wide(a) for n, a in kwargs.items()})
        return _narrow(y, given[0].dtype)


def _wide(a: Any) -> Any:
    return a.float() if isinstance(a, Tensor) and _is_half(a) else a


def _narrow(y: Any, dtype: torch.dtype) -> Any:
    if isinstance(y, tuple):
        return tuple(_narrow(a, dtype) for a in y)
    return y.to(dtype) if isinstance(y, Tensor) and y.is_floating_point() else y
