"""What a notebook shows of a race: sentences, curves and the table, without script, in one language."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from ..language import choose
from .arms import cleaned
from .notebook import plain_table
from .race import headline
from .race_arms import not_trained, setting_line, trained
from .race_curves import curves
from .race_gallery import MOST_LINES, panels
from .race_tables import full_table

__all__ = ["fragment"]


def fragment(document: Mapping[str, Any], lang: str = "en") -> str:
    """The fragment; see `normlab.report.fragment`."""
    lang, document = choose(lang), cleaned(document)
    arms = trained(document)
    said = [verdict[lang] for verdict in document["verdicts"][1:]]
    pieces = [f'<div lang="{lang}">', f"<p><b>{escape(headline(document)[lang])}</b></p>"]
    pieces += ["<ul>", *(f"<li>{escape(one)}</li>" for one in said), "</ul>"] if said else []
    pieces += [f"<p>{escape(arm['refused'][lang])}</p>" for arm in not_trained(document)]
    if arms:
        for metric, title in panels():
            pieces.append(curves(arms[:MOST_LINES], metric, title, lang).svg(title, setting_line(document), one=True))
        pieces.append(plain_table(full_table(document), lang))
    pieces.append(f"<p><small>{escape(setting_line(document)[lang])}</small></p></div>")
    return "\n".join(pieces)
