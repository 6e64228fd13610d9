"""Sentences about the gradient: where it vanishes or explodes, what a normalization does to that, and the law."""

from __future__ import annotations

from collections.abc import Sequence

from normlab.formatting import number, ratio
from normlab.language import N_

from . import limits
from .readings import Arm, Readings
from .wording import GOOD, NEUTRAL, POOR, Verdict, ratios, say

__all__ = ["exploding", "law", "no_ratio", "vanishing", "worse"]

VANISHES = N_("The gradient vanishes on its way down; layer 1 over layer {last}: {items}.")
CREATED = N_("A vanishing gradient is created, not cured; layer 1 over layer {last}: {none} {ratio}, but {items}.")
WORSE = N_("Worse than no normalization at all ({none} {ratio}), layer 1 over layer {last}: {items}.")
EXPLODES = N_("The gradient explodes on its way down; layer 1 over layer {last}: {items}.")
EXPLODES_BESIDE = N_("The gradient explodes on its way down ({none} {ratio}); layer 1 over layer {last}: {items}.")
LAW = N_("Gain of the gradient per layer, measured (predicted): {items}; the law is off by {gap} at most.")
NO_RATIO = N_("No gradient to compare, because a layer's is zero or not finite: {items}.")


def vanishing(readings: Readings) -> list[Verdict]:
    """Where the gradient vanishes; said otherwise where it does so only because of the normalization."""
    gone = [arm for arm in readings.by_merit if arm.vanishes]
    none = readings.without
    if none and none.ratio and not none.vanishes:
        created = [arm for arm in gone if _is_apart_below(arm, none)]
        plain = [arm for arm in gone if not any(arm is c for c in created)]
    else:
        created, plain = [], gone
    found = []
    if created and none and none.ratio:
        found.append(say(POOR, CREATED, **_beside(readings, none), items=ratios(created)))
    if plain and not _is_told(readings, plain):
        found.append(say(POOR, VANISHES, last=readings.depth, items=ratios(plain)))
    return found


def worse(readings: Readings) -> list[Verdict]:
    """Which arms lose more of the gradient than the arm without, where that loses it too."""
    none = readings.without
    if not (none and none.ratio and none.vanishes):
        return []
    arms = [arm for arm in readings.by_merit if arm.vanishes and _is_apart_below(arm, none)]
    return [say(POOR, WORSE, **_beside(readings, none), items=ratios(arms))] if arms else []


def exploding(readings: Readings) -> list[Verdict]:
    """Where the gradient explodes, beside the arm without where that one stays in bounds."""
    arms = [arm for arm in readings.by_merit if arm.explodes]
    none = readings.without
    if not arms or _is_told(readings, arms):
        return []
    if none and none.ratio and not none.explodes:
        return [say(POOR, EXPLODES_BESIDE, **_beside(readings, none), items=ratios(arms))]
    return [say(POOR, EXPLODES, last=readings.depth, items=ratios(arms))]


def law(readings: Readings) -> list[Verdict]:
    """The gradient's gain per layer beside the predicted one, for the arms that have both."""
    items, gaps = [], []
    for arm in readings.by_merit:
        measured, predicted = arm.gain("measured"), arm.gain("predicted")
        if measured is not None and predicted is not None:
            items.append(f"{arm.label} {ratio(measured)} ({ratio(predicted)})")
            gaps.append(abs(measured - predicted) / predicted)
    if not items:
        return []
    mark = GOOD if max(gaps) <= limits.LAW_HOLDS else NEUTRAL
    return [say(mark, LAW, items=items, gap=f"{number(100 * max(gaps), 2)} %")]


def no_ratio(readings: Readings) -> list[Verdict]:
    """The arms with finite activations whose gradient cannot be compared."""
    arms = [arm for arm in readings.arms if len(arm.layers) > 1 and arm.ratio is None and arm.broken is None]
    return [say(POOR, NO_RATIO, items=[arm.label for arm in arms])] if arms else []


def _beside(readings: Readings, none: Arm) -> dict[str, object]:
    return {
        "none": none.label,
        "ratio": ratio(none.ratio.mean if none.ratio else None),
        "last": readings.depth,
    }


def _is_told(readings: Readings, arms: Sequence[Arm]) -> bool:
    """Whether the leading sentence has said it already: it tells two arms' numbers."""
    return len(arms) == len(readings.by_merit) <= 2


def _is_apart_below(arm: Arm, none: Arm) -> bool:
    """Whether the arm passes so much less gradient than the arm without that it is another matter."""
    if arm.ratio is None or none.ratio is None:
        return False
    return arm.ratio.mean * limits.APART < none.ratio.mean and not arm.ratio.overlaps(none.ratio)
