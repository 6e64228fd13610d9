"""New weights of linear layers: what they take over is collected, computed in float64, and rounded once."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .baking import foreign_hooks
from .flow import address
from .linear_layers import by_channels, example_input, inputs_of, is_linear, is_plain, outputs_of
from .recognizing import Refused

__all__ = ["Drafts", "Shared", "Step"]

CLOSE = 1e-9  # in float64, where what does not hold is off by a rounding of float32 (6e-8) at least
Tensors = dict[str, Tensor]


class Step(NamedTuple):
    """`factor * v + shift`, of each channel v that a layer gives (`after`) or that it is given."""

    factor: Tensor
    shift: Tensor
    after: bool


class Shared:
    """Which parameters and buffers lie in the same memory as others."""

    def __init__(self, model: nn.Module) -> None:
        self.places: dict[int | None, list[str]] = {}
        for path, module in model.named_modules():
            for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
                if tensor is not None and tensor.numel():
                    self.places.setdefault(address(tensor), []).append(f"{path}.{name}".strip("."))

    def check(self, layer: nn.Module) -> None:
        """Raises Refused where another module would see a change of this one's tensors."""
        for name, tensor in layer.named_parameters():
            places = self.places.get(address(tensor), [])
            if len(places) > 1:
                raise Refused(f"its {name} is shared: {', '.join(places[:3])}")


class Drafts:
    """What each layer shall take over, in order; `baked` are weights that are computed already, in float64."""

    def __init__(self, shared: Shared, baked: dict[nn.Module, Tensors]) -> None:
        self.shared, self.baked = shared, baked
        self.steps: dict[nn.Module, list[Step]] = {}

    def check(self, layer: nn.Module, channels: int, step: Step) -> None:
        """Raises Refused where the layer cannot take the step over."""
        check_own(layer, self.baked)
        if layer not in self.baked:
            self.shared.check(layer)
        weight = self.weight(layer)
        have = outputs_of(layer, weight) if step.after else inputs_of(layer, weight)
        if have != channels:
            raise Refused(f"it has {have} channels there, not {channels}")
        if step.shift.any() and "bias" not in layer._parameters:
            raise Refused("it has no place for a bias")
        if not is_plain(layer):
            _check_by_trying(layer, layer in self.baked, step)

    def add(self, layer: nn.Module, step: Step) -> None:
        """The layer takes the step over, when all is written."""
        self.steps.setdefault(layer, []).append(step)

    def weight(self, layer: nn.Module) -> Tensor:
        """Its weight as it is now."""
        return self.baked[layer]["weight"] if layer in self.baked else layer.get_parameter("weight")

    def made(self) -> dict[nn.Module, dict[str, nn.Parameter]]:
        """New parameters for all layers."""
        taken = ((layer, _taken(layer, self.baked.get(layer, {}), steps)) for layer, steps in self.steps.items())
        return {layer: _rounded(layer, found) for layer, found in taken}


def check_own(layer: nn.Module, baked: dict[nn.Module, Tensors]) -> None:
    """Raises Refused for a layer that is no linear one, or more than its class says."""
    if not is_linear(layer):
        raise Refused("it is no linear layer")
    weight = baked.get(layer, layer._parameters).get("weight")
    if weight is None:
        raise Refused("it has no weight of its own")
    if not weight.is_floating_point() or weight.element_size() < 2 or weight.layout is not torch.strided:
        raise Refused(f"its weight is {str(weight.dtype).removeprefix('torch.')}, which cannot be scaled")
    if weight.is_meta:
        raise Refused("its weight has no values (it is on the meta device)")
    if "forward" in vars(layer):
        raise Refused("its forward was replaced")
    hooks = foreign_hooks(layer)
    if hooks:
        raise Refused(f"it has hooks ({', '.join(hooks)})")


