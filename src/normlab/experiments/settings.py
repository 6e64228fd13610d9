"""The settings of a comparison, checked: whatever is out of range is an error that names the limit."""

from __future__ import annotations

import math
import operator
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar

from normlab.errors import UsageError, unknown

from .activations import activation_named
from .presets import Preset, filled, preset_named

LIMITS = {"layers": (1, 64), "width": (1, 2048), "batch": (1, 100_000), "cotangents": (1, 64), "seeds": (1, 1000)}
# What one arm holds for the way back is about six arrays of this size: together 1 GB in float64.
MOST_VALUES = 20_000_000
LARGEST_SEED = 2**32 - 1  # NumPy's legacy generator takes no more
CHOICES = {
    "net": ("dense", "conv"),
    "place": ("before", "after"),
    "top": ("cotangent", "loss"),
    "dtype": ("float64", "float32"),
}
DATA = ("normal", "digits", "note")
INITS = ("xavier", "he", "lecun", "glorot")
SIDE = 8  # the images of a convolutional net are 8 x 8, as the digits are


@dataclass(frozen=True)
class Settings:
    """Every argument of `compare` but the arms, as it holds for one run."""

    data: str
    net: str
    layers: int
    width: int
    batch: int
    activation: str
    init: str | float
    bias: bool
    place: str
    top: str
    cotangents: int
    dtype: str
    seeds: int
    seed: int
    preset: str | None = None

    @classmethod
    def read(cls, preset: str | None, given: Mapping[str, Any]) -> Settings:
        """Fill in and check. Raises UsageError naming what was required and what came."""
        known = filled(preset, {})
        for name in given:
            if name not in known:
                raise unknown("setting of compare", name, known)
        values = filled(preset, {name: value for name, value in given.items() if value is not None})
        for name, (low, high) in LIMITS.items():
            values[name] = check_whole(name, values[name], low, high)
        values["seed"] = check_whole("seed", values["seed"], 0, LARGEST_SEED + 1 - values["seeds"])
        for name, allowed in CHOICES.items():
            if values[name] not in allowed:
                raise unknown(name, str(values[name]), allowed)
        if not isinstance(values["bias"], bool):
            raise UsageError(f"compare: bias must be True or False, got {values['bias']!r}.")
        activation_named(values["activation"])
        values["init"] = check_init(values["init"])
        values["data"] = _data(values["data"])
        settings = cls(**values, preset=preset)
        held = settings.batch * settings.units * settings.layers
        if held > MOST_VALUES:
            raise UsageError(
                f"compare: batch x units x layers must be at most {MOST_VALUES:,} values, got "
                f"{settings.batch:,} x {settings.units:,} x {settings.layers} = {held:,}.",
                hint="Take fewer inputs, units or layers.",
            )
        return settings

    @property
    def rules(self) -> Preset:
        """What the preset says beyond settings: eps, the generator, a method's options."""
        return preset_named(self.preset)

    verb: ClassVar[str] = "compare"

    @property
    def is_conv(self) -> bool:
        """Whether the layers are convolutions on images."""
        return self.net == "conv"

    @property
    def units(self) -> int:
        """Units a layer: the channels times the pixels."""
        return self.width * (SIDE * SIDE if self.is_conv else 1)

    def to_dict(self, methods: Sequence[str]) -> dict[str, Any]:
        """The document's `settings`."""
        return {"methods": list(methods), **asdict(self)}

    def given(self) -> dict[str, Any]:
        """What neither the preset nor the defaults say: all that a command has to name."""
        filling, plain = filled(self.preset, {"net": self.net}), filled(self.preset, {})
        own = {name: value for name, value in asdict(self).items() if name != "preset"}
        return {name: value for name, value in own.items() if value != (plain if name == "net" else filling)[name]}

    def command(self, methods: Sequence[str] | None) -> str:
        """The command line that repeats this run; it names only what the preset and the defaults do not say."""
        words = ["normlab", "compare"]
        words += [shlex.quote(m) for m in methods or ()]
        words += ["--preset", self.preset] if self.preset else []
        for name, value in self.given().items():
            if name == "bias":
                words.append("--bias" if value else "--no-bias")
            else:
                words += [f"--{name}", shlex.quote(str(value))]
        return " ".join(words)

    def python(self, methods: Sequence[str] | None) -> str:
        """The lines of Python that repeat this run."""
        words = [] if methods is None else [repr(list(methods))]
        words += [f"preset={self.preset!r}"] if self.preset else []
        words += [f"{name}={value!r}" for name, value in self.given().items()]
        return f"import normlab as nl\n\nprint(nl.compare({', '.join(words)}))"


def check_whole(name: str, value: Any, low: int, high: int, *, who: str = "compare") -> int:
    """`value`, a whole number within the limits; True and False are none."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or not low <= number <= high:
        raise UsageError(f"{who}: {name} must be a whole number from {low} to {high}, got {value!r}.")
    return number


def check_init(value: Any, *, who: str = "compare") -> str | float:
    """`value`, the name of an initialization or a standard deviation."""
    if isinstance(value, str):
        if value not in INITS:
            raise unknown("init", value, (*INITS, "a standard deviation such as 0.1"))
        return value
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < math.inf:
        raise UsageError(
            f"{who}: init must be one of {', '.join(INITS)}, or a standard deviation above 0, got {value!r}."
        )
    return float(value)


def _data(value: Any) -> str:
    """A name that we know, or the path of a file."""
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else value
    if not isinstance(text, str):
        raise UsageError(f"compare: data must be one of {', '.join(DATA)}, or a file, got {type(value).__name__}.")
    if text not in DATA and not Path(text).suffix and not Path(text).exists():
        raise unknown("data", text, (*DATA, "a file such as measured.csv"))
    return text
