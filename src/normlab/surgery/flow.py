"""Which layer gives what to which: the record of a trace, and what may be concluded from it.

Order of registration proves nothing: a model may call its layers in any order, twice, or put a function in between.
What is looked at is each value that a layer gave, and everything that took it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor, nn

from .. import torch as face
from .linear_layers import is_linear
from .recognizing import Refused, seems_to_normalize

__all__ = ["Call", "Flow", "Use", "Value", "evaluating", "layers_of", "normalizes"]


class Use(NamedTuple):
    """What took a value: a layer as its one input, or (None) anything else, in words."""

    layer: nn.Module | None
    what: str


@dataclass(eq=False)
class Value:
    """What one call of a layer gave."""

    maker: nn.Module
    uses: list[Use] = field(default_factory=list)


class Call(NamedTuple):
    """One call: what it was given (the value of another layer, or in words where that came from) and what it gave."""

    given: Value | str
    axes: int | None
    value: Value


@dataclass
class Flow:
    """All calls of a trace. `reads`: what reads a layer's tensor without calling it, by the address of its memory."""

    names: dict[nn.Module, str]
    calls: dict[nn.Module, list[Call]] = field(default_factory=dict)
    reads: dict[int, str] = field(default_factory=dict)

    def name(self, layer: nn.Module) -> str:
        """As messages call it: path and class."""
        return f"{self.names.get(layer) or 'the model'} ({type(layer).__name__})"

    def of(self, layer: nn.Module) -> list[Call]:
        """Its calls. Raises Refused where there is none."""
        if layer not in self.calls:
            raise Refused(f"{self.name(layer)} is not called by itself")
        return self.calls[layer]

    def feeder(self, layer: nn.Module) -> nn.Module:
        """The one layer that gives this one all that it is given, and gives nothing to others. Raises Refused."""
        makers = []
        for call in self.of(layer):
            if isinstance(call.given, str):
                raise Refused(f"its input comes from {call.given}")
            makers.append(call.given.maker)
        if len(set(makers)) > 1:
            raise Refused(f"its input comes from {', '.join(self.name(m) for m in dict.fromkeys(makers))}")
        for other in self.takers(makers[0], "also "):
            if other is not layer:
                raise Refused(f"what {self.name(makers[0])} gives also goes to {self.name(other)}")
        return makers[0]

    def takers(self, layer: nn.Module, also: str = "") -> list[nn.Module]:
        """The layers that take everything this one gives. Raises Refused where something else does, or nothing."""
        found: dict[nn.Module, None] = {}
        for call in self.of(layer):
            if not call.value.uses:
                raise Refused(f"nothing takes what {self.name(layer)} gives")
            for use in call.value.uses:
                if use.layer is None:
                    raise Refused(f"what {self.name(layer)} gives {also}goes to {use.what}")
                found[use.layer] = None
        return list(found)

    def only_from(self, taker: nn.Module, layer: nn.Module) -> None:
        """Raises Refused where the taker is given anything but what the layer gives."""
        for call in self.of(taker):
            if isinstance(call.given, str) or call.given.maker is not layer:
                raise Refused(f"{self.name(taker)} is called with something else as well")

    def axes(self, layer: nn.Module) -> set[int | None]:
        """How many axes its inputs had; None where the trace does not know."""
        return {call.axes for call in self.of(layer)}

    def check_unread(self, layer: nn.Module) -> None:
        """Raises Refused where one of its tensors is read by others than itself."""
        for tensor in [*layer.parameters(), *layer.buffers()]:
            found = self.reads.get(address(tensor) or 0)
            if found:
                raise Refused(f"{found} reads a tensor of {self.name(layer)} without calling it")


def address(tensor: Tensor) -> int | None:
    """The memory that a tensor, or a view of it, lies in; None where it has none."""
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):
        return None


def normalizes(module: nn.Module) -> bool:
    """Whether a module is, or seems to be, a normalization and no block of several layers."""
    if not (isinstance(module, face.Layer) or seems_to_normalize(module) or _has_statistics(module)):
        return False
    inside = [m for m in module.modules() if m is not module]
    return not any(is_linear(m) or seems_to_normalize(m) for m in inside)


def _has_statistics(module: nn.Module) -> bool:
    return all(isinstance(module._buffers.get(n), Tensor) for n in ("running_mean", "running_var"))


def layers_of(model: nn.Module) -> set[nn.Module]:
    """What a trace does not look into: linear layers, normalizations, and whatever has no parts."""
    return {m for m in model.modules() if is_linear(m) or normalizes(m) or not m._modules}


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in evaluation; every module's own mode afterwards."""
    modes = [(m, m.training) for m in model.modules()]
    for module, _ in modes:
        module.training = False
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def names_of(model: nn.Module) -> dict[nn.Module, str]:
    """The first path of every module."""
    return {module: path for path, module in model.named_modules()}


def host(path: str) -> str:
    """The module that a parameter belongs to, which is not the parametrization that holds it."""
    return f".{path}".split(".parametrizations.")[0].removeprefix(".")


def agreed(found: Iterable[nn.Module]) -> nn.Module:
    """The one module that several traces found. Raises Refused."""
    several = list(dict.fromkeys(found))
    if len(several) > 1:
        raise Refused("two traces of the model disagree")
    return several[0]
