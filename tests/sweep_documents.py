"""Documents of sweeps for tests, invented, complete to the last key: a value for each combination, or what became of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

WAITING, FAILED = "waiting", "failed"
Grid = dict[str, list[Any]]
Value = float | str | None
"""A metric; None where it is no number; WAITING, or FAILED with an error after a colon."""


def swept(grid: Grid, value: Callable[..., Value], metric: str = "test_accuracy", **fixed: Any) -> dict[str, Any]:
    """The document of a sweep over `grid`, where `value` is called with each combination."""
    trials = []
    for number, values in enumerate(itertools.product(*grid.values()), 1):
        setting = dict(zip(grid, values, strict=True))
        trials.append(trial(number, {**fixed, **setting}, value(**setting), metric))
    counts = {state: sum(one["state"] == state for one in trials) for state in ("done", FAILED, WAITING)}
    done = [one["metrics"] for one in trials if one["metrics"]]
    return {
        "schema": "normlab.sweep/1", "command": "normlab sweep small.toml -o small.db",
        "versions": {"normlab": "0.1.0", "python": "3.11.7", "numpy": "2.0.0"},
        "machine": {"system": "Linux", "processor": "x", "cpus": 2}, "wall_s": 1.5,
        "settings": {"name": "small", "grid": {k: list(v) for k, v in grid.items()}, "fixed": fixed},
        "counts": {"trials": len(trials), **counts},
        "columns": {"grid": list(grid), "metrics": list(done[0]) if done else []},
        "trials": trials,
    }  # fmt: skip


def trial(number: int, parameters: Mapping[str, Any], value: Value, metric: str) -> dict[str, Any]:
    """One of its trials, with a loss that goes against the metric and the reason why it stopped."""
    made: dict[str, Any] = {"trial": number, "key": f"{number:016x}", "parameters": dict(parameters), "state": "done",
                            "metrics": None, "error": None}  # fmt: skip
    if isinstance(value, str):
        state, _, error = value.partition(":")
        return {**made, "state": state, "error": error or None}
    against = None if value is None else 1 - value
    return {**made, "metrics": {metric: value, "test_loss": against, "stopped": "finished" if value else "diverged", "step": 60}}


def scatter(seed: int, width: float = 0.02) -> float:
    """What a seed adds: the same for every arm, and no two alike."""
    return width * ((seed * 7 + 3) % 11 - 5) / 5


ARMS = ["none", "bn", "gn:groups=4"]
BASE = {"none": 0.3, "bn": 0.9, "gn:groups=4": 0.7}


def told_apart() -> dict[str, Any]:
    """Three arms at two depths and three rates, eight seeds."""
    grid: Grid = {"methods": ARMS, "layers": [3, 5], "lr": [0.01, 0.1, 1.0], "seed": list(range(8))}
    return swept(grid, lambda methods, layers, lr, seed: BASE[methods] - layers / 100 + scatter(seed + len(methods)), batch=64)


def arms_alone() -> dict[str, Any]:
    """Arms and seeds and nothing else."""
    return swept({"methods": ARMS, "seed": [0, 1, 2, 3, 4]}, lambda methods, seed: BASE[methods] + scatter(seed))


def no_arms() -> dict[str, Any]:
    """No arms, no seeds, no numbers along which anything could be drawn."""
    grid: Grid = {"optimizer": ["sgd", "adam"], "activation": ["relu", "tanh"], "bias": [True, False]}
    return swept(grid, lambda optimizer, activation, bias: 0.5 + 0.1 * bias + 0.2 * (activation == "tanh"))


def one_seed() -> dict[str, Any]:
    """Arms under one seed, along a number."""
    return swept({"methods": ARMS, "lr": [0.1, 0.2], "seed": [7]}, lambda methods, lr, seed: BASE[methods] + lr)


def unfinished() -> dict[str, Any]:
    """The last arm has two seeds of five, one of them failed."""
    known: dict[int, Value] = {0: 0.7, 1: f"{FAILED}:ValueError: it broke"}
    return swept({"methods": ARMS, "seed": [0, 1, 2, 3, 4]},
                 lambda methods, seed: known.get(seed, WAITING) if methods == ARMS[-1] else BASE[methods] + scatter(seed))  # fmt: skip


def nothing_done() -> dict[str, Any]:
    """It has only begun."""
    return swept({"methods": ARMS, "seed": [0, 1]}, lambda methods, seed: WAITING)


def all_failed() -> dict[str, Any]:
    """Every trial ended with an error, two kinds of them."""
    return swept({"methods": ARMS, "seed": [0, 1]}, lambda methods, seed: f"{FAILED}:ValueError: seed {seed} is too odd")


def diverging() -> dict[str, Any]:
    """An arm loses seeds, one all of them."""
    lost = {"none": 9, "gn:groups=4": 3}
    return swept({"methods": ARMS, "lr": [0.1, 1.0], "seed": [0, 1, 2, 3, 4]},
                 lambda methods, lr, seed: None if seed < lost.get(methods, 0) * (lr > 0.5) else BASE[methods] + scatter(seed))  # fmt: skip


def crowded() -> dict[str, Any]:
    """Fourteen arms, twelve rates, two seeds, three batches: 1008 trials."""
    arms = [f"gn:groups={k + 1}" for k in range(14)]
    grid: Grid = {"methods": arms, "lr": [10.0 ** (k / 2 - 5) for k in range(12)], "batch": [8, 64, 512], "seed": [0, 1]}
    return swept(grid, lambda methods, lr, batch, seed: 0.5 + len(methods) / 50 + scatter(seed))


INVENTED = (told_apart, arms_alone, no_arms, one_seed, unfinished, nothing_done, all_failed, diverging, crowded)
