"""What a metric's values over the seeds are: numbers, runs without one, and the finest step that they show.

A run without a number (None, NaN, infinite: it diverged, or never reached the threshold) is never left out. It counts
as the number that the caller gives for it (`diverged=`, the metric at chance); without one it is worse than every
number, and what needs a mean is not given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from normlab.errors import UsageError

__all__ = ["Runs", "arms", "checked", "finest_step", "mean_and_spread", "required"]

Runs = list[float | None]

# Gaps below this part of the largest value are rounding (0.3 - 0.1 - 0.2), not steps of the metric.
ROUNDING = 1e-9


def checked(who: str, values: Sequence[float | None], diverged: float | None) -> Runs:
    """The values as floats, and None or `diverged` for runs without a number; an error for what is no number."""
    found: Runs = []
    for seed, value in enumerate(values):
        try:
            known = math.nan if value is None else float(value)
        except (TypeError, ValueError, OverflowError):
            raise UsageError(f"{who}: value {seed} must be a number or None, got {value!r}.") from None
        found.append(known if math.isfinite(known) else diverged)
    return found


def arms(who: str, metrics: Mapping[str, Sequence[float | None]], diverged: float | None) -> dict[str, Runs]:
    """Two arms or more with the same number of seeds, at least one; an error names the arms and their counts."""
    if len(metrics) < 2:
        raise UsageError(f"{who}: required two arms or more, got {len(metrics)}.")
    counts = {label: len(values) for label, values in metrics.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{label}: {count}" for label, count in counts.items())
        raise UsageError(f"{who}: every arm must have a value for the same seeds, got {listed}. Pass None for a run"
                         " without one.")  # fmt: skip
    if not all(counts.values()):
        raise UsageError(f"{who}: required one seed or more, got 0.")
    return {label: checked(f"{who}: {label}", values, diverged) for label, values in metrics.items()}


def required(who: str, **settings: Any) -> None:
    """Refuse a level outside 0 to 1 and a margin, resolution or value for diverged runs that cannot be one."""
    level, margin, resolution, diverged = (settings.get(k) for k in ("level", "margin", "resolution", "diverged"))
    if level is not None and not 0 < level < 1:
        raise UsageError(f"{who}: level must lie between 0 and 1, got {level}.")
    if margin is not None and not 0 < margin < math.inf:
        raise UsageError(f"{who}: margin must be a positive number, got {margin}.")
    if resolution is not None and not 0 <= resolution < math.inf:
        raise UsageError(f"{who}: resolution must be a number of at least 0, got {resolution}.")
    if diverged is not None and not math.isfinite(diverged):
        raise UsageError(f"{who}: diverged must be a finite number, got {diverged}.")


def finest_step(values: Sequence[float]) -> float:
    """The smallest gap between two different values, 0 where all are equal: an accuracy moves in steps."""
    least = ROUNDING * max((abs(v) for v in values), default=0.0)
    return min((high - low for low, high in pairwise(sorted(values)) if high - low > least), default=0.0)


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """The mean and the standard deviation (n - 1; 0 for one value); exact sums, so that no order matters.

    Values that overflow when they are added or squared give a mean or a spread that is not finite.
    """
    scale = max(abs(v) for v in values)
    if scale == 0:
        return 0.0, 0.0
    units = [v / scale for v in values]
    mean = math.fsum(units) / len(units)
    squares = math.fsum((u - mean) ** 2 for u in units)
    return mean * scale, math.sqrt(squares / max(len(units) - 1, 1)) * scale
