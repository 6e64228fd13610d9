"""Figures with their intervals, the same in every language: `95.3 [94.8, 95.9]`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from normlab.statistics import Contrast, interval

__all__ = ["bracketed", "difference", "percent", "ratio"]


def bracketed(
    middle: float | None, low: float | None, high: float | None, form: str | Callable[[float], str] = ".1f"
) -> str:  # fmt: skip
    """A figure with its interval; without one where there is none. `form`: of format(), or what writes a number."""
    write = (lambda value: format(value, form)) if isinstance(form, str) else form
    if middle is None:
        return "-"
    return write(middle) + (f" [{write(low)}, {write(high)}]" if low is not None and high is not None else "")


def percent(values: Sequence[float | None], step: float | None = None) -> str:
    """The mean of shares over seeds, in percent. `step`: the finest by which one can move."""
    found = interval([points(v) for v in values], resolution=points(step), bounds=(0.0, 100.0))
    return f"{bracketed(found.mean, found.low, found.high)} %"


def points(value: float | None) -> float | None:
    """A share in percent."""
    return None if value is None else 100 * value


def difference(found: Contrast) -> str:
    """A difference of shares, in points."""
    return bracketed(points(found.difference), points(found.low), points(found.high), "+.1f")


def ratio(low: float, middle: float, high: float) -> str:
    """A ratio as `benchmark.timing.interval` gives it."""
    return bracketed(middle, low, high, ".2f")
