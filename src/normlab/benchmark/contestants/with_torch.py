"""PyTorch: our layer, torch's own (eager and compiled), and the plain copy that nothing can beat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ... import torch as face
from ..suite import Case, floor_units
from . import Ready, Refusal, twins
from .material import Material, Outcome, can_be_plain, plain

__all__ = ["clone", "compiled", "eager", "ours"]

Function = Callable[[torch.Tensor], torch.Tensor]


def _tensor(a: np.ndarray, case: Case) -> torch.Tensor:
    return torch.from_numpy(a).to(getattr(torch, case.dtype))


def ours(case: Case, material: Material) -> Ready:
    """`normlab.torch`'s layer."""
    layer = face.build(case.definition, case.channels, layout=case.layout, dtype=getattr(torch, case.dtype))
    _fill(layer, case, material)
    return _ready(case, material, layer, list(layer.parameters()))


def eager(case: Case, material: Material) -> Ready:
    """torch.nn's own layer, or the formula in torch operations where it has none."""
    function, params = _theirs(case, material)
    return _ready(case, material, function, params)


def compiled(case: Case, material: Material) -> Ready:
    """The same under torch.compile."""
    torch._dynamo.reset()
    function, params = _theirs(case, material)
    return _ready(case, material, torch.compile(function), params)


def clone(case: Case) -> Callable[[], object]:
    """A copy that moves as many bytes as the pass must move at least, into fresh memory."""
    elements = max(floor_units(case) * case.bytes // 8, 1)  # half of them are read, half written; four bytes each
    source = torch.zeros(elements)
    return source.clone


def _fill(layer: torch.nn.Module, case: Case, material: Material) -> None:
    with torch.no_grad():
        for name, value in material.params.items():
            held = getattr(layer, name, None)
            if held is not None:
                held.copy_(_tensor(value, case))


def _theirs(case: Case, material: Material) -> tuple[Function, list[torch.Tensor]]:
    try:
        entry = twins.known(case, "torch.nn.")
    except Refusal:
        return _written(case, material)
    if ".utils." in entry.name:
        return _parametrized(entry.name, case)
    if "." in entry.name.removeprefix("torch.nn."):
        raise Refusal(f"{entry.name} is a function of another shape")
    dtype = getattr(torch, case.dtype)
    layer = twins.build(entry, case, {"dtype": dtype})
    _fill(layer, case, material)
    own, asked = case.definition.layout, case.layout
    if own == asked:
        return layer, list(layer.parameters())
    # Another order of axes: what a user writes, views before and after; torch makes the copies that it needs.
    to, back = (1, -1) if asked == "n c ..." else (-1, 1)
    return lambda x: layer(x.movedim(to, back)).movedim(back, to), list(layer.parameters())


def _written(case: Case, material: Material) -> tuple[Function, list[torch.Tensor]]:
    """The formula in torch operations: what a user has where torch has no layer."""
    if not can_be_plain(case.definition):
        raise Refusal("torch has no layer of this kind")
    params = {n: _tensor(a, case).requires_grad_() for n, a in material.params.items()}
    return lambda x: plain(_Numpyish, case, x, params), list(params.values())


class _Numpyish:
    """The few operations of the plain formula, under NumPy's names."""

    reshape = staticmethod(torch.reshape)
    sqrt = staticmethod(torch.sqrt)
    mean = staticmethod(lambda a, axis, keepdims: torch.mean(a, axis, keepdim=keepdims))
    sum = staticmethod(lambda a, axis, keepdims: torch.sum(a, axis, keepdim=keepdims))
    maximum = staticmethod(lambda a, low: torch.clamp_min(a, low))


def _parametrized(name: str, case: Case) -> tuple[Function, list[torch.Tensor]]:
    """A weight method: torch's parametrization of a linear layer's weight; a call computes the weight anew."""
    made = getattr(torch.nn.utils.parametrizations, name.rpartition(".")[2])
    linear = made(torch.nn.Linear(case.shape[1], case.shape[0], bias=False, dtype=getattr(torch, case.dtype)))
    wrapped = linear.parametrizations.weight[0]
    held = list(linear.parametrizations.weight.parameters())
    if len(held) == 1:
        return wrapped, []
    return lambda x: wrapped(held[0], x), [held[0]]


def _ready(case: Case, material: Material, function: Function, params: list[torch.Tensor]) -> Ready:
    x, dy = _tensor(material.x, case), _tensor(material.dy, case)

    def forward() -> torch.Tensor:
        with torch.no_grad():
            return function(x)

    def both() -> tuple[torch.Tensor, Any]:
        live = x.detach().requires_grad_()
        y = function(live)
        return y, torch.autograd.grad(y, [live, *params], dy)

    def outcome() -> Outcome:
        if not case.both:
            return Outcome(_numpy(forward()), None)
        y, gradients = both()
        return Outcome(_numpy(y), _numpy(gradients[0]))

    return Ready(both if case.both else forward, outcome)


def _numpy(a: torch.Tensor) -> np.ndarray:
    found: np.ndarray = a.detach().to(torch.float64).numpy()
    return found
