"""The settings of a training run, checked: whatever is out of range is an error that names the limit."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any, ClassVar

from normlab.errors import UsageError, unknown

from ..activations import activation_named
from ..settings import LARGEST_SEED, check_init, check_whole
from .optimizers import optimizer_named

__all__ = ["DEFAULTS", "Settings"]

LIMITS = {
    "layers": (1, 64), "width": (2, 2048), "batch": (1, 10_000), "steps": (1, 1_000_000), "seeds": (1, 1000),
}  # fmt: skip
CHOICES = {"place": ("before", "after"), "dtype": ("float32", "float64")}
NETS = ("dense", "conv")
# What one stack of one slot holds for the way back, in values: together 1 GB in float32.
MOST_VALUES = 40_000_000
MOST_RATES = 32

DEFAULTS: dict[str, Any] = {
    "data": "digits", "net": "dense", "layers": 5, "width": 100, "activation": "sigmoid", "init": "xavier",
    "place": "before", "bias": True, "optimizer": "sgd", "lr": None, "momentum": 0.9, "weight_decay": 0.0,
    "batch": 64, "steps": 300, "seeds": 5, "seed": 0, "dtype": "float32",
}  # fmt: skip
CONV_SIZES = {"layers": 3, "width": 16}


@dataclass(frozen=True)
class Settings:
    """Every argument of `train` but the arms and the data themselves, as it holds for one run."""

    data: str
    net: str
    layers: int
    width: int
    activation: str
    init: str | float
    place: str
    bias: bool
    optimizer: str
    lr: tuple[float, ...]  # the grid; of each arm the best is taken
    momentum: float
    weight_decay: float
    batch: int
    steps: int
    seeds: int
    seed: int
    dtype: str
    own_grid: bool = False  # the learning rates were not given

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Settings:
        """Fill in and check; `data` and `net` are names here. Raises UsageError."""
        for name in given:
            if name not in DEFAULTS:
                raise unknown("setting of train", name, DEFAULTS)
        named = {name: value for name, value in given.items() if value is not None}
        sizes = CONV_SIZES if named.get("net") == "conv" else {}
        values = {**DEFAULTS, **sizes, **named}
        for name, (low, high) in LIMITS.items():
            values[name] = check_whole(name, values[name], low, high, who="train")
        values["seed"] = check_whole("seed", values["seed"], 0, LARGEST_SEED + 1 - values["seeds"], who="train")
        for name, allowed in CHOICES.items():
            if values[name] not in allowed:
                raise unknown(name, str(values[name]), allowed)
        if not isinstance(values["bias"], bool):
            raise UsageError(f"train: bias must be True or False, got {values['bias']!r}.")
        if values["net"] not in NETS and ":" not in str(values["net"]):
            raise unknown("net", str(values["net"]), (*NETS, "a factory such as my_nets:small"))
        activation_named(values["activation"])
        values["init"] = check_init(values["init"], who="train")
        values["momentum"] = _number("momentum", values["momentum"], below=1.0)
        values["weight_decay"] = _number("weight_decay", values["weight_decay"])
        own_grid = values["lr"] is None
        values["lr"] = optimizer_named(values["optimizer"]).grid if own_grid else _rates(values["lr"])
        return cls(**values, own_grid=own_grid)

    verb: ClassVar[str] = "train"

    @property
    def is_conv(self) -> bool:
        """Whether the layers are convolutions on images."""
        return self.net == "conv"

    @property
    def seed_numbers(self) -> list[int]:
        """The seeds."""
        return [self.seed + k for k in range(self.seeds)]

    def points(self) -> list[int]:
        """The steps after which the state of things is recorded: about twenty, the last one among them."""
        every = max(1, self.steps // 20)
        return sorted({*range(every, self.steps + 1, every), self.steps})

    def check_size(self, units: int) -> None:
        """Refuse what would not fit into memory; `units`: values that a layer hands on for one sample."""
        held = self.batch * units * self.layers
        if held > MOST_VALUES:
            raise UsageError(
                f"train: batch x units x layers must be at most {MOST_VALUES:,} values, got "
                f"{self.batch:,} x {units:,} x {self.layers} = {held:,}.",
                hint="Take a smaller batch, or fewer units or layers.",
            )

    def to_dict(self, methods: Sequence[str]) -> dict[str, Any]:
        """The document's `settings`."""
        return {"methods": list(methods), **asdict(self), "lr": list(self.lr)}

    def command(self, methods: Sequence[str]) -> str:
        """The command line that repeats this run."""
        words = ["normlab", "train", *map(shlex.quote, methods)]
        usual = {**DEFAULTS, **(CONV_SIZES if self.is_conv else {}), "lr": optimizer_named(self.optimizer).grid}
        for name, value in asdict(self).items():
            if name == "own_grid" or value == usual[name]:
                continue
            flag = f"--{name.replace('_', '-')}"
            if name == "bias":
                words.append("--bias" if value else "--no-bias")
            else:
                words += [flag, ",".join(f"{v:g}" for v in value) if name == "lr" else shlex.quote(str(value))]
        return " ".join(words)


def _number(name: str, value: Any, below: float = math.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < below:
        limit = f"from 0 to below {below:g}" if below < math.inf else "of at least 0"
        raise UsageError(f"train: {name} must be a finite number {limit}, got {value!r}.")
    return float(value)


def _rates(given: Any) -> tuple[float, ...]:
    rates = [given] if isinstance(given, Real) else list(given)
    for rate in rates:
        if isinstance(rate, bool) or not isinstance(rate, Real) or not 0 < float(rate) < math.inf:
            raise UsageError(f"train: a learning rate must be a finite number above 0, got {rate!r}.")
    found = sorted({float(rate) for rate in rates})
    if not 1 <= len(found) <= MOST_RATES:
        raise UsageError(f"train: give 1 to {MOST_RATES} learning rates, got {len(found)}.")
    return tuple(found)
