"""The terminal's table of a benchmark: how many times as long as normlab each contestant takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import registry
from ..errors import install_line
from ..formatting import number
from ..language import choose, translate
from .cells import wrap
from .grid import Column, Paint, grid
from .speed import BACKWARD, has_ceiling, scope, setting_line

__all__ = ["table"]

SHORT = {"torch compiled": "compiled", "onnxruntime": "ort"}


def table(document: Mapping[str, Any], lang: str = "auto", *, color: bool = False, width: int = 80) -> str:
    """A `normlab.bench/1` document as text: the setting, a row for each method and pass, sentences, who was absent."""
    lang = choose(lang)
    paint = Paint(color)
    lines = document["summary"]
    blocks = [[paint.bold(line) for line in wrap(setting_line(document)[lang], width)]]
    if lines:
        keys = list(dict.fromkeys((s["method"], s["layout"], s["both"]) for s in lines))
        peers = list(dict.fromkeys(s["peer"] for s in lines))
        found = {(s["method"], s["layout"], s["both"], s["peer"]): s for s in lines}
        columns = [
            Column(
                "", SHORT.get(peer, peer.replace("normlab ", "nl ")),
                [number(found[(*k, peer)]["ratio"], 2) if (*k, peer) in found else "" for k in keys],
                1 if peer.startswith("normlab") else 0,
            )
            for peer in peers
        ]  # fmt: skip
        if has_ceiling(document):
            own = [found.get((*k, "torch"), {}).get("ceiling") for k in keys]
            columns.insert(1, Column("", "ceiling", [number(c, 2) if c else "" for c in own]))
        labels = [f"{registry.method(m).short} {layout}{BACKWARD * two}" for m, layout, two in keys]
        legend = translate(
            "Each contestant's time over that of {reference} (geometric mean over shapes, cache: {tiers}); +b: with "
            "the backward pass.", lang, **scope(document),
        )  # fmt: skip
        if has_ceiling(document):
            legend += " " + translate("Ceiling: PyTorch's time over that of a plain copy of the fewest bytes.", lang)
        blocks.append([*grid(translate("norm", lang), labels, columns, width, paint), *wrap(legend, width)])
    blocks.append([line for text in document["verdicts"] for line in wrap(text[lang], width, indent=2, first="+ ")])
    blocks.append([line for gone in document["absent"] if gone["extra"] for line in _absent(gone, lang, width)])
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _absent(gone: Mapping[str, str], lang: str, width: int) -> list[str]:
    text = translate("{name} was not timed; install it with:", lang, name=gone["name"])
    return wrap(f"{text} {install_line(gone['extra'])}", width, indent=2, first="* ")
