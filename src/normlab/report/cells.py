"""Text measured in cells of a terminal: a Hangul syllable is two cells wide, a combining mark none."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.cells import cell_len, chop_cells

__all__ = ["cell_len", "columns", "pad", "wrap"]


def pad(text: str, cells: int, *, right: bool = False) -> str:
    """Fill `text` with spaces to `cells` cells, on the left where `right` (a number ends where its column ends)."""
    space = " " * max(cells - cell_len(text), 0)
    return space + text if right else text + space


def wrap(text: str, cells: int, *, indent: int = 0, first: str | None = None) -> list[str]:
    """Break `text` at spaces into lines of at most `cells` cells.

    Args:
        text: one paragraph; every run of spaces counts as one, and a no-break space holds its words together.
        cells: the width of a line, the indent included; at least 10 more than the indent.
        indent: the spaces before every line.
        first: stands before the first line instead of the indent (a bullet); as wide as the indent.

    Returns:
        The lines; a word longer than a line is cut.
    """
    room = max(cells - indent, 10)
    lines: list[str] = []
    line = ""
    for word in re.split(r"[ \t\n]+", text.strip(" \t\n").replace(" %", "\u00a0%")):
        for piece in [word] if cell_len(word) <= room else chop_cells(word, room):
            if line and cell_len(line) + 1 + cell_len(piece) > room:
                lines.append(line)
                line = piece
            else:
                line = f"{line} {piece}" if line else piece
    lines = [one.replace("\u00a0", " ") for one in ([*lines, line] if line else lines)]
    before = " " * indent
    return [(first if first is not None and k == 0 else before) + one for k, one in enumerate(lines)]


def columns(rows: Iterable[tuple[str, str]], cells: int, *, names: int = 0) -> list[str]:
    """Two columns, names and what they mean; a name too long for its column stands on a line of its own.

    Args:
        rows: name and meaning.
        cells: the width of a line.
        names: the least width of the column of names; at most 26 cells are given to it.
    """
    rows = list(rows)
    widest = max(min(max((cell_len(name) for name, _ in rows), default=0), 26), names)
    lines: list[str] = []
    for name, meaning in rows:
        lead = f"  {pad(name, widest)}  "
        if cell_len(name) > widest:
            lines.append(f"  {name}")
            lead = " " * (widest + 4)
        lines += wrap(meaning, cells, indent=widest + 4, first=lead) or [lead.rstrip()]
    return lines

