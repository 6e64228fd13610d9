"""The sentences of a single layer: no gradient to compare, but what enters the activation function and what
leaves it."""

from __future__ import annotations

from normlab.formatting import number, share
from normlab.language import N_

from . import limits
from .measured import Measured
from .readings import Arm, Readings
from .wording import GOOD, NEUTRAL, POOR, Verdict, names, ranged, say

__all__ = ["one_layer"]

SAME_SHARE = 0.01  # signal shares this close are a draw: one seed moves them by as much

BEST = N_(
    "{best} keeps the signal best: {share} of the variance that leaves the layer ({other} {other_share}), "
    "{saturated} of the units saturated."
)
ALIKE = N_("{names} keep the signal equally well: {share} of the variance that leaves the layer.")
ALL_LOST = N_("No arm keeps the signal: at most {share} of the variance that leaves the layer, the rest is offset.")
ENTERS = N_("Entering the activation function, mean (variance): {items}.")
LEAVES = N_("Leaving the activation function, mean (variance): {items}.")
FALLS_RISES = N_(
    "{arm} beside {none}: the variance falls from {var_0} to {var_1}, but its signal part rises from "
    "{signal_0} to {signal_1}."
)
PARTS = N_("{arm} beside {none}: variance {var_0} to {var_1}, of it signal {signal_0} to {signal_1}.")
SATURATION = N_(
    "{arm} beside {none}: units saturated {saturated_0} to {saturated_1}, mean slope {slope_0} to {slope_1}."
)
MORE_LAYERS = N_("One layer has no first and last gradient to compare; whether it vanishes takes more (--layers 5).")


def one_layer(readings: Readings) -> list[Verdict]:
    """All sentences of a network of one layer, the most important first."""
    if not readings.by_signal:
        return [say(NEUTRAL, MORE_LAYERS)]
    return [*_lead(readings), *_beside(readings), *_moments(readings), say(NEUTRAL, MORE_LAYERS)]


def _lead(readings: Readings) -> list[Verdict]:
    ranked = readings.by_signal
    best = ranked[0]
    tied = [arm for arm in ranked if arm is best or _is_draw(readings, best, arm)]
    if all(arm.signal_is_lost for arm in ranked):
        return [say(POOR, ALL_LOST, share=share(best.signal))]
    if len(tied) > 1 or len(ranked) == 1:
        mark = GOOD if not any(arm.is_without for arm in tied) else NEUTRAL
        shares = ranged([arm.signal for arm in tied], share)
        return [say(mark, ALIKE, names=names(tied, 40), share=shares)]
    other = next(arm for arm in (readings.without, *ranked) if arm and arm is not best and arm.signal >= 0)
    saturated = best.last["saturated"]
    values = {"best": best.label, "share": share(best.signal)}
    values["saturated"] = share(saturated.mean if saturated else None)
    mark = POOR if best.is_without else GOOD
    return [say(mark, BEST, **values, other=other.label, other_share=share(other.signal))]


def _beside(readings: Readings) -> list[Verdict]:
    """The best normalization beside the arm without: what became of the variance, and of the slope."""
    none = readings.without
    arm = next((arm for arm in readings.by_signal if not arm.is_without), None)
    if arm is None or none is None or none.signal < 0:
        return []
    keys = ("var", "signal_var", "saturated", "slope")
    a, b = ({key: layer[key] for key in keys} for layer in (none.last, arm.last))
    pair = {"arm": arm.label, "none": none.label}
    found = []
    if a["var"] and b["var"] and a["signal_var"] and b["signal_var"]:
        falls, rises = _is_less(b["var"], a["var"]), _is_less(a["signal_var"], b["signal_var"])
        values = {
            f"{name}_{k}": number(m.mean)
            for name, key in (("var", "var"), ("signal", "signal_var"))
            for k, m in enumerate((a[key], b[key]))
            if m
        }
        found.append(say(NEUTRAL, FALLS_RISES if falls and rises else PARTS, **pair, **values))
    if a["saturated"] and b["saturated"] and a["slope"] and b["slope"]:
        values = {f"saturated_{k}": share(m.mean) for k, m in enumerate((a["saturated"], b["saturated"]))}
        values |= {f"slope_{k}": number(m.mean) for k, m in enumerate((a["slope"], b["slope"]))}
        better = _is_less(b["saturated"], a["saturated"]) and _is_less(a["slope"], b["slope"])
        found.append(say(GOOD if better else NEUTRAL, SATURATION, **pair, **values))
    return found


def _moments(readings: Readings) -> list[Verdict]:
    enters, leaves = [], []
    for arm in readings.by_signal:
        enters.append(_moment(arm, arm.last.entering("mean"), arm.last.entering("var")))
        leaves.append(_moment(arm, arm.last["mean"], arm.last["var"]))
    said = ((ENTERS, list(filter(None, enters))), (LEAVES, list(filter(None, leaves))))
    return [say(NEUTRAL, message, items=items) for message, items in said if items]


def _moment(arm: Arm, mean: Measured | None, var: Measured | None) -> str | None:
    if mean is None or var is None:
        return None
    # A mean that is rounding beside the spread is zero: 2.1e-17 would only distract.
    is_zero = abs(mean.mean) <= limits.ROUNDING_ELSE * max(var.mean, 0.0) ** 0.5
    return f"{arm.label} {number(0.0 if is_zero else mean.mean)} ({number(var.mean)})"


def _is_less(a: Measured, b: Measured) -> bool:
    return a.mean < b.mean and not a.overlaps(b)


def _is_draw(readings: Readings, a: Arm, b: Arm) -> bool:
    if readings.seeds > 1 and a.last.signal and b.last.signal:
        return a.last.signal.overlaps(b.last.signal)
    return abs(a.signal - b.signal) < SAME_SHARE
