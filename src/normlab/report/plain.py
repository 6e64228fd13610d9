"""Markdown as plain text: what a pipe gets of a card, with lines that hold their width in both languages."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .cells import cell_len, wrap

__all__ = ["plain"]

_ITEM = re.compile(r"(\s*)([-*]|\d+\.)\s+(.*)")
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
_ASIDE = re.compile(r"(.*\S)\s{2,}(\S.*)")
UNBROKEN = 60  # cells: a command up to this long stays on one line, so that it can be copied


def plain(markdown: str, width: int = 80) -> str:
    """Lay out Markdown as text without markup, colour or box drawing.

    Headings are underlined, paragraphs, list items and rows of tables are wrapped, code is indented. A line of code
    that is too wide puts the remark at its end on a line of its own, or goes on in the next line where it may.

    Args:
        markdown: headings, paragraphs, quotes, lists, fences and tables are known; anything else is a paragraph.
        width: the cells of a line.

    Returns:
        The text, with a newline at the end.
    """
    lines: list[str] = []
    for kind, text in _blocks(markdown.splitlines()):
        lines += _RENDER[kind](text, width)
    return "\n".join(lines).strip("\n") + "\n"


def _blocks(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Kind and text of each block; a paragraph's and an item's lines are joined."""
    kind, held, fence, inside = "", "", "", "code"
    for line in lines:
        stripped = line.strip()
        if fence:
            if stripped.startswith(fence):
                fence = ""
            else:
                yield inside, line
            continue
        found = _ITEM.match(line)
        starts = "item" if found else {">": "quote", "|": "table"}.get(stripped[:1], "")
        alone = not stripped or stripped.startswith(("#", "```", "~~~")) or starts in ("item", "table")
        if held and (alone or (starts == "quote") != (kind == "quote")):
            yield kind, held
            held = ""
        if stripped.startswith(("```", "~~~")):
            fence, inside = stripped[:3], "python" if stripped[3:].startswith("py") else "code"
        elif not stripped:
            yield "gap", ""
        elif stripped.startswith("#"):
            yield "heading", stripped
        elif starts == "table":
            yield "table", stripped
        elif held and starts != "item":
            held += " " + stripped.removeprefix(">").strip()
        else:
            kind, held = starts or "text", line.rstrip() if starts == "item" else stripped.removeprefix(">").strip()
    if held:
        yield kind, held


def _bare(text: str) -> str:
    """Without emphasis, with the address beside a link's text; what stands between backticks stays."""
    parts = re.split(r"(`[^`]*`)", text)
    parts[::2] = [_LINK.sub(r"\1 (\2)", part.replace("**", "")) for part in parts[::2]]
    parts[1::2] = [part.replace(" ", "\u00a0") if cell_len(part) <= UNBROKEN else part for part in parts[1::2]]
    return "".join(parts)


def _heading(text: str, width: int) -> list[str]:
    level = len(text) - len(text.lstrip("#"))
    lines = wrap(_bare(text.lstrip("# ")), width)
    rule = {1: "=", 2: "-"}.get(level)
    return [*lines, rule * max(map(cell_len, lines), default=0)] if rule else lines


def _item(text: str, width: int) -> list[str]:
    found = _ITEM.match(text)
    assert found is not None  # that is how `_blocks` knew it
    lead = f"{found[1]}{found[2]} "
    return wrap(_bare(found[3]), width, indent=len(lead), first=lead)


def _code(text: str, width: int, python: bool = False) -> list[str]:
    line = f"  {text}".rstrip()
    if cell_len(line) <= width:
        return [line]
    found = _ASIDE.fullmatch(line)
    if found is not None:
        if cell_len(found[1]) + 2 + cell_len(found[2]) <= width:
            return [f"{found[1]}  {found[2]}"]
        lead = " " * (len(line) - len(line.lstrip()) + 4)
        return [*_code(found[1][2:], width, python), *wrap(found[2], width, indent=len(lead))]
    place = _break(line, width, python)
    if place is None:
        return [line]
    lead = " " * (len(line) - len(line.lstrip()) + 2)
    return [line[:place].rstrip(), *_code(f"{lead}{line[place:].lstrip()}", width, python)]


def _break(line: str, width: int, python: bool) -> int | None:
    """The last space where a line may go on in the next one: in Python only inside brackets, outside of quotes."""
    found, depth, quote = None, 0, ""
    start = len(line) - len(line.lstrip())
    for k, letter in enumerate(line):
        if cell_len(line[:k]) > width:
            break
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and python:
            quote = letter
        elif letter == "#" and python:
            break
        elif letter == " " and k > start and (depth > 0 or not python):
            found = k
        depth += (letter in "([{") - (letter in ")]}")
    return found


def _table(text: str, width: int) -> list[str]:
    if cell_len(text) <= width:
        return [text]
    cells = [cell.strip() for cell in text.strip("|").split("|")]
    return wrap(" | ".join(cells), width, indent=4, first="  - ") if any(cell.strip("-: ") for cell in cells) else []


_RENDER = {
    "text": lambda text, width: wrap(_bare(text), width),
    "quote": lambda text, width: wrap(_bare(text), width, indent=2),
    "gap": lambda text, width: [""],
    "table": lambda text, width: _table(_bare(text), width),
    "heading": _heading,
    "item": _item,
    "code": _code,
    "python": lambda text, width: _code(text, width, python=True),
}
