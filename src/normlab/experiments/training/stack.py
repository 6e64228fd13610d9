"""One stack in training: its slots' data, steps, records and reasons to stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..activations import Array
from ..arms import Arm
from .network import Network
from .optimizers import optimizer_named
from .order import Order
from .parts import EVALUATE, MEASURE, TRAIN

__all__ = ["Run", "Samples", "Slot", "Split", "Stack"]

FINISHED, STOPPED, DIVERGED = "finished", "stopped", "diverged"
EVALUATED_ROWS = 512  # at a time: so that what a convolution unfolds stays small
RECORDED = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
WATCHED = ("mean", "var", "signal", "grad_norm")


@dataclass(frozen=True)
class Samples:
    """Inputs, images channels last, and the numbers of their classes."""

    x: Array
    y: Array


@dataclass(frozen=True)
class Split:
    """What is trained on, what the learning rate is chosen by, and what is reported."""

    train: Samples
    validation: Samples
    test: Samples
    classes: int


@dataclass(frozen=True)
class Slot:
    """One network of a stack."""

    seed: int
    lr: float


@dataclass
class Run:
    """What became of one slot; `points` and `layers` are what was recorded on the way."""

    slot: Slot
    stopped: str = STOPPED
    step: int = 0  # the last one that was taken, or the one at which it diverged
    layer: int | None = None  # where the first number was not finite; one beyond the last layer: the classifier
    final: dict[str, float | None] = field(default_factory=dict)
    points: list[dict[str, float | None]] = field(default_factory=list)
    layers: list[list[dict[str, float | None]]] = field(default_factory=list)

    def record(self, step: int, values: Sequence[float], layers: Sequence[Sequence[float]]) -> None:
        """Add a point: `values` in the order of RECORDED, of each layer those of WATCHED."""
        self.points.append({"step": step, **dict(zip(RECORDED, map(finite, values), strict=True))})
        self.layers.append([dict(zip(WATCHED, map(finite, one), strict=True)) for one in layers])

    def close(self, why: str, found: Mapping[str, float]) -> None:
        """Set what it ends with, `why` unless it diverged: then it has no numbers."""
        if self.stopped == DIVERGED:
            self.final = dict.fromkeys(["train_loss", *found])
            return
        self.stopped = why
        last = self.points[-1]["train_loss"] if self.points else None
        self.final = {"train_loss": last, **{name: finite(value) for name, value in found.items()}}


class Stack:
    """The networks of some slots under one arm, from the first step to the last.

    `settings` besides the network's: batch, steps, optimizer, momentum, weight_decay; `points`: the steps after which
    the state of things is recorded. Who sets `look` gets a point of the next step too, in `looks`, which holds what was
    seen since the last record and is no part of the results.
    """

    def __init__(self, arm: Arm, settings: Any, split: Split, slots: Sequence[Slot], points: Sequence[int]) -> None:
        self.settings, self.split, self.slots, self.points = settings, split, slots, frozenset(points)
        seeds = [slot.seed for slot in slots]
        self.network = Network(arm, settings, split.train.x.shape[1:], split.classes, seeds)
        self.orders = [Order(seed, len(split.train.y)) for seed in seeds]
        self.runs = [Run(slot) for slot in slots]
        self.look, self.looks = False, [Run(slot) for slot in slots]
        self.taken = 0
        self._sums = np.zeros((2, len(slots)))  # loss and hits since the last record
        self._since = 0
        if arm.role == "weight":
            first = np.stack([Order(seed, len(split.train.y)).take(settings.batch) for seed in seeds])
            self.network.begin(split.train.x[first])
        rule = optimizer_named(settings.optimizer)
        lr = np.array([slot.lr for slot in slots])
        flat = self.network.flat
        self.optimizer = rule(flat.value, lr, momentum=settings.momentum, weight_decay=settings.weight_decay)

    @property
    def going(self) -> bool:
        """Whether there is a step to take."""
        return self.taken < self.settings.steps and any(run.stopped != DIVERGED for run in self.runs)

    def step(self) -> None:
        """One step of every slot, and a record where one is due."""
        rows = np.stack([order.take(self.settings.batch) for order in self.orders])
        x, y = self.split.train.x[rows], self.split.train.y[rows]
        self.taken += 1
        due, looked = self.taken in self.points, self.look
        seen: list[Array] | None = [] if due or looked else None
        loss, hits, g = cross_entropy(self.network.forward(x, TRAIN, seen), y)
        self._note_divergence(loss, x)
        self._sums += loss, hits
        self._since += 1
        self.network.backward(g)
        if seen is not None:
            norms = self.network.gradient_norms()
        self.optimizer.step(self.network.flat.value, self.network.flat.gradient)
        if due:
            self._record(seen or [], norms)
        elif looked:
            self._add_point(self.looks, seen or [], norms, list(np.full_like(self._sums, np.nan)))
        self.look = False
        for run in self.runs:
            if run.stopped != DIVERGED:
                run.step = self.taken
        if not self.going:  # all steps taken, or none left that could take one
            self.finish(FINISHED)

    def _note_divergence(self, loss: Array, x: Array) -> None:
        broken = [k for k, run in enumerate(self.runs) if run.stopped != DIVERGED and not np.isfinite(loss[k])]
        if not broken:
            return
        seen: list[Array] = []
        self.network.forward(x, MEASURE, seen)
        for k in broken:
            bad = [number for number, a in enumerate(seen, start=1) if not np.isfinite(a[k]).all()]
            run = self.runs[k]
            run.stopped, run.step, run.layer = DIVERGED, self.taken, bad[0] if bad else len(seen) + 1

    def _record(self, seen: Sequence[Array], norms: Array) -> None:
        self._add_point(self.runs, seen, norms, self.evaluate(self.split.test, EVALUATE))
        self._sums[...], self._since = 0.0, 0
        self.looks = [Run(slot) for slot in self.slots]

    def _add_point(self, to: Sequence[Run], seen: Sequence[Array], norms: Array, test: Sequence[Array]) -> None:
        values = [*(self._sums / self._since), *test]
        watched = np.array([[*moments(a), norm] for a, norm in zip(seen, norms, strict=True)])  # (layers, 4, slots)
        for k, run in enumerate(self.runs):
            if run.stopped != DIVERGED:
                to[k].record(self.taken, [v[k] for v in values], [one[:, k] for one in watched])

    def evaluate(self, samples: Samples, mode: str) -> tuple[Array, Array]:
        """Mean loss and accuracy of every slot, each (slots,)."""
        rows = self.settings.batch if mode == MEASURE else EVALUATED_ROWS
        count = len(samples.y)
        sums = np.zeros((2, len(self.slots)))
        for part in np.array_split(np.arange(count), max(1, round(count / rows))):
            x = np.broadcast_to(samples.x[part], (len(self.slots), len(part), *samples.x.shape[1:]))
            y = np.broadcast_to(samples.y[part], (len(self.slots), len(part)))
            loss, hits, _ = cross_entropy(self.network.forward(x, mode), y)
            sums += loss * len(part), hits * len(part)
        return sums[0] / count, sums[1] / count

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs to go on as if nothing had happened; arrays and plain numbers by name."""
        held = {"value": self.network.flat.value, "sums": self._sums}
        parts = {"network": self.network.state(), "optimizer": self.optimizer.remembered()}
        named = {f"{kind}/{name}": a for kind, own in parts.items() for name, a in own.items()}
        plain = {
            "taken": self.taken, "since": self._since, "orders": [order.state() for order in self.orders],
            "runs": [asdict(run) for run in self.runs],
        }  # fmt: skip
        return {**held, **named, **plain}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.network.flat.value[...], self._sums[...] = state["value"], state["sums"]
        self.taken, self._since = state["taken"], state["since"]
        for kind, put in (("network", self.network.restore), ("optimizer", self.optimizer.recall)):
            own = f"{kind}/"
            put({name.removeprefix(own): a for name, a in state.items() if name.startswith(own)})
        for order, held in zip(self.orders, state["orders"], strict=True):
            order.restore(held)
        self.runs = [Run(**{**run, "slot": Slot(**run["slot"])}) for run in state["runs"]]

    def finish(self, why: str) -> None:
        """Measure what the slots have become; `why` they stopped, unless they diverged."""
        found: dict[str, Array] = {}
        for samples, mode, names in endings(self.split):
            found |= zip(names, self.evaluate(samples, mode), strict=True)
        for k, run in enumerate(self.runs):
            run.close(why, {name: values[k] for name, values in found.items()})


