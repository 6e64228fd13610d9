"""Arms compared over the same seeds: paired differences, intervals that hold together, and a verdict each.

Student's t on the paired differences, by Bonferroni: interval and p value say the same, nothing about the dependence of
the comparisons is presumed, and another arm changes nothing but their number. Among equal arms paired differences are
symmetric, where t errs on the cautious side unless they hardly spread; two floors guard that: half the square of the
metric's step for their variance, and `least_p`. Sign flips need no such guard and no normality, but with n seeds
their least p is 2^(1-n): five seeds could never claim anything. Holm's p values would call differences whose interval
holds 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from normlab.errors import unknown

from .ranks import rank_p, superiority
from .runs import Runs, arms, finest_step, mean_and_spread, required
from .student import LEVEL, student_p, student_t
from .sufficiency import Seeds, least_p, seeds_needed

__all__ = ["Contrast", "contrasts"]

BETTER, WORSE, EQUIVALENT, OPEN = "better", "worse", "equivalent", "no difference shown"
NOTHING: dict[str, Any] = {**dict.fromkeys(("difference", "low", "high", "p", "effect", "seeds")), "verdict": OPEN}


@dataclass(frozen=True)
class Contrast:
    """`label` minus `against` over the same seeds; None where the runs do not give a number.

    Fields:
        difference, low, high: the mean paired difference in the metric's unit and its interval; all intervals of one
            call hold the true differences together with probability `level`.
        p: adjusted for the number of `comparisons`.
        effect: the mean difference over the differences' standard deviation, freed of its small-sample bias (Hedges).
        superiority: the part of the seeds in which `label` is the better one, ties half.
        verdict: of `label`: "better", "worse", "equivalent" (the interval lies within the margin), or
            "no difference shown".
        failed: runs without a number, of `label` and of `against`.
        seeds: how many would show this difference, where it is not shown and the runs say.
        method: "student"; "ranks" (a run has no number); "one seed"; "no spread" (no two values differ).
    """

    label: str
    against: str
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    effect: float | None
    superiority: float
    verdict: str
    n: int
    comparisons: int
    level: float
    higher_is_better: bool
    failed: tuple[int, int]
    seeds: Seeds | None
    method: str


@dataclass(frozen=True)
class _Terms:
    comparisons: int
    level: float
    higher_is_better: bool
    margin: float | None
    resolution: float | None


def contrasts(
    metrics: Mapping[str, Sequence[float | None]], *, against: str | None = None, level: float = LEVEL,
    higher_is_better: bool = True, margin: float | None = None, resolution: float | None = None,
    diverged: float | None = None,
) -> list[Contrast]:  # fmt: skip
    """Compare all pairs of arms, the later with the earlier one, or every arm with one of them.

    Args:
        metrics: by arm, one value a seed, the same seeds in the same order. None, NaN and infinities are runs without a
            number.
        against: the arm that the others are compared with; None: all pairs.
        level: of all intervals together.
        higher_is_better: False for losses and steps.
        margin: differences below it do not matter; None: nothing is called equivalent.
        resolution: the metric's step (1 / number of test samples for an accuracy); None: the smallest gap between the
            values of the two arms.
        diverged: what a run without a number counts as (chance, the steps at which the run was cut). None: a pair of
            arms with such a run has no mean difference; ranks decide, among which it is the worst.

    Returns:
        One contrast a pair, in the order of the arms.

    Raises:
        UsageError: fewer than two arms, unequal numbers of seeds, none, a value that is no number, an impossible level,
            margin, resolution or value for diverged runs. UnknownNameError: `against` is no arm.
    """
    required("contrasts", level=level, margin=margin, resolution=resolution, diverged=diverged)
    runs = arms("contrasts", metrics, diverged)
    if against is not None and against not in runs:
        raise unknown("arm", against, runs)
    every = [(later, earlier) for earlier, later in combinations(runs, 2)]
    pairs = every if against is None else [(label, against) for label in runs if label != against]
    terms = _Terms(len(pairs), level, higher_is_better, margin, resolution)
    return [_contrast(one, other, runs[one], runs[other], terms) for one, other in pairs]


def _contrast(label: str, against: str, ones: Runs, others: Runs, terms: _Terms) -> Contrast:
    worst = -math.inf if terms.higher_is_better else math.inf
    ranked = [[worst if v is None else v for v in runs] for runs in (ones, others)]
    differences = [a - b for a, b in zip(*ranked, strict=True)]
    better = superiority(*ranked) if terms.higher_is_better else superiority(*ranked[::-1])
    failed = (ones.count(None), others.count(None))
    if any(failed) or not all(map(math.isfinite, differences)):
        found = _by_ranks(ranked[0], ranked[1], terms)
    else:
        step = finest_step([*ranked[0], *ranked[1]]) if terms.resolution is None else terms.resolution
        found = _by_differences(differences, step, terms)
    return Contrast(
        label, against, superiority=better, n=len(ones), comparisons=terms.comparisons, level=terms.level,
        higher_is_better=terms.higher_is_better, failed=failed, **found,
    )  # fmt: skip


def _by_ranks(ones: list[float], others: list[float], terms: _Terms) -> dict[str, Any]:
    if len(ones) == 1:
        return {**NOTHING, "method": "one seed"}
    p = _adjusted(rank_p(ones, others), terms)
    pooled = sum(superiority([a] * len(others), others) for a in ones) / len(ones)  # what the rank sum measures
    verdict = _direction(pooled - 0.5, terms) if p <= 1 - terms.level else OPEN
    return {**NOTHING, "p": p, "verdict": verdict, "method": "ranks"}


def _by_differences(differences: list[float], step: float, terms: _Terms) -> dict[str, Any]:
    n = len(differences)
    mean, spread = mean_and_spread(differences)
    # Two arms that each fall on either of two neighbouring values differ with this standard deviation.
    spread = max(spread, step / math.sqrt(2))
    if n == 1:
        return {**NOTHING, "difference": mean, "method": "one seed"}
    if spread == 0:
        return {**NOTHING, "difference": mean, "p": 1.0, "method": "no spread"}
    half = student_t(n - 1, 1 - (1 - terms.level) / terms.comparisons) * spread / math.sqrt(n)
    p = _adjusted(max(student_p(mean / spread * math.sqrt(n), n - 1), least_p(n)), terms)
    verdict = _verdict(mean, half, p, least_p(n), terms)
    needed = seeds_needed(mean / spread, n, comparisons=terms.comparisons, level=terms.level)
    return {"difference": mean, "low": _finite(mean - half), "high": _finite(mean + half), "p": p, "verdict": verdict,
            "effect": _hedges(n - 1) * mean / spread, "seeds": needed if verdict == OPEN else None, "method": "student"}


def _verdict(mean: float, half: float, p: float, least: float, terms: _Terms) -> str:
    enough = _adjusted(least, terms) <= 1 - terms.level
    if enough and terms.margin is not None and abs(mean) + half < terms.margin:
        return EQUIVALENT
    return _direction(mean, terms) if p <= 1 - terms.level else OPEN


def _direction(difference: float, terms: _Terms) -> str:
    return BETTER if (difference > 0) == terms.higher_is_better else WORSE


def _adjusted(p: float, terms: _Terms) -> float:
    return min(1.0, p * terms.comparisons)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _hedges(freedom: int) -> float:
    """The factor that frees a standardized mean of its bias: 0.56 for three values, 0.80 for five; 0 for two."""
    if freedom < 2:
        return 0.0
    return math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom - 1) / 2)) / math.sqrt(freedom / 2)
