"""The numbers behind a drawn board: its statistics, and its elements card by card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..language import both
from .board_arithmetic import value_of
from .board_sheet import Sheet
from .drawing import Text
from .numerals import amount
from .parts import Cell, Table

__all__ = ["cells_table", "sets_table"]


def sets_table(board: Mapping[str, Any], order: Mapping[int, Sequence[int]]) -> Table:
    """A row for each statistic."""
    head: list[Cell] = [both("statistic"), both("elements")]
    columns: list[tuple[str, Text]] = [("mean", both("mean"))] if board["centre"] else []
    columns += [("square", _square_name(board))] if board["spread"] in ("std", "rms", "l2") else []
    rows: list[Sequence[Cell]] = [
        [str(k), str(len(members)), *(amount(board["sets"][k][name]) for name, _ in columns)]
        for k, members in order.items()
    ]
    return Table(both("The statistics, each with its number"), [*head, *(word for _, word in columns)], [(None, rows)])


def _square_name(board: Mapping[str, Any]) -> Text:
    if board["spread"] == "l2":
        return both("sum of the squares")
    return both("variance") if board["spread"] == "std" else both("mean of the squares")


def cells_table(sheet: Sheet, numbers: Sequence[int], normalized: Sequence[float] | None) -> Table:
    """A row for each card and row of the board, a column for each place: statistic, value, what comes out."""
    first, second = sheet.names
    rows: dict[tuple[int, int], list[Cell]] = {}
    for place in sorted(sheet.places, key=lambda p: (p.card, p.row, p.high, p.wide)):
        k = place.index
        row = rows.setdefault((place.card, place.row), [f"{first} = {place.card}, {second} = {place.row}"])
        out = "" if normalized is None else f" → {amount(normalized[k])}"
        row.append(f"{numbers[k]}: {value_of(sheet.document, k)}{out}")
    caption = both("The elements: the number of the statistic, the value and, behind the arrow, what comes out")
    head: list[Cell] = [both("place"), *(str(k) for k in range(sheet.high * sheet.wide))]
    return Table(caption, head, [(None, list(rows.values()))], "sample")
