"""Measure one arm under one seed: what every layer hands on, and the gradient that reaches it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import law
from .activations import Activation, Array, activation_named
from .arms import Arm
from .draws import CLASSES, Draws
from .network import LayerRun, forward, gradient_norms
from .settings import Settings

BINS = 30  # the study note's
FLAT = 0.19  # of the steepest slope; a sigmoid is flatter than that beyond 0.05 and 0.95
SHOWN_INPUTS = SHOWN_UNITS = 24  # of the heat map
NORMALIZED_SPAN = (-4.0, 4.0)  # where a layer hands on what was just normalized

Document = dict[str, Any]


def measure(arm: Arm, settings: Settings, draws: Draws) -> Document:
    """One arm's document for one seed; numbers that are not finite are None, and counted."""
    edges = histogram_edges(settings)
    x = np.ascontiguousarray(np.moveaxis(draws.x, 1, -1)) if settings.is_conv else draws.x
    with np.errstate(all="ignore"):
        runs = list(forward(arm, settings, draws, x))
        layers = [_describe(k, run, edges) for k, run in enumerate(runs, start=1)]
        norms, broken = gradient_norms(runs, _from_above(settings, draws, runs[-1].out))
    for layer, norm, count in zip(layers, norms, broken, strict=True):
        layer["grad_norm"] = finite(norm)
        layer["nonfinite"] = layer["nonfinite"] or count
    ratio, gain = _ratio(layers)
    return {
        "layers": layers,
        "gain": {"measured": gain, "predicted": law.predicted_gain(arm, settings, runs)},
        "first_over_last": ratio,
        "sample": sample(runs[-1].out),
    }


def histogram_edges(settings: Settings) -> list[float]:
    """The histograms' edges: a function of the settings alone, so that no arm changes another arm's picture."""
    activation: Activation = activation_named(settings.activation)
    low, high = NORMALIZED_SPAN if settings.place == "after" else activation.span
    return [float(edge) for edge in np.linspace(low, high, BINS + 1)]


def finite(value: Any) -> float | None:
    """The number as a float; None where it is not finite."""
    number = float(value)
    return number if math.isfinite(number) else None


def _describe(layer: int, run: LayerRun, edges: list[float]) -> Document:
    """The moments of what a layer hands on; a unit is one scalar of one input's activation."""
    out = run.out.reshape(len(run.out), -1).astype(np.float64, copy=False)
    means = out.mean(axis=0)
    spread = out - means
    pre = run.pre.astype(np.float64, copy=False)
    slope = None if run.slope is None else np.abs(run.slope)
    entering = {"mean": finite(pre.mean()), "var": finite(pre.var())}
    # An overflow on the way (the variance of 1e200) counts once for each number that it leaves out.
    lost = sum(value is None for value in entering.values())
    known = slope is not None and run.steepest is not None and bool(np.isfinite(slope).all())
    return {
        "layer": layer,
        "mean": finite(out.mean()),
        "var": finite(out.var()),
        "signal_var": finite(np.mean(spread * spread)),
        "offset_var": finite(means.var()),
        "saturated": finite(np.mean(slope < FLAT * run.steepest)) if known else None,  # type: ignore[operator]
        "nonfinite": int(out.size - np.count_nonzero(np.isfinite(out))) or lost,
        "grad_norm": None,
        "slope": finite(np.mean(slope, dtype=np.float64)) if known else None,  # type: ignore[arg-type]
        "histogram": _histogram(out, edges),
        "pre": entering,
    }


def _histogram(values: Array, edges: list[float]) -> Document:
    """Counts in bins of one width, the last one closed; what lies outside is counted, what is not finite left out."""
    flat = values.ravel()
    whole = np.isfinite(flat)
    if not whole.all():
        flat = flat[whole]
    low, high = edges[0], edges[-1]
    place = (flat - low) * (BINS / (high - low)) + 1  # 1 to BINS inside, 0 and BINS + 1 for what lies outside
    np.minimum(np.maximum(place, 0, out=place), BINS + 1, out=place)
    counts = np.bincount(place.astype(np.intp), minlength=BINS + 2)
    closed = np.count_nonzero(flat == high)
    counts[-2:] += (closed, -closed)
    return {"edges": edges, "counts": counts[1:-1].tolist(), "below": int(counts[0]), "above": int(counts[-1])}


def _from_above(settings: Settings, draws: Draws, out: Array) -> Iterator[Array]:
    """What comes down on the last layer: random cotangents, or a classifier's gradient of its mean cross-entropy."""
    if settings.top == "cotangent":
        yield from draws.cotangents(settings.cotangents, out.shape)
        return
    flat = out.reshape(len(out), -1)
    head = draws.head(flat.shape[1])
    logits = flat @ head
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    share = odds / odds.sum(axis=1, keepdims=True)
    wrong = share - np.eye(CLASSES, dtype=share.dtype)[draws.labels]
    yield (wrong @ head.T / len(out)).astype(out.dtype, copy=False).reshape(1, *out.shape)


def _ratio(layers: list[Document]) -> tuple[float | None, float | None]:
    """First over last, and the gain per layer; None for one layer, and where nothing reaches the last one."""
    first, last = layers[0]["grad_norm"], layers[-1]["grad_norm"]
    if len(layers) < 2 or first is None or not last:
        return None, None
    ratio = finite(first / last) if first / last < math.inf else None
    return ratio, None if ratio is None else ratio ** (1 / (len(layers) - 1))


def sample(out: Array) -> Document | None:
    """A corner of what a layer hands on, inputs x units, in 256 steps between its ends; None where it is not finite."""
    corner = out.reshape(len(out), -1)[:SHOWN_INPUTS, :SHOWN_UNITS].astype(np.float64)
    if not np.isfinite(corner).all():
        return None
    low, high = float(corner.min()), float(corner.max())
    scaled = np.rint((corner - low) * (255 / (high - low) if high > low else 0.0))
    values = scaled.astype(int).tolist()
    return {"inputs": corner.shape[0], "units": corner.shape[1], "low": low, "high": high, "values": values}
