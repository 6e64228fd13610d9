"""What the terminal can do: how wide it is, and whether it shows colours. Piped output is 80 columns of plain text."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass

__all__ = ["PLAIN_COLUMNS", "Look", "look", "show_markdown"]

PLAIN_COLUMNS = 80
"""The width of what is piped, and the least that a page is laid out for."""
MOST_COLUMNS = 110  # longer lines of text are tiring to read


@dataclass(frozen=True)
class Look:
    """How to write to stdout."""

    terminal: bool
    color: bool
    width: int


def look() -> Look:
    """What stdout is, now: NO_COLOR, a dumb terminal and a pipe all mean no colour."""
    terminal = sys.stdout.isatty()
    color = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    width = shutil.get_terminal_size((PLAIN_COLUMNS, 24)).columns if terminal else PLAIN_COLUMNS
    return Look(terminal, color, max(min(width, MOST_COLUMNS), PLAIN_COLUMNS))


def show_markdown(text: str) -> None:
    """Print Markdown: laid out by Rich on a terminal with colours, elsewhere as plain text."""
    how = look()
    if not how.color:
        from normlab.report.plain import plain

        sys.stdout.write(plain(text, how.width))
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console(width=how.width, highlight=False).print(Markdown(text, hyperlinks=False))
