"""What the drawings need to know of a document: its arms, their names and definitions, the axes they share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import NormlabError
from ..language import both
from ..result import center
from .drawing import Text

if TYPE_CHECKING:
    from ..definition import Definition

__all__ = ["acting", "chosen_rows", "cleaned", "definition_of", "edges", "gradients", "refused", "title_of"]

Arm = Mapping[str, Any]


def cleaned(value: Any) -> Any:
    """A copy of a document in which what is not finite is None: JSON has no NaN, whoever wrote this one."""
    if isinstance(value, Mapping):
        return {str(key): cleaned(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [cleaned(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def acting(document: Mapping[str, Any]) -> list[Arm]:
    """The arms that ran, in the document's order."""
    return [arm for arm in document["arms"] if arm["layers"]]


def refused(document: Mapping[str, Any]) -> list[Arm]:
    """The arms that cannot act in this network; each says why under `refused`."""
    return [arm for arm in document["arms"] if not arm["layers"]]


def definition_of(arm: Arm) -> Definition | None:
    """The definition behind an arm: a registered method, or one made from its line; None for the arm without."""
    from ..definition import from_line
    from ..registry import method

    name = str(arm["method"])
    if name == "none":
        return None
    try:
        return method(name)
    except NormlabError:
        pass
    try:
        return from_line(name, dict(arm.get("options") or {}))
    except (NormlabError, TypeError):
        return None  # a label that this copy cannot read: it is still drawn, as text


def title_of(arm: Arm) -> Text:
    """The printed name of an arm's method; its label where there is no better one."""
    if arm["method"] == "none":
        return both("no normalization")
    found = definition_of(arm)
    if found is None or found.title == found.name:
        return {"en": str(arm["method"]), "ko": str(arm["method"])}
    return {"en": found.title, "ko": found.title_ko}


def edges(document: Mapping[str, Any]) -> tuple[float, float]:
    """The range that all histograms of the document share; 0 to 1 where none was drawn."""
    for arm in acting(document):
        for layer in arm["layers"]:
            histogram = layer.get("histogram")
            if histogram and histogram["edges"]:
                return float(histogram["edges"][0]), float(histogram["edges"][-1])
    return 0.0, 1.0


def gradients(document: Mapping[str, Any]) -> list[float]:
    """Every finite gradient norm of the document: what its logarithmic axis must hold."""
    found = (center(layer["grad_norm"]) for arm in acting(document) for layer in arm["layers"])
    return [value for value in found if value is not None]


def chosen_rows(layers: Sequence[Any], most: int) -> list[int]:
    """Which layers are drawn: all, or `most` spread evenly with the first and the last among them."""
    if len(layers) <= most:
        return list(range(len(layers)))
    step = (len(layers) - 1) / (most - 1)
    return sorted({round(k * step) for k in range(most)})
