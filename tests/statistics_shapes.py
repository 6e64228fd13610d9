"""How metrics are spread over seeds, with their true means: what the statistics are measured on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

SEEDS = (3, 4, 5, 7, 10, 20, 30)
SHAPES: dict[str, tuple[Draw, float]] = {
    "normal": (lambda rng, shape: rng.standard_normal(shape), 0.0),
    "log-normal 0.5": (lambda rng, shape: rng.lognormal(0, 0.5, shape), math.exp(0.125)),
    "exponential": (lambda rng, shape: rng.exponential(1, shape), 1.0),
    "log-normal 1": (lambda rng, shape: rng.lognormal(0, 1, shape), math.exp(0.5)),
    # Two minima, eight of their spreads apart, at even odds.
    "bimodal 50:50": (lambda rng, shape: np.where(rng.random(shape) < 0.5, -2, 2) + rng.standard_normal(shape) / 2, 0.0),
    # One run in ten fails and stays at chance.
    "bimodal 90:10": (lambda rng, shape: np.where(rng.random(shape) < 0.1, 0.1, 0.9) + rng.standard_normal(shape) / 100, 0.82),
    # Accuracies of few and many test samples: bounded, in steps, with ties.
    "accuracy of 30": (lambda rng, shape: rng.binomial(30, 0.97, shape) / 30, 0.97),
    "accuracy of 360": (lambda rng, shape: rng.binomial(360, 0.97, shape) / 360, 0.97),
}  # fmt: skip
# Worse than the bimodal one above for equal arms: the minima are forty spreads apart.
EQUAL_ARMS: dict[str, Draw] = {
    **{name: draw for name, (draw, _) in SHAPES.items()},
    "bimodal, far apart": lambda rng, shape: np.where(rng.random(shape) < 0.5, -2, 2) + rng.standard_normal(shape) / 10,
    "one run in three without a number": lambda rng, shape: np.where(
        rng.random(shape) < 1 / 3, np.nan, rng.standard_normal(shape)
    ),
}
# Unequal arms, whose paired differences are skewed, of unequal spread, or both.
UNEQUAL = ("normal", "log-normal 0.5", "accuracy of 360", "bimodal 50:50")
NAMES = ("none", "bn", "ln", "gn")


def generator(*key: str | int) -> np.random.Generator:
    """One stream for each purpose, so that a row can be measured again alone."""
    return np.random.default_rng([len(key), *(part if isinstance(part, int) else sum(map(ord, part)) for part in key)])


def equal_arms(name: str, seeds: int, count: int, repeats: int, arms: int) -> Iterator[dict[str, list[float]]]:
    """`repeats` comparisons among arms of one and the same distribution."""
    values = EQUAL_ARMS[name](generator(name, seeds, count), (repeats, arms, seeds))
    for case in values.tolist():
        yield dict(zip(NAMES, case, strict=False))
