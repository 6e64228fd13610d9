"""What a notebook shows of a sweep: sentences, the first pictures and the means, without script, in one language."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from ..language import choose
from .arms import cleaned
from .notebook import plain_table
from .sweep import setting_line
from .sweep_figures import panels
from .sweep_points import metric_of
from .sweep_tables import failed_table, means_table
from .sweep_verdicts import headline, sentences, unfinished

__all__ = ["fragment"]

MOST_PANELS = 4


def fragment(document: Mapping[str, Any], lang: str = "en") -> str:
    """The fragment; see `normlab.report.fragment`."""
    lang, document = choose(lang), cleaned(document)
    metric, done = metric_of(document), document["counts"]["done"]
    said = [text[lang] for text in (*(text for _, text in sentences(document)), *unfinished(document))]
    pieces = [f'<div lang="{lang}">', f"<p><b>{escape(headline(document)[lang])}</b></p>"]
    pieces += ["<ul>", *(f"<li>{escape(one)}</li>" for one in said), "</ul>"] if said else []
    for drawing, title in panels(document, metric, lang)[:MOST_PANELS] if done else []:
        pieces.append(drawing.svg(title, setting_line(document), one=True))
    tables = [means_table(document, metric) if done else None, failed_table(document)]
    pieces += [plain_table(table, lang) for table in tables if table is not None]
    pieces.append(f"<p><small>{escape(setting_line(document)[lang])}</small></p></div>")
    return "\n".join(pieces)
