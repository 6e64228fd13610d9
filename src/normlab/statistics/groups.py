"""Which arms can be told apart: an order, groups that cannot be, a refusal to rank where the seeds do not suffice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .contrast import BETTER, WORSE, Contrast, contrasts
from .runs import Runs, arms, mean_and_spread
from .student import LEVEL

__all__ = ["Ranking", "ranking"]


@dataclass(frozen=True)
class Ranking:
    """What the seeds say about the order of the arms.

    Fields:
        ranked: whether any two arms could be told apart. If not, there is no ranking, and `order` is only that of the
            means.
        order: the arms, best first: by those shown worse, then by the mean (where runs have no number, by the part of
            the seeds won).
        tiers: `order` cut wherever every arm before was shown better than every arm after.
        groups: the largest sets of which no two arms could be told apart; they may overlap.
        best: the arms that none was shown better than.
        contrasts: all pairs.
    """

    ranked: bool
    order: tuple[str, ...]
    tiers: tuple[tuple[str, ...], ...]
    groups: tuple[tuple[str, ...], ...]
    best: tuple[str, ...]
    contrasts: tuple[Contrast, ...]
    n: int
    level: float

    @property
    def nearest(self) -> Contrast | None:
        """Of the pairs not told apart the one that the fewest more seeds would show; None where none would."""
        able = [(c.seeds.needed, k) for k, c in enumerate(self.contrasts) if c.seeds and c.seeds.needed]
        return self.contrasts[min(able)[1]] if able else None


def ranking(
    metrics: Mapping[str, Sequence[float | None]], *, level: float = LEVEL, higher_is_better: bool = True,
    margin: float | None = None, resolution: float | None = None, diverged: float | None = None,
) -> Ranking:  # fmt: skip
    """Rank the arms as far as their seeds allow. Arguments and errors as `contrasts` has them."""
    pairs = contrasts(
        metrics, level=level, higher_is_better=higher_is_better, margin=margin, resolution=resolution, diverged=diverged
    )
    beats = {(c.label, c.against) for c in pairs if c.verdict == BETTER}
    beats |= {(c.against, c.label) for c in pairs if c.verdict == WORSE}
    merit = _merits(arms("ranking", metrics, diverged), pairs, higher_is_better)
    wins = {label: sum(a == label for a, _ in beats) - sum(b == label for _, b in beats) for label in merit}
    order = sorted(merit, key=lambda label: (-wins[label], -merit[label]))
    best = tuple(label for label in order if all(b != label for _, b in beats))
    groups = sorted(_groups(order, beats), key=lambda group: [order.index(label) for label in group])
    tiers = _tiers(order, beats)
    return Ranking(bool(beats), tuple(order), tiers, tuple(groups), best, tuple(pairs), pairs[0].n, level)


def _merits(runs: Mapping[str, Runs], pairs: Sequence[Contrast], higher_is_better: bool) -> dict[str, float]:
    numbers = {label: [v for v in values if v is not None] for label, values in runs.items()}
    if all(len(numbers[label]) == len(values) for label, values in runs.items()):
        sign = 1 if higher_is_better else -1
        return {label: sign * mean_and_spread(values)[0] for label, values in numbers.items()}
    won = dict.fromkeys(runs, 0.0)
    for pair in pairs:
        won[pair.label] += pair.superiority
        won[pair.against] += 1 - pair.superiority
    return won


def _tiers(order: Sequence[str], beats: set[tuple[str, str]]) -> tuple[tuple[str, ...], ...]:
    cuts = [k for k in range(1, len(order)) if all((a, b) in beats for a in order[:k] for b in order[k:])]
    return tuple(tuple(order[a:b]) for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True))


def _groups(order: Sequence[str], beats: set[tuple[str, str]]) -> list[tuple[str, ...]]:
    """The largest sets without a pair in `beats`, by growing all sets arm by arm and dropping those held by another."""
    grown: set[frozenset[str]] = {frozenset()}
    for label in order:
        alike = {other for other in order if (label, other) not in beats and (other, label) not in beats}
        grown |= {frozenset({*(held & alike), label}) for held in grown}
        grown = {held for held in grown if not any(held < other for other in grown)}
    return [tuple(label for label in order if label in held) for held in grown]
