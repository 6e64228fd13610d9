"""The tables of the report: the full one, and those behind the drawings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..language import both
from .arms import acting, chosen_rows, title_of
from .heat import sampled
from .numerals import amount, count, interval, ratio, share, signal_share
from .parts import Cell, Table

__all__ = ["counts_table", "full_table", "gains_table", "limits_table", "sample_tables", "strip_table"]

Document = Mapping[str, Any]


def full_table(document: Document) -> Table:
    """Every number of every layer, arm by arm."""
    head: list[Cell] = [
        both("layer"), both("mean"), both("variance"), both("signal share"), both("saturated"), both("mean slope"),
        both("mean before"), both("variance before"), both("gradient"), both("not finite"),
    ]  # fmt: skip
    groups: list[tuple[Cell | None, Sequence[Sequence[Cell]]]] = []
    for arm in acting(document):
        rows: list[list[Cell]] = []
        for layer in arm["layers"]:
            before = layer.get("pre") or {}
            rows.append([
                str(layer["layer"]), _amount(layer["mean"]), _amount(layer["var"]), share(signal_share(layer)),
                share(layer["saturated"]), amount(layer.get("slope")), _amount(before.get("mean")),
                _amount(before.get("var")), _amount(layer["grad_norm"]), count(int(layer["nonfinite"])),
            ])  # fmt: skip
        groups.append((_group_name(arm), rows))
    caption = both(
        "What each layer hands on (mean, variance, its signal share, saturated units, mean slope of the activation "
        "function), what entered the activation function (before), and the gradient of the layer's weights."
    )
    if len(document["seeds"]) > 1:
        more = both("In brackets the {level} interval over {n} seeds.", level="95 %", n=len(document["seeds"]))
        caption = {lang: f"{caption[lang]} {more[lang]}" for lang in caption}
    return Table(caption, head, groups, "wide")


def counts_table(document: Document, most: int) -> Table:
    """The histograms' counts: a row for each drawn layer of each arm, the bins in one cell."""
    first = acting(document)[0]["layers"][0]["histogram"]["edges"]
    groups: list[tuple[Cell | None, Sequence[Sequence[Cell]]]] = []
    for arm in acting(document):
        rows: list[Sequence[Cell]] = []
        for layer in (arm["layers"][row] for row in chosen_rows(arm["layers"], most)):
            h = layer["histogram"]
            counts = " ".join(str(c) for c in h["counts"])
            rows.append(
                [str(layer["layer"]), str(h.get("below", 0)), counts, str(h.get("above", 0)), str(layer["nonfinite"])]
            )
        groups.append((str(arm["label"]), rows))
    words = both(
        "{n} bins from {low} to {high}", n=len(first) - 1, low=amount(float(first[0])), high=amount(float(first[-1]))
    )
    caption = both("The counts in each histogram. The other numbers stand in the full table.")
    return Table(caption, [both("layer"), both("below"), words, both("above"), both("not finite")], groups, "counts")


def gains_table(document: Document) -> Table:
    """Predicted and measured gain, and the whole way from last to first layer."""
    rows: list[list[Cell]] = []
    for arm in acting(document):
        gain = arm["gain"]
        rows.append([
            str(arm["label"]), _amount(gain["measured"]), amount(gain["predicted"]), _ratio(arm["first_over_last"]),
        ])  # fmt: skip
    head: list[Cell] = [both("arm"), both("measured gain"), both("predicted gain"), both("first over last")]
    return Table(both("The gradient's gain per layer."), head, [(None, rows)])


def strip_table(document: Document) -> Table:
    """First and last layer of every arm."""
    rows: list[list[Cell]] = []
    for arm in acting(document):
        last = arm["layers"][-1]
        rows.append([
            str(arm["label"]), title_of(arm), amount(last["mean"]), amount(last["var"]), share(signal_share(last)),
            share(last["saturated"]), _ratio(arm["first_over_last"]),
        ])  # fmt: skip
    head: list[Cell] = [
        both("arm"), both("method"), both("mean, last layer"), both("variance, last layer"), both("signal share"),
        both("saturated"), both("first over last"),
    ]  # fmt: skip
    return Table(both("Each arm's last layer, and the gradient of the first over the last."), head, [(None, rows)])


def sample_tables(document: Document) -> list[Table]:
    """The values behind each heat map, a row for each input."""
    tables = []
    for arm in sampled(document):
        sample = arm["sample"]
        caption = both(
            "{label}: a row for each input, a number for each unit; 0 stands for {low}, 255 for {high}.",
            label=arm["label"], low=amount(sample["low"]), high=amount(sample["high"]),
        )  # fmt: skip
        rows = [[str(k), " ".join(map(str, row))] for k, row in enumerate(sample["values"], 1)]
        tables.append(Table(caption, [both("input"), both("units")], [(None, rows)], "counts"))
    return tables


def limits_table(document: Document, changes: Sequence[Mapping[str, Any]]) -> Table:
    """The run's own figures, then those with one setting changed at a time."""
    shown = {arm["label"] for change in changes for arm in change["arms"]}
    own: list[Sequence[Cell]] = [
        _fate(arm["label"], arm["first_over_last"], arm["gain"]["measured"], signal_share(arm["layers"][-1]),
              arm["layers"][-1]["saturated"])
        for arm in acting(document) if arm["label"] in shown
    ]  # fmt: skip
    groups: list[tuple[Cell | None, Sequence[Sequence[Cell]]]] = [(both("as run"), own)]
    for change in changes:
        name = {lang: f"{change['change'][lang]}: {change['command']}" for lang in ("en", "ko")}
        rows = [
            _fate(a["label"], a["first_over_last"], a["gain"], a["signal_share"], a["saturated"])
            for a in change["arms"]
        ]
        groups.append((name, rows))
    head: list[Cell] = [
        both("arm"),
        both("first over last"),
        both("gain"),
        both("signal share, last layer"),
        both("saturated, last layer"),
    ]
    caption = both(
        "The same arms again with one setting changed at a time, on at most 256 inputs: read a row against the first."
    )
    return Table(caption, head, groups)


def _fate(label: str, over: Any, gain: Any, signal: Any, saturated: Any) -> list[Cell]:
    return [str(label), ratio(over), amount(gain), share(signal), share(saturated)]


def _group_name(arm: Mapping[str, Any]) -> Cell:
    title = title_of(arm)
    if arm["label"] in title.values():
        return str(arm["label"])
    return {lang: f"{arm['label']}: {title[lang]}" for lang in ("en", "ko")}


def _amount(value: Any) -> Cell:
    ends = interval(value)
    return amount(value) if ends is None else f"{amount(value)} [{amount(ends[0])}, {amount(ends[1])}]"


def _ratio(value: Any) -> Cell:
    ends = interval(value)
    return ratio(value) if ends is None else f"{ratio(value)} [{ratio(ends[0])}, {ratio(ends[1])}]"
