"""Numbers from a text file with separators; every error names the row and the column, counted from 1."""

from __future__ import annotations

import csv
import itertools
import re
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from ..errors import ShapeError, UsageError
from .limits import check_cells, shorten

__all__ = ["check_width", "numbered_rows", "parse_cell", "parse_number", "read_csv", "text_of"]

SEPARATORS = ("\t", ";", ",")  # a comma may be a decimal comma beside the others, so it comes last


def read_csv(file: Path) -> NDArray[np.float64]:
    """The numbers of a text file; `read_table` says what is accepted."""
    with text_of(file) as lines:
        return _parse(file, lines)


@contextmanager
def text_of(file: Path) -> Iterator[TextIO]:
    """The lines of a text file. Raises UsageError where it is not UTF-8."""
    try:
        # newline="" leaves line breaks inside quotes to the csv module; utf-8-sig drops a byte order mark
        with file.open(encoding="utf-8-sig", newline="") as lines:
            yield lines
    except UnicodeDecodeError as problem:
        came = f"got the byte {problem.object[problem.start]:#04x}"
        raise UsageError(
            f"{file}: the text must be UTF-8, {came}.", hint="Save it as CSV UTF-8."
        ) from problem


def _parse(file: Path, lines: Iterator[str]) -> NDArray[np.float64]:
    names: list[str] = []
    values = array("d")
    width = 0
    for number, cells in numbered_rows(file, lines):
        if not width:
            width = len(cells)
            if all(parse_number(cell) is None for cell in cells):
                names = cells
                continue
        check_width(file, number, cells, width)
        check_cells(file, (len(values) // width + 1, width))
        values.extend(parse_cell(file, number, c, cell, names) for c, cell in enumerate(cells, start=1))
    if not values:
        came = f"got only a first row without numbers: {shorten(names)}" if names else "the file is empty"
        raise UsageError(f"{file}: at least one row of numbers is required, {came}.")
    return np.frombuffer(values, dtype=np.float64).reshape(-1, width)


def check_width(file: Path, number: int, cells: list[str], width: int) -> None:
    """Refuse a row of another width than the first."""
    if len(cells) != width:
        raise ShapeError(
            f"{file}: every row must have {width} cells like the first, row {number} has {len(cells)}.",
            hint="Look there for a missing or an extra separator.",
        )


def numbered_rows(file: Path, lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    """The rows that hold something, each with its number in the file (as a spreadsheet counts them)."""
    head = list(itertools.islice(lines, 50))
    text = itertools.chain(head, lines)
    reader = csv.reader(text, delimiter=_separator(head), skipinitialspace=True, strict=True)
    try:
        for number, cells in enumerate(reader, start=1):
            if any(cell.strip() for cell in cells):
                yield number, cells
    except csv.Error as problem:
        raise UsageError(
            f"{file}: line {reader.line_num} cannot be split into cells: {problem}.",
            hint='A quoted cell ends in a quote before the next separator; a quote inside it is written "".',
        ) from problem


def _separator(head: list[str]) -> str:
    """The first separator that splits the first rows into equally many cells, two or more."""
    bare = [re.sub(r'"[^"]*"', "", line) for line in head if line.strip()][:5]
    counts = {separator: [line.count(separator) for line in bare] for separator in SEPARATORS}
    for separator, found in counts.items():
        if min(found, default=0) > 0 and len(set(found)) == 1:
            return separator
    # the rows differ: the separator that most of them have, so that the error names the odd row
    return max(reversed(SEPARATORS), key=lambda separator: sum(map(bool, counts[separator])))


def parse_number(cell: str) -> float | None:
    """The number in a cell, or None."""
    text = cell.strip()
    if "_" in text:  # float() reads 1_000 as a thousand; in a data file it is a slip
        return None
    try:
        return float(text)
    except ValueError:
        return None


def parse_cell(file: Path, number: int, column: int, cell: str, names: list[str]) -> float:
    """The number in a cell. Raises UsageError naming row, column and what stands there."""
    value = parse_number(cell)
    if value is not None:
        return value
    where = f"row {number}, column {column}" + (f" ({shorten(names[column - 1].strip())})" if names else "")
    if not cell.strip():
        hint = "Write nan for a missing value."
        raise UsageError(f"{file}: {where} must hold a number, it is empty.", hint=hint)
    hint = "Leave the column out, or turn its text into numbers."
    if parse_number(cell.replace(",", ".")) is not None:
        hint = "Write numbers with a point: 1.5, not 1,5."
    elif number == 1:
        hint = "A header is recognized where the first row has no number in it. " + hint
    raise UsageError(f"{file}: {where} must hold a number, got the text {shorten(cell.strip())}.", hint=hint)
