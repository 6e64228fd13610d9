"""Settings under a name: what a preset gives, and what `compare` takes where nobody says anything.

A preset fills in what is not given, the arms too; what is given wins. Two presets are the study note's own code, and
follow it to the last digit: NumPy's legacy generator, its order of drawing, its eps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from normlab.errors import unknown

DEFAULT_ARMS = ("none", "batch_norm", "layer_norm")
RACE_ARMS = (*DEFAULT_ARMS, "group_norm")  # what `train` takes where no arm is named
_PAIR = ("none", "batch_norm")
# The note's local response normalization has k = 2, as its paper does; most libraries' default is 1.
_OPTIONS = {"local_response_norm": {"k": 2.0}}

DEFAULTS: dict[str, Any] = {
    "data": "normal", "net": "dense", "layers": 5, "width": 100, "batch": 1000, "activation": "sigmoid",
    "init": "xavier", "bias": False, "place": "before", "top": "cotangent", "cotangents": 8, "dtype": "float64",
    "seeds": 1, "seed": 0,
}  # fmt: skip
# A convolution costs 64 pixels x 9 taps more than a dense layer: where no size is given, the net is small.
CONV_SIZES = {"width": 16, "batch": 200}


@dataclass(frozen=True)
class Preset:
    """One named set of settings."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    methods: tuple[str, ...] = DEFAULT_ARMS
    eps: float | None = None  # of every arm that has one and was given none
    legacy: bool = False  # NumPy's legacy generator
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by method, where not given


_NOTE: dict[str, Any] = {"data": "note", "width": 64, "batch": 100, "init": 1.0, "bias": True}
PRESETS = {
    "note-1": Preset({**_NOTE, "layers": 1}, _PAIR, eps=1e-8, legacy=True, options=_OPTIONS),
    "note-5": Preset({**_NOTE, "layers": 5}, _PAIR, eps=1e-8, legacy=True, options=_OPTIONS),
    "dlfs": Preset(options=_OPTIONS),
    "too-small": Preset({"init": 0.01}),
    "too-large": Preset({"init": 1.0}),
    "deep": Preset({"layers": 20}),
    "tiny-batch": Preset({"batch": 4}),
    "same-moments": Preset(methods=("batch_norm", "layer_norm")),
}
NO_PRESET = Preset()


def preset_named(name: str | None) -> Preset:
    """The preset of that name, an empty one for None; an unknown name is an error that lists the nearest."""
    if name is None:
        return NO_PRESET
    if not isinstance(name, str) or name not in PRESETS:
        raise unknown("preset", str(name), PRESETS)
    return PRESETS[name]


def filled(preset: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """All settings: those given, then the preset's, then the net's sizes, then the defaults."""
    own = preset_named(preset).settings
    net = given.get("net", own.get("net", DEFAULTS["net"]))
    sizes = CONV_SIZES if net == "conv" else {}
    return {**DEFAULTS, **sizes, **own, **given}
