"""The fixed words of the page, in one place, so that the templates hold no text of their own."""

from __future__ import annotations

from ..language import both
from .drawing import Text

__all__ = ["words"]


def words() -> dict[str, Text]:
    """Headings and small sentences by the name under which the templates ask for them."""
    return {
        "auto": both("auto"),
        "light": both("light"),
        "dark": both("dark"),
        "behind": both("The numbers behind this drawing"),
        "ladder": both("The ladder"),
        "fate": both("Same mean, same variance, different fate"),
        "heat": both("The last layer, input by input"),
        "law": both("The law: predicted beside measured"),
        "note": both("The study note, sentence by sentence"),
        "says": both("the note says"),
        "measured": both("measured here"),
        "verdict": both("verdict"),
        "table": both("The full table"),
        "boards": both("Who shares a mean? The sharing boards"),
        "boards_how": both(
            "Cells with the same number and colour share one statistic. Each cell also shows an invented "
            "value; point at a cell, or move there with the tab key, and its whole set is lifted and its "
            "mean appears."
        ),
        "board_earlier": both("its board stands in an earlier chapter."),
        "board_link": both("Its sharing board"),
        "cards": both("The cards"),
        "code": both("Code"),
        "card_earlier": both("its card stands in an earlier chapter."),
        "limits": both("When this verdict fails"),
        "reproduce": both("How to reproduce"),
        "not_installed": both("was not timed: its package is not installed. This line installs it:"),
        "summary": both("Against each contestant"),
        "cases": both("Every case"),
    }
