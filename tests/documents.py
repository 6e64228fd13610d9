"""Invented comparison documents, complete to the last key, for tests of the sentences, pages and tables made of them.

An arm is given by the few numbers that matter (`arm("ln", ratio=0.025, signal=6e-4)`); everything else follows from
them by simple rules, so that a document is consistent: signal + offset = var, gain = ratio ** (1 / (layers - 1)).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

BINS = 30
EVERY_CALL = {
    "methods": None, "preset": None, "data": "normal", "net": "dense", "layers": 5, "width": 100, "batch": 1000,
    "activation": "sigmoid", "init": "xavier", "bias": False, "place": "before", "top": "cotangent", "cotangents": 8,
    "dtype": "float64", "seeds": 1, "seed": 0,
}  # fmt: skip


def layer(number: int, *, mean: float | None = 0.5, var: float | None = 0.044, signal: float = 1.0,
          saturated: float | None = 0.001, slope: float | None = 0.2, grad: float | None = 1.0, nonfinite: int = 0,
          pre: tuple[float | None, float | None] = (0.0, 1.0), edges: tuple[float, float] = (0.0, 1.0),
          size: int = 100_000) -> dict[str, Any]:  # fmt: skip
    """One layer; `signal` is a share of `var`, `edges` the ends of the histogram's axis."""
    low, high = edges
    ends = [low + (high - low) * k / BINS for k in range(BINS + 1)]
    return {
        "layer": number, "mean": mean, "var": var,
        "signal_var": None if var is None else var * signal,
        "offset_var": None if var is None else var - var * signal,
        "saturated": saturated, "slope": slope, "nonfinite": nonfinite, "grad_norm": grad,
        "pre": {"mean": pre[0], "var": pre[1]},
        "histogram": {"edges": ends, "counts": _bell(ends, mean, var, size - nonfinite), "below": 0, "above": 0},
    }  # fmt: skip


def arm(label: str, *, ratio: float | None = 1.0, depth: int = 5, signal: float = 1.0, predicted: float | None = None,
        role: str | None = None, method: str | None = None, options: dict[str, Any] | None = None,
        refused: dict[str, str] | None = None, **numbers: Any) -> dict[str, Any]:  # fmt: skip
    """One arm: `ratio` is first over last, `signal` the share at the last layer, reached in equal steps from 1.

    The other `numbers` are those of `layer`; a list gives one for each layer.
    """
    layers = []
    for k in range(depth if refused is None else 0):
        own = {name: value[k] if isinstance(value, list) else value for name, value in numbers.items()}
        own.setdefault("signal", signal ** ((k + 1) / depth))
        own.setdefault("grad", _grad(ratio, k, depth))
        layers.append(layer(k + 1, **own))
    measured = ratio ** (1 / (depth - 1)) if ratio and depth > 1 else None
    return {
        "method": method or label.partition(":")[0], "options": options or {}, "label": label,
        "role": role or ("none" if label == "none" else "norm"), "refused": refused, "layers": layers,
        "gain": {"measured": measured, "predicted": predicted},
        "first_over_last": ratio if depth > 1 and layers else None,
        "sample": {"inputs": 24, "units": 24, "low": 0.0, "high": 1.0, "values": [[10 * k] * 24 for k in range(24)]},
    }  # fmt: skip


def document(*arms: dict[str, Any], seeds: int = 1, **settings: Any) -> dict[str, Any]:
    """The document of a run with these arms; `settings` are arguments of `compare` that differ from their defaults."""
    labels = [a["label"] for a in arms]
    depth = max((len(a["layers"]) for a in arms), default=5)
    return {
        "schema": "normlab.compare/1", "command": "normlab compare " + " ".join(labels),
        "versions": {"normlab": "0.1.0", "numpy": "2.0.0"}, "machine": {"system": "Linux", "python": "3.11.0"},
        "wall_s": 0.1, "settings": {**EVERY_CALL, "methods": labels, "layers": depth, "seeds": seeds, **settings},
        "seeds": list(range(seeds)), "arms": list(arms), "verdicts": [], "notes": [],
    }  # fmt: skip


def over_seeds(plain: dict[str, Any], seeds: int = 5, factor: float = 1.1) -> dict[str, Any]:
    """The same document over several seeds: every measured number becomes an interval from / `factor` to * `factor`."""

    def interval(value: float | None) -> dict[str, float | None]:
        ends = sorted((value / factor, value * factor)) if value is not None else (None, None)
        return {"mean": value, "low": ends[0], "high": ends[1]}

    document = {**plain, "seeds": list(range(seeds)), "settings": {**plain["settings"], "seeds": seeds}}
    document["arms"] = [_each_number(a, interval) for a in plain["arms"]]
    return document


