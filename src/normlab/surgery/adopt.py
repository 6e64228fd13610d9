"""`adopt`: the normalizations of a model as normlab's layers, of the same function, with the same parameters."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch

from ..errors import UsageError
from .measuring import Moved
from .operated import Change, Operated, Refusal
from .recognizing import Refused, ours_for, seems_to_normalize, share

__all__ = ["adopt"]


def adopt(
    model: torch.nn.Module, batch: Any = None, *, forward: Callable[[Any, Any], Any] | None = None, copy: bool = False
) -> Operated:
    """Put normlab's layer in the place of every normalization that a definition's `known_as` names.

    Parameters and buffers are shared, the same objects, so optimizers, references and checkpoints go on as before;
    modules that stand in several places do so afterwards. What is more than its class says is refused, with the reason:
    hooks, an own forward, a parametrization, a class that no definition names.

    Args:
        model: changed in place, all or nothing.
        batch: with one, the report says how far the output moved: a tensor; a tuple is positional, a dict keywords.
        forward: `forward(model, batch)` for any other call.
        copy: leave the model as it is and change a deep copy.
    Returns: the report, whose `model` is the changed one; `str()` of it is a table, `undo()` the way back.
    Raises: UsageError.
    Example:
        >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
        >>> print(adopt(net))
        1 changed, 0 refused
          1  LayerNorm  -> LayerNorm(4, over='features', layout='... c', eps=1e-05)
    """
    if not isinstance(model, torch.nn.Module):
        raise UsageError(f"adopt: model must be a torch.nn.Module, got {type(model).__name__}.")
    model = deepcopy(model) if copy else model
    found, refused = _planned(model)
    measured = None if batch is None else Moved(model, batch, forward)
    places = [(path, module) for path, module in model.named_modules(remove_duplicate=False) if module in found]
    holder = _Holder(model)
    for path, module in places:
        holder.put(path, found[module])
    back = _back(holder, places, found)
    try:
        moved, noise = (None, None) if measured is None else measured.by(holder.model)
    except BaseException:
        back()
        raise
    changed = tuple(Change(path, type(module).__name__, str(found[module])) for path, module in places)
    return Operated(holder.model, changed, refused, moved, noise, back)


def _planned(model: torch.nn.Module) -> tuple[dict[torch.nn.Module, torch.nn.Module], tuple[Refusal, ...]]:
    """For every module that can be adopted our layer, and the others with their reasons."""
    found: dict[torch.nn.Module, torch.nn.Module] = {}
    refused = []
    for path, module in model.named_modules():
        if seems_to_normalize(module) and "parametrizations" not in path.split("."):  # those are of weights
            try:
                found[module] = ours_for(module)
            except Refused as reason:
                refused.append(Refusal(path, str(reason)))
    return found, tuple(refused)


class _Holder:
    """A model whose parts are replaced by path; the path "" is the model itself."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model

    def put(self, path: str, module: torch.nn.Module) -> None:
        if not path:
            self.model = module
            return
        parent, _, name = path.rpartition(".")
        self.model.get_submodule(parent)._modules[name] = module


def _back(holder: _Holder, places: Any, found: dict[torch.nn.Module, torch.nn.Module]) -> Callable[[], Any]:
    def back() -> torch.nn.Module:
        for path, module in places:
            share(found[module], module)  # they may have moved, to another device or type
            holder.put(path, module)
        return holder.model

    return back
