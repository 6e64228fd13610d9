"""The fixed words of the lab's pages, so that the templates hold no text of their own."""

from __future__ import annotations

from ..language import both
from .fields import Text

__all__ = ["words"]


def words() -> dict[str, Text]:
    """Labels and small sentences by the name under which the templates ask for them."""
    return {
        "language": both("Language"),
        "theme": both("Colours"),
        "views": both("Views"),
        "skip": both("Skip to the result"),
        "settings": both("Settings"),
        "more": both("More settings"),
        "show": both("Show"),
        "result": both("Result"),
        "take": both("Take it with you"),
        "as_link": both("Link"),
        "as_command": both("Command"),
        "as_python": both("Python"),
        "copy_it": both("Copy"),
        "copied": both("copied"),
        "save": both("Save as HTML"),
        "save_how": both("one file with everything on it; opens without normlab and without network"),
        "slider": both("slider"),
        "close": both("Close"),
        "ghost": both("Dashed grey outlines: the run before, with"),
        "row_hint": both("A row opens its layer, inputs by units."),
        "open_row": both("Open layer"),
        "opened": both("Inputs × units of layer"),
        "presets": both("Start from"),
        "own_arm": both("with options, or a line of your own"),
        "tour": both("Guided tour"),
        "tour_start": both("Guided tour: five steps"),
        "tour_next": both("Next step"),
        "tour_end": both("End the tour"),
        "lost": both("The server does not answer. Is normlab lab still running?"),
    }
