"""Which samples a step sees: one shuffled epoch after another, the same for every arm and learning rate of a seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..activations import Array

__all__ = ["Order"]

_STREAM = 11  # beside the streams of `draws`; must never change


class Order:
    """The order of one seed; a batch may reach over the end of an epoch, so all have the same size."""

    def __init__(self, seed: int, rows: int) -> None:
        self.rows = rows
        self.generator = np.random.default_rng([seed, _STREAM])
        self.left = np.empty(0, np.int64)

    def take(self, count: int) -> Array:
        """The numbers of the next `count` rows."""
        while len(self.left) < count:
            self.left = np.concatenate([self.left, self.generator.permutation(self.rows)])
        taken, self.left = self.left[:count], self.left[count:]
        return taken

    def state(self) -> dict[str, Any]:
        """Where it stands, as plain numbers."""
        return {"left": self.left.tolist(), "generator": self.generator.bit_generator.state}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.left = np.array(state["left"], np.int64)
        self.generator.bit_generator.state = state["generator"]
