"""The study note's claims one by one, each beside what this run measured, with a verdict computed from its
numbers.

It applies to a comparison that has both sides of the note: an arm without normalization and one that pools
over the batch and keeps the channels apart. What the run cannot measure says so, and says what would.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from normlab.formatting import number, ratio, share
from normlab.language import N_, both

from .verdicts import limits
from .verdicts.measured import Measured
from .verdicts.readings import Arm, Readings, read

__all__ = ["VERDICTS", "note_sentences"]

HOLDS, HALF, FAILS = N_("holds"), N_("half"), N_("fails")
ELSEWHERE, UNMEASURED = N_("elsewhere"), N_("not measured here")
VERDICTS = (HOLDS, HALF, FAILS, ELSEWHERE, UNMEASURED)
"""Every verdict: true here; true of one part; not true here; not needed here, true elsewhere; not to be seen here."""

NEAR = 0.1
"""A mean this close to 0, and a variance this close to 1, are near: eps and a small batch move them less."""
FEW = 0.05
"""Saturated units, beyond those that have to be: as many as the note's histograms show beside an empty edge."""

CENTRED = N_("Batch normalization brings the activations close to mean 0 and variance 1.")
CENTRED_SEEN = N_(
    "Entering the activation function: mean {pre_mean}, variance {pre_var}; leaving it: mean {mean}, variance {var}."
)
DENSER = N_("Batch normalization makes the distribution of the activations denser.")
DENSER_SEEN = N_(
    "Layer {last}: variance {var_0} to {var_1}, of it signal {signal_0} to {signal_1}, offset {offset_0} to {offset_1}."
)
DENSER_OPEN = N_("Layer {last}: variance {var_0} to {var_1}; over {seeds} seeds the intervals overlap.")
STEADY = N_("Batch normalization makes mean and variance steadier from layer to layer.")
STEADY_SEEN = N_("Range over the layers, without and with: mean {mean_0} and {mean_1}, variance {var_0} and {var_1}.")
ONE_LAYER = N_("One layer does not show it; five do (--layers 5).")
SUITABLE = N_("After the activation function the distribution is still a suitable one.")
SUITABLE_SEEN = N_(
    "Layer {last}, without and with: units saturated {saturated_0} and {saturated_1}, mean slope {slope_0} "
    "and {slope_1}."
)
RELIEVED = N_("Batch normalization relieves vanishing gradients.")
RELIEVED_SEEN = N_("Layer 1 over layer {last}: {ratio_0} without, {ratio_1} with.")
NOTHING_VANISHED = N_(
    "Layer 1 over layer {last}: {ratio_0} without, {ratio_1} with; nothing vanished that it could relieve."
)
OPEN = N_("Layer 1 over layer {last}: {ratio_0} without, {ratio_1} with; over {seeds} seeds the intervals overlap.")
OPEN_WITHOUT = N_(
    "Layer 1 over layer {last}: {ratio_0} without, {ratio_1} with; vanishing without is open over {seeds} seeds."
)
MISSING = N_("The run has no finite number for it.")
RECURRENT = N_("In recurrent networks batch normalization fits badly, because the batch size varies.")
RECURRENT_SEEN = N_(
    "No recurrent network here. What varies there is the sequence's length and the time step, not the batch size."
)
MLX_FASTER = N_("MLX runs faster than NumPy or PyTorch.")
MLX_FASTER_SEEN = N_("It depends on the machine: only timing the same layer and shape in each, side by side, tells.")
MLX_ALIKE = N_("MLX is programmed in almost the same way.")
MLX_ALIKE_SEEN = N_(
    "Counted, not run: of ten NumPy functions in the note's first experiment seven keep their names in "
    "MLX; float32 by default, evaluated lazily, another random stream."
)
MLX_APPLE = N_("MLX is for Apple silicon only.")
MLX_APPLE_SEEN = N_("No longer: its packages run on Linux too, on the CPU and with CUDA; installing it there shows it.")


