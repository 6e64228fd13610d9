"""The study note's picture with matplotlib: a column of histograms for each arm, a row for each layer, one axis."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from normlab.errors import UsageError, missing_extra
from normlab.formatting import share
from normlab.language import choose, translate
from normlab.result import center

__all__ = ["hangul_font", "labelled_in", "plot"]

# Families that hold Hangul, the ones that come with a system first; the last resort is looked for glyph by glyph.
HANGUL_FONTS = (
    "Apple SD Gothic Neo", "Malgun Gothic", "NanumGothic", "NanumBarunGothic", "Noto Sans CJK KR", "Noto Sans KR",
    "Source Han Sans KR", "AppleGothic", "UnDotum", "Baekmuk Gulim",
)  # fmt: skip
COLUMN_INCHES, ROW_INCHES = 3.2, 1.7
HEADROOM = 1.35  # above the highest bar, for the words
COLOR = "#3b6fb6"


def plot(document: Mapping[str, Any], lang: str = "auto") -> Any:
    """Draw the histograms of a comparison's document; returns a matplotlib Figure that no window shows."""
    try:
        from matplotlib.figure import Figure
    except ImportError as problem:
        raise missing_extra("plot", "matplotlib") from problem
    arms = [arm for arm in document["arms"] if arm["layers"]]
    if not arms:
        raise UsageError("plot: no arm could act, so there is nothing to draw.")
    layers = len(arms[0]["layers"])
    figure = Figure(figsize=(COLUMN_INCHES * len(arms), ROW_INCHES * layers + 0.8), layout="constrained")
    panels = figure.subplots(layers, len(arms), sharex=True, squeeze=False)
    with labelled_in(figure, lang) as say:
        for column, arm in enumerate(arms):
            for row, layer in enumerate(arm["layers"]):
                _panel(panels[row][column], layer, say)
            panels[0][column].set_title(str(arm["label"]).replace("$", r"\$"), fontsize=9)
            panels[-1][column].set_xlabel(translate("activation", say), fontsize=8)
    return figure


@contextmanager
def labelled_in(figure: Any, lang: str) -> Iterator[str]:
    """The figure gets its texts in this block, in the language that is yielded: English where no font has Hangul."""
    from matplotlib.text import Text

    lang = choose(lang)
    family = hangul_font() if lang == "ko" else None
    if lang == "ko" and family is None:
        _warn_once()
        lang = "en"
    yield lang
    if family is not None:
        for text in figure.findobj(match=Text):
            if not text.get_text().isascii():  # numbers stay as they are: that font may lack the minus of an exponent
                text.set_fontfamily([family, "DejaVu Sans"])


def _panel(axes: Any, layer: Mapping[str, Any], lang: str) -> None:
    histogram = layer["histogram"]
    edges: Sequence[float] = histogram["edges"]
    axes.bar(edges[:-1], histogram["counts"], width=edges[1] - edges[0], align="edge", color=COLOR)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, max(1, *histogram["counts"]) * HEADROOM)
    axes.tick_params(labelsize=7)
    axes.text(0.98, 0.95, _words(layer, lang), transform=axes.transAxes, ha="right", va="top", fontsize=7)


def _words(layer: Mapping[str, Any], lang: str) -> str:
    """The layer's number and signal share, and what the picture leaves out."""
    histogram = layer["histogram"]
    var, signal = center(layer["var"]), center(layer["signal_var"])
    lines = [translate("layer {layer}", lang, layer=layer["layer"])]
    if var and signal is not None:
        lines.append(translate("signal {share}", lang, share=share(signal / var)))
    outside = histogram["below"] + histogram["above"]
    if outside:
        lines.append(translate("{count} outside", lang, count=outside))
    if layer["nonfinite"]:
        lines.append(translate("{count} not finite", lang, count=layer["nonfinite"]))
    return "\n".join(lines)


@cache
def hangul_font() -> str | None:
    """The name of an installed font family that holds Hangul, or None."""
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    installed = {font.name: font.fname for font in reversed(font_manager.fontManager.ttflist)}
    for name in HANGUL_FONTS:
        if name in installed:
            return name
    for name, path in sorted(installed.items()):
        try:
            if ord("가") in FT2Font(path).get_charmap():
                return name
        except (OSError, RuntimeError):  # a font file that cannot be read holds nothing for us
            continue
    return None


@cache
def _warn_once() -> None:
    print(
        "normlab: no font with Hangul was found, so the labels are in English. "
        "글꼴을 찾지 못해 영어로 표시합니다. Debian/Ubuntu: apt install fonts-nanum; macOS, Windows: NanumGothic.",
        file=sys.stderr,
    )
