"""The intervals that were tried, vectorized over repeats: for the table of docs/statistics.md only."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from normlab.statistics import student_t

RESAMPLES = 399  # with 400 the quantiles of 2.5 % are order statistics
TAIL = (RESAMPLES + 1) // 40


def candidates(x: np.ndarray, rng: np.random.Generator) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The ends of each interval of 95 %; x of shape (repeats, seeds)."""
    n = x.shape[1]
    mean, error = x.mean(1), np.maximum(x.std(1, ddof=1), 1e-12) / math.sqrt(n)
    centred = x - mean[:, None]
    skewness = (centred**3).sum(1) * n / ((n - 1) * (n - 2)) / (error * math.sqrt(n)) ** 3
    half = student_t(n - 1) * error
    shift = skewness * error / (6 * math.sqrt(n))  # Johnson 1978
    resampled = x[:, rng.integers(0, n, (RESAMPLES, n))]
    means = np.sort(resampled.mean(2), axis=1)
    return {
        "Student": (mean - half, mean + half),
        "Johnson": (mean + shift - half, mean + shift + half),
        "bootstrap-t": _bootstrap_t(resampled, mean, error),
        "BCa": _bca(means, mean, centred),
        "percentile": (means[:, TAIL - 1], means[:, -TAIL]),
    }


def _bootstrap_t(resampled: np.ndarray, mean: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (resampled.mean(2) - mean[:, None]) / (resampled.std(2, ddof=1) / math.sqrt(resampled.shape[2]))
    t = np.sort(np.nan_to_num(t, nan=0.0, posinf=np.inf, neginf=-np.inf), axis=1)
    return mean - t[:, -TAIL] * error, mean - t[:, TAIL - 1] * error


def _bca(means: np.ndarray, mean: np.ndarray, centred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    below = (means < mean[:, None]).sum(1) + (means == mean[:, None]).sum(1) / 2
    bias = special.ndtri(np.clip(below / RESAMPLES, 0.001, 0.999))
    acceleration = (centred**3).sum(1) / (6 * np.maximum((centred**2).sum(1), 1e-30) ** 1.5)
    rows = np.arange(len(mean))
    ends = []
    for z in special.ndtri([0.025, 0.975]):
        part = special.ndtr(bias + (bias + z) / (1 - acceleration * (bias + z)))
        ends.append(means[rows, np.clip(np.round(part * (RESAMPLES + 1)).astype(int) - 1, 0, RESAMPLES - 1)])
    return ends[0], ends[1]
