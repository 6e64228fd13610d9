"""The drawings alone, each as the text of an SVG file: for a blog, a slide, a paper."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..language import both, choose
from .arms import acting, cleaned, definition_of
from .board import boards
from .columns import columns, fits
from .drawing import Drawing, Text, side_by_side
from .fate import fate, same_but_different
from .gallery import MANY_ARMS
from .heat import heat, sampled
from .ladder import ladder, row_limit
from .law import has_gains, law
from .strip import strip

__all__ = ["figures"]


def figures(document: Mapping[str, Any], lang: str = "en") -> dict[str, str]:
    """Every drawing of a document, by name; see `normlab.report.figures`."""
    lang, document = choose(lang), cleaned(document)
    arms = acting(document)
    found: dict[str, str] = {}

    def keep(name: str, drawing: Drawing, title: Text, text: Text | None = None) -> None:
        found[name] = drawing.svg(title, text or both("Drawn by: {command}", command=document["command"]), alone=True)

    if arms:
        keep(
            "ladder",
            ladder(document, lang, most=row_limit(len(arms))),
            both("Histogram, signal share and gradient of each layer"),
        )
    if fits(document):
        keep("columns", columns(document, lang), both("Histogram and signal share of each layer"))
    if len(arms) > MANY_ARMS:
        keep("strip", strip(document, lang), both("All arms at a glance"))
    pair = same_but_different(document)
    if pair is not None:
        keep(
            "fate", side_by_side(fate(pair, document, lang), 2, lang), both("Same mean, same variance, different fate")
        )
    if has_gains(document):
        keep("law", law(document, lang), both("Gain per layer"))
    shown = sampled(document)
    if shown:
        keep(
            "heat", side_by_side([heat(arm, lang) for arm in shown], 4, lang), both("Inputs × units of the last layer")
        )
    for arm in document["arms"]:
        definition = definition_of(arm)
        if definition is None:
            continue
        for board in boards(definition, lang)[0]:
            words = ("board", definition.name, board.kind, board.option.rpartition("=")[2])
            name = "-".join(re.sub(r"\W+", "_", word).strip("_") for word in words if word)
            keep(name, board.drawing, board.title, board.inventory)
    return found
