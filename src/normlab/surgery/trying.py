"""A class with running statistics that nobody names, tried out on a copy: are they the moments of what it is given?"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from ..calling import RUNNING
from .recognizing import Refused
from .running import frozen_by_class

__all__ = ["tried"]

TRIED = (12, 6, 4, 2)  # samples for 0 to 3 axes of positions: n/(n-1) is far enough from 1 to be seen in bfloat16
CLOSE = 0.03


def tried(module: torch.nn.Module, measure: Callable[..., Any]) -> bool:
    """Whether a class that nobody names keeps the biased variance of what it is given. Raises Refused."""
    if frozen_by_class(module):
        raise Refused("its class is frozen: nothing moves its statistics")
    mean = module.get_buffer(RUNNING[0])
    if mean.ndim != 1:
        raise Refused(f"no definition says of which elements its statistics are, of shape {tuple(mean.shape)}")
    for positions, samples in enumerate(TRIED):
        source = torch.Generator().manual_seed(0)
        x = torch.randn(samples, mean.numel(), *(2,) * positions, generator=source) * 2.0 + 1.0
        became = _after(module, x.to(mean))
        if became is not None:
            break
    else:
        raise Refused(f"{type(module).__qualname__} could not be tried out: it takes neither (n, c) nor (n, c, ...)")
    count, about, square = measure(module, x.to(mean))
    if _apart(became[0], about) < CLOSE:
        for biased in (False, True):
            if _apart(became[1], square / (count - (0.0 if biased else 1.0))) < CLOSE:
                return biased
    raise Refused(f"{type(module).__qualname__} does not keep the mean and variance of what it is given")


def _apart(a: Tensor, b: Tensor) -> float:
    return float(((a.double() - b).abs() / (b.abs() + 0.1)).max())


def _after(module: torch.nn.Module, x: Tensor) -> tuple[Tensor, Tensor] | None:
    """A copy's running statistics after one batch that counts alone; None where it does not take such an x."""
    try:
        other: Any = deepcopy(module)
        for m in other.modules():
            m.training = False
        other.training, other.momentum = True, 1.0
        other(x)
    except Exception:  # whatever a foreign class raises says that it cannot be tried so
        return None
    return other.get_buffer(RUNNING[0]), other.get_buffer(RUNNING[1])
