"""What intervals, contrasts and rankings say, in both languages: functions of their numbers and of nothing else.

Differences are said in the direction of "better": a loss that is 0.1 lower is 0.1 better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from normlab.formatting import number, share
from normlab.language import LANGUAGES, N_, both

from .contrast import BETTER, EQUIVALENT, OPEN, WORSE, Contrast
from .groups import Ranking
from .means import Interval
from .sufficiency import MOST, Seeds, least_p, least_seeds

__all__ = ["Metric", "say_contrast", "say_interval", "say_ranking"]

Text = dict[str, str]

MEAN = N_("{metric}: {mean} ({level} interval {low} to {high}, {seeds}).")
ONE_MEAN = N_("{metric}: {mean} in the only seed, which says nothing about others.")
SAME_MEAN = N_("{metric}: {mean} in each of {n} seeds, which says nothing about how far others may lie.")
NO_MEAN = N_("{metric}: no mean, because {failed} of {n} runs have no number.")
SHOWN = {
    BETTER: N_("{metric}: {label} is {amount} better than {against} ({level} interval {low} to {high}, {seeds})."),
    WORSE: N_("{metric}: {label} is {amount} worse than {against} ({level} interval {low} to {high}, {seeds})."),
    EQUIVALENT: N_("{metric}: {label} and {against} differ by less than what matters "
                   "({level} interval {low} to {high}, {seeds})."),
}  # fmt: skip
OPEN_INTERVAL = N_("{metric}: {n} seeds cannot tell {label} from {against} "
                   "(difference {amount}, {level} interval {low} to {high}); {needed}")  # fmt: skip
RANKED = {
    BETTER: N_("{metric}: {label} is better than {against}, by ranks ({seeds}, p {p}). {failed}"),
    WORSE: N_("{metric}: {label} is worse than {against}, by ranks ({seeds}, p {p}). {failed}"),
    OPEN: N_("{metric}: {n} seeds cannot tell {label} from {against}, by ranks (p {p}). {failed}"),
}
FAILED = N_("Runs without a number, of {n}: {label} {one}, {against} {other}.")
ONE_SEED = N_("{metric}: one seed cannot tell {label} from {against}; at least {least} are needed.")
SAME = N_("{metric}: {label} and {against} have one and the same value in all {n} seeds.")
TOO_FEW = N_("{metric}: {n} seeds cannot tell {label} from {against}: however far they differ, chance may do it with "
             "probability {p} (comparisons: {comparisons}); at least {least} are needed.")  # fmt: skip
ABOUT = N_("about {needed} would ({low} to {high}, since {n} seeds show the spread only roughly).")
ABOUT_OPEN = N_("about {needed} would ({low} or more, since {n} seeds show the spread only roughly).")
BEYOND = N_("more than {most} would be needed.")
ORDER = N_("{metric}, best first: {tiers} ({seeds}).")
ORDER_ALIKE = N_("{metric}, best first: {tiers} ({seeds}). Not told apart: {groups}.")
PARTLY = N_("{metric}: none was shown better than {best} ({seeds}). Not told apart: {groups}.")
REFUSED = N_("{metric}: {n} seeds do not suffice to rank {arms}; about {needed} would tell {label} from {against}.")
REFUSED_BEYOND = N_("{metric}: {n} seeds do not suffice to rank {arms}, and nothing says that up to {most} would.")
REFUSED_ONE = N_("{metric}: one seed ranks nothing ({arms}); at least {least} are needed.")
SEEDS = N_("{n} seeds")
SEEDS_CORRECTED = N_("{n} seeds, corrected for {comparisons} comparisons")


@dataclass(frozen=True)
class Metric:
    """How a metric is spoken of: its name by language, what its numbers are multiplied with, and their unit.

    Example:
        >>> accuracy = Metric({"en": "Test accuracy", "ko": "시험 정확도"}, 100, {"en": " points", "ko": "점"})
    """

    name: Mapping[str, str]
    scale: float = 1.0
    unit: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(LANGUAGES, ""))

    def amount(self, value: float | None) -> Text:
        """A difference, two digits, with its unit."""
        return {lang: f"{self.bare(value)}{self.unit[lang]}" for lang in LANGUAGES}

    def bare(self, value: float | None, digits: int = 2) -> str:
        """The same without the unit."""
        return number(None if value is None else value * self.scale, digits)


def say_interval(found: Interval, metric: Metric) -> Text:
    """The mean of one arm with its interval, or why there is none."""
    mean, low, high = (metric.bare(v, 3) for v in (found.mean, found.low, found.high))
    if found.method == "no number":
        return both(NO_MEAN, metric=metric.name, failed=found.failed, n=found.n)
    if found.method == "one seed":
        return both(ONE_MEAN, metric=metric.name, mean=mean)
    if found.method == "no spread":
        return both(SAME_MEAN, metric=metric.name, mean=mean, n=found.n)
    said = {"metric": metric.name, "mean": mean, "low": low, "high": high}
    return both(MEAN, **said, level=_level(found.level), seeds=_seeds(found.n, 1))


def say_contrast(found: Contrast, metric: Metric) -> Text:
    """Whether two arms could be told apart, by how much, and how many seeds would do where these did not."""
    said: dict[str, Any] = {"metric": metric.name, "label": found.label, "against": found.against, "n": found.n}
    said["seeds"] = _seeds(found.n, found.comparisons)
    least = least_seeds(found.comparisons, found.level)
    if found.method == "one seed":
        return both(ONE_SEED, **said, least=least)
    if found.method == "ranks":
        return both(RANKED[found.verdict], **said, p=number(found.p, 2), failed=_failed(found))
    if found.method == "no spread":
        return both(SAME, **said)
    if found.n < least:
        p = share(min(1.0, least_p(found.n) * found.comparisons))
        return both(TOO_FEW, **said, p=p, comparisons=found.comparisons, least=least)
    said |= _amounts(found, metric)
    if found.verdict != OPEN:
        return both(SHOWN[found.verdict], **said)
    return both(OPEN_INTERVAL, **said, needed=_needed(found.seeds, found.n))


def say_ranking(found: Ranking, metric: Metric) -> Text:
    """The order as far as it was shown; a refusal, with the seeds that would show something, where nothing was."""
    pairs = len(found.contrasts)
    said: dict[str, Any] = {"metric": metric.name, "n": found.n, "seeds": _seeds(found.n, pairs)}
    if not found.ranked:
        return _refusal(found, said, least_seeds(pairs, found.level))
    alike = "; ".join(_listed(group) for group in found.groups if len(group) > 1)
    if len(found.tiers) == 1:
        return both(PARTLY, **said, best=_listed(found.best), groups=alike)
    return both(ORDER_ALIKE if alike else ORDER, **said, tiers=" > ".join(map(_listed, found.tiers)), groups=alike)


def _refusal(found: Ranking, said: dict[str, Any], least: int) -> Text:
    said["arms"] = _listed(found.order)
    if found.n == 1:
        return both(REFUSED_ONE, **said, least=least)
    nearest = found.nearest
    if nearest is None or nearest.seeds is None:
        return both(REFUSED_BEYOND, **said, most=MOST)
    return both(REFUSED, **said, needed=nearest.seeds.needed, label=nearest.label, against=nearest.against)


def _amounts(found: Contrast, metric: Metric) -> dict[str, Any]:
    """Numbers in the direction of the verdict: positive where it is better, or worse where that is the verdict."""
    ends = (found.difference, found.low, found.high)
    flip = found.higher_is_better == (found.verdict == WORSE)
    middle, low, high = (None if v is None else -v for v in (ends[0], ends[2], ends[1])) if flip else ends
    said = {"low": metric.bare(low), "high": metric.bare(high), "level": _level(found.level)}
    return {**said, "amount": metric.amount(middle)}


def _failed(found: Contrast) -> Text:
    one, other = found.failed
    return both(FAILED, label=found.label, against=found.against, one=one, other=other, n=found.n)


def _needed(seeds: Seeds | None, n: int) -> Text:
    if seeds is None or seeds.needed is None:
        return both(BEYOND, most=MOST)
    if seeds.high is None:
        return both(ABOUT_OPEN, needed=seeds.needed, low=seeds.low, n=n)
    return both(ABOUT, needed=seeds.needed, low=seeds.low, high=seeds.high, n=n)


def _seeds(n: int, comparisons: int) -> Text:
    return both(SEEDS_CORRECTED, n=n, comparisons=comparisons) if comparisons > 1 else both(SEEDS, n=n)


def _listed(labels: tuple[str, ...]) -> str:
    return ", ".join(labels)


def _level(level: float) -> str:
    return f"{100 * level:.4g} %"
