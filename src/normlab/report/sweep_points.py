"""What the page of a sweep asks of its document: the axes of its grid, the combinations, their values over seeds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import unknown
from ..language import both
from ..statistics import Interval, Metric, interval
from .drawing import Text
from .numerals import amount, rounded, share

__all__ = [
    "SWEEP", "Axes", "Point", "axes_of", "higher_is_better", "metric_of", "named", "numeric", "points_of", "setting_of",
    "spoken", "together", "word", "writer",
]  # fmt: skip

SWEEP = "normlab.sweep/1"
ARMS, SEED = "methods", "seed"  # under these arguments of `train` a grid has its arms and its repetitions
PREFERRED = "test_accuracy"
NAMES = {
    "test_accuracy": both("test accuracy"), "test_loss": both("test loss"), "train_loss": both("training loss"),
    "validation_accuracy": both("validation accuracy"), "validation_loss": both("validation loss"),
}  # fmt: skip

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Axes:
    """What the arguments of a grid are drawn as: a line for each value of `lines`, which run along `across`.

    `rest` are the arguments of the small multiples; `lines` and `across` are None where the grid has no such argument.
    """

    lines: str | None
    across: str | None
    rest: tuple[str, ...]
    seeds: bool


@dataclass(frozen=True)
class Point:
    """One combination of everything but the seed, and its trials."""

    setting: Mapping[str, Any]
    trials: Sequence[Mapping[str, Any]]

    def by_seed(self, metric: str) -> dict[Any, float | None]:
        """The metric of every trial that has a result; None where the trial failed or the metric is no number."""
        settled = [one for one in self.trials if one["state"] != "waiting"]
        return {json.dumps(one["parameters"].get(SEED)): _number((one["metrics"] or {}).get(metric)) for one in settled}

    def interval(self, metric: str) -> Interval | None:
        """The mean over the trials that have a result; None where none has."""
        values = [_number(one["metrics"].get(metric)) for one in self.trials if one["state"] == "done"]
        return interval(values) if values else None

    def band(self, metric: str) -> dict[str, float | None]:
        """The same as documents hold a measured number."""
        found = self.interval(metric)
        if found is None:
            return {"mean": None, "low": None, "high": None}
        return {"mean": found.mean, "low": found.low, "high": found.high}


def metric_of(document: Document) -> str:
    """The metric that is shown: the one asked for under `metric`, else the test accuracy, else the first number.

    Raises: UnknownNameError where no trial has a number under the name that was asked for.
    """
    known = numeric(document)
    asked = document.get("metric")
    if asked is not None and (known or document["counts"]["done"]) and asked not in known:
        raise unknown("metric", str(asked), known)
    if asked is not None:
        return str(asked)
    return PREFERRED if PREFERRED in known or not known else known[0]


def numeric(document: Document) -> list[str]:
    """The metrics that are numbers in some trial, in the tables' order."""
    done = [one["metrics"] or {} for one in document["trials"]]
    return [name for name in document["columns"]["metrics"] if any(_number(m.get(name)) is not None for m in done)]


def higher_is_better(metric: str) -> bool | None:
    """Whether more of it is better; None where the name does not say, and nothing is called better then."""
    if metric.endswith("accuracy"):
        return True
    return False if metric.endswith("loss") else None


def axes_of(document: Document) -> Axes:
    """How the grid is drawn."""
    grid = list(document["columns"]["grid"])
    values = {name: _distinct(document, name) for name in grid}
    varied = [name for name in grid if name != SEED]
    along = [name for name in varied if name != ARMS and len(values[name]) > 1 and all(map(_is_number, values[name]))]
    across = max(along, key=lambda name: len(values[name]), default=None)
    others = [name for name in varied if name != across and len(values[name]) > 1]
    lines = ARMS if ARMS in varied else min(others, key=lambda name: (name in along, len(values[name])), default=None)
    rest = tuple(name for name in varied if name not in (across, lines))
    return Axes(lines, across, rest, SEED in grid)


def points_of(document: Document) -> list[Point]:
    """The combinations of everything but the seed, in the grid's order."""
    names = [name for name in document["columns"]["grid"] if name != SEED]
    found: dict[str, Point] = {}
    for one in document["trials"]:
        setting = {name: one["parameters"][name] for name in names}
        point = found.setdefault(json.dumps(setting), Point(setting, []))
        found[json.dumps(setting)] = Point(setting, [*point.trials, one])
    return list(found.values())


def together(points: Sequence[Point], names: Sequence[str]) -> Iterator[tuple[dict[str, Any], list[Point]]]:
    """The points that agree in the arguments `names`, with those arguments."""
    found: dict[str, tuple[dict[str, Any], list[Point]]] = {}
    for point in points:
        common = {name: point.setting[name] for name in names}
        found.setdefault(json.dumps(common), (common, []))[1].append(point)
    yield from found.values()


def setting_of(setting: Mapping[str, Any], without: Sequence[str | None] = ()) -> str:
    """A combination in words, such as `layers = 3, batch = 8`."""
    return ", ".join(f"{name} = {word(value)}" for name, value in setting.items() if name not in without)


def word(value: Any) -> str:
    """A value of the grid as the specification has it."""
    if isinstance(value, str):
        return value
    return rounded(value) if _is_number(value) else json.dumps(value, ensure_ascii=False)


def named(metric: str) -> Text:
    """What a metric is called."""
    return NAMES.get(metric, {"en": metric, "ko": metric})


def spoken(metric: str, setting: str = "") -> Metric:
    """How sentences speak of a metric, in the combination `setting`."""
    name = {lang: text[:1].upper() + text[1:] if metric in NAMES else text for lang, text in named(metric).items()}
    if setting:
        name = both("{metric} ({setting})", metric=name, setting=setting)
    return Metric(name, 100, both(" points")) if metric.endswith("accuracy") else Metric(name)


def writer(metric: str) -> Callable[[Any], str]:
    """How its numbers are written."""
    return share if metric.endswith("accuracy") else amount


def _distinct(document: Document, name: str) -> list[Any]:
    return list({json.dumps(one["parameters"][name]): one["parameters"][name] for one in document["trials"]}.values())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> float | None:
    return float(value) if _is_number(value) else None
