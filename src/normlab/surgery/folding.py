"""`fold`: normalizations that are linear in evaluation become part of the linear layers beside them."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ..errors import NormlabError, UsageError
from .adopt import _Holder
from .baking import bake, computed, forget_derived
from .drafts import Drafts, Shared, written
from .flow import Flow, evaluating, normalizes
from .fold_planning import Absorbed, Fold, planned
from .measuring import Moved
from .operated import Change, Operated, Refusal
from .recognizing import Refused
from .recorded_flow import recorded
from .symbolic_flow import Untraceable, symbolic

__all__ = ["Folded", "fold"]

MOST_MOVED = 1000
"""Times float noise. Folding rounds weights once, as the noise does; another function moves by far more."""
Back = Callable[[], Any]


@dataclass(frozen=True)
class Folded(Operated):
    """The report of a folding."""

    def __str__(self) -> str:
        gone = any(c.after.startswith(IN) for c in self.changed)
        return super().__str__() + (f"\n{TRAINING}" if gone else "")


IN = "part of "
TRAINING = "the same in evaluation; in training a folded normalization is gone, and with it its batch statistics"


def fold(
    model: nn.Module, batch: Any = None, *, forward: Callable[[Any, Any], Any] | None = None, copy: bool = False
) -> Folded:
    """Put into linear layers what normalizations do to each channel in evaluation, and bake computed weights.

    With running statistics, normalization is y = factor * x + shift in evaluation, factor = weight / sqrt(var + eps),
    shift = bias - factor * mean: it goes into the linear layer (dense, convolution, transposed convolution) before it
    or, where that is exact at the borders too, those after it, and leaves its place. Any other normalization that ends
    with a weight and bias for each channel (layer, RMS, group) gives these to the layers after it, if all of them are
    linear, and stays, with weight 1 and bias 0. Weight and spectral normalization become plain weights.

    That a layer is fed by one layer alone, and that nothing else takes what that one gives, is proven by tracing: with
    torch.fx for the model as it is called with its required arguments and, where a batch is given, by following the
    batch. What is not proven is refused with the reason, as are shared parameters and hooks.

    Args:
        model: changed in place, all or nothing; parameters are replaced by new ones, so make optimizers afterwards.
        batch: what the model is traced and measured with: a tensor; a tuple is positional, a dict keywords. Needed
            where torch.fx cannot trace the model, as most language models.
        forward: `forward(model, batch)` for any other call.
        copy: leave the model as it is and change a deep copy.
    Returns: the report; `moved` and `noise` are measured in evaluation; `undo()` puts back the very same parameters.
    Raises: UsageError; NormlabError where the output moved by more than rounding explains (the model is as it was).
    Numerics: new weights are computed in float64 and rounded once, to the type of the old ones; their order of memory
        (channels_last) is kept. Modes are kept too: in training, a model without its batch normalization is another.
    Example:
        >>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU())
        >>> print(fold(net))
        1 changed, 0 refused
          1  BatchNorm2d  -> part of 0 (Conv2d)
        the same in evaluation; in training a folded normalization is gone, and with it its batch statistics
    """
    whole = _checked(model, copy)
    model = getattr(whole, "_orig_mod", whole)  # what torch.compile wraps
    flows, blind = _traces(model, batch, forward)
    baked, refused = _baked(model)
    drafts = Drafts(Shared(model), baked)
    folds, more = planned(model, flows, drafts) if flows else ([], _all_refused(model, blind))
    with evaluating(model):
        measured = None if batch is None else Moved(model, batch, forward)
    done = _Done(model)
    try:
        done.all(folds, drafts, baked)
        with evaluating(model):
            moved, noise = (None, None) if measured is None else measured.by(model)
        _check_moved(model, moved, noise)
    except BaseException:
        done.back()
        raise
    return Folded(whole, tuple(done.changed), (*refused, *more), moved, noise, lambda: done.back(whole))


def _checked(model: Any, copy: bool) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise UsageError(f"fold: model must be a torch.nn.Module, got {type(model).__name__}.")
    if isinstance(model, torch.jit.ScriptModule):
        raise UsageError("fold: a scripted model cannot be changed. Fold the model before torch.jit takes it.")
    if any(is_lazy(p) for p in model.parameters()):
        raise UsageError("fold: the model has parameters without a shape yet. Call it once before.")
    if copy:
        forget_derived(model)
    return deepcopy(model) if copy else model


def _traces(model: nn.Module, batch: Any, forward: Any) -> tuple[list[Flow], str]:
    """All traces that there are, each of which must allow a fold; and why there is none."""
    flows, why = ([] if batch is None else [recorded(model, batch, forward)]), ""
    try:
        flows.append(symbolic(model))
    except Untraceable as error:
        why = f"torch.fx cannot trace the model ({error}); give a batch"
    return flows, why


def _baked(model: nn.Module) -> tuple[dict[nn.Module, dict[str, torch.Tensor]], list[Refusal]]:
    """The modules that compute their weights, with these."""
    found, refused, shared = {}, [], Shared(model)
    for path, module in model.named_modules():
        try:
            weights = computed(module)
            if weights:
                shared.check(module)
                found[module] = weights
        except Refused as reason:
            refused.append(Refusal(path, str(reason)))
    return found, refused


def _all_refused(model: nn.Module, why: str) -> list[Refusal]:
    paths = [(path, m) for path, m in model.named_modules() if "parametrizations" not in path.split(".")]
    return [Refusal(path, why) for path, module in paths if normalizes(module)]


def _check_moved(model: nn.Module, moved: float | None, noise: float | None) -> None:
    if moved is None or noise is None:
        return
    eps = max((torch.finfo(p.dtype).eps for p in model.parameters() if p.is_floating_point()), default=0.0)
    if moved > MOST_MOVED * max(noise, eps):
        raise NormlabError(
            f"fold: the output moved by {moved:.1e} of its largest value, where rounding alone moves it by "
            f"{noise:.1e}. The model is as it was.",
            hint="It computes something else in this call than when it was traced.",
        )


class _Done:
    """What was changed, with the way back."""

    def __init__(self, model: nn.Module) -> None:
        self.holder, self.changed = _Holder(model), list[Change]()
        self.ways: list[Back] = []
        self.names = {m: path for path, m in model.named_modules()}

    def back(self, whole: Any = None) -> Any:
        while self.ways:
            self.ways.pop()()
        return whole

    def all(self, folds: list[Fold], drafts: Drafts, baked: dict[nn.Module, Any]) -> None:
        for module, weights in baked.items():
            change, back = bake(module, self.names[module], weights)
            self.changed.append(change)
            self.ways.append(back)
        self.ways.append(written(drafts.made()))
        for one in folds:
            (self.end if one.affine.rest is None else self.whole)(one)

    def whole(self, one: Fold) -> None:
        """The normalization leaves its place, to what remains of it."""
        assert one.affine.rest is not None
        rest, name = one.affine.rest, type(one.norm).__name__
        if one.rank is not None:
            guard = Absorbed(name, one.rank)
            rest = guard if isinstance(rest, nn.Identity) else nn.Sequential(guard, rest)
        rest.training = one.norm.training
        places = [p for p, m in self.holder.model.named_modules(remove_duplicate=False) if m is one.norm]
        for path in places:
            self.holder.put(path, rest)
            self.changed.append(Change(path, name, IN + self.named(one.into)))
        was = one.into[0].get_parameter("weight").dtype
        self.ways.append(lambda: self.put_back(one, places, rest, was))

    def put_back(self, one: Fold, places: list[str], rest: nn.Module, was: torch.dtype) -> None:
        now = one.into[0].get_parameter("weight")
        one.norm.to(now.device, None if now.dtype == was else now.dtype)
        one.norm.training = rest.training
        for path in places:
            self.holder.put(path, one.norm)

    def end(self, one: Fold) -> None:
        """The normalization stays, without the effect of its weight and bias."""
        new = {}
        for name, value in one.affine.neutral.items():
            old = one.norm.get_parameter(name)
            new[name] = nn.Parameter(torch.full_like(old, value), requires_grad=old.requires_grad)
        self.ways.append(written({one.norm: new}))
        learnt = " and ".join(one.affine.neutral)
        after = f"{learnt} in {self.named(one.into)}"
        self.changed.append(Change(self.names[one.norm], type(one.norm).__name__, after))

    def named(self, layers: tuple[nn.Module, ...]) -> str:
        return ", ".join(f"{self.names[m]} ({type(m).__name__})" for m in layers)
