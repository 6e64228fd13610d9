"""Layers that are linear in what they are given, and how their weights lie: (groups, outputs, inputs, taps ...)."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils import parametrize

__all__ = ["axis_of", "by_channels", "class_of", "inputs_of", "is_linear", "is_plain", "keeps_shifts", "outputs_of"]


def class_of(module: nn.Module) -> type:
    """Its class, whatever parametrizations made of it."""
    return parametrize.type_before_parametrizations(module)


def _transposed_linear() -> tuple[type, ...]:
    """GPT-2's linear layer, whose weight is (inputs, outputs), where transformers is imported."""
    found = getattr(sys.modules.get("transformers.pytorch_utils"), "Conv1D", None)
    return (found,) if isinstance(found, type) else ()


def is_linear(module: nn.Module) -> bool:
    """Whether it is one by its class or that of its parents."""
    return isinstance(module, (nn.Linear, _ConvNd, *_transposed_linear()))


def is_plain(module: nn.Module) -> bool:
    """Whether it computes what its class's documentation says: no forward of its own."""
    made = class_of(module)
    known = next(c for c in made.__mro__ if c.__module__.startswith("torch.nn.modules.") or c in _transposed_linear())
    return all(getattr(made, n, None) is getattr(known, n, None) for n in ("forward", "_conv_forward", "__call__"))


def axis_of(module: nn.Module) -> int:
    """The axis that holds its channels, in and out."""
    return 1 if isinstance(module, _ConvNd) else -1


def by_channels(module: nn.Module, weight: Tensor) -> Tensor:
    """A view of its weight as (groups, outputs of a group, inputs of a group, taps ...)."""
    if isinstance(module, _ConvTransposeNd):
        return weight.unflatten(0, (module.groups, -1)).transpose(1, 2)
    if isinstance(module, _ConvNd):
        return weight.unflatten(0, (module.groups, -1))
    return weight[None] if isinstance(module, nn.Linear) else weight.T[None]


def outputs_of(module: Any, weight: Tensor) -> int:
    """How many channels it gives."""
    shape = by_channels(module, weight).shape
    return shape[0] * shape[1]


def inputs_of(module: Any, weight: Tensor) -> int:
    """How many channels it takes."""
    shape = by_channels(module, weight).shape
    return shape[0] * shape[2]


def keeps_shifts(module: nn.Module) -> bool:
    """Whether adding a constant to each input channel adds a constant to each output channel, also at the borders."""
    if not isinstance(module, _ConvNd):
        return True
    if isinstance(module, _ConvTransposeNd):  # an output gets a tap more or less, by its place
        sizes = (*module.kernel_size, *module.stride)
        return {*sizes} == {1} and not any((*module.padding, *module.output_padding))
    padded = module.padding != "valid" and (isinstance(module.padding, str) or any(module.padding))
    taps = any(k > 1 for k in module.kernel_size)
    # Padding with values of the input pads with shifted ones; "same" adds nothing around a single tap.
    return not padded or module.padding_mode != "zeros" or (module.padding == "same" and not taps)


def example_input(module: Any, weight: Tensor, generator: torch.Generator) -> Tensor:
    """A small input in float64 that reaches every tap, with more than one output at each axis."""
    channels = inputs_of(module, weight)
    if not isinstance(module, _ConvNd):
        return torch.randn(3, channels, dtype=torch.float64, generator=generator)
    triples = zip(module.kernel_size, module.dilation, module.stride, strict=True)
    sizes = [d * (k - 1) + 1 + 2 * s for k, d, s in triples]
    return torch.randn(2, channels, *sizes, dtype=torch.float64, generator=generator)
