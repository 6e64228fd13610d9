"""One question to an implementation and its answer, whatever kind of thing the implementation is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .frames import Frame

__all__ = ["MOMENTUM", "Answer", "Asked", "Gradients"]

MOMENTUM = 0.3  # far from every default, and from 1 less itself
MODES = {
    "words": (("train", "test"), ("train", "eval"), ("training", "inference"), ("train", "inference")),
    "truth": ((True, False),),
}


@dataclass(frozen=True)
class Asked:
    """What is handed over; None for what the method does not have or the implementation does not take."""

    frame: Frame
    x: np.ndarray
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None
    eps: float | None = None
    running: tuple[np.ndarray, np.ndarray] | None = None
    training: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    states: Mapping[str, np.ndarray] = field(default_factory=dict)

    def arrays(self) -> dict[str, np.ndarray]:
        """Those arrays that may be handed over, by role."""
        found = {"x": self.x, "weight": self.weight, "bias": self.bias}
        if self.running is not None:
            found |= {"running_mean": self.running[0], "running_var": self.running[1]}
        found |= {f"state:{name}": a for name, a in self.states.items()}
        return {name: a for name, a in found.items() if a is not None}


@dataclass
class Answer:
    """What came back: the output, what stood beside it, and what became of what was handed over."""

    y: np.ndarray
    rest: list[Any]
    after: dict[str, np.ndarray]  # running statistics as they are now, wherever they are kept
    changed: tuple[str, ...]  # inputs that are not what they were
    is_list: bool = False
    native: Any = None  # the output as the framework has it, for its own gradient
    handed: dict[str, Any] = field(default_factory=dict)
    instance: Any = None


@dataclass
class Gradients:
    """What a backward gave: dx, and others in an order that nobody prescribes."""

    dx: Any
    others: list[Any]
    named: dict[str, Any] = field(default_factory=dict)
