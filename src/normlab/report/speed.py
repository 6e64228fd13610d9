"""A benchmark as a chapter: who is how fast on this machine, the ceiling, every case, and how to measure it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ..errors import install_line
from ..formatting import number
from ..language import both
from .drawing import Text
from .parts import Cell, Figure, Table
from .settings import listed
from .speed_figure import rates

__all__ = ["Speed", "case_table", "has_ceiling", "headline", "scope", "setting_line", "speed", "summary_table"]

Document = Mapping[str, Any]
BACKWARD = " +b"  # beside an order of axes: forward and backward


@dataclass(frozen=True)
class Speed:
    """Everything the template needs of one benchmark."""

    number: int
    key: str
    name: Text
    headline: Text
    verdicts: Sequence[Text]
    setting: Text
    absent: list[tuple[str, str]]
    figures: list[Figure]
    summary: Table
    cases: Table
    command: str
    facts: list[tuple[Text, str]]
    kept: Text
    data: Markup
    template: str = "speed.html"


def speed(document: Document, number_: int, lang: str) -> Speed:
    """Build chapter `number_` of a report from a `normlab.bench/1` document."""
    from .chapter import embedded

    key = f"c{number_}"
    verdicts = [dict(v) for v in document["verdicts"]]
    return Speed(
        number=number_,
        key=key,
        name=both("speed on this machine"),
        headline=headline(document),
        verdicts=verdicts[1:],
        setting=setting_line(document),
        absent=[(a["name"], install_line(a["extra"])) for a in document["absent"] if a["extra"]],
        figures=_figures(document, lang),
        summary=summary_table(document),
        cases=case_table(document),
        command=str(document["command"]),
        facts=[
            (both("versions"), listed(document["versions"])),
            (both("machine"), listed(_plain(document["machine"]))),
            (both("time"), f"{document['wall_s']:.0f} s"),
            (both("settings"), listed(_plain(document["settings"]))),
        ],
        kept=both(
            "The whole document of this run stands in this file as JSON, in the element {name}.", name=f"{key}-json"
        ),
        data=embedded(document),
    )


def headline(document: Document) -> Text:
    """The first sentence, or that there was nobody to compare with."""
    if document["verdicts"]:
        return dict(document["verdicts"][0])
    return both("There is nothing to compare: one contestant was there alone, or the others slowed every one down.")


def setting_line(document: Document) -> Text:
    """What was timed, in one line."""
    s, processor = document["settings"], document["machine"]["processor"]
    return both(
        "{processor} · threads: {threads} · {dtype} · {n} cases · 10th percentile of at least {seconds} s each",
        processor=processor, threads=s["threads"], dtype=s["dtype"], n=len(document["rows"]), seconds=s["seconds"],
    )  # fmt: skip


def scope(document: Document) -> dict[str, str]:
    """What the means of a summary are of: normlab's contestant that is the measure, and the caches of the cases."""
    tiers = {t for s in document["summary"] for t in s["tiers"]}
    reference = next((r["reference"] for r in document["rows"] if r["reference"]), "normlab")
    return {"reference": reference, "tiers": ", ".join(t for t in document["settings"]["tiers"] if t in tiers)}


