"""The ratios of a benchmark as a matplotlib figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import missing_extra

__all__ = ["ratios"]


def ratios(document: Mapping[str, Any]) -> Any:
    """One panel for each pass: how many times as long as normlab each contestant takes, on a logarithmic axis.

    Returns: a `matplotlib.figure.Figure`. Raises: MissingExtraError without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise missing_extra("plot", "matplotlib") from None
    lines = document["summary"]
    passes = [two for two in (False, True) if any(s["both"] == two for s in lines)]
    labels = list(dict.fromkeys(f"{s['method']} {s['layout']}" for s in lines))
    figure = Figure(figsize=(5.5 * max(len(passes), 1), 1.0 + 0.3 * len(labels)), layout="constrained")
    for place, two in enumerate(passes, 1):
        axes = figure.add_subplot(1, len(passes), place)
        for peer in dict.fromkeys(s["peer"] for s in lines):
            own = [s for s in lines if s["peer"] == peer and s["both"] == two]
            heights = [labels.index(f"{s['method']} {s['layout']}") for s in own]
            axes.plot([s["ratio"] for s in own], heights, "o", label=peer)
        axes.axvline(1.0, color="black", linewidth=0.8)
        axes.set(xscale="log", title="forward and backward" if two else "forward")
        axes.set_yticks(range(len(labels)), labels if place == 1 else [""] * len(labels))
        axes.invert_yaxis()
        if place == 1:
            axes.legend(fontsize="small")
    return figure
