"""Weights that are computed anew at each call, by weight or spectral normalization, as plain parameters.

Three makers: torch.nn.utils.parametrizations, its older form with hooks, and normlab's parametrizations. Any other
parametrization is left alone: it may do something else at each call.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from ..torch.parametrize import Parametrization
from .linear_layers import class_of
from .operated import Change
from .recognizing import Refused

__all__ = ["bake", "computed", "foreign_hooks", "forget_derived"]

RUNNING_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
KNOWN = (parametrizations._WeightNorm, parametrizations._SpectralNorm)
OLD = (WeightNorm, SpectralNorm)
SERVANTS = {"SpectralNormStateDictHook", "SpectralNormLoadStateDictPreHook", "_weight_norm_compat_hook", "_EarlierKeys"}


def foreign_hooks(module: nn.Module) -> list[str]:
    """The kinds of hooks that run with a module, other than those of the older form."""
    return [n.strip("_") for n in RUNNING_HOOKS if any(not isinstance(h, OLD) for h in getattr(module, n).values())]


def _old(module: nn.Module) -> list[Any]:
    return [hook for hook in module._forward_pre_hooks.values() if isinstance(hook, OLD)]


def computed(module: nn.Module) -> dict[str, Tensor]:
    """The weights that a module computes by these, in float64; empty where it computes none. Raises Refused."""
    found = {hook.name: _by_hook(module, hook) for hook in _old(module)}
    if parametrize.is_parametrized(module):
        for name, chain in module.parametrizations.items():  # type: ignore[operator, union-attr]
            strange = [type(p).__name__ for p in chain if not _known(p)]
            if strange:
                raise Refused(f"its {name} is parametrized by {', '.join(strange)}, which may change from call to call")
            with torch.no_grad():
                found[name] = deepcopy(chain).to(torch.float64).eval()()
    if any(value.is_meta for value in found.values()):
        raise Refused("its weight has no values (it is on the meta device)")
    return found


def _known(made: nn.Module) -> bool:
    role = made.definition.role if isinstance(made, Parametrization) else None
    return isinstance(made, KNOWN) or role == "weight"


def _by_hook(module: Any, hook: Any) -> Tensor:
    name = hook.name
    if isinstance(hook, WeightNorm):
        v, g = (getattr(module, f"{name}_{n}").detach().double() for n in ("v", "g"))
        return torch._weight_norm(v, g, hook.dim)
    weight = getattr(module, f"{name}_orig").detach().double()
    u, v = (getattr(module, f"{name}_{n}").double() for n in ("u", "v"))
    return weight / torch.dot(u, torch.mv(hook.reshape_weight_to_matrix(weight), v))


def bake(module: nn.Module, path: str, made: dict[str, Tensor]) -> tuple[Change, Callable[[], None]]:
    """Put the weights, rounded, in the place of what computed them; what is returned puts that back."""
    back = _remembered(module)
    before = f"{class_of(module).__name__} with {', '.join(sorted(_makers(module)))}"
    like = next(p for p in module.parameters() if p.is_floating_point())
    new = {n: nn.Parameter(a.to(like.device, like.dtype), requires_grad=like.requires_grad) for n, a in made.items()}
    gone = {f"{hook.name}_{n}" for hook in _old(module) for n in ("g", "v", "orig", "u")}
    own = vars(module)
    module.__class__ = class_of(module)
    for name in ("_parameters", "_buffers", "_modules"):
        own[name] = {n: a for n, a in own[name].items() if n not in {*gone, "parametrizations"}}
    for name in ("_forward_pre_hooks", "_state_dict_hooks", "_load_state_dict_pre_hooks"):
        own[name] = OrderedDict((k, h) for k, h in own[name].items() if not _serves_them(h))
    for name in made:
        own.pop(name, None)  # the older form keeps what it computed as an attribute
    own["_parameters"] = {**new, **own["_parameters"]}
    return Change(path, before, f"{type(module).__name__} with its weight baked"), back


def _makers(module: Any) -> set[str]:
    chains = module.parametrizations.values() if parametrize.is_parametrized(module) else ()
    made = [p.definition.name if isinstance(p, Parametrization) else type(p).__name__ for c in chains for p in c]
    return {*made, *(type(h).__name__ for h in _old(module))}


def _serves_them(hook: Any) -> bool:
    """Whether a hook computes such a weight, or reads and writes its keys in checkpoints."""
    served = getattr(hook, "hook", hook)  # torch wraps those for loading
    return isinstance(served, OLD) or {type(served).__name__, getattr(served, "__name__", "")} & SERVANTS != set()


def _remembered(module: nn.Module) -> Callable[[], None]:
    kind, kept = type(module), dict(vars(module))

    def back() -> None:
        now, training = next(module.parameters()), module.training
        module.__class__ = kind
        vars(module).clear()
        vars(module).update(kept)
        module.to(now.device, now.dtype)
        module.train(training)

    return back


def forget_derived(model: nn.Module) -> None:
    """The older form keeps a weight with its history of operations, which cannot be copied; each call makes it anew."""
    for module in model.modules():
        for hook in _old(module):
            setattr(module, hook.name, getattr(module, hook.name).detach())
