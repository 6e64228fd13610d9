"""A sweep as a chapter: what its grid shows over the seeds, the plot, all means, what failed, how to repeat it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ..language import both
from .drawing import Drawing, Text
from .headline import Tile
from .parts import Figure
from .race_gallery import Section
from .settings import listed
from .sweep_figures import MOST_PANELS, panels
from .sweep_points import axes_of, metric_of, named, setting_of, spoken, word, writer
from .sweep_tables import failed_table, means_table, pairs_table, specification
from .sweep_verdicts import best_of, compared, headline, sentences, unfinished

__all__ = ["Swept", "figures", "setting_line", "swept"]

Document = Mapping[str, Any]
_OTHERS = 4


@dataclass(frozen=True)
class Swept:
    """Everything the template needs of one sweep."""

    number: int
    key: str
    name: Text
    headline: Text
    verdicts: list[tuple[str, Text]]
    notes: list[Text]
    setting: Text
    tiles: list[Tile]
    sections: list[Section]
    specification: str
    title: Text
    command: str
    facts: list[tuple[Text, str]]
    kept: Text
    data: Markup
    refused: Sequence[tuple[str, Mapping[str, Any]]] = ()
    cards: Sequence[Any] = ()
    template: str = "sweep.html"


def swept(document: Document, number: int, lang: str) -> Swept:
    """Build chapter `number` of a report from a `normlab.sweep/1` document."""
    from .chapter import embedded

    key, metric = f"c{number}", metric_of(document)
    return Swept(
        number=number,
        key=key,
        name=_same(document["settings"]["name"]),
        headline=headline(document),
        verdicts=sentences(document),
        notes=unfinished(document),
        setting=setting_line(document),
        tiles=_tiles(document, metric),
        sections=_sections(document, metric, lang),
        specification=specification(document["settings"]),
        title=both("The specification"),
        command=str(document["command"]),
        facts=[
            (both("versions"), listed(document["versions"])), (both("machine"), listed(document["machine"])),
            (both("time"), f"{document['wall_s']:.2f} s"),
        ],
        kept=both(
            "The whole document of this run stands in this file as JSON, in the element {name}.", name=f"{key}-json"
        ),
        data=embedded(document),
    )  # fmt: skip


def figures(document: Document, lang: str) -> dict[str, str]:
    """Every drawing as the text of an SVG file, by name."""
    metric = metric_of(document)
    drawn = panels(document, metric, lang)
    stem = "".join(c if c.isalnum() else "-" for c in metric)
    return {f"{stem}-{k}": one.svg(title, _beside(), alone=True) for k, (one, title) in enumerate(drawn, 1)}


def setting_line(document: Document) -> Text:
    """The grid and what its trials share, in one line."""
    settings = document["settings"]
    grid = " × ".join(f"{len(values)} {name}" for name, values in settings["grid"].items())
    counts = both("trials with a result: {done} of {trials}; failed: {failed}", **document["counts"])
    fixed = [setting_of(settings["fixed"])] if settings["fixed"] else []
    return {lang: " · ".join([grid, *fixed, counts[lang]]) for lang in ("en", "ko")}


def _sections(document: Document, metric: str, lang: str) -> list[Section]:
    found = [_picture(document, metric, lang)] if document["counts"]["done"] else []
    pairs = pairs_table(compared(document, metric), metric)
    if pairs is not None:
        found.append(Section("pairs", both("Who can be told from whom"), tables=[pairs]))
    if document["counts"]["done"]:
        found.append(Section("means", both("Every combination"), tables=[means_table(document, metric)]))
    failed = failed_table(document)
    if failed is not None:
        found.append(Section("failed", both("What failed"), tables=[failed]))
    return found


def _picture(document: Document, metric: str, lang: str) -> Section:
    drawn = panels(document, metric, lang)
    cut = len(drawn) == MOST_PANELS
    said = [both("At most {most} pictures are drawn; the table has everything.", most=MOST_PANELS)] if cut else []
    figure = Figure("plot", [_svg(*one) for one in drawn], _caption(document, metric), "pairs")
    return Section("plot", _heading(document, metric), said, figures=[figure])


def _heading(document: Document, metric: str) -> Text:
    across = axes_of(document).across
    if across is None:
        return both("{metric}, combination by combination", metric=spoken(metric).name)
    return both("{metric} along {name}", metric=spoken(metric).name, name=across)


def _caption(document: Document, metric: str) -> Text:
    axes = axes_of(document)
    mark = both("dots") if axes.across else both("strokes")
    parts = [both("All pictures have the same scale. A large dot is a mean.")]
    if axes.seeds:
        parts.append(both(
            "The small {marks} are the seeds, the bar is the {level} interval of the mean; it ends at the picture's "
            "edge where it reaches beyond.", marks=mark, level="95 %",
        ))  # fmt: skip
    parts.append(both("A cross stands where a trial failed or has no number."))
    return {lang: " ".join(part[lang] for part in parts) for lang in ("en", "ko")}


def _svg(drawing: Drawing, title: Text) -> str:
    return drawing.svg(title, _beside())


def _beside() -> Text:
    return both("The numbers stand in the table below the drawing.")


def _tiles(document: Document, metric: str) -> list[Tile]:
    """How many results there are, and the best combination with those that come next."""
    counts, write = document["counts"], writer(metric)
    found = []
    points = best_of(document, metric)
    if points:
        said = [(_brief(point.setting), write(point.band(metric))) for point in points]
        found.append(Tile(named(metric), said[0][0], said[0][1], said[1 : 1 + _OTHERS]))
    return [*found, Tile(both("trials with a result"), f"/ {counts['trials']}", str(counts["done"]), [])]


def _brief(setting: Mapping[str, Any]) -> str:
    return ", ".join(word(v) if isinstance(v, str) else f"{k} {word(v)}" for k, v in setting.items())


def _same(text: Any) -> Text:
    return {"en": str(text), "ko": str(text)}
