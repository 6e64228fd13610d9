"""The tables of a sweep: the means of every combination, each pair of arms, what failed, and the specification."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..language import both
from ..statistics import Contrast, Metric
from .numerals import amount, interval
from .parts import Cell, Table
from .race_tables import VERDICTS, needed
from .sweep_points import Point, axes_of, named, numeric, points_of, setting_of, spoken, together, word, writer
from .sweep_table import ranges
from .sweep_verdicts import Compared

__all__ = ["failed_table", "means_table", "pairs_table", "specification"]

MOST_METRICS = 3
"""Beside the one that is shown; CSV and JSON have all."""
MOST_PAIRS = 400

Document = Mapping[str, Any]
Groups = list[tuple[Cell | None, Sequence[Sequence[Cell]]]]


def means_table(document: Document, metric: str) -> Table:
    """A row for each combination of everything but the seed: means with intervals, the shown metric first."""
    axes, points = axes_of(document), points_of(document)
    others = [name for name in numeric(document) if name != metric and _varies(document, name)][:MOST_METRICS]
    columns, texts = [metric, *others], _texts(document)
    own = [name for name in (axes.lines, axes.across) if name is not None]
    groups: Groups = [
        (setting_of(setting) or None, [_row(point, own, columns, texts) for point in held])
        for setting, held in together(points, axes.rest)
    ]
    head: list[Cell] = [*own, both("results"), *(named(name) for name in columns), *texts]
    caption = both(
        "The mean of every combination over its seeds, in brackets its own {level} interval, which is not corrected "
        "for the number of rows. Results: how many of its trials have one; the mean is of those.", level="95 %",
    )  # fmt: skip
    return Table(caption, head, groups, "wide")


def _row(point: Point, own: Sequence[str], columns: Sequence[str], texts: Sequence[str]) -> list[Cell]:
    done = [one for one in point.trials if one["state"] == "done"]
    cells: list[Cell] = [word(point.setting[name]) for name in own]
    cells.append(f"{len(done)}/{len(point.trials)}")
    for name in columns:
        band, write = point.band(name), writer(name)
        ends = interval(band)
        cells.append(write(band) + ("" if ends is None else f" [{write(ends[0])}, {write(ends[1])}]"))
    return [*cells, *(_counted([(one["metrics"] or {}).get(name) for one in done]) for name in texts)]


def _counted(values: Sequence[Any]) -> str:
    """Texts with how often each came: finished 4, diverged 1."""
    known = [str(value) for value in values if value is not None]
    return ", ".join(f"{text} {known.count(text)}" for text in dict.fromkeys(known))


def _varies(document: Document, metric: str) -> bool:
    """Whether a metric is worth a column: not an argument of the grid again, and not the same everywhere."""
    if metric in document["columns"]["grid"]:
        return False
    return len({json.dumps((one["metrics"] or {}).get(metric)) for one in document["trials"] if one["metrics"]}) > 1


def _texts(document: Document) -> list[str]:
    """The metrics that are texts, such as why a training stopped."""
    done = [one["metrics"] for one in document["trials"] if one["metrics"]]
    return [name for name in document["columns"]["metrics"] if any(isinstance(m.get(name), str) for m in done)]


def pairs_table(found: Sequence[Compared], metric: str) -> Table | None:
    """What the seeds say about every pair of arms in every combination; None where there is none."""
    pairs = sum(len(one.found.contrasts) for one in found)
    if not pairs:
        return None
    said, groups, left = spoken(metric), Groups(), MOST_PAIRS
    for one in found:
        rows: list[Sequence[Cell]] = [_pair(pair, said, len(found)) for pair in one.found.contrasts[: max(left, 0)]]
        left -= len(rows)
        if rows:
            groups.append((setting_of(one.setting) or None, rows))
    head: list[Cell] = [
        both("arm"), both("the other arm"), both("difference"), both("interval"), "p", both("verdict"),
        both("seeds needed"),
    ]  # fmt: skip
    caption = both(
        "{metric} of an arm minus that of the other with the same seed. Intervals and p are corrected for all {n} "
        "comparisons of this page; at most {most} are listed.", metric=said.name, n=pairs, most=MOST_PAIRS,
    )  # fmt: skip
    return Table(caption, head, groups)


def _pair(pair: Contrast, said: Metric, combinations: int) -> list[Cell]:
    p = None if pair.p is None else min(1.0, pair.p * combinations)
    difference = "-" if pair.difference is None else said.amount(pair.difference)
    ends = "" if pair.low is None else f"[{said.bare(pair.low)}, {said.bare(pair.high)}]"
    return [
        pair.label, pair.against, difference, ends, amount(p, 2), VERDICTS[pair.verdict],
        needed(None if pair.seeds is None else asdict(pair.seeds)),
    ]  # fmt: skip


def failed_table(document: Document) -> Table | None:
    """The errors of the trials that failed, each once, with the trials; None where none did."""
    errors: dict[str, list[Mapping[str, Any]]] = {}
    for one in document["trials"]:
        if one["state"] == "failed":
            errors.setdefault(str(one["error"]), []).append(one)
    if not errors:
        return None
    names = document["columns"]["grid"]
    rows: list[Sequence[Cell]] = [
        [
            error, ranges([one["trial"] for one in held]),
            setting_of({name: held[0]["parameters"][name] for name in names}),
        ]
        for error, held in errors.items()
    ]  # fmt: skip
    head: list[Cell] = [both("error"), both("trials"), both("the first one's combination")]
    caption = both(
        "Each of these was tried three times. The same command with {flag} tries them again.", flag="--retry"
    )  # fmt: skip
    return Table(caption, head, [(None, rows)], "claims")


def specification(settings: Mapping[str, Any]) -> str:
    """The specification as TOML, to be kept under any name."""
    lines = [f"name = {_toml(settings['name'])}", "", "[grid]"]
    lines += [f"{_key(k)} = [{', '.join(_toml(v) for v in values)}]" for k, values in settings["grid"].items()]
    if settings["fixed"]:
        lines += ["", "[fixed]", *(f"{_key(k)} = {_toml(v)}" for k, v in settings["fixed"].items())]
    return "\n".join(lines)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: Any) -> str:
    """JSON's spelling is TOML's, but for one control character; a float keeps its point or exponent."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
