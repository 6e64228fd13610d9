"""The settings of a race on the page: up to four arms, and limits that suit somebody who waits before a screen.

A stack's step and a test must end soon enough for *stop* to be quick, so they are tighter than `normlab train`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..constraints import Interval, OneOf
from ..errors import NormlabError
from ..experiments.activations import ACTIVATIONS
from ..experiments.arms import EXPLAINED, read_arm, read_arms
from ..experiments.presets import NO_PRESET
from ..experiments.settings import INITS, SIDE
from ..experiments.training.optimizers import OPTIMIZERS
from ..experiments.training.settings import Settings
from ..language import both
from ..registry import methods
from .fields import Field, Named, State, Text

__all__ = ["FIELDS", "GRID", "MOST_VALUES", "arguments", "arms_of", "settled", "values"]

ARMS = ("a", "b", "c", "d")
GRID = "grid"
RATES = ("0.001", "0.01", "0.1", "1", "10", "1000")
LONGEST_ARM = 80
MOST_OF_CONV = {"layers": 6, "width": 32}
MOST_VALUES = 6_000_000  # that all networks hand on in one step: together some 300 MB of arrays


class ArmOrNone:
    """An arm as `train` takes it, or nothing."""

    said = both("a method such as bn, one with options such as gn:groups=4, a line of notation, none, or empty")

    def accepts(self, value: Any) -> bool:
        """Whether `value` may be used."""
        if value == "":
            return True
        try:
            return isinstance(value, str) and len(value) <= LONGEST_ARM and bool(read_arm(value, NO_PRESET))
        except NormlabError:
            return False

    def refused(self) -> tuple[Any, ...]:
        """Some values that must be refused, for tests."""
        return ("no such method", "bn:nothing=1", 1, None, "n " * LONGEST_ARM + "[c]")


def _arms() -> list[tuple[str, str | Text]]:
    known = [one for one in methods() if one.role not in EXPLAINED]
    named = [(one.short, {"en": f"{one.short} - {one.title}", "ko": f"{one.short} - {one.title_ko}"}) for one in known]
    return [("none", both("none - without")), *named]


def _named(names: Sequence[str]) -> list[tuple[str, str | Text]]:
    return [(name, name) for name in names]


_ARMS = _arms()
_LESS: list[tuple[str, str | Text]] = [("", both("no further arm")), *_ARMS]
_RATES: list[tuple[str, str | Text]] = [(GRID, both("the best of three, for each arm")), *_named(RATES)]
_DATA: list[tuple[str, str | Text]] = [
    ("digits", both("handwritten digits")), ("moons", both("two moons")), ("circles", both("circles")),
    ("spirals", both("spirals")), ("blobs", both("blobs")),
]  # fmt: skip
_NETS: list[tuple[str, str | Text]] = [("dense", both("dense layers")), ("conv", both("convolutions"))]

FIELDS = (
    *(Field(name, label, start, ArmOrNone(), "choice", _ARMS if name == "a" else _LESS) for name, label, start in (
        ("a", both("first arm"), "none"), ("b", both("second arm"), "bn"), ("c", both("third arm"), "ln"),
        ("d", both("fourth arm"), ""),
    )),
    Field("data", both("data"), "digits", OneOf(*(name for name, _ in _DATA)), "choice", _DATA),
    Field("layers", both("layers"), 5, Interval(1, 20, whole=True), "range"),
    Field("batch", both("rows a step"), 64, Interval(2, 256, whole=True), "range"),
    Field("lr", both("learning rate"), GRID, Named((GRID,), Interval(1e-6, 1e4)), "choice", _RATES),
    Field("steps", both("steps"), 300, Interval(10, 2000, whole=True), "number"),
    Field("net", both("network"), "dense", OneOf("dense", "conv"), "choice", _NETS),
    Field("width", both("units or channels"), 100, Interval(2, 128, whole=True), "range"),
    Field("activation", both("activation function"), "sigmoid", OneOf(*ACTIVATIONS), "choice", _named([*ACTIVATIONS])),
    Field("init", both("first weights"), "xavier", Named(INITS, Interval(1e-4, 100)), "choice", _named(INITS)),
    Field("optimizer", both("optimizer"), "sgd", OneOf(*OPTIMIZERS), "choice", _named(list(OPTIMIZERS))),
    Field("seeds", both("seeds"), 5, Interval(1, 10, whole=True), "range"),
    Field("seed", both("first seed"), 0, Interval(0, 10**6, whole=True), "number"),
)  # fmt: skip


def arms_of(state: Mapping[str, Any]) -> list[str]:
    """The arms that were chosen."""
    return [state[name] for name in ARMS if state[name]]


def arguments(state: Mapping[str, Any]) -> dict[str, Any]:
    """What `normlab.train` is called with, its arms aside."""
    given = {name: value for name, value in state.items() if name not in ARMS}
    return {**given, "lr": None if state["lr"] == GRID else float(state["lr"])}


def settled(state: State) -> tuple[State, list[Text]]:
    """The state with what excludes each other brought together, and a note on each change."""
    chosen = _distinct(arms_of(state))
    notes: list[Text] = []
    if len(chosen) < len(arms_of(state)):
        notes.append(both("Two arms were the same; each stands once."))
    state = {**state, **dict(zip(ARMS, [*(chosen or ["none"]), *[""] * len(ARMS)], strict=False))}
    images = both("Convolutions need images, and cost more.")
    for change, why in ((_for_convolutions, images), (_smaller, _too_large())):
        changed = {name: value for name, value in change(state).items() if state[name] != value}
        for name, value in changed.items():
            notes.append(both("{why} So here: {name} = {value}.", why=why, name=_LABELS[name], value=value))
        state |= changed
    return state, notes


def _for_convolutions(state: Mapping[str, Any]) -> State:
    """What changes so that there can be convolutions: other data than images do away with them."""
    if state["net"] != "conv":
        return {}
    if state["data"] != "digits":
        return {"net": "dense"}
    return {name: min(state[name], most) for name, most in MOST_OF_CONV.items()}


def _smaller(state: Mapping[str, Any]) -> State:
    """Fewer seeds, and if that does not do, fewer rows, until all networks together fit."""
    seeds = next((n for n in range(state["seeds"], 1, -1) if values({**state, "seeds": n}) <= MOST_VALUES), 1)
    over = values({**state, "seeds": seeds}) / MOST_VALUES
    return {"seeds": seeds, "batch": state["batch"] if over <= 1 else max(2, int(state["batch"] / over))}


def _too_large() -> Text:
    return both(
        "All networks together may hand on {most} values a step: rows x units x layers x arms x seeds x "
        "learning rates.", most=f"{MOST_VALUES:,}",
    )  # fmt: skip


def _distinct(texts: Sequence[str]) -> list[str]:
    """The arms without those that were there already, however they are written."""
    kept: list[str] = []
    for text in texts:
        try:
            read_arms([*kept, text], NO_PRESET)
        except NormlabError:
            continue
        kept.append(text)
    return kept


def values(state: Mapping[str, Any]) -> int:
    """How many values all networks hand on from layer to layer in one step."""
    side, pixels = SIDE, 0
    for _ in range(state["layers"]):
        pixels += side * side if state["net"] == "conv" else 1
        side = max(side // 2, 2)
    settings = Settings.read(arguments(state))
    runs = len(settings.lr) * state["seeds"] * len(arms_of(state))
    return int(state["batch"] * state["width"] * pixels * runs)


_LABELS = {field.name: field.label for field in FIELDS}
