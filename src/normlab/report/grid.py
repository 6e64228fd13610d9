"""Rows and columns of text that fit a terminal: groups of columns under a common heading, labels on the left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from .cells import cell_len, pad, wrap

__all__ = ["Column", "Paint", "grid"]

INDENT = " "
BETWEEN, BETWEEN_GROUPS = 2, 3


@dataclass(frozen=True)
class Paint:
    """Terminal colours, or none: what is coloured also differs in its text."""

    color: bool

    def bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self.color else text

    def red(self, text: str) -> str:
        return f"\x1b[31m{text}\x1b[0m" if self.color else text


@dataclass(frozen=True)
class Column:
    """Numbers under a title; neighbours of one `group` share a heading.

    `leaves` says which column goes first where room lacks: the highest; 0 stays.
    """

    group: str
    title: str
    cells: Sequence[str]
    leaves: int = 0
    mark: bool = False

    @property
    def width(self) -> int:
        return max(cell_len(text) for text in (self.title, *self.cells))


def grid(corner: str, labels: Sequence[str], columns: Sequence[Column], width: int, paint: Paint) -> list[str]:
    """Lay out a table.

    Args:
        corner: the heading of the labels.
        labels: one for each row, left-aligned; one that leaves no room for its row stands on a line of its own.
        columns: right-aligned, each with a cell for every row.
        width: the cells of a line.
        paint: colours for headings and marks.

    Returns:
        Two heading lines (one where no group has a name) and a line or two for each row.
    """
    room = width - len(INDENT) - max(cell_len(label) for label in (corner, *labels))
    while _measure(columns) > room and (first := max(column.leaves for column in columns)):
        columns = [column for column in columns if column.leaves < first]
    room = max(width - len(INDENT) - _measure(columns), cell_len(corner))
    wide = max(cell_len(label) for label in (corner, *labels) if cell_len(label) <= room)
    lines = [paint.bold(line) for line in _heading(corner, wide, columns)]
    for k, label in enumerate(labels):
        row = "".join(_gap(columns, c) + _cell(column, k, paint) for c, column in enumerate(columns))
        if cell_len(label) > wide:
            lines += wrap(label, width, indent=len(INDENT))
            label = ""
        lines.append((INDENT + pad(label, wide) + row).rstrip())
    return lines


def _measure(columns: Sequence[Column]) -> int:
    return sum(len(_gap(columns, c)) + column.width for c, column in enumerate(columns))


def _gap(columns: Sequence[Column], c: int) -> str:
    """The space before a column: none before a mark but one cell, and more where a group begins."""
    if columns[c].mark:
        return " "
    begins = c == 0 or columns[c].group != columns[c - 1].group
    return " " * (BETWEEN_GROUPS if begins else BETWEEN)


def _cell(column: Column, k: int, paint: Paint) -> str:
    text = pad(column.cells[k], column.width, right=True)
    return paint.red(text) if column.mark else text


def _heading(corner: str, wide: int, columns: Sequence[Column]) -> list[str]:
    titles = "".join(_gap(columns, c) + pad(column.title, column.width, right=True) for c, column in enumerate(columns))
    lines = [(INDENT + pad(corner, wide) + titles).rstrip()]
    if any(column.group for column in columns):
        over = INDENT + " " * wide
        for group, members in groupby(range(len(columns)), key=lambda c: columns[c].group):
            part = list(members)
            lead = len(_gap(columns, part[0]))
            span = sum(len(_gap(columns, c)) + columns[c].width for c in part)
            over += pad(" " * lead + group, span)
        lines.insert(0, over.rstrip())
    return lines