def note_sentences(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Compare the study note's claims with a comparison's numbers.

    Args:
        document: the mapping that `normlab compare --json` prints.

    Returns:
        One mapping a claim: "claim" and "measured", each {"en": ..., "ko": ...}, and "verdict", one of
        VERDICTS. Empty where an arm without normalization or one that pools over the batch is missing.
    """
    readings = read(document)
    none = readings.without
    batch = next((arm for arm in readings.arms if not arm.is_without and _pools_over_the_batch(arm)), None)
    if none is None or batch is None:
        return []
    return [
        _centred(batch),
        _denser(readings, none, batch),
        _steady(readings, none, batch),
        _suitable(readings, none, batch),
        _relieved(readings, none, batch),
        _entry(RECURRENT, UNMEASURED, RECURRENT_SEEN),
        _entry(MLX_FASTER, UNMEASURED, MLX_FASTER_SEEN),
        _entry(MLX_ALIKE, UNMEASURED, MLX_ALIKE_SEEN),
        _entry(MLX_APPLE, UNMEASURED, MLX_APPLE_SEEN),
    ]


def _entry(claim: str, verdict: str, measured: str, /, **values: Any) -> dict[str, Any]:
    return {"claim": both(claim), "measured": both(measured, **values), "verdict": verdict}


def _centred(batch: Arm) -> dict[str, Any]:
    pre_mean, pre_var = batch.last.entering("mean"), batch.last.entering("var")
    mean, var = batch.last["mean"], batch.last["var"]
    if not (pre_mean and pre_var and mean and var):
        return _entry(CENTRED, UNMEASURED, MISSING)
    values = {"pre_mean": _mean(pre_mean, pre_var), "pre_var": number(pre_var.mean)}
    values |= {"mean": _mean(mean, var), "var": number(var.mean)}
    enters, leaves = _is_standard(pre_mean, pre_var), _is_standard(mean, var)
    verdict = HOLDS if leaves else HALF if enters else FAILS
    return _entry(CENTRED, verdict, CENTRED_SEEN, **values)


def _denser(readings: Readings, none: Arm, batch: Arm) -> dict[str, Any]:
    keys = {"var": "var", "signal": "signal_var", "offset": "offset_var"}
    pairs = {name: (none.last[key], batch.last[key]) for name, key in keys.items()}
    if not all(m for pair in pairs.values() for m in pair):
        return _entry(DENSER, UNMEASURED, MISSING)
    falls, signal_falls = (_is_less(pairs[name][1], pairs[name][0]) for name in ("var", "signal"))
    verdict = FAILS if not falls else HOLDS if signal_falls else HALF
    before, after = pairs["var"]
    if readings.seeds > 1 and before and after and before.overlaps(after):
        values = {"last": readings.depth, "seeds": readings.seeds, **_numbers({"var": pairs["var"]})}
        return _entry(DENSER, UNMEASURED, DENSER_OPEN, **values)
    return _entry(DENSER, verdict, DENSER_SEEN, last=readings.depth, **_numbers(pairs))


def _steady(readings: Readings, none: Arm, batch: Arm) -> dict[str, Any]:
    if readings.depth < 2:
        return _entry(STEADY, UNMEASURED, ONE_LAYER)
    ranges = {key: (_range(none, key), _range(batch, key)) for key in ("mean", "var")}
    if any(r is None for pair in ranges.values() for r in pair):
        return _entry(STEADY, UNMEASURED, MISSING)
    steadier = [pair[1] < pair[0] for pair in ranges.values() if pair[0] is not None and pair[1] is not None]
    verdict = HOLDS if all(steadier) else HALF if any(steadier) else FAILS
    values = {f"{key}_{k}": number(r) for key, pair in ranges.items() for k, r in enumerate(pair)}
    return _entry(STEADY, verdict, STEADY_SEEN, **values)


def _suitable(readings: Readings, none: Arm, batch: Arm) -> dict[str, Any]:
    saturated = (none.last["saturated"], batch.last["saturated"])
    slope = (none.last["slope"], batch.last["slope"])
    if not (saturated[0] and saturated[1] and slope[0] and slope[1]):
        return _entry(SUITABLE, UNMEASURED, MISSING)
    few = saturated[1].mean <= limits.RESTING.get(batch.activation, 0.0) + FEW
    steep = slope[1].mean >= slope[0].mean / 2
    values = {f"saturated_{k}": share(m.mean) for k, m in enumerate(saturated) if m}
    values |= {f"slope_{k}": number(m.mean) for k, m in enumerate(slope) if m}
    verdict = HOLDS if few and steep else HALF if few or steep else FAILS
    return _entry(SUITABLE, verdict, SUITABLE_SEEN, last=readings.depth, **values)


def _relieved(readings: Readings, none: Arm, batch: Arm) -> dict[str, Any]:
    if readings.depth < 2:
        return _entry(RELIEVED, UNMEASURED, ONE_LAYER)
    if none.ratio is None or batch.ratio is None or none.distance is None or batch.distance is None:
        return _entry(RELIEVED, UNMEASURED, MISSING)
    values = {"last": readings.depth, "ratio_0": ratio(none.ratio.mean), "ratio_1": ratio(batch.ratio.mean)}
    if readings.seeds > 1 and not none.vanishes and none.ratio.low < limits.VANISHED:
        return _entry(RELIEVED, UNMEASURED, OPEN_WITHOUT, seeds=readings.seeds, **values)
    if not none.vanishes:
        worse = batch.vanishes or batch.explodes
        return (
            _entry(RELIEVED, FAILS, RELIEVED_SEEN, **values)
            if worse
            else _entry(RELIEVED, ELSEWHERE, NOTHING_VANISHED, **values)
        )
    if none.ratio.overlaps(batch.ratio) and readings.seeds > 1:
        return _entry(RELIEVED, UNMEASURED, OPEN, seeds=readings.seeds, **values)
    better = batch.ratio.mean > limits.APART * none.ratio.mean and not batch.explodes
    verdict = HOLDS if batch.carries else HALF if better else FAILS
    return _entry(RELIEVED, verdict, RELIEVED_SEEN, **values)


def _pools_over_the_batch(arm: Arm) -> bool:
    """Whether some statistic of the arm's method is shared by the inputs, but not by the channels."""
    from normlab.definition import Definition, from_line
    from normlab.errors import NormlabError
    from normlab.registry import method

    name, given = str(arm.data.get("method")), arm.data.get("options") or {}
    try:
        definition: Definition = method(name)
    except NormlabError:
        try:
            definition = from_line(name)
        except NormlabError:
            return False
    options = {option.name: given.get(option.name, option.default) for option in definition.all_options}
    lines = definition.lines(options).values()
    return definition.role == "norm" and any("n" in line.pooled and "c" in line.kept for line in lines)


def _is_standard(mean: Measured, var: Measured) -> bool:
    return abs(mean.mean) <= NEAR and abs(var.mean - 1) <= NEAR


def _is_less(a: Measured | None, b: Measured | None) -> bool:
    return a is not None and b is not None and a.mean < b.mean and not a.overlaps(b)


def _mean(mean: Measured, var: Measured) -> str:
    """The mean in words; where it is rounding beside the spread it is zero."""
    return number(0.0 if abs(mean.mean) <= limits.ROUNDING_ELSE * max(var.mean, 0.0) ** 0.5 else mean.mean)


def _range(arm: Arm, key: str) -> float | None:
    found = [m.mean for layer in arm.layers if (m := layer[key])]
    return max(found) - min(found) if len(found) == len(arm.layers) else None


def _numbers(pairs: Mapping[str, tuple[Measured | None, Measured | None]]) -> dict[str, str]:
    return {f"{name}_{k}": number(m.mean) for name, pair in pairs.items() for k, m in enumerate(pair) if m}
