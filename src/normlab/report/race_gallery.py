"""The figures of a race, section by section, with their captions and the tables behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..language import both
from .drawing import Drawing, Text
from .parts import Figure, Table
from .race_arms import joined, trained
from .race_curves import ACCURACY, LOSS, curves
from .race_figures import MOST_RATES, grid_picture, modes_picture
from .race_strip import decades, strip
from .race_tables import curve_table, grid_table, layers_table, modes_table

__all__ = ["MOST_LINES", "Section", "figures", "panels", "sections"]

Document = Mapping[str, Any]
MOST_LINES = 6  # in one panel: so many hues and dashes there are


@dataclass(frozen=True)
class Section:
    """A part of the chapter: sentences, then figures, then tables."""

    name: str
    title: Text
    sentences: Sequence[Text] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = field(default_factory=tuple)


def sections(document: Document, lang: str) -> list[Section]:
    """The parts that hold pictures."""
    found = [_curves(document, lang), _modes(document, lang), _grid(document, lang)]
    return [*found, _over_time(document, lang)] if _watched(document) else found


def figures(document: Document, lang: str) -> dict[str, str]:
    """Every drawing as the text of an SVG file, by name."""
    arms = trained(document)
    if not arms:
        return {}
    made: dict[str, tuple[Drawing, Text]] = {}
    for k, group in enumerate(_groups(arms)):
        more = f"-{k + 1}" if k else ""
        for metric, title in panels():
            drawing = curves(group, metric, title, lang, chance=_chance(document))
            made[f"{metric.replace('_', '-')}{more}"] = (drawing, title)
    made["modes"] = (modes_picture(arms, lang), both("Accuracy in training and in evaluation."))
    if (rates := _rates(document)) is not None:
        made["learning-rates"] = (grid_picture(arms, rates, lang), both("Validation accuracy at each learning rate"))
    scale = decades(arms)
    for k, arm in enumerate(_watched(document), 1):
        made[f"layers-{k}"] = (strip(arm, scale, lang), _strip_title(arm))
    return {name: drawing.svg(title, _beside(), alone=True) for name, (drawing, title) in made.items()}


def panels() -> list[tuple[str, Text]]:
    """What is drawn over the steps, and its heading."""
    return [(ACCURACY, both("Test accuracy, evaluation mode")), (LOSS, both("Training loss, training mode"))]


def _groups(arms: Sequence[Any]) -> list[Sequence[Any]]:
    return [arms[k : k + MOST_LINES] for k in range(0, len(arms), MOST_LINES)]


def _watched(document: Document) -> list[Any]:
    """The arms of which layers were recorded; a network of one layer has none below its classifier."""
    return [arm for arm in trained(document) if arm["layers"] and arm["layers"][0]]


def _chance(document: Document) -> float:
    return 1 / max(len(document["data"]["classes"]), 1)


def _rates(document: Document) -> Sequence[float] | None:
    rates: Sequence[float] = document["settings"]["lr"]
    return rates if len(rates) <= MOST_RATES else None


def _beside() -> Text:
    return both("The numbers stand in the table below the drawing.")


def _curves(document: Document, lang: str) -> Section:
    drawings, tables = [], []
    for metric, title in panels():
        tables.append(curve_table(document, metric, title))
        for group in _groups(trained(document)):
            drawing = curves(group, metric, title, lang, chance=_chance(document))
            drawings.append(drawing.svg(title, _beside()))
    parts = [both(
        "Every arm at its own learning rate. A line is the mean over the runs that were still going; the dotted one "
        "across is guessing."
    )]  # fmt: skip
    if len(document["seeds"]) > 1:
        parts.append(both("The band is the {level} interval of the mean.", level="95 %"))
    if any(run["stopped"] == "diverged" for arm in trained(document) for run in arm["runs"]):
        parts.append(both("A cross stands where a run diverged."))
    parts.append(both("A point of the loss is the mean over the steps since the point before."))
    figure = Figure("curves", drawings, joined(parts, " "), "pairs", tables)
    return Section("curves", both("The curves"), figures=[figure])


def _modes(document: Document, lang: str) -> Section:
    caption = both(
        "Three accuracies of the same networks. Between the first and the second lie other rows and the other mode; "
        "between the second and the third the mode alone: where they differ, training and evaluation are two "
        "functions. The first is measured while the weights still move."
    )
    title = both("Accuracy in training and in evaluation.")
    drawing = modes_picture(trained(document), lang).svg(title, _beside())
    figure = Figure("modes", [drawing], caption, "narrow", [modes_table(document)])
    return Section("modes", both("Training and evaluation apart"), figures=[figure])


def _grid(document: Document, lang: str) -> Section:
    title, rates = both("The grid of learning rates"), _rates(document)
    if rates is None:
        return Section("grid", title, tables=[grid_table(document)])
    caption = both(
        "Validation accuracy of every arm at every learning rate, from dark (0) to yellow (1). The framed one was "
        "taken: the best by accuracy, then by loss, then the smaller one."
    )
    drawing = grid_picture(trained(document), rates, lang).svg(title, _beside())
    return Section("grid", title, figures=[Figure("grid", [drawing], caption, "narrow", [grid_table(document)])])


def _over_time(document: Document, lang: str) -> Section:
    arms = _watched(document)
    scale = decades(arms)
    drawings = [strip(arm, scale, lang).svg(_strip_title(arm), _beside()) for arm in arms]
    caption = both(
        "Time runs to the right, each row is a layer, layer 1 on top. Above: the norm of the gradient of its "
        "weights, on the same scale in all pictures; below: how much of the variance of what it hands on differs "
        "between inputs. Both scales are logarithmic: dark blue is next to nothing. Pale cells hold no number."
    )
    tables = [layers_table(arm) for arm in arms]
    title = both("A whole training in one picture")
    return Section("time", title, figures=[Figure("time", drawings, caption, "pairs", tables)])


def _strip_title(arm: Mapping[str, Any]) -> Text:
    return both("{label}: gradient and signal of each layer over the steps", label=arm["label"])
