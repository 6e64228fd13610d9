"""Sentences about the forward pass: what is not finite, constant, saturated, or the same for every input."""

from __future__ import annotations

from normlab.formatting import ratio, share
from normlab.language import N_, both

from . import limits
from .readings import Arm, Readings
from .wording import NEUTRAL, POOR, Text, Verdict, names, say, signals

__all__ = ["constant", "hidden", "kept", "not_finite", "saturated"]

NOT_FINITE = N_("Not finite (NaN or Inf), so left out of the comparison: {items}.")
NOT_FINITE_ITEM = N_("{arm} from layer {layer} on, {count} values there")
CONSTANT = N_("One constant for every input and unit, so nothing gets through: {items}.")
CONSTANT_ITEM = N_("{arm} from layer {layer} on")
HEALTHY_LOOKING = N_("Layer {last}'s histogram looks healthy but is the same for every input; signal: {items}.")
SPIKE = N_("Layer {last}'s histogram is a narrow spike and the same for every input; signal: {items}.")
STUCK = N_("Layer {last} is saturated and the same for every input; signal: {items}.")
KEPT = N_("Only with {names} most of layer {last}'s variance stays signal; elsewhere less: {items}.")
SATURATED = N_("Saturated is not vanished; saturated units (and layer 1 over layer {last}): {items}.")


def not_finite(readings: Readings) -> list[Verdict]:
    """Which arms have values that are not finite, where they begin, and how many there are."""
    items: list[Text | str] = [
        both(NOT_FINITE_ITEM, arm=arm.label, layer=arm.broken.number, count=arm.broken.nonfinite)
        for arm in readings.arms
        if arm.broken
    ]
    return [say(POOR, NOT_FINITE, items=items)] if items else []


def constant(readings: Readings) -> list[Verdict]:
    """Which arms give one constant from some layer on."""
    items: list[Text | str] = []
    for arm in readings.arms:
        dead = next((layer for layer in arm.layers if layer.is_constant), None)
        if dead and arm.broken is None:
            items.append(both(CONSTANT_ITEM, arm=arm.label, layer=dead.number))
    return [say(POOR, CONSTANT, items=items)] if items else []


def hidden(readings: Readings) -> list[Verdict]:
    """Which arms' last layer is the same for every input, told by what their histogram looks like."""
    looks: dict[str, list[Arm]] = {HEALTHY_LOOKING: [], STUCK: [], SPIKE: []}
    for arm in readings.by_signal:
        if arm.signal_is_lost:
            stuck = arm.is_saturated(arm.last["saturated"])
            looks[STUCK if stuck else SPIKE if arm.last.is_narrow else HEALTHY_LOOKING].append(arm)
    return [say(POOR, message, last=readings.depth, items=signals(arms)) for message, arms in looks.items() if arms]


def kept(readings: Readings) -> list[Verdict]:
    """Which arms keep the signal, where others keep a part of it (those that lose it have their own sentence)."""
    keep = [a for a in readings.by_signal if a.last.signal and a.last.signal.is_above(limits.SIGNAL_KEPT)]
    less = [
        a
        for a in readings.by_signal
        if a.last.signal and a.last.signal.is_below(limits.SIGNAL_KEPT) and not a.signal_is_lost
    ]
    if not keep or not less:
        return []
    return [say(NEUTRAL, KEPT, names=names(keep, 32), last=readings.depth, items=signals(less))]


def saturated(readings: Readings) -> list[Verdict]:
    """Which arms are saturated and carry the gradient all the same."""
    items: list[Text | str] = [
        f"{arm.label} {share(arm.saturation.mean)} ({ratio(arm.ratio.mean)})"
        for arm in readings.by_merit
        if arm.ratio and arm.carries and arm.saturation and arm.is_saturated(arm.saturation)
    ]
    return [say(NEUTRAL, SATURATED, last=readings.depth, items=items)] if items else []
