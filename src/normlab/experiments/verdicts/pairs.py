"""Sentences about two arms or more at once: equal to rounding, equal forward only, or alike and yet different."""

from __future__ import annotations

import math
from itertools import combinations

from normlab.formatting import number, ratio
from normlab.language import N_

from . import limits
from .readings import Arm, Readings
from .wording import NEUTRAL, POOR, Verdict, say

__all__ = ["deceptive", "equal", "twins"]

EQUAL = N_("Equal to rounding, forward and backward: {items}.")
EQUAL_TO_NONE = N_("Here equal to {none} to rounding, so without any effect: {items}.")
TWINS = N_("{a} hands on the same values as {b}, layer by layer, but another gradient: {ratio_a} against {ratio_b}.")
DECEPTIVE = N_(
    "{a} and {b} end with the same mean ({mean}) and variance ({var}), yet layer 1 over layer {last} is "
    "{ratio_a} against {ratio_b}."
)


def equal(readings: Readings) -> list[Verdict]:
    """The arms whose numbers are equal to rounding; beside the arm without, that means no effect."""
    groups: list[list[Arm]] = []
    for arm in readings.arms:
        group = next((g for g in groups if g[0].equals(arm, readings.rounding)), None)
        groups.append([arm]) if group is None else group.append(arm)
    found = []
    for group in groups:
        none = next((arm for arm in group if arm.is_without), None)
        others = [arm.label for arm in group if arm is not none]
        if none and others:
            found.append(say(NEUTRAL, EQUAL_TO_NONE, none=none.label, items=others))
        elif len(others) > 1:
            found.append(say(NEUTRAL, EQUAL, items=others))
    return found


def twins(readings: Readings) -> list[Verdict]:
    """The pair that hands on the same values in every layer while their gradients differ most."""
    pairs = [(a, b) for a, b in _pairs(readings, limits.ALIKE) if a.same_forward(b, limits.SAME_FORWARD)]
    if not pairs:
        return []
    a, b = pairs[0]
    values = {"a": a.label, "b": b.label, **_both_ratios(a, b)}
    return [say(NEUTRAL, TWINS, **values)]


def deceptive(readings: Readings) -> list[Verdict]:
    """The pair whose last histograms have the same mean and variance while their gradients differ most."""
    for a, b in _pairs(readings, limits.OTHER_FATE):
        mean, var = a.last["mean"], a.last["var"]
        if mean and var and a.same_moments(b) and not a.same_forward(b, limits.SAME_FORWARD):
            values = {"a": a.label, "b": b.label, "last": readings.depth, **_both_ratios(a, b)}
            digits = number(0.0 if abs(mean.mean) < 1e-9 * a.last.spread else mean.mean, 2)
            return [say(POOR, DECEPTIVE, mean=digits, var=number(var.mean, 2), **values)]
    return []


def _pairs(readings: Readings, factor: float) -> list[tuple[Arm, Arm]]:
    """The pairs whose first over last differ by more than `factor`, the widest apart first, the better arm first."""
    apart = []
    for a, b in combinations(readings.by_merit, 2):
        if a.ratio and b.ratio and not a.ratio.overlaps(b.ratio):
            low, high = sorted((a.ratio.mean, b.ratio.mean))
            width = math.log(high) - math.log(low) if low > 0 else math.inf
            if width > math.log(factor):
                apart.append((width, a, b))
    return [(a, b) for _, a, b in sorted(apart, key=lambda pair: -pair[0])]


def _both_ratios(a: Arm, b: Arm) -> dict[str, str]:
    return {f"ratio_{k}": ratio(arm.ratio.mean if arm.ratio else None) for k, arm in (("a", a), ("b", b))}
