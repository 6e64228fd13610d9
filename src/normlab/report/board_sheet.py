"""Where the elements of a `normlab.board/1` document stand: N cards by C rows by small H x W grids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .board_arithmetic import position
from .drawing import Drawing

__all__ = ["CELL_H", "CELL_W", "Place", "Sheet"]

CELL_W, CELL_H, _GAP_W, _GAP_H, _LEFT, _TOP = 33.0, 29.0, 8.0, 8.0, 34.0, 22.0  # four cards of two fit on a phone


@dataclass(frozen=True)
class Place:
    """Where a cell stands: its card, its row, its place in the small grid; and its index in the array's order."""

    card: int
    row: int
    high: int
    wide: int
    index: int


@dataclass(frozen=True)
class Sheet:
    """Where each element of the array stands: a card for each sample, a row for each channel, small grids in them."""

    document: Mapping[str, Any]
    places: Sequence[Place]
    high: int
    wide: int

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Sheet:
        places = []
        for index in range(len(document["values"])):
            card, *others = position(document["shape"], index)
            if "t" in document["axes"]:  # (n, t, c): a row for each channel, the tokens side by side
                others = [others[1], 0, others[0]]
            row, high, wide = [*others, 0, 0][:3]
            places.append(Place(card, row, high, wide, index))
        return cls(document, places, places[-1].high + 1, places[-1].wide + 1)

    @property
    def names(self) -> tuple[str, str]:
        """What a card and a row stand for."""
        axes = self.document["axes"]
        return axes[0], "c" if "c" in axes else axes[1]

    def corner(self, place: Place) -> tuple[float, float]:
        """The upper left corner of a cell."""
        x = _LEFT + place.card * (self.wide * CELL_W + _GAP_W) + place.wide * CELL_W
        return x, _TOP + place.row * (self.high * CELL_H + _GAP_H) + place.high * CELL_H

    def drawing(self, lang: str) -> Drawing:
        """The empty board with the names of its cards and rows."""
        right, bottom = self.corner(self.places[-1])
        drawing = Drawing(right + CELL_W, bottom + CELL_H + _GAP_H + 16, lang)
        for place in self.places:
            x, y = self.corner(place)
            if place.row == place.high == place.wide == 0:
                drawing.text(x, 13, f"{self.names[0]} = {place.card}", size=10.5, quiet=True)
            if place.card == place.high == place.wide == 0:
                middle = y + self.high * CELL_H / 2 + 3
                drawing.text(0, middle, f"{self.names[1]} = {place.row}", size=10.5, quiet=True)
        return drawing
