"""How far an operation moved a model's output, beside what float noise alone moves it. The model stays as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

__all__ = ["Moved", "outputs", "tensors"]

SEED = 0  # dropout drops the same in every run


class Moved:
    """The outputs of a model before an operation, and with every parameter off by one unit in its last place."""

    def __init__(self, model: torch.nn.Module, batch: Any, forward: Callable[[Any, Any], Any] | None) -> None:
        self.batch, self.forward = batch, forward
        self.before = outputs(model, batch, forward)
        with _rounded_otherwise(model):
            self.rounded = outputs(model, batch, forward)

    def by(self, model: torch.nn.Module) -> tuple[float, float]:
        """How far its outputs are from the earlier ones, and those of the rounded parameters: shares of the largest."""
        after = outputs(model, self.batch, self.forward)
        return _apart(after, self.before), _apart(self.rounded, self.before)


def outputs(model: torch.nn.Module, batch: Any, forward: Callable[[Any, Any], Any] | None = None) -> list[Tensor]:
    """All floating-point tensors in what the model gives for the batch; buffers and random numbers stay as they are."""
    buffers = [(b, b.clone()) for b in model.buffers()]
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(SEED)
        try:
            return [t.detach().clone() for t in tensors(call(model, batch, forward)) if t.is_floating_point()]
        finally:
            for buffer, value in buffers:
                buffer.copy_(value)


def call(model: torch.nn.Module, batch: Any, forward: Callable[[Any, Any], Any] | None = None) -> Any:
    """The model on the batch: a tensor; a tuple is positional, a dict keywords; anything else by `forward`."""
    if forward is not None:
        return forward(model, batch)
    if isinstance(batch, Mapping):
        return model(**batch)
    return model(*batch) if isinstance(batch, tuple) else model(batch)


def tensors(found: Any) -> Iterator[Tensor]:
    """Every tensor in what a model takes or returns, in order."""
    if isinstance(found, Tensor):
        yield found
    elif isinstance(found, Mapping):
        for value in found.values():
            yield from tensors(value)
    elif isinstance(found, list | tuple):
        for value in found:
            yield from tensors(value)


@contextmanager
def _rounded_otherwise(model: torch.nn.Module) -> Iterator[None]:
    kept = [(p, p.detach().clone()) for p in model.parameters() if p.is_floating_point()]
    source = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for p, value in kept:
            sign = (torch.rand(p.shape, generator=source).to(p.device) < 0.5).to(p.dtype) * 2.0 - 1.0
            p.copy_(value + value * sign * torch.finfo(p.dtype).eps)
    try:
        yield
    finally:
        with torch.no_grad():
            for p, value in kept:
                p.copy_(value)


def _apart(some: list[Tensor], others: list[Tensor]) -> float:
    """The largest difference, as a share of the largest value; infinity where shapes differ or only one is finite."""
    if [t.shape for t in some] != [t.shape for t in others]:
        return float("inf")
    largest = _largest([t[t.isfinite()] for t in others])
    apart = _largest([_difference(a, b) for a, b in zip(some, others, strict=True)])
    return apart / largest if largest else apart


def _difference(a: Tensor, b: Tensor) -> Tensor:
    equal = (a == b) | (a.isnan() & b.isnan())
    return torch.where(equal, 0.0, a.double() - b.double()).nan_to_num(torch.inf)


def _largest(tensors: list[Tensor]) -> float:
    return max((float(t.double().abs().max()) for t in tensors if t.numel()), default=0.0)
