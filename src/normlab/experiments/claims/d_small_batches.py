"""Error against the batch size: flat for group normalization, rising for batch normalization as batches get small.

Half as many samples, with and without the drops of the learning rate, were run before under the same conditions; none
of the four held there either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from normlab.language import N_, both
from normlab.statistics import contrasts

from .claim import Claim, Finding
from .figures import figure
from .saying import difference
from .training import best_stack, final

BATCHES = (2, 4, 8, 16, 32)
SMALL, LARGE = BATCHES[0], BATCHES[-1]
SAMPLES = 8192  # that every network sees, seven or eight epochs, in as many steps as that makes
DROPS = (0.3, 0.6, 0.9)  # of the steps: where the paper divides the learning rate by ten
RATES = (0.01, 0.03, 0.1)  # at the largest batch; scaled with the batch, as the paper does
CHOOSING = 2  # seeds that the learning rate is chosen by, on rows that are not reported
MARGIN = 0.02  # of the error; the paper's batch norm rises by 0.11, its group norm stays within 0.002
CHANCE = 0.1
ROWS = 450  # test images
Errors = dict[int, list[float]]


def measure(seeds: Sequence[int]) -> list[Finding]:
    """Errors of both arms at every batch size, at the learning rate that is best for the arm at the largest."""
    batch, group = (_errors(arm, seeds) for arm in ("bn", "gn"))
    return [_rises(batch), _flat(group), _ahead(batch, group), _level(batch, group)]


def _errors(arm: str, seeds: Sequence[int]) -> Errors:
    chosen = best_stack(arm, seeds[:CHOOSING], RATES, drops=DROPS, **_settings(LARGE))
    rate = chosen.slots[0].lr / LARGE
    stacks = {n: best_stack(arm, seeds, [rate * n], drops=DROPS, **_settings(n)) for n in BATCHES}
    return {n: [1 - a for a in final(stack, "test_accuracy", CHANCE)] for n, stack in stacks.items()}


def _settings(batch: int) -> dict[str, Any]:
    return {"net": "conv", "activation": "relu", "init": "he", "batch": batch, "steps": SAMPLES // batch}


def _rises(errors: Errors) -> Finding:
    found = contrasts({"32": errors[LARGE], "2": errors[SMALL]}, higher_is_better=False, resolution=1 / ROWS)[0]
    said = both(
        N_("batch norm's error in %, for batches of 2, 4, 8, 16, 32: {errors}; at 2 over 32: {difference} points"),
        errors=_listed(errors), difference=difference(found),
    )  # fmt: skip
    return Finding(found.verdict == "worse", said, {str(n): own for n, own in errors.items()})


def _flat(errors: Errors) -> Finding:
    named = {str(n): own for n, own in errors.items()}
    found = contrasts(named, against=str(LARGE), higher_is_better=False, margin=MARGIN, resolution=1 / ROWS)
    worst = max(found, key=lambda one: max(abs(one.low or 0.0), abs(one.high or 0.0)))
    said = both(
        N_("group norm's error in %: {errors}; furthest from that at 32 is batch {worst}: {difference} points"),
        errors=_listed(errors), worst=worst.label, difference=difference(worst),
    )  # fmt: skip
    ends = [abs(end) for one in found for end in (one.low, one.high) if end is not None]
    return Finding(len(ends) == 2 * len(found) and max(ends) <= MARGIN, said, named)


def _ahead(batch: Errors, group: Errors) -> Finding:
    found = contrasts({"bn": batch[SMALL], "gn": group[SMALL]}, higher_is_better=False, resolution=1 / ROWS)[0]
    said = both(N_("at 2: group norm less batch norm {difference} points of error"), difference=difference(found))
    return Finding(found.verdict == "better", said, {"low": found.low, "high": found.high})


def _level(batch: Errors, group: Errors) -> Finding:
    found = contrasts({"bn": batch[LARGE], "gn": group[LARGE]}, higher_is_better=False, resolution=1 / ROWS)[0]
    said = both(N_("at 32: group norm less batch norm {difference} points of error"), difference=difference(found))
    ends = [abs(end) for end in (found.low, found.high) if end is not None]
    return Finding(len(ends) == 2 and max(ends) <= MARGIN, said, {"low": found.low, "high": found.high})


def _listed(errors: Errors) -> str:
    return ", ".join(figure([100 * e for e in own], 2, resolution=100 / ROWS) for own in errors.values())


claim = Claim(
    letter="d",
    title=both(N_("In small batches batch normalization's error rises; group normalization's stays flat.")),
    source="Wu and He, arXiv 1803.08494, figure 1 and table 2",
    setting=both(
        N_(
            "three 3 x 3 convolutions of 16 channels on the digits, batches of 2, 4, 8, 16 and 32, 8192 samples seen "
            "at each; the learning rate is the best of three at 32, scaled with the batch, and divided by ten after "
            "0.3, 0.6 and 0.9 of the steps"
        )
    ),
    conditions=(
        both(N_("batch norm's error at 2 is higher than at 32, by the interval")),
        both(N_("group norm's error at 2, 4, 8 and 16 lies within 2 points of that at 32, by the corrected intervals")),
        both(N_("at 2 group norm's error is lower than batch norm's, by the interval")),
        both(N_("at 32 the two lie within 2 points of each other, by the interval")),
    ),
    measure=measure,
    seeds=8,
    seconds=110,
)
