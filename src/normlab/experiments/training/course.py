"""How a race stands whose arms go side by side: for each arm what a race's document says of it, as far as it is known.

What is drawn while it runs is therefore drawn by the same functions as what is drawn of the document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .parts import EVALUATE, MEASURE
from .running import Training
from .stack import DIVERGED, Run, finite
from .summary import Document, banded, first_diverged, mean_layer, point_of, together

__all__ = ["GRADIENT_RATIO", "Course", "OnTurn", "with_ratios"]

GRADIENT_RATIO = "gradient_ratio"
UNKNOWN = {"mean": None, "low": None, "high": None}
_TEST, _OWN = ("test_loss", "test_accuracy"), "own_statistics_accuracy"


class Course:
    """The arms of a race under way, to be read between two steps by the thread that trains.

    `entries`: the arms as the document begins with them; `owners`: for each training the number of its arm; `steps`: of
    each; `chance`: the accuracy of guessing; `rows`: test rows.
    """

    def __init__(
        self, entries: Sequence[Document], owners: Sequence[int], *, steps: int, chance: float, rows: int
    ) -> None:  # fmt: skip
        self.entries, self.owners, self.steps, self.chance, self.rows = entries, owners, steps, chance, rows
        self.trainings: list[Training] = []

    @property
    def step(self) -> int:
        """The step that the arms have taken last."""
        return max((one.taken for one in self.trainings), default=0)

    def look(self) -> None:
        """Want a point of every training's next step, in loss and layers, even where none is recorded."""
        for one in self.trainings:
            one.look = True

    def measure(self, between: Callable[[], None]) -> None:
        """Let the test rows be met now, by the running statistics and by each batch's own; changes no result.

        `between` is called before each training is measured; what it raises ends this.
        """
        for one in self.trainings:
            between()
            running, own = (one.evaluate(one.split.test, mode) for mode in (EVALUATE, MEASURE))
            named = zip((*_TEST, _OWN), (*running, own[1]), strict=True)
            found = {name: np.ravel(values) for name, values in named}
            for k, look in enumerate(one.looks):
                look.step, look.final = one.taken, {name: finite(values[k]) for name, values in found.items()}
                if look.points and look.points[-1]["step"] == one.taken:
                    look.points[-1].update({name: look.final[name] for name in _TEST})

    def arms(self) -> list[Document]:
        """The arms in their order; those that cannot act with the reason alone."""
        return [one if one["refused"] else {**one, **self._arm(number)} for number, one in enumerate(self.entries)]

    def _arm(self, number: int) -> Document:
        mine = [one for owner, one in zip(self.owners, self.trainings, strict=False) if owner == number]
        seen = [run for one in mine for run in _seen(one)]
        grid = [_line(lr, [run for run in seen if run.slot.lr == lr]) for lr in sorted({run.slot.lr for run in seen})]
        best = min(grid, key=_merit, default=None)
        own = [run for run in seen if best is not None and run.slot.lr == best["lr"]]
        curve = [self._point(points) for points in together([run.points for run in own])]
        layers = [[mean_layer(one) for one in zip(*at, strict=True)] for at in together([run.layers for run in own])]
        return with_ratios({
            "lr": best and best["lr"], "grid": grid, "curve": curve, "layers": layers,
            "runs": [{"stopped": run.stopped, "step": run.step, "layer": run.layer} for run in own],
            "final": self._final(own, curve),
        })  # fmt: skip

    def _point(self, points: Sequence[Document]) -> Document:
        unknown = [name for name in _TEST if all(point[name] is None for point in points)]
        return {**point_of(points, self.chance, self.rows), **dict.fromkeys(unknown, UNKNOWN)}

    def _final(self, runs: Sequence[Run], curve: Sequence[Document]) -> Document:
        """The accuracies of the two modes, as far as they are known: those measured now, or the last recorded one."""
        names = (_TEST[1], _OWN)
        if any(run.final for run in runs):
            found = {name: [run.final.get(name) for run in runs] for name in names}
            return {name: banded(values, 1 / self.rows, self.chance) for name, values in found.items()}
        known = [point[_TEST[1]] for point in curve if point[_TEST[1]]["mean"] is not None]
        return dict(zip(names, (known[-1] if known else UNKNOWN, UNKNOWN), strict=True))


OnTurn = Callable[[Course, bool], None]  # the course, and whether all arms have come equally far


def _seen(training: Training) -> Iterator[Run]:
    """A training's runs, each with what was seen since its last record as further points."""
    for run, look in zip(training.runs, training.looks, strict=True):
        fresh = look.final if look.step == training.taken and run.stopped != DIVERGED else {}
        points, layers = [*run.points, *look.points], [*run.layers, *look.layers]
        yield replace(run, points=points, layers=layers, final=run.final or fresh)


def _line(lr: float, runs: Sequence[Run]) -> Document:
    """One learning rate: where it stands in training loss, how many runs are lost, and the first of those."""
    latest = [run.points[-1]["train_loss"] for run in runs if run.points and run.stopped != DIVERGED]
    known = [loss for loss in latest if loss is not None]
    lost = sum(run.stopped == DIVERGED for run in runs)
    return {
        "lr": lr, "train_loss": float(np.mean(known)) if known else None, "first_diverged": first_diverged(runs),
        "stopped": {"diverged": lost, "going": len(runs) - lost},
    }  # fmt: skip


def _merit(line: Document) -> tuple[int, float, float]:
    """The smaller the better: fewest runs lost, then training loss, then the rate; test rows choose nothing."""
    loss = line["train_loss"]
    return line["stopped"]["diverged"], float("inf") if loss is None else loss, line["lr"]


def with_ratios(arm: Mapping[str, Any]) -> Document:
    """An arm whose curve also has the gradient of the first layer's weights over that of the last layer's."""
    points = []
    for point, layers in zip(arm["curve"], arm["layers"], strict=True):
        first, last = (layers[end]["grad_norm"] if layers else None for end in (0, -1))
        ratio = first / last if first is not None and last else None
        points.append({**point, GRADIENT_RATIO: {**UNKNOWN, "mean": ratio}})
    return {**arm, "curve": points}
