"""Points in the plane that a network must bend a line around: moons, circles, spirals, blobs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..constraints import Constraint, Interval
from ..errors import UsageError, unknown
from ..language import both
from .source import Source

__all__ = ["TOYS", "read_toy"]

Points = NDArray[np.float64]
# A stream of its own under the caller's seed; the number must never change.
_POINTS = 12
MOST_POINTS = 1_000_000
COUNT = Interval(20, MOST_POINTS, whole=True)
NOISE = Interval(0, 10)
CLASSES = Interval(2, 10, whole=True)


def _moons(t: Points, k: int, options: Mapping[str, Any]) -> Points:
    """Two half circles, each with an end inside the other."""
    angle = math.pi * t
    x, y = np.cos(angle), np.sin(angle)
    return np.stack([x, y] if k == 0 else [1 - x, 0.5 - y], axis=1)


def _circles(t: Points, k: int, options: Mapping[str, Any]) -> Points:
    """A circle of radius 1 round one of radius `factor`."""
    radius = 1.0 if k == 0 else options["factor"]
    return radius * np.stack([np.cos(2 * math.pi * t), np.sin(2 * math.pi * t)], axis=1)


def _spirals(t: Points, k: int, options: Mapping[str, Any]) -> Points:
    """Arms that turn once around while their radius grows from 0 to 2.5, where points have a spread near 1."""
    angle = 2 * math.pi * (t + k / options["arms"])
    return 2.5 * t[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _blobs(t: Points, k: int, options: Mapping[str, Any]) -> Points:
    """Centres on a circle of radius 2; the noise makes them clouds."""
    angle = 2 * math.pi * k / options["classes"]
    return np.tile([2 * math.cos(angle), 2 * math.sin(angle)], (len(t), 1))


@dataclass(frozen=True)
class Toy:
    """The curve of class k at t from 0 to 1, and for each option its default and what it may be."""

    curve: Callable[[Points, int, Mapping[str, Any]], Points]
    options: Mapping[str, tuple[Any, Constraint]]
    classes: str = ""  # the option that counts the classes; two without


TOYS = {
    "moons": Toy(_moons, {"n": (500, COUNT), "noise": (0.1, NOISE)}),
    "circles": Toy(_circles, {"n": (500, COUNT), "noise": (0.05, NOISE), "factor": (0.5, Interval(0.05, 0.95))}),
    "spirals": Toy(_spirals, {"n": (500, COUNT), "noise": (0.1, NOISE), "arms": (3, CLASSES)}, "arms"),
    "blobs": Toy(_blobs, {"n": (500, COUNT), "noise": (0.5, NOISE), "classes": (3, CLASSES)}, "classes"),
}


def read_toy(text: str, seed: int) -> Source:
    """Draw the toy that `text` names, with options written as an arm's: "spirals:n=500,noise=0.1,arms=3"."""
    name, _, rest = (part.strip() for part in text.partition(":"))
    toy = TOYS[name]
    options = _options(name, toy, _given(text, rest))
    classes = options[toy.classes] if toy.classes else 2
    y = np.sort(np.arange(options["n"]) % classes)
    curves = [toy.curve(_positions(int(size)), k, options) for k, size in enumerate(np.bincount(y))]
    noise = np.random.default_rng([seed, _POINTS]).standard_normal((len(y), 2))
    shown = ", ".join(f"{option} {value:g}" for option, value in options.items())
    notes = [both("The points are drawn: {options}, seed {seed}.", options=shown, seed=seed)]
    spelled = "".join(text.split()).rstrip(":")
    return Source(spelled, spelled, np.concatenate(curves) + options["noise"] * noise, y, scaled=True, notes=notes)


def _positions(count: int) -> Points:
    """Evenly spread inside 0 to 1, the ends left out: a circle would meet itself there."""
    return (np.arange(count) + 0.5) / count


def _given(text: str, rest: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in filter(None, map(str.strip, rest.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        number = _number(value)
        if not equals or number is None:
            raise UsageError(f"data: options are written name=number with commas between, got {text!r}.")
        if name in found:
            raise UsageError(f"data: {name} is given twice in {text!r}.")
        found[name] = number
    return found


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def _options(name: str, toy: Toy, given: Mapping[str, float]) -> dict[str, Any]:
    for option in given:
        if option not in toy.options:
            raise unknown(f"option of {name}", option, toy.options)
    filled = {option: given.get(option, default) for option, (default, _) in toy.options.items()}
    for option, (_, constraint) in toy.options.items():
        if not constraint.accepts(filled[option]):
            raise UsageError(f"{name}: {option} must be {constraint}, got {filled[option]!r}.")
    return filled
