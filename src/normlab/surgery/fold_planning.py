"""What of a model can be folded: for each normalization the layers that take it over, or the reason why none can."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from ..errors import ShapeError
from .affine_maps import Affine, affine_of
from .drafts import Drafts, Step
from .flow import Flow, agreed, normalizes
from .linear_layers import axis_of, is_linear, keeps_shifts
from .operated import Refusal
from .recognizing import Refused

__all__ = ["Absorbed", "Fold", "planned"]


class Fold(NamedTuple):
    """A normalization, what it is per channel, the layers that take that over, and the rank its input must have."""

    norm: nn.Module
    affine: Affine
    into: tuple[nn.Module, ...]
    rank: int | None


def planned(model: nn.Module, flows: list[Flow], drafts: Drafts) -> tuple[list[Fold], list[Refusal]]:
    """All folds of a model; the drafts have them afterwards."""
    found, refused = [], []
    for path, module in model.named_modules():
        if "parametrizations" in path.split(".") or not normalizes(module):
            continue
        try:
            found.append(_Case(module, flows, drafts).fold())
        except Refused as reason:
            refused.append(Refusal(path, str(reason)))
    return found, refused


class _Case:
    """One normalization."""

    def __init__(self, norm: nn.Module, flows: list[Flow], drafts: Drafts) -> None:
        self.norm, self.flows, self.drafts = norm, flows, drafts
        self.affine = affine_of(norm)
        drafts.shared.check(norm)
        for flow in flows:
            flow.check_unread(norm)

    def fold(self) -> Fold:
        """Into the layer before or, failing that, those after. Raises Refused with both reasons."""
        if self.affine.rest is None:
            return self.forwards()
        try:
            return self.backwards()
        except Refused as before:
            if not isinstance(self.affine.rest, nn.Identity):
                raise Refused(f"{before} (and its activation comes after it)") from None
            try:
                return self.forwards()
            except Refused as after:
                raise Refused(f"before it: {before}; after it: {after}") from None

    def backwards(self) -> Fold:
        layer = agreed(flow.feeder(self.norm) for flow in self.flows)
        step = Step(self.affine.factor, self.affine.shift, True)
        self.check(layer, step)
        rank = self.rank_with(layer)
        self.drafts.add(layer, step)
        return Fold(self.norm, self.affine, (layer,), rank)

    def forwards(self) -> Fold:
        takers = [frozenset(flow.takers(self.norm)) for flow in self.flows]
        if len(set(takers)) > 1:
            raise Refused("two traces of the model disagree")
        into = sorted(takers[0], key=lambda layer: self.flows[0].names[layer])
        step = Step(self.affine.factor, self.affine.shift, False)
        for layer in into:
            self.check(layer, step)
            self.check_taker(layer)
        rank = {self.rank_with(layer) for layer in into}.pop()
        for layer in into:
            self.drafts.add(layer, step)
        return Fold(self.norm, self.affine, tuple(into), rank)

    def check(self, layer: nn.Module, step: Step) -> None:
        name = self.flows[0].name(layer)
        if not is_linear(layer):
            raise Refused(f"{name} {'gives it its input' if step.after else 'takes what it gives'}, and is not linear")
        for flow in self.flows:
            flow.check_unread(layer)
        try:
            self.drafts.check(layer, len(self.affine.factor), step)
        except Refused as reason:
            raise Refused(f"{name}: {reason}") from None

    def check_taker(self, layer: nn.Module) -> None:
        for flow in self.flows:
            flow.only_from(layer, self.norm)
        if self.affine.shift.any() and not keeps_shifts(layer):
            name = self.flows[0].name(layer)
            raise Refused(f"{name} pads with zeros or is transposed: what is added would be missing at the borders")

    def rank_with(self, layer: nn.Module) -> int | None:
        """The one rank with which both have the same axis of channels, None where it is all. Raises Refused."""
        ours, theirs = self.affine.axis, axis_of(layer)
        if ours == theirs == -1:
            return None
        rank = 2 + len(layer.kernel_size) if isinstance(layer, _ConvNd) else 2
        seen = set().union(*(flow.axes(self.norm) for flow in self.flows)) - {None}
        if (ours != theirs and rank != 2) or rank not in self.affine.ranks or seen - {rank}:
            shown = f" (it was given {', '.join(map(str, sorted(seen)))} axes)" if seen else ""  # type: ignore[type-var]
            raise Refused(f"its channels are not on the axis that {self.flows[0].name(layer)} has them on{shown}")
        if self.affine.rest is None and not seen and self.affine.ranks != {rank}:
            raise Refused(f"whether its input has {rank} axes is not known; give a batch")
        return rank if self.affine.ranks != {rank} else None


class Absorbed(nn.Module):
    """Stands where a normalization was that another layer has taken over, and holds the one assumption made there.

    Batch normalization takes (n, c) as well as (n, c, l): after a linear layer, whose channels are last, only the
    former is the same function.
    """

    def __init__(self, was: str, axes: int) -> None:
        super().__init__()
        self.was, self.axes = was, axes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x, unchanged. Raises ShapeError where it has other axes."""
        if x.ndim != self.axes:
            raise ShapeError(
                f"Absorbed: the {self.was} that was here is folded for {self.axes} axes, got shape {tuple(x.shape)}.",
                hint="Undo the folding, or fold again with a batch of this shape.",
            )
        return x

    def extra_repr(self) -> str:
        """What it was, and the axes it takes."""
        return f"{self.was}, axes={self.axes}"
