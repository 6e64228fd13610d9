"""How many seeds a statement needs: to be made at all, and to tell two arms apart by the difference seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from .student import LEVEL

__all__ = ["Seeds", "least_p", "least_seeds", "seeds_needed"]

POWER = 0.8
SPREAD_LEVEL = 0.8  # of the range that the observed spread's own uncertainty gives
MOST = 1000  # nobody trains more; a larger number would only pretend to know


@dataclass(frozen=True)
class Seeds:
    """About how many seeds would tell two arms apart, and between which numbers; None: more than MOST."""

    needed: int | None
    low: int | None
    high: int | None


def least_p(n: int) -> float:
    """The smallest p value that n seeds can give, 2 * 4^-n, whatever their differences.

    Two arms that each fall on either of two values at even odds (two minima, two neighbouring accuracies) differ in the
    same way in all n seeds with this probability, with no spread in the differences; Student's t would call it certain.
    """
    return 2.0 * 4.0**-n


def least_seeds(comparisons: int = 1, level: float = LEVEL) -> int:
    """With fewer seeds than this no difference can be claimed among so many comparisons: 3 for one, 4 for six."""
    return next(n for n in range(2, 100) if comparisons * least_p(n) <= 1 - level)


def seeds_needed(effect: float, n: int, *, comparisons: int = 1, level: float = LEVEL) -> Seeds:
    """The seeds that would show a difference of `effect` spreads four times in five.

    (z(confidence) + z(power))^2 / effect^2 + z(confidence)^2 / 2, the last term for a spread that is estimated.

    Args:
        effect: the mean paired difference over the differences' standard deviation, as seen in n seeds.
        n: those seeds; their spread is known to a factor only, from which `low` and `high` follow (80 % of cases).
        comparisons: the level is divided among them.

    Returns:
        Numbers above n, for which the seeds seen did not suffice, and no less than `least_seeds`.

    Source: W. Guenther, "Sample size formulas for normal theory T tests", The American Statistician 35 (1981) 243-244.
    """
    floor = max(n + 1, least_seeds(comparisons, level))
    lower, upper = (_spread_factor(n - 1, tail) for tail in ((1 + SPREAD_LEVEL) / 2, (1 - SPREAD_LEVEL) / 2))
    counts = [_count(abs(effect) / factor, floor, comparisons, level) for factor in (1.0, lower, upper)]
    return Seeds(counts[0], counts[1], counts[2])


def _count(effect: float, floor: int, comparisons: int, level: float) -> int | None:
    sure = NormalDist().inv_cdf(1 - (1 - level) / comparisons / 2)
    wanted = math.inf if effect < 1e-9 else ((sure + NormalDist().inv_cdf(POWER)) / effect) ** 2 + sure**2 / 2
    return max(floor, math.ceil(wanted)) if wanted <= MOST and floor <= MOST else None


def _spread_factor(freedom: int, tail: float) -> float:
    """The true spread over the one seen, below which it lies with probability 1 - tail: chi squared by Wilson-Hilferty.

    Off by 4 % at most from two degrees on; at one (two seeds) the upper one is off by 40 %, where nothing is claimed.
    """
    root = 1 - 2 / (9 * freedom) + NormalDist().inv_cdf(tail) * math.sqrt(2 / (9 * freedom))
    return 1 / math.sqrt(max(root, 1e-2) ** 3)
