"""Batch normalization allows larger learning rates: the largest at which a network still learns, with and without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from normlab.formatting import number, share
from normlab.language import N_, both

from ..train import run
from .claim import Claim, Finding
from .figures import logarithms, ratio
from .training import accuracies

RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
STEP = 10**0.5  # between two of them
BELOW = RATES[0] / STEP  # counts where a network learns at none: the nearest that was not tried
LEARNT = 0.8
SETTINGS: dict[str, Any] = {"layers": 3, "width": 100, "batch": 60, "steps": 200}
NETS: dict[str, dict[str, Any]] = {"relu": {"activation": "relu", "init": "he"}, "sigmoid": {"activation": "sigmoid"}}
ASKED = (("relu", 5), ("relu", 30), ("sigmoid", 5))


def measure(seeds: Sequence[int]) -> list[Finding]:
    """Both arms at every rate; a seed's largest rate with batch normalization over its largest without."""
    found = {net: _largest(seeds, **settings) for net, settings in NETS.items()}
    return [_times(found[net], factor) for net, factor in ASKED]


def _largest(seeds: Sequence[int], **settings: Any) -> dict[str, list[float]]:
    """For each arm and seed the largest rate at which it learns."""
    largest = {arm: [BELOW] * len(seeds) for arm in ("none", "bn")}
    for lr in RATES:
        race = run(["none", "bn"], **SETTINGS, **settings, lr=lr, seeds=len(seeds), seed=seeds[0]).to_dict()
        for own, reached in zip(largest.values(), accuracies(race).values(), strict=True):
            own[:] = [lr if (a or 0.0) >= LEARNT else before for a, before in zip(reached, own, strict=True)]
    return largest


def _times(largest: dict[str, list[float]], factor: int) -> Finding:
    none, batch = largest.values()
    times = logarithms(np.divide(batch, none).tolist(), STEP)
    said = both(
        N_("{share} right up to a learning rate of {without} without, {batch} with (geometric means): {ratio} times"),
        share=share(LEARNT), without=_mean(none), batch=_mean(batch), ratio=ratio(times),
    )  # fmt: skip
    figures = {"without": none, "with": batch, "largest_tried": RATES[-1]}
    return Finding(times.low is not None and float(np.exp(times.low)) >= factor, said, figures)


def _mean(rates: Sequence[float]) -> str:
    """The geometric mean; a seed that learns nowhere makes it an upper bound, one that learns at the end a lower."""
    mark = "< " if BELOW in rates else "> " if RATES[-1] in rates else ""
    return mark + number(float(np.exp(np.mean(np.log(rates)))), 2)


claim = Claim(
    letter="b",
    title=both(N_("Batch normalization allows larger learning rates.")),
    source="Ioffe and Szegedy, arXiv 1502.03167, section 4.2.1 (5 and 30 times) and figure 2",
    setting=both(
        N_(
            "three layers of 100 units on the digits, batches of 60, 200 steps of SGD with momentum, nine learning "
            "rates from 0.003 to 30; a network learns that gets at least 0.8 of the test images right"
        )
    ),
    conditions=(
        both(N_("ReLU: the largest rate at which it learns is at least 5 times as large with, by the interval")),
        both(N_("ReLU: at least 30 times as large, by the interval")),
        both(N_("sigmoid: at least 5 times as large, by the interval")),
    ),
    measure=measure,
    seeds=8,
    seconds=40,
)
