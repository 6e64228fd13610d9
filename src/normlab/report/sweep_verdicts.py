"""What a sweep's numbers say: which arms the seeds tell apart in which combination; without arms or seeds, the means.

All intervals of one page hold together: the level of each comparison is raised by the number of combinations compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..language import both
from ..statistics import Ranking, ranking, say_interval, say_ranking
from .drawing import Text
from .sweep_points import (
    ARMS,
    Point,
    axes_of,
    higher_is_better,
    metric_of,
    points_of,
    setting_of,
    spoken,
    together,
    word,
    writer,
)

__all__ = ["LEVEL", "Compared", "best_of", "compared", "headline", "sentences", "unfinished"]

LEVEL = 0.95
MOST_SENTENCES = 10

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Compared:
    """The arms in one combination of all other arguments, over the seeds that each of them has a result for."""

    setting: Mapping[str, Any]
    found: Ranking

    def said(self, metric: str) -> Text:
        """The sentence."""
        return say_ranking(self.found, spoken(metric, setting_of(self.setting)))


def compared(document: Document, metric: str) -> list[Compared]:
    """A comparison for each combination in which two arms or more have results for the same seeds.

    A trial that failed counts as a run without a number, a trial that waits as none; an arm of which all trials failed
    is left out, and listed among the failures.
    """
    axes, better = axes_of(document), higher_is_better(metric)
    if axes.lines != ARMS or not axes.seeds or better is None:
        return []
    others = [name for name in document["columns"]["grid"] if name in (*axes.rest, axes.across)]
    runs = [(setting, _paired(points, metric)) for setting, points in together(points_of(document), others)]
    able = [(setting, arms) for setting, arms in runs if len(arms) > 1]
    level = 1 - (1 - LEVEL) / max(len(able), 1)
    return [Compared(setting, ranking(arms, higher_is_better=better, level=level)) for setting, arms in able]


def _paired(points: Sequence[Point], metric: str) -> dict[str, list[float | None]]:
    """By arm one value a seed, of the seeds that all arms have a result for."""
    able = [point for point in points if any(one["state"] == "done" for one in point.trials)]
    alive = {word(point.setting[ARMS]): point.by_seed(metric) for point in able}
    common = [seed for seed in next(iter(alive.values()), {}) if all(seed in runs for runs in alive.values())]
    return {label: [runs[seed] for seed in common] for label, runs in alive.items()} if common else {}


def headline(document: Document) -> Text:
    """The first sentence."""
    metric = metric_of(document)
    found = compared(document, metric)
    if not document["counts"]["done"]:
        return both("No trial has a result yet: {waiting} wait, {failed} failed.", **document["counts"])
    if len(found) == 1:
        return found[0].said(metric)
    return _over_combinations(found, metric) if found else _of_means(document, metric)


def _over_combinations(found: Sequence[Compared], metric: str) -> Text:
    said = {"metric": spoken(metric).name, "told": sum(one.found.ranked for one in found), "n": len(found)}
    if not said["told"]:
        return both("{metric}: in none of {n} combinations can the seeds tell any two arms apart.", **said)
    leaders = [label for label in found[0].found.order if all(label in one.found.best for one in found)]
    if not leaders:
        return both(
            "{metric}: in {told} of {n} combinations the seeds tell arms apart, and no arm is among the best in all.",
            **said,
        )  # fmt: skip
    return both(
        "{metric}: in {told} of {n} combinations the seeds tell arms apart; nowhere shown worse than another: {best}.",
        **said, best=", ".join(leaders),
    )  # fmt: skip


def best_of(document: Document, metric: str) -> list[Point]:
    """The points that have a mean, the best first; in the grid's order where the metric does not say what is better."""
    known = [(point, mean) for point in points_of(document) if (mean := point.band(metric)["mean"]) is not None]
    better = higher_is_better(metric)
    if better is not None:
        known.sort(key=lambda pair: -pair[1] if better else pair[1])
    return [point for point, _ in known]


def _of_means(document: Document, metric: str) -> Text:
    points, name, write = best_of(document, metric), spoken(metric).name, writer(metric)
    if not points:
        return both("{metric}: no combination has a mean.", metric=name)
    means = [point.band(metric)["mean"] for point in points]
    if len(points) == 1 or higher_is_better(metric) is None:
        ends = [write(end(mean for mean in means if mean is not None)) for end in (min, max)]
        return both("{metric}: the means of {n} combinations lie between {low} and {high}.", metric=name, n=len(points),
                    low=ends[0], high=ends[1])  # fmt: skip
    return both(
        "{metric}: the best mean of {n} combinations is {value}, of {setting}.", metric=name, n=len(points),
        value=write(means[0]), setting=setting_of(points[0].setting),
    )  # fmt: skip


def sentences(document: Document) -> list[tuple[str, Text]]:
    """What stands below the headline, with marks: each combination, what to know about them, failures."""
    metric = metric_of(document)
    found = compared(document, metric)
    said: list[tuple[str, Text]]
    said = [("", one.said(metric)) for one in found if len(found) > 1] if found else _means(document, metric)
    more = len(said) - MOST_SENTENCES
    said = said[:MOST_SENTENCES]
    if more > 0:
        said.append(("", both("{n} more combinations stand in the table.", n=more)))
    pairs = sum(len(one.found.contrasts) for one in found)
    if len(found) > 1:
        said.append(("", both(
            "The level is raised for {k} combinations too: that any of the {n} intervals of these comparisons misses "
            "has a probability of {miss} at most.", k=len(found), n=pairs, miss="5 %",
        )))  # fmt: skip
    if document["counts"]["failed"]:
        said.append(("!", both(
            "{failed} of {trials} trials failed; their errors stand below. Means are of the others; in comparisons a "
            "failed trial is a run without a number.", **document["counts"],
        )))  # fmt: skip
    return said


def _means(document: Document, metric: str) -> list[tuple[str, Text]]:
    points = best_of(document, metric)
    found = [(point, one) for point in points if (one := point.interval(metric)) is not None]
    said: list[tuple[str, Text]] = []
    if all(one.n == 1 for _, one in found):
        said.append(("", both("Each combination was run under one seed, which says nothing about others.")))
        found = []
    for point, one in found:
        said.append(("", say_interval(one, spoken(metric, setting_of(point.setting)))))
    if len(points) > 1 and higher_is_better(metric) is not None:
        picked = both("The best of many was picked for its luck too: expect less of it in new seeds.")
        return [("", picked), *said]
    return said


def unfinished(document: Document) -> list[Text]:
    """A note where trials wait."""
    if not document["counts"]["waiting"]:
        return []
    return [both(
        "This sweep is not finished: {waiting} of {trials} trials wait. Arms are compared over the seeds that all of "
        "them have. Decide by the finished one: whoever looks again and again takes chance for a difference sooner or "
        "later.",
        **document["counts"],
    )]  # fmt: skip
