"""What several claims read off a race, and a stack trained by hand where a claim looks inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from normlab.data.dataset import Dataset

from ..arms import read_arm
from ..presets import NO_PRESET
from ..training.preparing import prepare
from ..training.settings import Settings
from ..training.stack import Slot, Stack
from ..training.trainer import dataset_of

__all__ = ["accuracies", "stack_of", "steps_to"]


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
