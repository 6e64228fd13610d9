"""What the drawings, tables and sentences of a race ask of its document: the arms that trained, and it in few words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..language import both
from ..result import center
from .drawing import GRADIENT, OFFSET, SIGNAL, Text
from .numerals import count, rounded

__all__ = ["DASHES", "HUES", "RACE", "joined", "leader", "not_trained", "setting_line", "shortened", "trained"]

RACE = "normlab.train/1"
Document = Mapping[str, Any]

# A line is told by its dashes as well as by its colour, and its name stands at its end.
HUES = (SIGNAL, OFFSET, GRADIENT, "#4b9a6a", "#a8577e", "#7a7f87")
DASHES = (None, "7 4", "2 3", "10 3 2 3", "14 4", "4 2")


def trained(document: Document) -> list[Mapping[str, Any]]:
    """The arms that were trained, in the document's order."""
    return [arm for arm in document["arms"] if arm.get("refused") is None]


def not_trained(document: Document) -> list[Mapping[str, Any]]:
    """The arms that cannot act in this network; each says why under `refused`."""
    return [arm for arm in document["arms"] if arm.get("refused") is not None]


def leader(arms: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The arm with the highest mean test accuracy, shown to be better or not."""
    return max(arms, key=lambda arm: center(arm["final"]["test_accuracy"]) or 0.0)


def shortened(label: Any, most: int) -> str:
    """A label that fits into a drawing; the tables have it whole."""
    text = str(label)
    return text if len(text) <= most else text[: most - 1] + "…"


def joined(parts: Sequence[Text], between: str) -> Text:
    """Texts as one."""
    return {lang: between.join(part[lang] for part in parts) for lang in ("en", "ko")}


def setting_line(document: Document) -> Text:
    """What was trained on what, and how, in one line."""
    return joined([*_network(document["settings"]), *_course(document)], " · ")


def _network(s: Mapping[str, Any]) -> list[Text]:
    if s["net"] == "dense":
        size = both("{layers} layers of {width} units", **_sizes(s))
    elif s["net"] == "conv":
        size = both("{layers} convolutions of {width} channels", **_sizes(s))
    else:
        return [both("net {name}", name=s["net"])]
    drawn = s["init"] if isinstance(s["init"], str) else f"{s['init']:g}"
    return [_same(s["activation"]), size, both("weights {init}", init=drawn)]


def _sizes(s: Mapping[str, Any]) -> dict[str, Any]:
    return {"layers": s["layers"], "width": s["width"]}


def _course(document: Document) -> list[Text]:
    s, held, seeds = document["settings"], document["data"], document["seeds"]
    rows = {"name": held["name"], "rows": count(held["rows"]), "test": count(held["test_rows"])}
    several = {"seeds": len(seeds), "seed": seeds[0]}
    seed = both("seed {seed}", seed=seeds[0]) if len(seeds) == 1 else both("{seeds} seeds from {seed}", **several)
    pace = f"{s['optimizer']}, momentum {s['momentum']:g}" if s["optimizer"] == "sgd" else str(s["optimizer"])
    rates = "/".join(rounded(rate) for rate in s["lr"])
    return [
        both("{name} ({rows} rows, {test} more to test)", **rows), _same(pace),
        both("learning rates {rates}", rates=rates),
        both("{steps} steps of {batch} rows", steps=count(s["steps"]), batch=count(s["batch"])), seed,
        _same(s["dtype"]),
    ]  # fmt: skip


def _same(name: Any) -> Text:
    """A name that is the same in every language."""
    return {"en": str(name), "ko": str(name)}
