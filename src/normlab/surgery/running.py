"""Which modules keep running statistics, and so do in evaluation what they do not do in training."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import torch
from torch.nn.modules.batchnorm import SyncBatchNorm, _BatchNorm
from torch.nn.parameter import is_lazy

from .. import torch as face
from ..calling import RUNNING
from ..errors import UsageError
from ..torch.distributed import shares_batches
from .operated import Refusal

__all__ = [
    "LAZY", "NOTHING", "ModuleCall", "Stays", "frozen_by_class", "has_no_shape", "is_frozen", "keepers",
    "of_batch_alone", "paths_of", "shared_by_class", "start",
]  # fmt: skip

NOTHING = "nothing in it keeps running statistics"
LAZY = "it is lazy and has no shape yet; call the model once before"
OF_BATCH_ALONE = "it keeps no running statistics, so that it normalizes by the batch in evaluation as well"


def start(who: str, model: Any, copy: bool) -> Any:
    """The model to be changed. Raises UsageError."""
    if not isinstance(model, torch.nn.Module):
        raise UsageError(f"{who}: model must be a torch.nn.Module, got {type(model).__name__}.")
    return deepcopy(model) if copy else model


def keepers(model: torch.nn.Module) -> tuple[dict[torch.nn.Module, str], list[Refusal]]:
    """Every module that keeps running statistics, with the first of its paths; and which cannot, with the reason."""
    found: dict[torch.nn.Module, str] = {}
    refused: list[Refusal] = []
    for path, module in model.named_modules():
        reason = _beyond_reach(module) if _keeps(module) else None
        if reason is not None:
            refused.append(Refusal(path, reason))
        elif _keeps(module):
            found[module] = path
        elif of_batch_alone(module):
            refused.append(Refusal(path, OF_BATCH_ALONE))
    return found, refused if found or refused else [Refusal("", NOTHING)]


def _keeps(module: torch.nn.Module) -> bool:
    if isinstance(module, face.Layer):
        return bool(module.blueprint.states)
    return any(name in RUNNING and buffer is not None for name, buffer in module._buffers.items())


def _beyond_reach(module: torch.nn.Module) -> str | None:
    """Why nothing can be done to running statistics that are there."""
    if has_no_shape(module):
        return LAZY
    if isinstance(module, torch.jit.ScriptModule):
        return "it is TorchScript; do this before torch.jit.script"
    exported = getattr(sys.modules.get("torch.export.unflatten"), "InterpreterModule", torch.fx.GraphModule)
    if type(module).forward is torch.nn.Module.forward or isinstance(module, exported):
        return "it only holds arrays, for a graph that does not ask for its mode; do this before torch.export"
    return None


def has_no_shape(module: torch.nn.Module) -> bool:
    """Whether a lazy module has not been called yet."""
    return any(a is not None and is_lazy(a) for a in (*module._parameters.values(), *module._buffers.values()))


def of_batch_alone(module: torch.nn.Module) -> bool:
    """Whether a module pools the batch in evaluation too, because it keeps no running statistics."""
    if isinstance(module, face.Layer):
        return shares_batches(module.definition) and not module.blueprint.states
    return isinstance(module, _BatchNorm) and not _keeps(module)


def shared_by_class(module: torch.nn.Module) -> bool:
    """Whether a module's sets go on in other processes, so that how large they are is not seen here."""
    if isinstance(module, face.Layer):
        return module.together is not None and module.together.group is not None
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    return isinstance(module, SyncBatchNorm) and distributed


def frozen_by_class(module: torch.nn.Module) -> bool:
    """Whether a class has running statistics that nothing moves, as torchvision's FrozenBatchNorm2d."""
    return not isinstance(module, face.Layer) and not hasattr(module, "momentum") and not module._parameters


class ModuleCall:
    """In the place of one method of one module. It is copied and pickled along with its module."""

    name: str

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module

    def put(self) -> ModuleCall:
        """Stand in the module's own attributes, where calls of the method find it before the class's."""
        self.module.__dict__[self.name] = self
        return self

    def take_away(self) -> None:
        """Let the class's method be found again, unless another stands in its place by now."""
        if self.module.__dict__.get(self.name) is self:
            del self.module.__dict__[self.name]

    @property
    def own(self) -> Callable[..., Any]:
        """The class's method."""
        return getattr(type(self.module), self.name).__get__(self.module)


class Stays(ModuleCall):
    """In the place of `train`: the module stays in evaluation, whatever mode the model is put into."""

    name = "train"

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__(module)
        self.wanted = module.training

    def put(self) -> Stays:
        super().put()
        self.module.training = False
        return self

    def __call__(self, mode: bool = True) -> torch.nn.Module:
        self.own(mode)  # for what it holds: a fused activation, a dropout
        self.wanted, self.module.training = mode, False
        return self.module

    def take_away(self) -> None:
        super().take_away()
        self.module.training = self.wanted


def is_frozen(module: torch.nn.Module) -> bool:
    """Whether `freeze` holds its running statistics."""
    return isinstance(module.__dict__.get("train"), Stays)


def paths_of(model: torch.nn.Module, modules: Any) -> Iterator[tuple[str, torch.nn.Module]]:
    """Every path at which one of `modules` stands."""
    return ((p, m) for p, m in model.named_modules(remove_duplicate=False) if m in modules)
