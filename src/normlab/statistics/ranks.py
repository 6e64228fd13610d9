"""The exact rank test of two arms with ties, for runs of which some have no number and so no mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["rank_p", "superiority"]


def rank_p(ones: Sequence[float], others: Sequence[float]) -> float:
    """The two-sided p value of the rank sum, over all ways to deal the values to two arms of these sizes.

    Ties take their middle rank; `inf` and `-inf` stand for runs without a number. Every way to choose len(ones) of all
    values is counted, by adding one value after the other, so nothing is approximate. Seeds that move both arms alike
    make it cautious. With n seeds the least p is 2 / C(2n, n): 0.1 for three, 0.008 for five.
    """
    pooled = [*ones, *others]
    # Twice the middle rank, less 1: whole numbers.
    doubled = [sum(v < w for v in pooled) + sum(v <= w for v in pooled) for w in pooled]
    ways = np.zeros((len(ones) + 1, sum(doubled) + 1))
    ways[0, 0] = 1
    for rank in doubled:
        ways[1:, rank:] += ways[:-1, : ways.shape[1] - rank].copy()
    expected = sum(doubled) * len(ones) / len(pooled)
    away = abs(np.arange(ways.shape[1]) - expected) >= abs(sum(doubled[: len(ones)]) - expected) - 1e-9
    return min(1.0, float(ways[-1, away].sum() / ways[-1].sum()))


def superiority(ones: Sequence[float], others: Sequence[float]) -> float:
    """In what part of the seeds the first arm's value is the larger one; ties count half."""
    return sum((a > b) + (a == b) / 2 for a, b in zip(ones, others, strict=True)) / len(ones)
