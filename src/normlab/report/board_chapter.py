"""A sharing board as a chapter of the page: its sets, the numbers behind them, and the lines that make it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ..language import both
from .drawing import Text
from .live_board import LiveBoard, headline, live_boards
from .settings import listed

__all__ = ["BOARD", "Shared", "shared"]

BOARD = "normlab.board/1"


@dataclass(frozen=True)
class Shared:
    """Everything the template needs of one document."""

    number: int
    key: str
    name: Text
    headline: Text
    boards: Sequence[LiveBoard]
    how: Text
    axes: Text
    python: str
    command: str
    facts: list[tuple[Text, str]]
    kept: Text
    data: Markup
    template: str = "shared.html"


def shared(document: Mapping[str, Any], number: int, lang: str) -> Shared:
    """Build chapter `number` of a report from a `normlab.board/1` document."""
    from .chapter import embedded

    key = f"c{number}"
    given = {name: value for name, value in document["settings"].items() if value != ""}
    return Shared(
        number=number,
        key=key,
        name=both("sharing board"),
        headline=headline(document),
        boards=live_boards(document, lang, live=False, key=key),
        how=both("Cells of one number and colour share one statistic. Point at one, or move there with the tab key."),
        axes=both("In NumPy:"),
        python=str(document["python"]),
        command=str(document["command"]),
        facts=[(both("settings"), listed(given)), (both("versions"), listed(document["versions"]))],
        kept=both(
            "The whole document of this run stands in this file as JSON, in the element {name}.", name=f"{key}-json"
        ),
        data=embedded(document),
    )
