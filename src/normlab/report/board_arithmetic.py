"""The arithmetic beside a board: a set's statistics as a sentence, and one element's way through them as a formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..language import both
from .drawing import Text
from .numerals import amount

__all__ = ["cell_name", "position", "reading", "steps", "value_of"]


def position(shape: Sequence[int], index: int) -> list[int]:
    """Where the element stands that is `index`-th in row-major order."""
    places: list[int] = []
    for size in reversed(shape):
        index, place = divmod(index, size)
        places.insert(0, place)
    return places


def cell_name(document: Mapping[str, Any], index: int) -> str:
    """An element as NumPy calls it, with its value: the same in every language."""
    return f"x{position(document['shape'], index)} = {value_of(document, index)}"


def value_of(document: Mapping[str, Any], index: int) -> str:
    """An element's value: it has one decimal."""
    return f"{document['values'][index] + 0.0:.1f}"


def reading(board: Mapping[str, Any], number: int, count: int) -> Text:
    """What the set shares, in a sentence."""
    said = {"k": number, "n": count}
    mean, square = (board["sets"][number][name] for name in ("mean", "square"))
    if board["past"] and board["acts_on"] != "input":
        return both(
            "statistic {k} comes from the past: mean {mean}, variance {variance}; these {n} only use it",
            mean=amount(mean), variance=amount(square), **said,
        )  # fmt: skip
    if board["centre"] and board["spread"] == "std":
        return both(
            "statistic {k}: mean of these {n} = {mean}, variance = {variance}",
            mean=amount(mean), variance=amount(square), **said,
        )  # fmt: skip
    if board["centre"]:
        return both("statistic {k}: mean of these {n} = {mean}", mean=amount(mean), **said)
    if board["spread"] == "l2":
        return both("statistic {k}: length of these {n} = {length}", length=amount(square**0.5), **said)
    if board["spread"] == "rms":
        return both("statistic {k}: mean square of these {n} = {square}", square=amount(square), **said)
    return both("statistic {k}: shared by these {n}", **said)


def steps(board: Mapping[str, Any], number: int) -> str:
    """The formula from a value `{x}` to what comes out, `{y}`, with this set's numbers; "" where nothing does."""
    if board["normalized"] is None:
        return ""
    mean, square = (board["sets"][number][name] for name in ("mean", "square"))
    over = "{x}"
    if board["centre"]:
        over = f"{{x}} − {amount(mean)}" if mean >= 0 else f"{{x}} + {amount(-mean)}"
    if board["spread"] is None:
        return f"{over} = {{y}}"
    under = _divisor(board, square)
    return f"({over}) / {under} = {{y}}" if board["centre"] else f"{over} / {under} = {{y}}"


def _divisor(board: Mapping[str, Any], square: float) -> str:
    """Root and eps, as the rule has them."""
    eps, rule = board["eps"], board["eps_rule"]
    squared = board["spread"] in ("std", "rms", "l2")
    root = f"√{amount(square)}" if squared else amount(square**0.5)
    if eps == 0:
        return root
    small = f"{eps:g}".replace("e-0", "e-")
    if rule == "inside":
        return f"√({amount(square)} + {small})"
    return f"({root} + {small})" if rule == "outside" else f"max({root}, {small})"
