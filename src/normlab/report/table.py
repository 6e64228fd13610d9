"""The terminal's table of a comparison: a pure function of the document, plain text, at most as wide as it may be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..experiments.verdicts import limits, marked
from ..language import choose, translate
from ..result import center
from . import numerals
from .arms import acting, refused
from .cells import wrap
from .grid import Column, Paint, grid

__all__ = ["cannot_act", "sentences", "table"]

ROUNDING = 1e-6  # in standard deviations: float32's
INITS = {"xavier": "Xavier", "he": "He", "lecun": "LeCun", "glorot": "Glorot"}


def table(document: Mapping[str, Any], lang: str = "auto", *, color: bool = False, width: int = 80) -> str:
    """A comparison as text: settings, one row per arm, gains, what could not act, verdicts and notes.

    Args:
        document: a `normlab.compare/1` document.
        lang: "en", "ko" or "auto".
        color: whether terminal colours may be used; without them nothing is lost.
        width: the cells of a line; columns are left out from the middle before a line grows longer.

    Returns:
        Lines separated by newlines, without one at the end.
    """
    lang = choose(lang)
    paint = Paint(color)
    arms = acting(document)
    blocks = [[paint.bold(line) for line in wrap(_settings(document, lang), width)]]
    if arms:
        depth = max(len(arm["layers"]) for arm in arms)
        blocks.append(_one_layer(arms, lang, paint, width) if depth == 1 else _layers(arms, depth, lang, paint, width))
    blocks.append(_intervals(arms, lang, width))
    blocks.append(cannot_act(refused(document), lang, width))
    blocks.append(sentences(document, lang, width))
    return "\n\n".join("\n".join(block) for block in blocks if block)


def sentences(document: Mapping[str, Any], lang: str, width: int = 80) -> list[str]:
    """The verdicts and the notes of a document in one language: + in favour, ! a warning, = and * only inform."""
    marks = {verdict.text["en"]: verdict.mark for verdict in marked(document)}
    lines: list[str] = []
    for verdict in document.get("verdicts", ()):
        lines += wrap(verdict[lang], width, indent=2, first=f"{marks.get(verdict['en'], '-')} ")
    for note in document.get("notes", ()):
        lines += wrap(note[lang], width, indent=2, first="* ")
    return lines


def _settings(document: Mapping[str, Any], lang: str) -> str:
    """The first line: what was compared, in a few words."""
    s = document["settings"]
    layers, seeds, seed, init = s["layers"], s["seeds"], s["seed"], s["init"]
    parts = []
    if layers == 1:
        parts.append(translate("{activation} x 1 layer", lang, **s))
    else:
        parts.append(translate("{activation} x {layers} layers", lang, **s))
    if s["net"] == "conv":
        parts.append(translate("{batch} images x {width} channels", lang, **s))
    else:
        parts.append(translate("{batch} inputs x {width} units", lang, **s))
    if s["data"] != "normal":
        parts.append(translate("data {data}", lang, **s))
    if isinstance(init, str):
        parts.append(INITS.get(init, init))
    else:
        parts.append(translate("weights of standard deviation {value}", lang, value=f"{init:g}"))
    if seeds == 1:
        parts.append(translate("seed {seed}", lang, seed=seed))
    else:
        parts.append(translate("{seeds} seeds from {seed}", lang, seeds=seeds, seed=seed))
    if s["top"] == "loss":
        parts.append(translate("gradient of a classifier's loss", lang))
    elif s["cotangents"] == 1:
        parts.append(translate("random cotangent", lang))
    else:
        parts.append(translate("{cotangents} random cotangents", lang, **s))
    return ", ".join([*parts, f"NumPy {s['dtype']}"])


def _layers(arms: Sequence[Any], depth: int, lang: str, paint: Paint, width: int) -> list[str]:
    """Variance and signal after the first and the last layer, the gradient that reaches some, and their ratio."""
    first, last = [arm["layers"][0] for arm in arms], [arm["layers"][-1] for arm in arms]
    var, signal = translate("var", lang), translate("signal", lang)
    ends = [translate("after layer {layer}", lang, layer=1), translate("after layer {layer}", lang, layer=depth)]
    columns = [
        Column(ends[0], var, [numerals.amount(layer["var"]) for layer in first]),
        Column(ends[0], signal, [_signal(layer) for layer in first]),
        Column(ends[1], var, [numerals.amount(layer["var"]) for layer in last]),
        Column(ends[1], signal, [_signal(layer) for layer in last]),
        Column(ends[1], "", ["!!" if _is_lost(layer) else "" for layer in last], mark=True),
    ]
    reaching = translate("gradient reaching layer", lang)
    for k in sorted({0, (depth - 1) // 2, depth - 1}):
        leaves = 1 if 0 < k < depth - 1 else 0
        columns.append(Column(reaching, str(k + 1), [_gradient(arm, k) for arm in arms], leaves))
    against = translate("1 vs {layer}", lang, layer=depth)
    columns.append(Column("", against, [numerals.ratio(arm["first_over_last"]) for arm in arms]))
    gains = [numerals.ratio(arm["gain"]["measured"]) for arm in arms]
    columns.append(Column("", translate("per layer", lang), gains, 2))
    lines = grid(translate("norm", lang), [arm["label"] for arm in arms], columns, width, paint)
    legend = translate(
        "var: variance over inputs and units. signal: the share of it that differs between inputs (!! under 1 %). "
        "gradient: the norm at each layer's weights.",
        lang,
    )
    return [*lines, *wrap(legend, width)]


def _one_layer(arms: Sequence[Any], lang: str, paint: Paint, width: int) -> list[str]:
    """What enters the activation function beside what leaves it."""
    layers = [arm["layers"][0] for arm in arms]
    enters, leaves = translate("enters the activation", lang), translate("leaves it", lang)
    mean, var = "mean", translate("var", lang)  # in the middle of a table no heading is Hangul, which is two cells wide
    columns = [
        Column(enters, mean, [_mean(layer["pre"]) for layer in layers]),
        Column(enters, var, [_moment(layer["pre"]["var"]) for layer in layers]),
        Column(leaves, mean, [_mean(layer) for layer in layers]),
        Column(leaves, var, [_moment(layer["var"]) for layer in layers]),
        Column(leaves, translate("signal", lang), [_moment(layer["signal_var"]) for layer in layers]),
        Column(leaves, translate("offset", lang), [_moment(layer["offset_var"]) for layer in layers]),
        Column("", translate("saturated", lang), [numerals.share(layer["saturated"]) for layer in layers]),
    ]
    lines = grid(translate("norm", lang), [arm["label"] for arm in arms], columns, width, paint)
    legend = translate(
        "var = signal + offset: the variance over the inputs, and that between the units' means. "
        "saturated: the share of units on the flat part of the activation.",
        lang,
    )
    return [*lines, *wrap(legend, width)]


def _intervals(arms: Sequence[Any], lang: str, width: int) -> list[str]:
    """Over several seeds: how far the ratio and the gain of each arm move."""
    parts = []
    for arm in arms:
        ratio, gain = numerals.interval(arm["first_over_last"]), numerals.interval(arm["gain"]["measured"])
        if ratio is not None and gain is not None:
            shown = [numerals.ratio(end) for end in (*ratio, *gain)]
            text = f"{arm['label']} [{shown[0]}, {shown[1]}], [{shown[2]}, {shown[3]}]"
            parts.append(text.replace(" ", "\u00a0"))  # an arm's numbers stay on one line
    if not parts:
        return []
    lead = translate("Intervals of 95 %: layer 1's gradient over the last layer's, and the gain per layer:", lang)
    return wrap(f"{lead} {'; '.join(parts)}", width)


def cannot_act(arms: Sequence[Any], lang: str, width: int) -> list[str]:
    """The arms that cannot act here, each with its reason and the command that shows it."""
    lines: list[str] = []
    for arm in arms:
        why = arm.get("refused") or {}
        reason = why.get(lang, "")
        said = reason if reason.startswith(arm["label"]) else f"{arm['label']}: {reason}"
        lines += wrap(said, width, indent=2, first="- ")
        if why.get("command"):
            lines.append(f"    {why['command']}")
    return [*wrap(translate("Not in the table, because they cannot act here:", lang), width), *lines] if lines else []


def _signal(layer: Mapping[str, Any]) -> str:
    return numerals.share(numerals.signal_share(layer))


def _is_lost(layer: Mapping[str, Any]) -> bool:
    share = numerals.signal_share(layer)
    return share is not None and share < limits.SIGNAL_LOST


def _gradient(arm: Mapping[str, Any], k: int) -> str:
    return numerals.amount(arm["layers"][k]["grad_norm"], 2) if k < len(arm["layers"]) else ""


def _mean(moments: Mapping[str, Any]) -> str:
    """A mean that rounding alone keeps from 0 is 0: beside the spread nobody could see it."""
    mean, var = center(moments["mean"]), center(moments["var"])
    if mean is not None and var is not None and abs(mean) < ROUNDING * math.sqrt(max(var, 0.0)):
        return "0"
    return _moment(mean)


def _moment(value: Any) -> str:
    return numerals.amount(value, 4)
