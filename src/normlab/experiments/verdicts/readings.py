"""A comparison's document, read: what its numbers mean for one arm and for the arms together.

Everything is decided here, by the thresholds of `limits.py`; the sentences only say it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from . import limits
from .measured import Measured, finite, part

__all__ = ["Arm", "Layer", "Readings", "read"]


@dataclass(frozen=True, eq=False)
class Layer:
    """What one layer of one arm hands on; `layer["var"]` is a number of the document."""

    data: Mapping[str, Any]

    def __getitem__(self, key: str) -> Measured | None:
        return Measured.read(self.data.get(key))

    def entering(self, key: str) -> Measured | None:
        """The "mean" or "var" of what enters the activation function."""
        return Measured.read((self.data.get("pre") or {}).get(key))

    @property
    def nonfinite(self) -> int:
        """How many values are not finite."""
        return int(finite(self.data.get("nonfinite")) or 0)

    @property
    def number(self) -> int:
        """The layer's number, from 1."""
        return int(finite(self.data.get("layer")) or 0)

    @cached_property
    def signal(self) -> Measured | None:
        """The share of the variance that differs from input to input."""
        signal, offset, var = self["signal_var"], self["offset_var"], self["var"]
        if signal is None or var is None or var.mean <= 0:
            return None
        if offset is None:
            offset = Measured(var.mean - signal.mean, var.low - signal.high, var.high - signal.low)
        return part(signal, offset)

    @property
    def is_constant(self) -> bool:
        """Whether the layer hands on one and the same number everywhere."""
        var = self["var"]
        return var is not None and var.low == var.high == 0

    @property
    def is_narrow(self) -> bool:
        """Whether the histogram is a spike on its own axis."""
        edges = (self.data.get("histogram") or {}).get("edges") or (0, 0)
        width = (finite(edges[-1]) or 0.0) - (finite(edges[0]) or 0.0)
        return width > 0 and self.spread < limits.NARROW * width

    @property
    def spread(self) -> float:
        """The standard deviation; 0 where it is not known."""
        var = self["var"]
        return math.sqrt(max(var.mean, 0.0)) if var else 0.0

    def mean_gap(self, other: Layer) -> float:
        """How far apart two layers' means are, in standard deviations of the wider one."""
        a, b = self["mean"], other["mean"]
        if a is None or b is None:
            return math.inf
        gap, spread = abs(a.mean - b.mean), max(self.spread, other.spread)
        return 0.0 if gap == 0 else gap / spread if spread > 0 else math.inf

    def hands_on_the_same(self, other: Layer, tolerance: float) -> bool:
        """Whether both layers' moments agree, signal and offset against the whole variance."""
        scale = max(self.spread, other.spread) ** 2
        pairs = [(self[key], other[key]) for key in ("var", "signal_var", "offset_var")]
        return self.mean_gap(other) <= tolerance and all(
            a is b if a is None or b is None else a.is_close(b, tolerance, scale) for a, b in pairs
        )


