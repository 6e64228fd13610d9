"""Figures that move over powers of ten, with their intervals: `0.0439 [0.0435, 0.0443]`; ratios by their logarithms."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from normlab.formatting import number
from normlab.statistics import Interval, interval

from .saying import bracketed

__all__ = ["figure", "logarithms", "ratio", "written"]


def figure(values: Sequence[float], digits: int = 3, **known: Any) -> str:
    """The mean of `values` with its interval; `known` as `statistics.interval` takes it."""
    return written(interval(values, **known), digits)


def written(found: Interval, digits: int = 3) -> str:
    """A mean and its interval, so many significant digits each; the mean alone where there is no interval."""
    return _bracketed([found.mean, found.low, found.high], digits)


def logarithms(values: Sequence[float], step: float | None = None) -> Interval:
    """The interval of the logarithms of ratios: of their geometric mean. `step`: the factor that they move in."""
    return interval([float(np.log(v)) for v in values], resolution=None if step is None else float(np.log(step)))


def ratio(found: Interval) -> str:
    """What `logarithms` gave, as the ratio that it stands for."""
    return _bracketed([None if v is None else float(np.exp(v)) for v in (found.mean, found.low, found.high)], 2)


def _bracketed(values: Sequence[float | None], digits: int) -> str:
    middle, low, high = values
    return bracketed(middle, low, high, partial(number, digits=digits))
