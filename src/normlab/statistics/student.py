"""Student's t without SciPy: with t = sqrt(freedom) tan(theta), its tail is an integral of cos(theta)^(freedom - 1)."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

__all__ = ["student_p", "student_t"]

LEVEL = 0.95


@lru_cache(maxsize=1)
def _points() -> tuple[np.ndarray, np.ndarray]:
    """64 points, which give the integral to rounding up to a thousand degrees of freedom."""
    points, weights = np.polynomial.legendre.leggauss(64)
    return points, weights


def _beyond(theta: float, freedom: int) -> float:
    """The part of both tails beyond theta. Sines from the far end keep the digits of a small one."""
    points, weights = _points()
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) * 2 / math.sqrt(math.pi)
    half = (math.pi / 2 - theta) / 2
    return min(1.0, scale * half * float(weights @ np.sin(half * (points + 1)) ** (freedom - 1)))


def student_p(t: float, freedom: int) -> float:
    """The two-sided p value of Student's t: how often one with `freedom` degrees lies beyond |t|."""
    return _beyond(math.atan2(abs(t), math.sqrt(freedom)), freedom)


@lru_cache(maxsize=1024)
def student_t(freedom: int, level: float = LEVEL) -> float:
    """The two-sided quantile of Student's t: |t| stays below it with probability `level`. Found by halving."""
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        theta = (low + high) / 2
        low, high = (theta, high) if _beyond(theta, freedom) > 1 - level else (low, theta)
    return math.sqrt(freedom) * math.tan(low)