@dataclass(frozen=True, eq=False)
class Arm:
    """One arm that acted: its layers, and how much gradient reaches the first of them."""

    data: Mapping[str, Any]
    layers: tuple[Layer, ...]
    activation: str

    @property
    def label(self) -> str:
        """The arm's short text."""
        text = str(self.data.get("label") or self.data.get("method"))
        return text if len(text) <= limits.LONGEST_LABEL else text[: limits.LONGEST_LABEL - 1] + "…"

    @property
    def is_without(self) -> bool:
        """Whether this is the arm without any normalization."""
        return "none" in (self.data.get("role"), self.data.get("method"))

    @property
    def last(self) -> Layer:
        """The last layer."""
        return self.layers[-1]

    @cached_property
    def broken(self) -> Layer | None:
        """The first layer with a value that is not finite."""
        return next((layer for layer in self.layers if layer.nonfinite), None)

    @cached_property
    def ratio(self) -> Measured | None:
        """First over last: the first layer's weight gradient over the last layer's; None for a single layer."""
        ratio = Measured.read(self.data.get("first_over_last"))
        return None if ratio is None or ratio.mean < 0 or self.broken or len(self.layers) < 2 else ratio

    @cached_property
    def distance(self) -> Measured | None:
        """How far first over last is from 1."""
        return self.ratio.distance() if self.ratio else None

    def gain(self, which: str) -> float | None:
        """The gradient's gain per layer, "measured" or "predicted"."""
        gain = Measured.read((self.data.get("gain") or {}).get(which))
        return gain.mean if gain and gain.mean > 0 and self.broken is None else None

    @property
    def vanishes(self) -> bool:
        """Whether hardly any gradient reaches the first layer."""
        return self.ratio is not None and self.ratio.is_below(limits.VANISHED)

    @property
    def explodes(self) -> bool:
        """Whether the gradient grows out of bounds on its way to the first layer."""
        return self.ratio is not None and self.ratio.is_above(limits.EXPLODED)

    @property
    def carries(self) -> bool:
        """Whether the gradient reaches the first layer in about its size."""
        return self.ratio is not None and self.ratio.is_within(limits.VANISHED, limits.EXPLODED)

    @property
    def is_healthy(self) -> bool:
        """Whether neither the gradient nor the signal gives a reason to change anything."""
        even = self.ratio is not None and self.ratio.is_within(1 / limits.EVEN, limits.EVEN)
        signal = self.last.signal
        return even and signal is not None and signal.low >= limits.SIGNAL_SOUND

    @property
    def signal(self) -> float:
        """The signal share at the last layer; below 0 where it is not known."""
        return self.last.signal.mean if self.last.signal and self.broken is None else -1.0

    @property
    def signal_is_lost(self) -> bool:
        """Whether the last layer gives nearly the same for every input."""
        return self.signal >= 0 and self.last.signal is not None and self.last.signal.is_below(limits.SIGNAL_LOST)

    def is_saturated(self, share: Measured | None) -> bool:
        """Whether `share` means that most units are saturated, among those that need not be."""
        rest = limits.RESTING.get(self.activation, 0.0)
        return share is not None and share.is_above(rest + (1 - rest) * limits.SATURATED)

    @property
    def saturation(self) -> Measured | None:
        """The saturated share of the middle layer in order of saturation."""
        shares = [s for layer in self.layers if (s := layer["saturated"]) is not None]
        return sorted(shares, key=lambda s: s.mean)[len(shares) // 2] if shares else None

    def same_forward(self, other: Arm, tolerance: float) -> bool:
        """Whether every layer of both arms hands on the same moments."""
        pairs = list(zip(self.layers, other.layers, strict=False))
        same_depth = len(self.layers) == len(other.layers)
        return (
            same_depth
            and not (self.broken or other.broken)
            and all(a.hands_on_the_same(b, tolerance) for a, b in pairs)
        )

    def equals(self, other: Arm, tolerance: float) -> bool:
        """Whether both arms have the same numbers, forward and backward."""
        backward = [(a["grad_norm"], b["grad_norm"]) for a, b in zip(self.layers, other.layers, strict=False)]
        return self.same_forward(other, tolerance) and all(
            a is b if a is None or b is None else a.is_close(b, tolerance)
            for a, b in [*backward, (self.ratio, other.ratio)]
        )

    def same_moments(self, other: Arm) -> bool:
        """Whether the mean and the variance of the last layers look alike in two histograms."""
        a, b = self.last["var"], other.last["var"]
        near = a is not None and b is not None and a.is_close(b, limits.SAME_MOMENTS)
        return near and self.last.mean_gap(other.last) <= limits.SAME_MOMENTS


@dataclass(frozen=True, eq=False)
class Readings:
    """The whole document: the arms that acted, in its order, and what they have in common."""

    arms: tuple[Arm, ...]
    seeds: int
    rounding: float

    @property
    def depth(self) -> int:
        """How many layers the network has."""
        return max((len(arm.layers) for arm in self.arms), default=0)

    @cached_property
    def without(self) -> Arm | None:
        """The arm without normalization, where there is one."""
        return next((arm for arm in self.arms if arm.is_without), None)

    @cached_property
    def by_merit(self) -> tuple[Arm, ...]:
        """The arms whose gradient is known, the most even first; between equals the one with more signal."""
        known = [(arm.distance.mean, -arm.signal, k) for k, arm in enumerate(self.arms) if arm.distance]
        return tuple(self.arms[k] for _, _, k in sorted(known))

    @cached_property
    def by_signal(self) -> tuple[Arm, ...]:
        """The arms whose last layer's signal is known, the largest share first."""
        return tuple(sorted((arm for arm in self.arms if arm.signal >= 0), key=lambda arm: -arm.signal))

    def are_tied(self, a: Arm, b: Arm) -> bool:
        """Whether these numbers leave open which of the two carries the gradient better."""
        if a.distance is None or b.distance is None:
            return False
        if self.seeds > 1:
            return a.distance.overlaps(b.distance)
        return a.distance.mean == b.distance.mean or abs(a.distance.mean - b.distance.mean) < math.log(limits.ALIKE)


def read(document: Mapping[str, Any]) -> Readings:
    """Read a comparison's document; arms that were refused, or have no layers, are left out."""
    settings = document.get("settings") or {}
    arms = []
    for data in document.get("arms") or ():
        layers = tuple(Layer(layer) for layer in data.get("layers") or ())
        if layers and not data.get("refused"):
            stands_in = data.get("role") in ("activation", "norm_and_activation")
            activation = data.get("method") if stands_in else settings.get("activation")
            arms.append(Arm(data, layers, str(activation)))
    rounding = limits.ROUNDING.get(str(settings.get("dtype")), limits.ROUNDING_ELSE)
    return Readings(tuple(arms), len(document.get("seeds") or (0,)), rounding)
