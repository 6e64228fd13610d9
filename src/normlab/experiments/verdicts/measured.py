"""A measured number: plain for one seed, an interval over several. A statement holds only if all of it agrees."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Measured", "finite", "part"]


@dataclass(frozen=True)
class Measured:
    """The number, and the interval it lies in (no wider than the number itself for one seed)."""

    mean: float
    low: float
    high: float

    @classmethod
    def read(cls, value: Any) -> Measured | None:
        """Read a document's number or interval; None where it is missing or not finite."""
        if not isinstance(value, Mapping):
            value = {"mean": value, "low": value, "high": value}
        mean = finite(value.get("mean"))
        if mean is None:
            return None
        low, high = finite(value.get("low")), finite(value.get("high"))
        # An end that is missing is an open one: nothing can be said on that side.
        return cls(mean, -math.inf if low is None else min(low, mean), math.inf if high is None else max(high, mean))

    def is_below(self, limit: float) -> bool:
        """Whether all of the interval is below `limit`."""
        return self.high < limit

    def is_above(self, limit: float) -> bool:
        """Whether all of the interval is above `limit`."""
        return self.low > limit

    def is_within(self, low: float, high: float) -> bool:
        """Whether all of the interval lies from `low` to `high`."""
        return low <= self.low and self.high <= high

    def overlaps(self, other: Measured) -> bool:
        """Whether the two intervals have a number in common."""
        return self.low <= other.high and other.low <= self.high

    def is_close(self, other: Measured, tolerance: float, scale: float = 0.0) -> bool:
        """Whether the two numbers differ by `tolerance` at most, relative to the larger of them and `scale`."""
        return abs(self.mean - other.mean) <= tolerance * max(abs(self.mean), abs(other.mean), scale)

    def distance(self) -> Measured:
        """How far a ratio is from 1 in either direction: |log| of it, as an interval."""
        low, mean, high = _log(self.low), _log(self.mean), _log(self.high)
        near, far = sorted((abs(low), abs(high)))
        return Measured(abs(mean), 0.0 if low <= 0 <= high else near, far)


def finite(value: Any) -> float | None:
    """The value as a float if it is a finite number, else None."""
    try:
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
    except OverflowError:  # an int beyond float's range
        return None


def part(a: Measured, b: Measured) -> Measured:
    """a / (a + b) for two numbers that are not negative; their intervals may be, and are cut at 0."""
    low, mean, high = _part(a.low, b.high), _part(a.mean, b.mean), _part(a.high, b.low)
    return Measured(mean, min(low, mean), max(high, mean))


def _part(a: float, b: float) -> float:
    a, b = max(a, 0.0), max(b, 0.0)
    if math.isinf(a):
        return 0.0 if math.isinf(b) else 1.0
    return a / (a + b) if a > 0 else 0.0


def _log(x: float) -> float:
    return math.log(x) if 0 < x < math.inf else math.copysign(math.inf, x - 1)
