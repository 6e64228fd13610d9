"""Running statistics written anew: what they become, how far that is, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..calling import RUNNING
from ..errors import NonFiniteError
from ..torch.quick import COUNT
from .populations import Population, wide

__all__ = ["blended", "put", "told", "why_not", "written"]


def put(one: Population) -> None:
    found = one.statistics()
    for buffer, value in zip(one.buffers, found or (), strict=False):
        if buffer is not None:
            buffer.copy_(value)


def why_not(one: Population) -> str:
    if not one.calls:
        return "no batch reached it"
    return "what reached it does not say a variance"


def blended(one: Population, mix: float) -> tuple[Tensor, ...] | None:
    """What its running statistics become. Raises NonFiniteError."""
    found = one.statistics()
    if found is None:
        return None
    new = []
    for buffer, value in zip(one.buffers, found, strict=True):
        assert buffer is not None
        old = wide(buffer).to(value)
        made = (value if mix == 1 else old + mix * (value - old)).to(buffer.dtype)
        if not bool(made.isfinite().all()):
            raise NonFiniteError(
                f"recalibrate: {one.who}: a statistic is not finite in {buffer.dtype}.",
                hint="Nothing was changed. Keep the layer in float32: nl.keep_norms_fp32(model).",
            )
        new.append(made)
    return tuple(new)


def told(one: Population, new: tuple[Tensor, ...]) -> str:
    """How much it was given, and the most that a channel's mean and spread moved, in its old spread."""
    assert one.moments is not None
    (mean, var), (after, spread) = (wide(b) for b in one.buffers if b is not None), map(wide, new)
    root = var.clamp(min=0).sqrt()
    moved = float(((after - mean).abs() / root).nan_to_num(0.0, torch.inf).max())
    factor = (spread.clamp(min=0).sqrt() / root).nan_to_num(1.0, torch.inf)
    what = "values" if one.between else "samples"
    return (
        f"{float(one.moments.count.max()):,.0f} {what} a set in {one.calls} calls; a mean moved by up to {moved:.2g} "
        f"of its spread, spreads by factors of {float(factor.min()):.2g} to {float(factor.max()):.2g}"
    )


def written(kept: dict[Population, tuple[Tensor, ...]], mix: float, model: Any) -> Callable[[], Any]:
    """Write it; returns the way back."""
    before = []
    with torch.no_grad():
        for one, new in kept.items():
            before.append((one.module, {n: b.clone() for n, b in _own(one).items()}))
            for buffer, value in zip(one.buffers, new, strict=True):
                buffer.copy_(value)  # type: ignore[union-attr]
            counter = one.module._buffers.get(COUNT)
            if counter is not None:  # so that a cumulative mean (momentum=None) goes on from what the statistics hold
                counter.fill_(one.calls + (0 if mix == 1 else int(counter)))

    def back() -> Any:
        with torch.no_grad():
            for module, old in before:
                for name, value in old.items():
                    module.get_buffer(name).copy_(value)
        return model

    return back


def _own(one: Population) -> dict[str, Tensor]:
    names = (*RUNNING, COUNT)
    return {n: b for n in names if (b := one.module._buffers.get(n)) is not None}