def has_ceiling(document: Document) -> bool:
    """Whether PyTorch was timed beside a plain copy."""
    return any(s["peer"] == "torch" and s["ceiling"] for s in document["summary"])


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Lists as words in a row, and what was not given left out."""
    joined = {k: ", ".join(v) if isinstance(v, list) else v for k, v in values.items() if v is not None}
    return {k: ", ".join(f"{n} {b}" for n, b in v.items()) if isinstance(v, dict) else v for k, v in joined.items()}


def pass_name(two: bool) -> Text:
    """The name of a pass."""
    return both("forward and backward") if two else both("forward")


def _figures(document: Document, lang: str) -> list[Figure]:
    found = []
    for two in (False, True):
        lines = [s for s in document["summary"] if s["both"] == two]
        if lines:
            drawing = rates(lines, lang)
            how = [both(
                "Each contestant's time over that of {reference}, on a scale of powers of ten; right of the line "
                "normlab is faster. Geometric mean over shapes (cache: {tiers}).", **scope(document),
            )]  # fmt: skip
            if has_ceiling(document):
                bar = both("The bar is the ceiling: PyTorch's time over that of a plain copy of the fewest bytes.")
                how.append(bar)
            caption = {k: " ".join([f"{_capital(name)}.", *(h[k] for h in how)]) for k, name in pass_name(two).items()}
            svg = drawing.svg(pass_name(two), caption)
            found.append(Figure("both" if two else "forward", [svg], caption))
    return found


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def summary_table(document: Document) -> Table:
    """One row for each method, order of axes and pass; a column for each peer."""
    lines: Sequence[Mapping[str, Any]] = document["summary"]
    peers = list(dict.fromkeys(s["peer"] for s in lines))
    ceiling = has_ceiling(document)
    head: list[Cell] = [both("order of axes"), *peers, *[both("ceiling")] * ceiling, both("slowest case")]
    groups: list[tuple[Cell | None, list[list[Cell]]]] = []
    for method in dict.fromkeys(s["method"] for s in lines):
        rows: list[list[Cell]] = []
        for layout, two in dict.fromkeys((s["layout"], s["both"]) for s in lines if s["method"] == method):
            own = {s["peer"]: s for s in lines if (s["method"], s["layout"], s["both"]) == (method, layout, two)}
            first = own.get("torch") or next(iter(own.values()))
            worst = "x".join(str(n) for n in first["worst_shape"])
            rows.append([
                f"{layout}{BACKWARD * two}", *(_ratio(own.get(p)) for p in peers),
                *[number(own["torch"]["ceiling"]) if "torch" in own else ""] * ceiling,
                f"{number(first['worst'])} ({worst})",
            ])  # fmt: skip
        groups.append((method, rows))
    caption = both(
        "Each contestant's time over that of {reference}: the geometric mean over shapes (cache: {tiers}), and in "
        "brackets the mean of the lower ends of the intervals of 95 %. Ceiling: PyTorch's time over that of a plain "
        "copy of the fewest bytes. Slowest case: PyTorch's smallest ratio, or the first contestant's. +b: with "
        "the backward pass.",
        **scope(document),
    )
    return Table(caption, head, groups, "wide")


def _ratio(line: Mapping[str, Any] | None) -> str:
    return "" if line is None else f"{number(line['ratio'])} ({number(line['low'])})"


def case_table(document: Document) -> Table:
    """Every case: the time of each contestant in microseconds, its ratio to normlab, what was void."""
    names = [n for n in document["settings"]["contestants"] if any(n in r["contestants"] for r in document["rows"])]
    head: list[Cell] = [both("shape"), both("order of axes"), both("cache"), both("in kernels"), *names]
    head.append(both("copy"))
    groups: list[tuple[Cell | None, list[list[Cell]]]] = []
    for method in dict.fromkeys(r["method"] for r in document["rows"]):
        rows: list[list[Cell]] = [
            [
                "x".join(str(n) for n in r["shape"]), f"{r['layout']}{BACKWARD * r['both']}", r["tier"],
                number(r["kernel_us"]), *(_time(r["contestants"].get(n)) for n in names), number(r["clone_us"]),
            ]
            for r in document["rows"] if r["method"] == method
        ]  # fmt: skip
        groups.append((method, rows))
    caption = both(
        "Microseconds a call (10th percentile), in brackets over normlab's; * stands where the other contestants of "
        "the same process slowed one of the two down by more than a fifth, so that the comparison is void. "
        "In kernels: how much of normlab's time passes in its compiled kernels. +b: with the backward pass."
    )
    return Table(caption, head, groups, "wide")


def _time(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return ""
    over = entry.get("over_normlab")
    text = number(entry["us"]) + (f" ({number(over['ratio'])})" if over else "")
    return text + ("*" if entry["void"] else "")
