"""A race's curves with matplotlib: test accuracy and training loss over the steps, a band of 95 % for each arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from normlab.errors import UsageError, missing_extra
from normlab.language import translate

from ..plotting import labelled_in

__all__ = ["plot"]

INCHES = (9.6, 3.8)
LOGARITHMIC = 20.0  # beyond so many times between the smallest and the largest loss
DASHES = ("-", "--", ":", "-.")


def plot(document: Mapping[str, Any], lang: str = "auto") -> Any:
    """Draw the curves of a race's document; returns a matplotlib Figure that no window shows."""
    try:
        from matplotlib.figure import Figure
    except ImportError as problem:
        raise missing_extra("plot", "matplotlib") from problem
    arms = [arm for arm in document["arms"] if arm["refused"] is None and arm["curve"]]
    if not arms:
        raise UsageError("plot: no arm was trained as far as a record, so there is nothing to draw.")
    figure = Figure(figsize=INCHES, layout="constrained")
    left, right = figure.subplots(1, 2)
    with labelled_in(figure, lang) as say:
        _panel(left, arms, "test_accuracy", translate("Test accuracy, evaluation mode", say), say)
        left.set_ylim(0, 1.02)
        left.axhline(1 / len(document["data"]["classes"]), color="0.5", linewidth=0.8, linestyle=":")
        left.legend(fontsize=8, loc="lower right")
        _panel(right, arms, "train_loss", translate("Training loss, training mode", say), say)
        values = [v for arm in arms for point in arm["curve"] if (v := point["train_loss"]["mean"])]
        if values and min(values) > 0 and max(values) > LOGARITHMIC * min(values):
            right.set_yscale("log")
        else:
            right.set_ylim(bottom=0)  # an interval may reach below, a loss cannot
    return figure


def _panel(axes: Any, arms: Sequence[Mapping[str, Any]], metric: str, title: str, lang: str) -> None:
    for k, arm in enumerate(arms):
        points = [point for point in arm["curve"] if point[metric]["mean"] is not None]
        steps = [point["step"] for point in points]
        means = [point[metric]["mean"] for point in points]
        name = str(arm["label"]).replace("$", r"\$")
        (line,) = axes.plot(steps, means, DASHES[k % len(DASHES)], label=f"{name}, lr {arm['lr']:g}")
        band = [point for point in points if point[metric]["low"] is not None]
        low, high = ([point[metric][end] for point in band] for end in ("low", "high"))
        axes.fill_between([point["step"] for point in band], low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(translate("step", lang), fontsize=8)
    axes.tick_params(labelsize=7)
