"""Batch normalization with sigmoid: trains faster and further, and what enters the sigmoid stays steady."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from normlab.language import N_, both
from normlab.statistics import contrasts, interval

from ..activations import Array
from ..train import run
from ..training.parts import MEASURE
from .claim import Claim, Finding
from .training import accuracies, stack_of, steps_to, to_all

SETTINGS: dict[str, Any] = {"layers": 3, "width": 100, "activation": "sigmoid", "batch": 60, "steps": 400}
FASTER = 0.5  # of the steps
WATCHED_ROWS = 256


def measure(seeds: Sequence[int]) -> list[Finding]:
    """Both arms at their best learning rates, then once more at those with an eye on the last sigmoid."""
    race = run(["none", "bn"], **SETTINGS, seeds=len(seeds), seed=seeds[0]).to_dict()
    none, batch = race["arms"]
    return [_further(race), _faster(none, batch), _steadier(seeds, none["lr"], batch["lr"])]


def _further(race: dict[str, Any]) -> Finding:
    found = contrasts(accuracies(race), resolution=1 / race["data"]["test_rows"])[0]
    said = both(
        N_("test accuracy {none} without, {batch} with; difference {low} to {high} points"),
        none=_percent(race["arms"][0]), batch=_percent(race["arms"][1]),
        low=f"{100 * (found.low or 0):.1f}", high=f"{100 * (found.high or 0):.1f}",
    )  # fmt: skip
    return Finding(found.verdict == "better", said, {"low": found.low, "high": found.high})


def _percent(arm: dict[str, Any]) -> str:
    return f"{100 * arm['final']['test_accuracy']['mean']:.1f} %"


def _faster(none: dict[str, Any], batch: dict[str, Any]) -> Finding:
    """Steps until the accuracy that the network without reaches at its end."""
    target = none["final"]["test_accuracy"]["mean"]
    slow, fast = steps_to(none, target), steps_to(batch, target)
    holds = fast is not None and (slow is None or fast <= FASTER * slow)
    said = both(
        N_("{target} of the test images are right after {fast} steps with, {slow} without"),
        target=f"{100 * target:.1f} %", fast=fast or "-", slow=slow or f"> {SETTINGS['steps']}",
    )  # fmt: skip
    return Finding(holds, said, {"target": target, "without": slow, "with": fast})


def _steadier(seeds: Sequence[int], *rates: float) -> Finding:
    moved = [_moved(arm, seeds, lr) for arm, lr in zip(("none", "bn"), rates, strict=True)]
    ratio = interval([float(np.log(a / b)) for a, b in zip(*moved, strict=True)])
    low = np.exp(ratio.low) if ratio.low is not None else 0.0
    said = both(
        N_(
            "a unit's mean moves over training by {without} of its first standard deviations without, {batch} with: "
            "{ratio} times as far, at least {low}"
        ),
        without=f"{np.mean(moved[0]):.2g}", batch=f"{np.mean(moved[1]):.2g}",
        ratio=f"{np.exp(ratio.mean or 0):.2g}", low=f"{low:.2g}",
    )  # fmt: skip
    return Finding(bool(low > 1), said, {"without": moved[0], "with": moved[1]})


def _moved(arm: str, seeds: Sequence[int], lr: float) -> list[float]:
    """How far the means of what enters the last sigmoid move from record to record, each in its first spreads."""
    made = stack_of(arm, seeds, lr, **SETTINGS)
    x = made.split.validation.x[:WATCHED_ROWS]
    seen = [_units(made, x)]
    while made.going:
        made.step()
        if made.taken in made.points:
            seen.append(_units(made, x))
    means = np.array([m for m, _ in seen])  # (records, slots, units)
    spread = seen[0][1]
    return [float(v) for v in (np.abs(np.diff(means, axis=0)).sum(axis=0) / spread).mean(axis=-1)]


def _units(made: Any, x: Array) -> tuple[Array, Array]:
    entering: list[Array] = []
    made.network.forward(to_all(made, x), MEASURE, None, entering)
    last = entering[-1].astype(np.float64)
    return last.mean(axis=1), last.std(axis=1)


claim = Claim(
    letter="a",
    title=both(N_("With sigmoid, batch normalization trains faster and further, and its inputs stay steady.")),
    source="Ioffe and Szegedy, arXiv 1502.03167, section 4.1 and figure 1",
    setting=both(
        N_("three layers of 100 sigmoid units on the digits, batches of 60, 400 steps, each at its best learning rate")
    ),
    conditions=(
        both(N_("the test accuracy with is higher: the interval of the difference lies above 0")),
        both(N_("the accuracy that the network without reaches at its end is reached in at most half of the steps")),
        both(N_("the means of what enters the last sigmoid move less over training, by the interval's lower end")),
    ),
    measure=measure,
    seeds=8,
    seconds=20,
)
