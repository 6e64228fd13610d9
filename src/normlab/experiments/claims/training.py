"""What several claims read off a race, and stacks trained by hand where a claim looks inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from normlab.data.dataset import Dataset

from ..activations import Array
from ..arms import read_arm
from ..presets import NO_PRESET
from ..training.preparing import prepare
from ..training.settings import Settings
from ..training.stack import Slot, Stack
from ..training.trainer import dataset_of

__all__ = ["accuracies", "best_stack", "final", "stack_of", "steps_to", "to_all"]


def accuracies(race: Mapping[str, Any], name: str = "test_accuracy") -> dict[str, list[float | None]]:
    """By arm, the seeds' values in their order."""
    return {arm["label"]: [run[name] for run in arm["runs"]] for arm in race["arms"]}


def steps_to(arm: Mapping[str, Any], accuracy: float) -> int | None:
    """The first recorded step at which the mean test accuracy is that high; None where it never is."""
    met = [p["step"] for p in arm["curve"] if (p["test_accuracy"]["mean"] or 0.0) >= accuracy]
    return int(met[0]) if met else None


def stack_of(arm: str, seeds: Sequence[int], lr: float, *, data: Dataset | None = None, **settings: Any) -> Stack:
    """The networks of an arm at their start, one a seed."""
    dataset = dataset_of(data)
    made = Settings.read({**settings, "lr": lr, "seeds": len(seeds), "data": dataset.name})
    read = read_arm(arm, NO_PRESET)
    return Stack(read, made, prepare(dataset, made, read), [Slot(seed, lr) for seed in seeds], made.points())


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
