"""What an option may be: each constraint accepts or refuses, says itself in words, and knows values that it refuses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Protocol

from .errors import ShapeError, UsageError

__all__ = ["Constraint", "Divides", "Interval", "OneOf", "auto_groups", "is_number"]

# Group norm's paper (1803.08494) uses 32 groups; below 8 channels a group the statistics get noisy.
MOST_GROUPS, LEAST_CHANNELS = 32, 8


class Constraint(Protocol):
    """An option's values."""

    def accepts(self, value: Any) -> bool:
        """Whether `value` may be used."""

    def refused(self) -> tuple[Any, ...]:
        """Some values that must be refused, for tests."""


def is_number(value: Any, whole: bool = False) -> bool:
    """Whether `value` is a real, or a whole, number of Python or NumPy. True and False are none."""
    return isinstance(value, Integral if whole else Real) and not isinstance(value, bool)


def _finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond the largest float
        return False


@dataclass(frozen=True)
class Interval:

    """A finite number from `low` to `high`, both included unless `open`; `whole` numbers only; None where `none`."""

    low: float = -math.inf
    high: float = math.inf
    whole: bool = False
    none: bool = False
    open_low: bool = False
    open_high: bool = False

    def accepts(self, value: Any) -> bool:
        if value is None:
            return self.none
        if not is_number(value, self.whole):
            return False
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below and _finite(value)

    def refused(self) -> tuple[Any, ...]:
        values: list[Any] = ["text", math.nan, math.inf, True]
        values += [] if self.none else [None]
        values += [1.5] if self.whole else []
        values += [self.low if self.open_low else self.low - 1] if math.isfinite(self.low) else []
        values += [self.high if self.open_high else self.high + 1] if math.isfinite(self.high) else []
        return tuple(values)

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        bounds = []
        if math.isfinite(self.low):
            bounds.append(f"{'above' if self.open_low else 'at least'} {self.low:g}")
        if math.isfinite(self.high):
            bounds.append(f"{'below' if self.open_high else 'at most'} {self.high:g}")
        return " ".join([kind, " and ".join(bounds)]).strip() + (" or None" if self.none else "")


@dataclass(frozen=True, init=False)
class OneOf:
    """One of the values listed."""

    values: tuple[Any, ...]

    def __init__(self, *values: Any) -> None:
        object.__setattr__(self, "values", values)

    def accepts(self, value: Any) -> bool:
        # By type as well: 1 == True, and an option that is one or the other means what it says.
        return any(type(value) is type(v) and value == v for v in self.values)

    def refused(self) -> tuple[Any, ...]:
        return ("no such value", 2.5, (1,))

    def __str__(self) -> str:
        return "one of " + ", ".join(repr(v) for v in self.values)


@dataclass(frozen=True)
class Divides:
    """A whole number that divides the channels, or "auto": see `auto_groups`."""

    def accepts(self, value: Any) -> bool:
        if isinstance(value, str):
            return value == "auto"
        return is_number(value, whole=True) and value >= 1

    def refused(self) -> tuple[Any, ...]:
        return (0, -1, 2.0, True, None, "some")

    def resolve(self, who: str, value: Any, channels: int) -> int:
        """The number itself, checked against the channels. Raises ShapeError naming both."""
        if value == "auto":
            return auto_groups(channels)
        if channels % value:
            near = min((d for d in range(1, channels + 1) if channels % d == 0), key=lambda d: abs(d - value))
            raise ShapeError(
                f"{who} must divide the {channels} channels, got {value}.", hint=f"The nearest that does is {near}."
            )
        return int(value)

    def __str__(self) -> str:
        return 'a whole number that divides the channels, or "auto"'


def auto_groups(channels: int) -> int:
    """The largest divisor of `channels`, at most 32, that leaves at least 8 channels a group; else 1."""
    if channels < 1:
        raise UsageError(f"the number of channels must be at least 1, got {channels}.")
    fits = (g for g in range(MOST_GROUPS, 0, -1) if channels % g == 0 and channels // g >= LEAST_CHANNELS)
    return next(fits, 1)
