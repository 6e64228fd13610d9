"""What a page is made of, before it is HTML: texts in two languages, tables, figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from .drawing import Text

__all__ = ["Cell", "Figure", "Table", "speaker"]

Cell = str | Text


@dataclass(frozen=True)
class Table:
    """A table with one row of headings; `groups` are bodies, each with a heading of its own or None."""

    caption: Text
    head: Sequence[Cell]
    groups: Sequence[tuple[Cell | None, Sequence[Sequence[Cell]]]]
    kind: str = ""


@dataclass(frozen=True)
class Figure:
    """Drawings under one caption, and the numbers behind them."""

    name: str
    drawings: Sequence[str]
    caption: Text
    kind: str = "single"
    tables: Sequence[Table] = field(default_factory=tuple)


def speaker(lang: str) -> Callable[[Cell | Markup], Markup]:
    """A filter that writes a text in both languages; the one that is not the page's own is `hidden`."""

    def say(text: Cell | Markup, tag: str = "span") -> Markup:
        if isinstance(text, str):
            return escape(text)
        if text["en"] == text["ko"]:
            return escape(text["en"])
        parts = []
        for one in ("en", "ko"):
            hidden = "" if one == lang else " hidden"
            parts.append(f'<{tag} lang="{one}"{hidden}>{escape(text[one])}</{tag}>')
        return Markup("".join(parts))

    return say
