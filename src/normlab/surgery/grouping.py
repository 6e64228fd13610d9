"""`param_groups`: what weight decay acts on, decided by what a parameter is, not by what it is called.

Decay pulls a gain to 0, at which a normalization gives nothing. Name patterns miss the norms that are called something
else, and lists of classes miss custom ones; here a vector is never decayed, and a normalization's own arrays never are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from .. import torch as face
from ..errors import UsageError
from .recognizing import NORMS, method_of, seems_to_normalize
from .running import start

__all__ = ["ParamGroups", "param_groups"]

GAIN = "original0"  # where a parametrized weight that is learnt apart from its gain keeps the gain


class ParamGroups(list[dict[str, Any]]):
    """What an optimizer takes; `str()` of it is the table of what is in which group, and why."""

    def __init__(self, decay: float, reasons: dict[str, str], named: dict[str, torch.nn.Parameter]) -> None:
        self.decay, self.reasons = decay, reasons
        parts = [(decay, [n for n, why in reasons.items() if why == DECAYS])]
        parts.append((0.0, [n for n, why in reasons.items() if why not in (DECAYS, FROZEN)]))
        super().__init__(
            {"params": [named[n] for n in names], "weight_decay": by, "names": names} for by, names in parts if names
        )

    def __str__(self) -> str:
        width = max(map(len, self.reasons), default=0)
        lines = [f"weight decay {self.decay:g}: {sum(w == DECAYS for w in self.reasons.values())} parameters"]
        lines += [f"  {name}" for name, why in self.reasons.items() if why == DECAYS]
        others = [(n, w) for n, w in self.reasons.items() if w not in (DECAYS, FROZEN)]
        lines += [f"no weight decay: {len(others)} parameters", *(f"  {n:{width}}  {w}" for n, w in others)]
        frozen = [n for n, w in self.reasons.items() if w == FROZEN]
        if frozen:
            lines += [f"in no group: {len(frozen)} parameters", *(f"  {n:{width}}  {FROZEN}" for n in frozen)]
        return "\n".join(lines)


DECAYS = "decays"
FROZEN = "frozen (requires_grad=False)"


def param_groups(model: Any, weight_decay: float) -> ParamGroups:
    """The parameters of a model for an optimizer: those that decay, and those that do not.

    Not decayed are the parameters of normalizations (of any shape), gains of weight normalization, everything with
    fewer than two axes (gains of norms that nobody recognizes, scales, biases), other biases, and what the model itself
    names: `no_weight_decay()`, as timm's models have it, or an attribute `_no_weight_decay` of a parameter, as
    state space models have it. Embeddings do decay. Frozen parameters are in no group.

    Whether a gain should decay is not settled by evidence; keeping it out is what most recipes mean to do.

    Args:
        model: any module; it is not changed. Call this after surgery, and after freezing.
        weight_decay: of the group that decays, at least 0.
    Returns: a list of at most two groups, {"params", "weight_decay", "names"}, for any optimizer of torch; `str()` of
        it says why each parameter is where it is. A shared parameter occurs once.
    Raises: UsageError.
    Example:
        >>> groups = param_groups(torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4)), 0.05)
        >>> [(group["weight_decay"], group["names"]) for group in groups]
        [(0.05, ['0.weight']), (0.0, ['0.bias', '1.weight', '1.bias'])]
        >>> optimizer = torch.optim.AdamW(groups, lr=1e-3)
    """
    model = start("param_groups", model, False)
    number = isinstance(weight_decay, int | float) and not isinstance(weight_decay, bool)
    if not number or not 0 <= weight_decay < math.inf:
        raise UsageError(f"param_groups: weight_decay must be a number of at least 0, got {weight_decay!r}.")
    named = dict(model.named_parameters())
    lazy = [n for n, p in named.items() if is_lazy(p)]
    if lazy:
        raise UsageError(f"param_groups: {lazy[0]} has no shape yet.", hint="Call the model once before.")
    said = {id(p): why for p, why in _reasons(model)}
    reasons = {n: FROZEN if not p.requires_grad else said.get(id(p)) or _by_shape(n, p) for n, p in named.items()}
    groups = ParamGroups(float(weight_decay), reasons, named)
    if not groups:
        raise UsageError(
            f"param_groups: {type(model).__name__} has no parameter that learns.",
            hint="An optimizer has nothing to do." if not named else "All are frozen (requires_grad=False).",
        )
    return groups


def _by_shape(name: str, parameter: torch.nn.Parameter) -> str:
    if parameter.ndim < 2:
        return "a vector" if parameter.ndim else "a number"
    return "a bias" if name.rpartition(".")[2].endswith("bias") else DECAYS


def _reasons(model: torch.nn.Module) -> Iterator[tuple[torch.nn.Parameter, str]]:
    """What is known of parameters beyond their shape. The last word on one counts."""
    skip = set(_spared(model))
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if name in skip or getattr(parameter, "_no_weight_decay", False):
            yield parameter, "the model says so"
    for path, module in model.named_modules():
        parametrized = "parametrizations" in path.split(".")
        for name, parameter in module.named_parameters(recurse=False):
            if (name == GAIN and parametrized) or name in _old_gains(module):
                yield parameter, "the gain of a weight"
            elif not parametrized and _is_of_a_norm(module, parameter):
                yield parameter, f"of {type(module).__name__}"


def _spared(model: torch.nn.Module) -> Iterator[str]:
    """What modules themselves name, also one that is compiled, wrapped, or part of another model."""
    for path, module in model.named_modules():
        if callable(getattr(type(module), "no_weight_decay", None)):
            yield from (f"{path}.{name}".lstrip(".") for name in module.no_weight_decay())


def _old_gains(module: torch.nn.Module) -> set[str]:
    """Of torch.nn.utils.weight_norm, which is a hook."""
    hooks = [h for h in module._forward_pre_hooks.values() if type(h).__name__ == "WeightNorm"]
    return {f"{h.name}_g" for h in hooks}  # type: ignore[attr-defined]


def _is_of_a_norm(module: torch.nn.Module, parameter: torch.nn.Parameter) -> bool:
    """By its class, whatever the parameter; by its name only what looks like a gain: as long as its longest axis."""
    if method_of(module) is not None:
        return not isinstance(module, face.Layer) or module.definition.role in NORMS
    return seems_to_normalize(module) and parameter.numel() == max(parameter.shape, default=1)