def endings(split: Split) -> list[tuple[Samples, str, tuple[str, str]]]:
    """What is measured of a network at its end: on which samples, in which mode, and what the numbers are called."""
    ends = (
        ("validation", split.validation, EVALUATE), ("test", split.test, EVALUATE),
        ("own_statistics", split.test, MEASURE),
    )  # fmt: skip
    return [(samples, mode, (f"{name}_loss", f"{name}_accuracy")) for name, samples, mode in ends]


def cross_entropy(logits: Array, y: Array) -> tuple[Array, Array, Array]:
    """Mean loss and share of hits of every slot, and the gradient of the mean by the logits, in their dtype."""
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=-1, keepdims=True)
    odds = np.exp(wide)
    sums = odds.sum(axis=-1, keepdims=True)
    right = y[..., None]
    loss = np.log(sums[..., 0]) - np.take_along_axis(wide, right, -1)[..., 0]
    hits = logits.argmax(axis=-1) == y
    odds /= sums
    np.put_along_axis(odds, right, np.take_along_axis(odds, right, -1) - 1, -1)
    odds /= logits.shape[1]
    return loss.mean(axis=-1), hits.mean(axis=-1), odds.astype(logits.dtype)


def moments(a: Array) -> tuple[Array, Array, Array]:
    """Mean, variance and signal share of the variance of what a layer hands on, each (slots,)."""
    rows = a.reshape(*a.shape[:2], -1).astype(np.float64)
    means = rows.mean(axis=1)
    signal = np.square(rows - means[:, None]).mean(axis=(1, 2))
    whole = signal + means.var(axis=1)
    return means.mean(axis=1), whole, np.divide(signal, whole, out=np.zeros_like(whole), where=whole > 0)


def finite(value: Any) -> float | None:
    """The number as a float; None where it is not finite."""
    number = float(value)
    return number if np.isfinite(number) else None
