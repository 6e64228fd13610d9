"""What a stack of networks learns, all in one array, so that an optimizer's step is a few operations."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from ..activations import Array

__all__ = ["Flat", "Parameter"]


class Parameter:
    """An array that is learnt, (slots, ...), and its gradient; both become views of one `Flat`."""

    def __init__(self, start: Array) -> None:
        self.value = start
        self.gradient = np.zeros_like(start)


class Flat:
    """The parameters of a stack side by side: `value` and `gradient` are (slots, numbers)."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        slots = len(parameters[0].value)
        self.value = np.concatenate([p.value.reshape(slots, -1) for p in parameters], axis=1)
        self.gradient = np.zeros_like(self.value)
        at = 0
        for parameter in parameters:
            shape = parameter.value.shape
            end = at + prod(shape[1:])
            parameter.value = self.value[:, at:end].reshape(shape)
            parameter.gradient = self.gradient[:, at:end].reshape(shape)
            at = end
        assert all(np.shares_memory(p.value, self.value) for p in parameters)
