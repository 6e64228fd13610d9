"""How far a race has come while it runs: for each arm its steps, and every learning rate's latest numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .running import Training
from .stack import DIVERGED, Run

__all__ = ["OnStep", "Told", "standing"]

OnStep = Callable[[int, int, str, Mapping[str, Any]], None]  # steps taken, of how many, the arm, its `standing`


class Told:
    """Tells `on_step` how far all trainings have come together, and how the arm stands that just went on.

    `labels`: for each training the arm that it belongs to; `steps`: of each of them.
    """

    def __init__(self, on_step: OnStep | None, labels: Sequence[str], steps: int) -> None:
        self.on_step, self.labels, self.steps = on_step, labels, steps
        self.begun: dict[int, Training] = {}

    def __call__(self, number: int, training: Training) -> None:
        self.begun[number] = training
        if self.on_step is None:
            return
        label = self.labels[number]
        own = [one for k, one in sorted(self.begun.items()) if self.labels[k] == label]
        done = sum(one.taken for one in self.begun.values())
        of = self.steps * sum(owner == label for owner in self.labels)
        self.on_step(done, self.steps * len(self.labels), label, standing(own, of))


def standing(trainings: Sequence[Training], of: int) -> dict[str, Any]:
    """An arm's steps, `taken` `of` all; under `rates`, smallest first, the means of the latest records at each rate."""
    runs = [run for training in trainings for run in training.runs]
    rates = sorted({run.slot.lr for run in runs})
    found = [_rate(lr, [run for run in runs if run.slot.lr == lr]) for lr in rates]
    return {"taken": sum(one.taken for one in trainings), "of": of, "rates": found}


def _rate(lr: float, runs: Sequence[Run]) -> dict[str, Any]:
    latest = [run.points[-1] for run in runs if run.points and run.stopped != DIVERGED]
    return {
        "lr": lr, "runs": len(runs), "diverged": sum(run.stopped == DIVERGED for run in runs),
        "step": max((run.step for run in runs), default=0),
        "train_loss": _mean([point["train_loss"] for point in latest]),
        "test_accuracy": _mean([point["test_accuracy"] for point in latest]),
    }  # fmt: skip


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