def _taken(layer: nn.Module, baked: Tensors, steps: list[Step]) -> Tensors:
    """Its weight and bias in float64, after all steps."""
    found = {n: p.detach() for n, p in layer._parameters.items() if p is not None} | baked
    weight = found["weight"].to(torch.float64, copy=True).contiguous()
    bias = found.get("bias")
    bias = None if bias is None else bias.to(torch.float64, copy=True)
    for step in steps:
        bias = (_after if step.after else _before)(layer, weight, bias, step)
    return {"weight": weight} if bias is None else {"weight": weight, "bias": bias}


def _after(layer: nn.Module, weight: Tensor, bias: Tensor | None, step: Step) -> Tensor | None:
    """factor * (W x + b) + shift: scales the weight in place, returns the bias."""
    factor, shift = step.factor.to(weight.device), step.shift.to(weight.device)
    view = by_channels(layer, weight)
    view.mul_(factor.reshape(*view.shape[:2], *[1] * (view.ndim - 2)))
    return shift if bias is None and shift.any() else None if bias is None else factor * bias + shift


def _before(layer: nn.Module, weight: Tensor, bias: Tensor | None, step: Step) -> Tensor | None:
    """W (factor * x + shift) + b: scales the weight in place, returns the bias."""
    view = by_channels(layer, weight)
    shape = (view.shape[0], 1, view.shape[2], *[1] * (view.ndim - 3))
    shift = step.shift.to(weight.device).reshape(shape)
    moved = (view * shift).sum(dim=tuple(range(2, view.ndim))).flatten()
    view.mul_(step.factor.to(weight.device).reshape(shape))
    return moved if bias is None and shift.any() else None if bias is None else bias + moved


def _rounded(layer: nn.Module, found: Tensors) -> dict[str, nn.Parameter]:
    """Parameters of the type, device, order of memory and need for gradients that the layer's weight has."""
    like = layer._parameters.get("weight")
    like = next(layer.parameters()) if like is None else like
    made = {}
    for name, value in found.items():
        old = layer._parameters.get(name)
        old = like if old is None else old
        new = torch.empty_like(old) if old.shape == value.shape else old.new_empty(value.shape)
        made[name] = nn.Parameter(new.detach().copy_(value), requires_grad=old.requires_grad)
    return made


def _check_by_trying(layer: Any, baked: bool, step: Step) -> None:
    """A class with a forward of its own: does it compute with scaled weights what was asked for? Raises Refused."""
    if baked:
        raise Refused(f"{type(layer).__name__} has a forward of its own and a parametrized weight")
    try:
        apart = _apart_when_tried(layer, step)
    except Exception as error:
        raise Refused(f"{type(layer).__name__} has a forward of its own, and trying it failed: {error}") from None
    if not apart < CLOSE:
        raise Refused(f"{type(layer).__name__} has a forward of its own, which is not linear in its weight and input")


def _apart_when_tried(layer: Any, step: Step) -> float:
    trial = deepcopy(layer).to("cpu", torch.float64).eval()
    x = example_input(trial, trial.weight, torch.Generator().manual_seed(0))
    shape = (-1, *[1] * (x.ndim - 2))
    factor, shift = step.factor.cpu().reshape(shape), step.shift.cpu().reshape(shape)
    with torch.no_grad():
        wanted = trial(x) * factor + shift if step.after else trial(x * factor + shift)
        for name, value in _taken(trial, {}, [step]).items():
            trial._parameters[name] = nn.Parameter(value)
        return float((trial(x) - wanted).abs().max() / wanted.abs().max().clamp_min(1e-300))


def written(made: dict[nn.Module, dict[str, nn.Parameter]]) -> Callable[[], None]:
    """Put the new parameters into their layers; what is returned puts the old ones back, moved where these were."""
    old = {layer: {n: layer._parameters.get(n) for n in new} for layer, new in made.items()}
    types = {layer: {n: (p.device, p.dtype) for n, p in new.items()} for layer, new in made.items()}
    for layer, new in made.items():
        layer._parameters.update(new)

    def back() -> None:
        for layer, parameters in old.items():
            for name, value in parameters.items():
                now = layer.get_parameter(name)
                if value is not None and (now.device, now.dtype) != types[layer][name]:
                    value.data = value.data.to(now.device, now.dtype)
                layer._parameters[name] = value

    return back
