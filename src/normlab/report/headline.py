"""The three numbers under the verdict: for each the arm that fares best, and the others beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..language import both
from ..result import center
from .arms import acting
from .drawing import Text
from .numerals import amount, ratio, share, signal_share

__all__ = ["Tile", "tiles"]

_OTHERS = 4  # beside the leading arm; more stand in the strip and the table

Arm = Mapping[str, Any]


@dataclass(frozen=True)
class Tile:
    """One number in large, whose it is, and the same number of other arms."""

    label: Text
    arm: str
    value: str
    others: Sequence[tuple[str, str]]


def tiles(document: Mapping[str, Any]) -> list[Tile]:
    """Up to three numbers: what reaches layer 1, how much of the variance is signal, the gain; one layer has others."""
    arms = acting(document)
    if not arms:
        return []
    last = arms[0]["layers"][-1]["layer"]
    final = {"last": last}
    wanted: list[tuple[Text, Callable[[Arm], Any], Callable[[Any], str]]] = [
        (both("signal share of layer {last}'s variance", **final), lambda a: signal_share(a["layers"][-1]), share),
        (both("gradient's gain per layer"), lambda a: a["gain"]["measured"], amount),
        (both("saturated in layer {last}", **final), lambda a: a["layers"][-1]["saturated"], share),
        (both("variance of layer {last}", **final), lambda a: a["layers"][-1]["var"], amount),
    ]
    if len(arms[0]["layers"]) > 1:  # with one layer the first is the last
        wanted.insert(
            0, (both("gradient of layer 1 over layer {last}", **final), lambda a: a["first_over_last"], ratio)
        )
    found = [_tile(label, arms, read, write) for label, read, write in wanted]
    return [tile for tile in found if tile][:3]


def _tile(label: Text, arms: Sequence[Arm], read: Callable[[Arm], Any], write: Callable[[Any], str]) -> Tile | None:
    known = [arm for arm in arms if center(read(arm)) is not None]
    if not known:
        return None
    leader = _leader(arms)
    if leader not in known:
        leader = known[0]
    others = [arm for arm in known if arm is not leader][:_OTHERS]
    return Tile(
        label, str(leader["label"]), write(read(leader)), [(str(arm["label"]), write(read(arm))) for arm in others]
    )


def _leader(arms: Sequence[Arm]) -> Arm:
    """The arm whose first layer gets most nearly what the last one gets; with one layer, the one with most signal."""

    def distance(arm: Arm) -> tuple[float, float]:
        value = center(arm["first_over_last"])
        away = abs(math.log(value)) if value and len(arm["layers"]) > 1 else math.inf
        return away, -(signal_share(arm["layers"][-1]) or 0.0)

    return min(arms, key=distance)
