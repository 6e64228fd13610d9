"""Networks that a claim looks into after training: every seed's, at the learning rate that is best for the arm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..activations import Array
from ..training.stack import Stack
from .training import stack_of

__all__ = ["best_stack", "final", "to_all"]


def best_stack(
    arm: str, seeds: Sequence[int], rates: Sequence[float], *, drops: Sequence[float] = (), **settings: Any
) -> Stack:  # fmt: skip
    """The trained networks of an arm at that of the `rates` which meets the validation rows best.

    `drops`: after which parts of the steps the learning rate is divided by ten.
    """
    made = [_trained(stack_of(arm, seeds, lr, **settings), drops) for lr in rates]
    return max(made, key=lambda stack: float(np.mean(final(stack, "validation_accuracy"))))


def _trained(stack: Stack, drops: Sequence[float]) -> Stack:
    after = {int(part * stack.settings.steps) for part in drops}
    with np.errstate(all="ignore"):
        while stack.going:
            stack.step()
            if stack.taken in after:
                stack.optimizer.lr /= 10
    return stack


def final(stack: Stack, name: str, diverged: float = 0.0) -> list[float]:
    """What the seeds end with."""
    return [diverged if (v := run.final[name]) is None else v for run in stack.runs]


def to_all(stack: Stack, x: Array) -> Array:
    """The same rows for every slot."""
    return np.broadcast_to(x, (len(stack.slots), *x.shape))