def _each_number(arm: dict[str, Any], change: Callable[[float | None], Any]) -> dict[str, Any]:
    measured = ("mean", "var", "signal_var", "offset_var", "saturated", "slope", "grad_norm")
    layers = [
        {**one, **{key: change(one[key]) for key in measured}, "pre": {k: change(v) for k, v in one["pre"].items()}}
        for one in arm["layers"]
    ]
    gain = {"measured": change(arm["gain"]["measured"]), "predicted": arm["gain"]["predicted"]}
    return {**arm, "layers": layers, "gain": gain, "first_over_last": change(arm["first_over_last"])}


def _grad(ratio: float | None, k: int, depth: int) -> float | None:
    """Layer k's gradient where the last one's is 1 and the first one's `ratio`."""
    if ratio is None:
        return 1.0 if depth == 1 else None
    if ratio == 0:
        return 1.0 if k == depth - 1 else 0.0
    return float(ratio ** ((depth - 1 - k) / max(depth - 1, 1)))


def _bell(edges: list[float], mean: float | None, var: float | None, size: int) -> list[int]:
    if mean is None or var is None:
        return [0] * BINS
    spread = math.sqrt(var) or 1e-9
    below = [0.5 * (1 + math.erf(max(min((e - mean) / spread, 40), -40) / math.sqrt(2))) for e in edges]
    return [round(size * (b - a)) for a, b in pairwise(below)]


# Six runs that every consumer should be able to tell.
def all_healthy() -> dict[str, Any]:
    """Five tanh layers: no arm gives a reason to prefer it."""
    runs = (("none", 0.99, 0.31), ("bn", 1.38, 0.39), ("ln", 1.36, 0.4))
    arms = [arm(name, ratio=ratio, signal=0.9, mean=0.0, var=var) for name, ratio, var in runs]
    return document(*arms, activation="tanh")


def all_dead() -> dict[str, Any]:
    """Every arm's gradient vanishes and every arm's signal is lost."""
    return document(
        arm("none", ratio=2.6e-12, signal=3e-9, var=0.0138, depth=20),
        arm("ln", ratio=2.3e-8, signal=1e-6, depth=20),
        arm("sn", ratio=1.5e-17, signal=1e-12, var=0.0034, depth=20),
    )


def saturated_not_vanished() -> dict[str, Any]:
    """Weights of standard deviation 1: most units are saturated, the gradient arrives all the same."""
    none = arm("none", ratio=0.32, signal=0.0296, var=0.162, saturated=[0.25, 0.56, 0.69, 0.61, 0.55], slope=0.08)
    return document(none, arm("bn", ratio=1.2), arm("ln", ratio=0.0215, signal=8.4e-5, var=0.045))


def exploding() -> dict[str, Any]:
    """Twenty ReLU layers: the gradient grows with batch statistics, and stays without."""
    return document(
        arm("none", ratio=1.03, signal=0.3, depth=20, predicted=1.0, saturated=0.5),
        arm("bn", ratio=36.0, signal=0.9, depth=20, predicted=1.2112, saturated=0.5),
        activation="relu",
    )


def one_layer() -> dict[str, Any]:
    """The study note's first experiment: moments and shares, no ratio."""
    none = arm("none", ratio=None, depth=1, mean=0.4504, var=0.1301, signal=0.2208, saturated=0.2922, slope=0.1175,
               pre=(-0.3217, 7.3749))  # fmt: skip
    return document(none, arm("bn", ratio=None, depth=1, mean=0.5002, var=0.0439, signal=0.99985, slope=0.2061),
                    bias=True, preset="note-1")  # fmt: skip


def not_finite() -> dict[str, Any]:
    """One arm overflows at layer 3; the other arms go on."""
    gone: dict[str, Any] = {"mean": None, "var": None, "saturated": None, "slope": None, "pre": (None, None)}
    fine: dict[str, Any] = {"mean": 0.5, "var": 0.01, "saturated": 0.0, "slope": 0.2, "pre": (0.0, 1.0)}
    numbers = {key: [fine[key]] * 2 + [gone[key]] * 3 for key in gone}
    broken = arm("bad", ratio=None, **numbers, nonfinite=[0, 0, 12, 4000, 100_000])
    return document(arm("none", ratio=0.0062, signal=3e-5, var=0.0138), arm("bn", ratio=1.06), broken)
