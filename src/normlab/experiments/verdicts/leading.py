"""The leading sentence: which arm carries the gradient best, in three numbers."""

from __future__ import annotations

from collections.abc import Sequence

from normlab.formatting import ratio, share
from normlab.language import N_, both

from .readings import Arm, Readings
from .wording import GOOD, NEUTRAL, POOR, Text, Verdict, names, ranged, say

__all__ = ["lead"]

ALL_HEALTHY = N_("All arms are healthy, nothing to choose here")
ALL_VANISH = N_("The gradient vanishes in every arm, least with {best}")
ALL_EXPLODE = N_("The gradient explodes in every arm, least with {best}")
NONE_CARRIES = N_("No arm carries the gradient, the nearest is {best}")
OPEN = N_("Whether any arm carries the gradient is not decided, the nearest is {best}")
ONLY = N_("{best} carries the gradient")
BEST = N_("{best} carries the gradient best")
ALIKE = N_("{names} carry the gradient about equally well")
ALIKE_OVER_SEEDS = N_("{names} carry the gradient, the best is not decided")
NUMBERS = N_("layer 1 gets {ratio} times layer {last}'s gradient, {share} of the variance is signal")
NUMBERS_BESIDE = N_(
    "layer 1 gets {ratio} times layer {last}'s gradient ({other} {other_ratio}), {share} of the variance is signal"
)


def lead(readings: Readings) -> list[Verdict]:
    """Say who carries the gradient best, or that everyone, or no one, does; nothing where no ratio is known."""
    if not readings.by_merit:
        return []
    mark, opening, told = _opening(readings)
    numbers = _numbers(readings, told)
    if readings.seeds > 1:
        message = N_("{opening}: {numbers} (over {seeds} seeds).")
        return [say(mark, message, opening=opening, numbers=numbers, seeds=readings.seeds)]
    return [say(mark, N_("{opening}: {numbers}."), opening=opening, numbers=numbers)]


def _opening(readings: Readings) -> tuple[str, Text, Sequence[Arm]]:
    """The mark, the first half of the sentence, and the arms whose numbers it tells."""
    ranked = readings.by_merit
    best = ranked[0]
    tied = [arm for arm in ranked if arm is best or readings.are_tied(best, arm)]
    if len(ranked) == len(readings.arms) > 1 and all(arm.is_healthy for arm in ranked):
        return GOOD, both(ALL_HEALTHY), ranked
    for message, is_so in (
        (ALL_VANISH, all(arm.vanishes for arm in ranked)),
        (ALL_EXPLODE, all(arm.explodes for arm in ranked)),
        (NONE_CARRIES, best.vanishes or best.explodes),
    ):
        if is_so:
            return POOR, both(message, best=best.label), ranked[:1]
    if not best.carries:
        return NEUTRAL, both(OPEN, best=best.label), ranked[:1]
    if len(ranked) == 1:
        return GOOD, both(ONLY, best=best.label), ranked
    if len(tied) == 1:
        return POOR if best.is_without else GOOD, both(BEST, best=best.label), tied
    message = ALIKE_OVER_SEEDS if readings.seeds > 1 else ALIKE
    return NEUTRAL if any(arm.is_without for arm in tied) else GOOD, both(message, names=names(tied, 24)), tied


def _numbers(readings: Readings, told: Sequence[Arm]) -> Text:
    """The told arms' first over last and signal, beside the arm without normalization, or the next best."""
    others = [arm for arm in (readings.without, *readings.by_merit) if arm and not any(arm is t for t in told)]
    known = [arm.signal for arm in told if arm.signal >= 0]
    values = {
        "ratio": ranged([arm.ratio.mean for arm in told if arm.ratio], ratio),
        "last": readings.depth,
        "share": ranged(known, share) if known else share(None),
    }
    if not others or others[0].ratio is None:
        return both(NUMBERS, **values)
    beside = {"other": others[0].label, "other_ratio": ratio(others[0].ratio.mean)}
    return both(NUMBERS_BESIDE, **beside, **values)
