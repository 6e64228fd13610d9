"""The figures of one chapter: which a document has, their captions, and the tables behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..language import both
from .arms import acting
from .drawing import Drawing, Text
from .fate import fate, same_but_different
from .heat import heat, sampled
from .ladder import Axes, panel, row_limit
from .law import has_gains, law
from .numerals import ratio, share, signal_share
from .parts import Figure
from .strip import strip
from .tables import counts_table, gains_table, sample_tables, strip_table

__all__ = ["MANY_ARMS", "fate_figure", "gallery", "ladder_figure", "law_figure"]

Document = Mapping[str, Any]
MANY_ARMS = 5  # above it, a strip gives the overview before the panels


def gallery(document: Document, lang: str) -> dict[str, Figure]:
    """The figures by name, those that the document has: strip, ladder, fate, law, heat."""
    made = {
        "strip": _strip(document, lang),
        "ladder": ladder_figure(document, lang),
        "fate": fate_figure(document, lang),
        "law": law_figure(document, lang),
        "heat": _heat(document, lang),
    }
    return {name: figure for name, figure in made.items() if figure is not None}


def _strip(document: Document, lang: str) -> Figure | None:
    if len(acting(document)) <= MANY_ARMS:
        return None
    caption = both(
        "Each arm a row, each cell a layer, both scales logarithmic: dark blue is lost, yellow is kept. What keeps "
        "both, carries the signal up and the gradient down."
    )
    pictures = [_svg(strip(document, lang), both("All arms at a glance"))]
    return Figure("strip", pictures, caption, tables=[strip_table(document)])


def ladder_figure(
    document: Document, lang: str, *, most: int | None = None, before: Document | None = None, tables: bool = True
) -> Figure:
    """The ladder, at most `most` layers of each arm drawn; in outlines the arms of an earlier run, in their order."""
    arms, axes = acting(document), Axes(document, before)
    most = row_limit(len(arms)) if most is None else most
    ghosts = [None] * len(arms) if before is None else _beside(document, before)
    drawings = [
        _svg(panel(arm, axes, lang, most, ghost), _panel_title(arm), _panel_text(arm))
        for arm, ghost in zip(arms, ghosts, strict=True)
    ]
    behind = [counts_table(document, most)] if tables else []
    return Figure("ladder", drawings, _ladder_caption(document, axes, most), "panels", behind)


def _beside(document: Document, before: Document) -> list[Mapping[str, Any] | None]:
    """For each arm that acts, the one that stood in its place before, if that acted as well."""
    places = zip(document["arms"], [*before["arms"], *[{"layers": []}] * len(document["arms"])], strict=False)
    return [old if old["layers"] else None for arm, old in places if arm["layers"]]


def fate_figure(document: Document, lang: str) -> Figure | None:
    """Same mean, same variance, different fate; None where no two arms look alike."""
    pair = same_but_different(document)
    if pair is None:
        return None
    a, b = pair
    title = both("{a} and {b}: the last histogram and every layer's gradient", a=a["label"], b=b["label"])
    caption = both(
        "Both arms hand on nearly the same mean and variance. What differs is how much of that variance is signal, "
        "{share_a} with {a} and {share_b} with {b}, and how much gradient the first layer gets of the last one's, "
        "{ratio_a} and {ratio_b}.",
        a=a["label"],
        b=b["label"],
        share_a=share(signal_share(a["layers"][-1])),
        share_b=share(signal_share(b["layers"][-1])),
        ratio_a=ratio(a["first_over_last"]),
        ratio_b=ratio(b["first_over_last"]),
    )
    pictures = [_svg(drawing, title) for drawing in fate(pair, document, lang)]
    return Figure("fate", pictures, caption, "panels", [strip_table(document)])


def law_figure(document: Document, lang: str) -> Figure | None:
    """The gain per layer, predicted beside measured; None where the law says nothing."""
    if not has_gains(document):
        return None
    caption = both(
        "The gain is the factor by which the gradient changes from one layer to the one below it. The law predicts it "
        "from the activation function φ alone, for z standard normal: √(E φ′² / D), where D is the variance of φ if "
        "each unit is normalized over the batch, and the mean square of φ if a sample, a large group or the whole "
        "layer is. The difference between the two is the squared mean of φ."
    )
    without = both(
        "Without normalization z has the variance at which the layers settle, and the gain is √(s² E φ′²), s² being "
        "the number of inputs times the variance of the weights."
    )
    caption = {lang: f"{caption[lang]} {without[lang]}" for lang in caption}
    return Figure(
        "law", [_svg(law(document, lang), both("Gain per layer"))], caption, "narrow", [gains_table(document)]
    )


def _heat(document: Document, lang: str) -> Figure | None:
    shown = sampled(document)
    if not shown:
        return None
    titles = [both("Inputs × units of the last layer: {label}", label=arm["label"]) for arm in shown]
    maps = [_svg(heat(arm, lang), title) for arm, title in zip(shown, titles, strict=True)]
    values = shown[0]["sample"]["values"]
    caption = both(
        "The last layer of each arm, {n} inputs (rows) by {m} units (columns), each with its own scale below. Vertical "
        "stripes are an offset: a unit says the same for every input. Texture is signal: it says something else.",
        n=len(values),
        m=len(values[0]),
    )
    return Figure("heat", maps, caption, "maps", sample_tables(document))


def _svg(drawing: Drawing, title: Text, description: Text | None = None) -> str:
    return drawing.svg(title, description or both("The numbers stand in the table below the drawing."))


def _panel_title(arm: Mapping[str, Any]) -> Text:
    return both("{label}: histogram, signal share and gradient of each layer", label=arm["label"])


def _panel_text(arm: Mapping[str, Any]) -> Text:
    last = arm["layers"][-1]
    return both(
        "Last layer: {share} of the variance is signal. First over last gradient: {ratio}. The table has all numbers.",
        share=share(signal_share(last)),
        ratio=ratio(arm["first_over_last"]),
    )


def _ladder_caption(document: Document, axes: Axes, most: int) -> Text:
    layers = [layer for arm in acting(document) for layer in arm["layers"]]
    parts = [
        both(
            "One row per layer, the first on top; every panel has the same axes. Grey: all activations of a layer in "
            "{bins} bins.",
            bins=len(layers[0]["histogram"]["counts"]),
        )
    ]
    if any(axes.cuts(layer) for layer in layers):
        parts.append(both("A bin above {cut} is cut, its share printed.", cut=share(axes.top)))
    if any(axes.narrow(layer) for layer in layers):
        parts.append(both("A histogram narrower than a fiftieth of the range is enlarged in a box."))
    parts.append(
        both(
            "Blue and filled: the part of the variance that differs between inputs (signal); orange and hollow: the "
            "part that is the same for every input (offset). Violet: the norm of the gradient of the layer's weights."
        )
    )
    deepest = max(len(arm["layers"]) for arm in acting(document))
    if deepest > most:
        parts.append(
            both(
                "{drawn} of {layers} layers are drawn, the first and the last among them; the table has all.",
                drawn=most,
                layers=deepest,
            )
        )
    return {lang: " ".join(part[lang] for part in parts) for lang in ("en", "ko")}
