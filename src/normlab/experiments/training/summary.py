"""What the runs of an arm come to: the grid, the learning rate chosen by it, and the curves with their bands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from normlab.statistics import interval

from .stack import DIVERGED, RECORDED, WATCHED, Run

__all__ = ["Document", "banded", "chosen", "first_diverged", "grid", "mean_layer", "point_of", "summarized", "together"]

Document = dict[str, Any]
ACCURACIES = ("train_accuracy", "validation_accuracy", "test_accuracy", "own_statistics_accuracy")


def grid(runs: Sequence[Run], chance: float, rows: int) -> list[Document]:
    """A line for each learning rate: how the validation rows are met, and why runs stopped."""
    found = []
    for lr in sorted({run.slot.lr for run in runs}):
        own = [run for run in runs if run.slot.lr == lr]
        accuracy = banded([run.final["validation_accuracy"] for run in own], 1 / rows, chance)
        losses = [run.final["validation_loss"] for run in own]
        known = [loss for loss in losses if loss is not None]
        found.append({
            "lr": lr, "validation_accuracy": accuracy,
            "validation_loss": float(np.mean(known)) if len(known) == len(losses) else None,
            "stopped": dict(Counter(run.stopped for run in own)), "first_diverged": first_diverged(own),
        })  # fmt: skip
    return found


def first_diverged(runs: Sequence[Run]) -> Document | None:
    """Seed, step and layer of the run that diverged first; None where none did."""
    broken = [run for run in runs if run.stopped == DIVERGED]
    first = min(broken, key=lambda run: (run.step, run.slot.seed), default=None)
    return None if first is None else {"seed": first.slot.seed, "step": first.step, "layer": first.layer}


def chosen(lines: Sequence[Document]) -> Document:
    """The line of the best learning rate: by validation accuracy, then loss, then the smaller rate."""

    def merit(line: Document) -> tuple[float, float, float]:
        loss = line["validation_loss"]
        return (-(line["validation_accuracy"]["mean"] or 0.0), float("inf") if loss is None else loss, line["lr"])

    return min(lines, key=merit)


def summarized(runs: Sequence[Run], chance: float, rows: int) -> Document:
    """The arm's runs at its learning rate: what they end with, each of them, the curves, and the layers on the way."""
    names, layers = list(runs[0].final), together([run.layers for run in runs])
    return {
        "final": {name: _banded(name, [run.final[name] for run in runs], chance, rows) for name in names},
        "runs": [_run(run) for run in runs],
        "curve": [point_of(points, chance, rows) for points in together([run.points for run in runs])],
        "layers": [[mean_layer(one) for one in zip(*at, strict=True)] for at in layers],
    }


def banded(values: Sequence[float | None], step: float | None, diverged: float | None) -> Document:
    """Mean and interval over seeds; a run without a number counts as `diverged`. `step`: of an accuracy, one row."""
    found = interval(values, resolution=step, diverged=diverged, bounds=None if step is None else (0.0, 1.0))
    return {"mean": found.mean, "low": found.low, "high": found.high}


def _banded(name: str, values: Sequence[float | None], chance: float, rows: int) -> Document:
    return banded(values, 1 / rows, chance) if name in ACCURACIES else banded(values, None, None)


def _run(run: Run) -> Document:
    return {**asdict(run.slot), "stopped": run.stopped, "step": run.step, "layer": run.layer, **run.final}


def together(recorded: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Point by point what the runs recorded; runs that diverged have fewer points."""
    return [[own[k] for own in recorded if k < len(own)] for k in range(max(map(len, recorded), default=0))]


def point_of(points: Sequence[Document], chance: float, rows: int) -> Document:
    """One point of the curves: of every recorded number the mean and its interval over the runs."""
    curves = {name: _banded(name, [p[name] for p in points], chance, rows) for name in RECORDED}
    return {"step": points[0]["step"], "runs": len(points), **curves}


def mean_layer(layers: Sequence[Document]) -> Document:
    """One layer at one point: the mean over the runs; None where one of them has no number."""
    found: Document = {}
    for name in WATCHED:
        values = [layer[name] for layer in layers]
        found[name] = None if None in values else float(np.mean(values))
    return found
