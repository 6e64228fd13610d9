"""What a notebook shows of a comparison: HTML without script, without style sheet, in one language."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from ..language import both, choose
from .arms import acting, cleaned, refused
from .drawing import pick
from .ladder import ladder
from .parts import Cell, Table
from .settings import setting_line
from .tables import full_table, strip_table

__all__ = ["fragment", "plain_table"]

_MOST_ARMS, _MOST_ROWS = (
    6,
    40,
)  # a cell of a notebook is no report: above it, the ladder's first arms and one row an arm


def fragment(document: Mapping[str, Any], lang: str = "en") -> str:
    """The fragment; see `normlab.report.fragment`."""
    lang, document = choose(lang), cleaned(document)
    arms = acting(document)
    pieces = [f'<div lang="{lang}">']
    sentences = [verdict[lang] for verdict in document["verdicts"]]
    if sentences:
        pieces.append(f"<p><b>{escape(sentences[0])}</b></p>")
        pieces += ["<ul>", *(f"<li>{escape(s)}</li>" for s in sentences[1:]), "</ul>"] if sentences[1:] else []
    for note in document.get("notes") or ():
        pieces.append(f"<p>{escape(note[lang])}</p>")
    for arm in refused(document):
        if arm.get("refused"):
            pieces.append(f"<p>{escape(arm['refused'][lang])} <code>{escape(arm['refused']['command'])}</code></p>")
    if arms:
        shown = {**document, "arms": arms[:_MOST_ARMS]}
        title = both("Histogram, signal share and gradient of each layer")
        pieces.append(ladder(shown, lang, most=6).svg(title, setting_line(document), one=True))
        long = sum(len(arm["layers"]) for arm in arms) > _MOST_ROWS
        pieces.append(plain_table(strip_table(document) if long else full_table(document), lang))
    pieces.append(f"<p><small>{escape(setting_line(document)[lang])}</small></p></div>")
    return "\n".join(pieces)


def plain_table(table: Table, lang: str) -> str:
    """A table as HTML without styles, in one language."""
    head = "".join(f"<th>{_cell(cell, lang)}</th>" for cell in table.head)
    lines = [f'<table cellpadding="4"><caption>{_cell(table.caption, lang)}</caption><thead><tr>{head}</tr></thead>']
    for name, rows in table.groups:
        lines.append("<tbody>")
        if name is not None:
            lines.append(f'<tr><th colspan="{len(table.head)}" align="left">{_cell(name, lang)}</th></tr>')
        lines += [
            "<tr>" + "".join(f'<td align="right">{_cell(cell, lang)}</td>' for cell in row) + "</tr>" for row in rows
        ]
        lines.append("</tbody>")
    return "\n".join([*lines, "</table>"])


def _cell(cell: Cell, lang: str) -> str:
    return escape(pick(cell, lang))
