"""What a notebook shows of a benchmark: sentences, the pictures and the summary, without script, in one language."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from ..language import choose
from .notebook import plain_table
from .speed import headline, pass_name, setting_line, summary_table
from .speed_figure import rates

__all__ = ["fragment"]


def fragment(document: Mapping[str, Any], lang: str = "en") -> str:
    """The fragment; see `normlab.report.fragment`."""
    lang = choose(lang)
    pieces = [f'<div lang="{lang}">', f"<p><b>{escape(headline(document)[lang])}</b></p>"]
    pieces += [f"<p>{escape(text[lang])}</p>" for text in document["verdicts"][1:]]
    for two in (False, True):
        lines = [s for s in document["summary"] if s["both"] == two]
        if lines:
            pieces.append(rates(lines, lang).svg(pass_name(two), setting_line(document), one=True))
    pieces.append(plain_table(summary_table(document), lang))
    pieces.append(f"<p><small>{escape(setting_line(document)[lang])}</small></p></div>")
    return "\n".join(pieces)
