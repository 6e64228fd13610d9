"""Several seeds as one document: a mean and its 95 % interval in the place of every measured number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from normlab.statistics import student_t

# Ratios and norms vary by factors, so theirs is the geometric mean, and the interval is one of logarithms.
GEOMETRIC = frozenset({"grad_norm", "first_over_last", "measured"})
SUMMED = frozenset({"nonfinite", "below", "above", "counts"})
# Not measured anew for every seed: a layer's number, the edges, the picture of the first seed's last layer.
SHARED = frozenset({"layer", "edges", "sample"})

Interval = dict[str, float | None]


def merge(documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The documents of one arm, one a seed, as one; a single one stays as it is."""
    if len(documents) == 1:
        return documents[0]
    merged: dict[str, Any] = _merged("", documents)
    merged["gain"]["predicted"] = _average([d["gain"]["predicted"] for d in documents])
    return merged


def _merged(name: str, values: Sequence[Any]) -> Any:
    first = values[0]
    if name in SHARED:
        return first
    if name in SUMMED:
        return [sum(column) for column in zip(*values, strict=True)] if name == "counts" else sum(values)
    if isinstance(first, dict):
        return {key: _merged(key, [v[key] for v in values]) for key in first}
    if isinstance(first, list):
        return [_merged(name, column) for column in zip(*values, strict=True)]
    if any(v is None for v in values):
        return None
    return geometric(values) if name in GEOMETRIC else arithmetic(values)


def _average(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return None if len(known) < len(values) else known[0] if len(set(known)) == 1 else float(np.mean(known))


def arithmetic(values: Sequence[float]) -> Interval:
    """The mean of two values or more, and the interval that holds the true one with 95 %, by Student's t."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
    half = student_t(len(values) - 1) * spread / math.sqrt(len(values))
    return _numbers(mean, mean - half, mean + half)


def geometric(values: Sequence[float]) -> Interval:
    """The same for logarithms. Where a value is 0 the mean is 0, and nothing bounds it from above but the largest."""
    if min(values) <= 0:
        return _numbers(0.0, 0.0, max(values))
    logs = arithmetic([math.log(v) for v in values])
    return _numbers(*(_exp(logs[key]) for key in ("mean", "low", "high")))


def _exp(value: float | None) -> float:
    return math.inf if value is None or value > 709 else math.exp(value)


def _numbers(mean: float, low: float, high: float) -> Interval:
    named = {"mean": mean, "low": low, "high": high}
    return {name: v if math.isfinite(v) else None for name, v in named.items()}
