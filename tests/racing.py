"""Documents of races for tests: invented ones, complete to the last key, and a small real one."""

from __future__ import annotations

from functools import cache
from typing import Any

import normlab as nl

SMALL = ("--layers", "2", "--width", "8", "--batch", "20", "--steps", "20", "--seeds", "2", "--lr", "0.1,1")
"""A race of a fifth of a second: what is printed about it does not depend on its size."""
METRICS = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
FINAL = (
    "train_loss", "validation_loss", "validation_accuracy", "test_loss", "test_accuracy", "own_statistics_loss",
    "own_statistics_accuracy",
)  # fmt: skip


@cache
def real(*methods: str) -> str:
    """A race that was run here, as JSON; two layers of eight units."""
    race = nl.train(list(methods), layers=2, width=8, batch=20, steps=20, seeds=2, lr=[0.1, 1.0])
    return race.to_json()


def band(middle: float | None, away: float | None = None) -> dict[str, Any]:
    """A mean with an interval; without `away`, as one seed gives it."""
    if middle is None or away is None:
        return {"mean": middle, "low": None, "high": None}
    return {"mean": middle, "low": middle - away, "high": middle + away}


def value(name: str, accuracy: float | None, loss: float | None) -> float | None:
    return accuracy if name.endswith("accuracy") else loss


def arm(label: str, *, accuracy: float = 0.9, loss: float | None = 0.3, method: str | None = None, points: int = 5,
        depth: int = 3, rates: tuple[float, ...] = (0.1, 1.0), seeds: int = 3, lost: int = 0) -> dict[str, Any]:  # fmt: skip
    """One arm, best at the first rate; `lost`: so many of its runs diverge there after half of the points."""
    away = 0.02 if seeds > 1 else None
    why = {"finished": seeds - lost} | ({"diverged": lost} if lost else {})
    first = {"seed": 0, "step": 25, "layer": 2} if lost else None
    line = {"validation_loss": loss, "stopped": why, "first_diverged": first}
    layers = [[{"mean": 0.5, "var": 0.04, "signal": 10.0 ** (-n * t / 9), "grad_norm": 10.0 ** (n - t / 2)}
               for n in range(depth)] for t in range(points)]  # fmt: skip
    curve = [
        {"step": 10 * (t + 1), "runs": seeds - lost * (2 * t >= points)}
        | {name: band(value(name, accuracy * (t + 1) / points, loss), away) for name in METRICS}
        for t in range(points)
    ]
    runs = [
        {"seed": k, "lr": rates[0], "stopped": "diverged" if k < lost else "finished", "step": 25 if k < lost else 50,
         "layer": 2 if k < lost else None} | {n: None if k < lost else value(n, accuracy, loss) for n in FINAL}
        for k in range(seeds)
    ]  # fmt: skip
    return {
        "method": method or label.partition(":")[0], "options": {}, "label": label,
        "role": "none" if label == "none" else "norm", "refused": None, "lr": rates[0],
        "grid": [{"lr": lr, "validation_accuracy": band(accuracy / (k + 1), away), **line} for k, lr in enumerate(rates)],
        "final": {name: band(value(name, accuracy, loss), away) for name in FINAL},
        "runs": runs, "curve": curve, "layers": layers,
    }  # fmt: skip


def refused(label: str) -> dict[str, Any]:
    """An arm that cannot act."""
    why = {"en": f"{label} needs a condition", "ko": f"{label}: 조건이 필요하다", "command": f"normlab guide {label}"}
    return {"method": label, "options": {}, "label": label, "role": "condition", "refused": why}


def document(*arms: dict[str, Any], seeds: int = 3, **settings: Any) -> dict[str, Any]:
    """The document of a race of these arms, judged as a real one."""
    from normlab.experiments.training.verdicts import judge

    trained = [one for one in arms if one["refused"] is None]
    rates = [line["lr"] for line in trained[0]["grid"]] if trained else [0.1, 1.0]
    made = {
        "schema": "normlab.train/1", "command": "normlab train " + " ".join(one["label"] for one in arms),
        "versions": {"normlab": "0.1.0", "numpy": "2.0.0"}, "machine": {"system": "Linux"}, "wall_s": 1.5,
        "settings": {
            "methods": [one["label"] for one in arms], "data": "digits", "net": "dense", "layers": 3, "width": 100,
            "activation": "sigmoid", "init": "xavier", "place": "before", "bias": True, "optimizer": "sgd", "lr": rates,
            "momentum": 0.9, "weight_decay": 0.0, "batch": 64, "steps": 50, "seeds": seeds, "seed": 0,
            "dtype": "float32", "own_grid": True, **settings,
        },
        "data": {
            "name": "digits", "rows": 1347, "test_rows": 450, "shape": [1, 8, 8], "classes": list("0123456789"),
            "counts": {"training": [1], "test": [1]}, "notes": [], "fingerprint": "ab12",
        },
        "seeds": list(range(seeds)), "arms": list(arms), "contrasts": [], "ranking": None, "verdicts": [], "notes": [],
    }  # fmt: skip
    judge(made)
    return made


# Races that every consumer should be able to tell.
def told_apart() -> dict[str, Any]:
    """One arm learns, one does not."""
    return document(arm("none", accuracy=0.1, loss=2.3), arm("bn", method="batch_norm"), seeds=3)


def alone() -> dict[str, Any]:
    """One arm, one seed, one learning rate."""
    return document(arm("bn", method="batch_norm", rates=(0.1,), seeds=1), seeds=1)


def diverging() -> dict[str, Any]:
    """An arm loses two of three runs, and one all of them before the first record."""
    gone = arm("gn", method="group_norm", accuracy=0.1, loss=None, points=0, lost=3)
    return document(arm("none", lost=2), gone, arm("ln", method="layer_norm"))


def cannot_act() -> dict[str, Any]:
    """Nothing could be trained."""
    return document(refused("film"))


def crowded() -> dict[str, Any]:
    """Fourteen arms, twelve learning rates, twenty layers."""
    rates = tuple(10.0 ** (k / 2 - 5) for k in range(12))
    arms = [arm(f"gn:groups={k + 1}", method="group_norm", accuracy=0.5 + k / 50, depth=20, rates=rates) for k in range(14)]
    return document(*arms, refused("film"), layers=20)


INVENTED = (told_apart, alone, diverging, cannot_act, crowded)
