"""When a verdict fails, measured: the same arms again, small, with one setting changed at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from normlab.language import both
from normlab.result import center

from .compare import run

MOST_ARMS = 4
MOST_INPUTS, COTANGENTS = 256, 2  # enough to tell healthy from dead; a report should not take longer than its run
SMALL_BATCH, DEEP, SHALLOW, LARGE_INIT = 4, 20, 5, 1.0


def limits(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Re-run variations of a comparison's settings, each with one change: where its verdict no longer holds.

    Returns: one entry a variation: `change` in both languages, the `command` that repeats it, and for each arm its
    label, first over last, gain, signal share of the last layer, and how many units are saturated there.
    """
    settings = dict(document["settings"])
    methods = [arm["label"] for arm in document["arms"] if not arm.get("refused")][:MOST_ARMS]
    if not methods:
        return []
    preset = settings.pop("preset", None)
    settings.pop("methods", None)
    small = {**settings, "batch": min(settings["batch"], MOST_INPUTS), "cotangents": COTANGENTS, "seeds": 1}
    found = []
    for change, text in _changes(settings):
        comparison = run(methods, preset=preset, **{**small, **change}).to_dict()
        arms = [_summary(arm) for arm in comparison["arms"] if arm["layers"]]
        found.append({"change": text, "command": comparison["command"], "arms": arms})
    return found


def _changes(settings: Mapping[str, Any]) -> list[tuple[dict[str, Any], dict[str, str]]]:
    """The variations: another activation function, larger weights, another depth, a small batch."""
    found: list[tuple[dict[str, Any], dict[str, str]]] = []
    other = "tanh" if settings["activation"] == "sigmoid" else "sigmoid"
    found.append(({"activation": other}, both("with {activation} instead", activation=other)))
    if settings["init"] != LARGE_INIT:
        found.append(({"init": LARGE_INIT}, both("with weights of standard deviation {init}", init=LARGE_INIT)))
    else:
        found.append(({"init": "xavier"}, both("with Xavier weights")))
    depth = DEEP if settings["layers"] < DEEP else SHALLOW
    found.append(({"layers": depth}, both("with {layers} layers", layers=depth)))
    if settings["batch"] > SMALL_BATCH:
        found.append(({"batch": SMALL_BATCH}, both("with a batch of {batch}", batch=SMALL_BATCH)))
    return found


def _summary(arm: Mapping[str, Any]) -> dict[str, Any]:
    last = arm["layers"][-1]
    var, signal = center(last["var"]), center(last["signal_var"])
    return {
        "label": arm["label"],
        "first_over_last": center(arm["first_over_last"]),
        "gain": center(arm["gain"]["measured"]),
        "signal_share": None if not var or signal is None else signal / var,
        "saturated": center(last["saturated"]),
    }
