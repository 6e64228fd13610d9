"""Rows and labels from a text file with separators: one column is the class, every other one a number."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import ShapeError, UsageError
from ..language import both
from .csv_text import check_width, numbered_rows, parse_cell, parse_number, text_of
from .limits import check_bytes, check_cells, shorten
from .source import Source

__all__ = ["read_labelled_csv"]

CLASS_NAMES = ("label", "labels", "target", "class", "y")


def read_labelled_csv(file: Path) -> Source:
    """Read a table whose class stands in the column named label, target, class or y, or else in the last one.

    The first row is a header where one of its cells is such a name, or none is a number.
    """
    check_bytes(file, file.stat().st_size)
    table = _Table(file)
    with text_of(file) as lines:
        table.take(numbered_rows(file, lines))
    if not table.labels:
        came = "got only a header" if table.names else "the file is empty"
        raise UsageError(f"{file}: at least one row of numbers with its class is required, {came}.")
    x = np.frombuffer(table.values, dtype=np.float64).reshape(len(table.labels), -1)
    columns = [name for at, name in enumerate(table.names) if at != table.at]
    notes = [both("The class is what stands in column {column}.", column=table.at + 1)]
    if columns and not columns[0] and x.shape[1] > 1 and _counts(x[:, 0].tolist()):
        x, columns = x[:, 1:], columns[1:]
        notes.append(both("The first column is left out: it has no name and counts the rows."))
    y = np.array(_numbers(table.labels))
    return Source(str(file), file.name, x, y, columns=columns, lines=table.lines, notes=notes)


class _Table:
    """What was read so far; `at` is where the class stands, counted from 0."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.names: list[str] = []
        self.width = self.at = 0
        self.values, self.labels, self.lines = array("d"), list[str](), list[int]()

    def take(self, rows: Iterator[tuple[int, list[str]]]) -> None:
        for number, cells in rows:
            if not self.width and self._begin(cells):
                continue
            check_width(self.file, number, cells, self.width)
            check_cells(self.file, (len(self.labels) + 1, self.width))
            self._add(number, cells)

    def _begin(self, cells: list[str]) -> bool:
        """Learn the width and the place of the class from the first row; whether it is a header."""
        self.width = len(cells)
        if self.width < 2:
            raise ShapeError(
                f"{self.file}: a column with the class and at least one with numbers are required, got 1 column.",
                hint="Cells are separated by a comma, a semicolon or a tab.",
            )
        lowered = [cell.strip().lower() for cell in cells]
        named = [at for at, name in enumerate(lowered) if name in CLASS_NAMES]
        header = bool(named) or all(parse_number(cell) is None for cell in cells)
        if len(named) > 1:
            came = shorten([cells[at].strip() for at in named])
            raise UsageError(
                f"{self.file}: one column may be named as the class, got {came}.", hint="Rename the others."
            )
        self.at = named[0] if named else self.width - 1
        self.names = [cell.strip() for cell in cells] if header else []
        return header

    def _add(self, number: int, cells: list[str]) -> None:
        label = cells[self.at].strip()
        if not label:
            raise UsageError(
                f"{self.file}: row {number}, column {self.at + 1} must hold the class, it is empty.",
                hint="Leave the row out.",
            )
        self.values.extend(
            parse_cell(self.file, number, at + 1, cell, self.names) for at, cell in enumerate(cells) if at != self.at
        )
        self.labels.append(label)
        self.lines.append(number)


def _numbers(labels: list[str]) -> list[str] | list[float]:
    """Numbers where all labels are numbers: then 10 comes after 9, and 1.0 is 1."""
    numbers = [number for label in labels if (number := parse_number(label)) is not None]
    return numbers if len(numbers) == len(labels) else labels


def _counts(column: list[float]) -> bool:
    """Whether a column counts up by one from 0 or 1: an index would give sorted classes away."""
    return column[0] in (0, 1) and all(value == at for at, value in enumerate(column, start=int(column[0])))
